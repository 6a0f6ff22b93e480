# SPDX-License-Identifier: Apache-2.0
"""`keep_last` with routers that tell a PoP who else announces: BIRD's tables have the other PoP's routes."""
import json

import pytest
from labkit import facts, namespaces, observe
from labkit.scenarios import backends
from labkit.scenarios.scenario import balancer
from labkit.topology import ANYCAST_AS, PREFIXES

DEADLINE_S = 30


@pytest.fixture
def pop(lab):
    lab.wait_steady()
    found = Pop(lab)
    with found.told_of_others():
        yield found
        found.other("announce", "web")
        backends._start_all(lab)
    lab.wait_steady()


class Pop:
    """The preferred PoP, with `keep_last`."""

    def __init__(self, lab):
        self.lab = lab
        self.host = balancer(lab)
        self.router = lab.topology.client_transit
        [self.second] = [host for host in lab.topology.balancers() if host.pop != self.host.pop]
        self.events = observe.EventLog(lab, self.host.name)

    def told_of_others(self):
        """Its routers export to it, it takes a path with its own AS once, and pop.yaml has keep_last."""
        def keep_last(text):
            config = json.loads(text)
            config["announcements"][0]["keep_last"] = True
            return json.dumps(config, indent=2) + "\n"
        here, there = self.host.name, self.router
        session = f"protocol bgp {here.replace('-', '_')}_"
        return Edits(self.lab, [
            (there, "etc/bird/bird.conf", lambda text: "".join(
                part.replace("export none", "export all") if part.startswith(session) else part
                for part in split_before(text, "protocol bgp "))),
            (here, "etc/bird/bird.conf", lambda text: text.replace("import none", "import all").replace(
                f"as {ANYCAST_AS};", f"as {ANYCAST_AS};\n  allow local as 1;")),
            (here, "etc/anypop/pop.yaml", keep_last)])

    def other(self, *words):
        done = self.lab.run(self.second.name, f"{namespaces.BIN_DIR}/bgpctl", *words)
        assert done.returncode == 0, done.stderr

    def kill_backends(self):
        for backend in self.lab.topology.backends(self.host.pop):
            self.lab.kill(backend.name, "nginx")

    def route(self, family):
        """What the router has from this PoP."""
        return facts.bird_route_from(self.lab.init(self.router), f"{self.host.name.replace('-', '_')}_{family}", PREFIXES[family])

    def wait_drained(self):
        for family in PREFIXES:
            facts.wait_for(f"{family} drained at the router", lambda of=family: "(65535,0)" in self.route(of), DEADLINE_S)

    def wait_withdrawn(self):
        for family in PREFIXES:
            facts.wait_for(f"{family} gone from the router", lambda of=family: not self.route(of), DEADLINE_S)

    def kept(self):
        return [event["kept"] for event in self.events.lines() if event["event"] == "last-announcer"]


class Edits:
    """Files of daemons, changed and taken in by them, until the end."""

    def __init__(self, lab, edits):
        self.lab, self.edits, self.before = lab, edits, []

    def __enter__(self):
        for host, name, change in self.edits:
            file = self.lab.root(host) / name
            text = file.read_text()
            self.before.append((file, text))
            assert change(text) != text, f"{host}: {name} is not what this test knows"
            file.write_text(change(text))
        self.take()

    def __exit__(self, *_):
        for file, text in self.before:
            file.write_text(text)
        self.take()

    def take(self):
        for host, name, _ in self.edits:
            if name.endswith("bird.conf"):
                assert "Reconfig" in facts.bird(self.lab.init(host), "configure")
            else:
                done = self.lab.run(host, f"{namespaces.BIN_DIR}/anypop", "reload", "monitor")
                assert done.returncode == 0, done.stderr
        for host, *_ in self.edits:
            facts.wait_for("BGP sessions established", lambda of=host: self.lab.session_down(self.lab.topology.hosts[of]) == [])


def split_before(text, word):
    first, *others = text.split(word)
    return [first, *(word + other for other in others)]


def test_it_gives_way_to_somebody_else(pop):
    pop.kill_backends()
    pop.wait_drained()
    pop.wait_withdrawn()
    assert pop.kept()[-1:] != [True], "before its drain the router told it of nobody: its own path was the best"


def test_the_last_one_drains_and_stays_until_another_one_is_there(pop):
    pop.other("withdraw", "web", "--reason", "the other PoP is down")
    pop.kill_backends()
    pop.wait_drained()
    facts.wait_for("the event log to say that it stays", lambda: pop.kept()[-1:] == [True], DEADLINE_S)
    state = facts.daemon_get(pop.lab.init(pop.host.name), "healthmon", "/v1/state")["announcements"][0]
    assert state["kept_last"] and state["level"] == "drained" and not state["others_announce"]
    assert all(pop.route(family) for family in PREFIXES), "somebody always stays"
    pop.other("announce", "web")
    pop.wait_withdrawn()
    assert pop.kept()[-1] is False
