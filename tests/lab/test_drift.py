# SPDX-License-Identifier: Apache-2.0
"""What somebody does to BIRD behind our back: configure storms, disable, enable, a broken bird.conf, a restart. What the
router saw is what counts."""
import contextlib
import time

import pytest
from labkit import daemons, facts, observe
from labkit.scenarios import backends
from labkit.scenarios.operator import bgpctl
from labkit.scenarios.scenario import balancer, traffic_moved
from labkit.topology import PREFIXES, VIPS

STORM_PER_S = 100
STORM_S = 3


@pytest.fixture
def pop(lab):
    lab.wait_steady()
    found = Pop(lab)
    yield found
    lab.wait_steady()


class Pop:
    """The preferred PoP's balancer, and what its router has from it."""

    def __init__(self, lab):
        self.lab = lab
        self.host = balancer(lab)
        self.init = lab.init(self.host.name)
        self.router = lab.init(lab.topology.client_transit)
        self.sessions = {family: f"{self.host.name.replace('-', '_')}_{family}" for family in VIPS}
        self.events = observe.EventLog(lab, self.host.name)

    def bird(self, command):
        return facts.bird(self.init, command)

    def updates(self):
        return sum(facts.bird_updates(self.router, session) for session in self.sessions.values())

    def at_router(self):
        return {family for family, session in self.sessions.items()
                if facts.bird_route_from(self.router, session, PREFIXES[family])}

    def wait_at_router(self, families):
        facts.wait_for(f"the router to have {sorted(families) or 'nothing'} from {self.host.name}",
                       lambda: self.at_router() == set(families), 20, 0.01)

    def drifts(self):
        return [event for event in self.events.lines() if event["event"] == "drift"]

    @contextlib.contextmanager
    def broken_bird_conf(self):
        conf = self.lab.root(self.host.name) / "etc/bird/bird.conf"
        good = conf.read_text()
        conf.write_text(good + "\nnonsense;\n")
        try:
            assert "syntax error" in self.bird("configure")
            yield
        finally:
            conf.write_text(good)
            assert "Reconfigured" in self.bird("configure")


def storm(pop):
    """configure, a hundred times a second."""
    begin = time.monotonic()
    for number in range(STORM_PER_S * STORM_S):
        time.sleep(max(0.0, begin + number / STORM_PER_S - time.monotonic()))
        assert "Reconfigur" in pop.bird("configure")
    return STORM_PER_S * STORM_S / (time.monotonic() - begin)


def no_more_than_a_round_trip(pop):
    """Whatever was sent has arrived: the router asks for everything anew and has been answered."""
    for session in pop.sessions.values():
        facts.bird(pop.router, f'reload in "{session}"')
    time.sleep(0.3)  # nothing may come, so there is nothing to wait for


def test_a_configure_storm_while_withdrawn_is_not_seen_by_the_router(pop):
    bgpctl(pop.lab, "withdraw", "web", "--reason", "storm")
    pop.wait_at_router([])
    before = pop.updates()
    rate = storm(pop)
    no_more_than_a_round_trip(pop)
    assert pop.updates() == before
    assert rate > STORM_PER_S * 0.8, f"only {rate:.0f} configures a second: no storm"
    assert pop.drifts() == []
    bgpctl(pop.lab, "announce", "web")


def test_a_configure_storm_while_announced_or_drained_is_not_seen_either(pop):
    before = pop.updates()
    storm(pop)
    assert pop.updates() == before
    bgpctl(pop.lab, "drain", "web", "--reason", "storm")
    before = pop.updates()
    storm(pop)
    assert pop.updates() == before
    assert "(65535,0)" in facts.bird_route_from(pop.router, pop.sessions["v4"], PREFIXES["v4"])
    bgpctl(pop.lab, "undrain", "web")


def test_a_storm_of_the_other_hand_is_repaired(pop):
    """Somebody enables the withdrawn protocols again and again: the router never has them for long."""
    bgpctl(pop.lab, "withdraw", "web", "--reason", "storm")
    pop.wait_at_router([])
    for _ in range(5):
        pop.bird('enable "anypop_web_v4"')
        pop.bird('enable "anypop_web_v6"')
        begin = time.monotonic()
        pop.wait_at_router([])
        assert time.monotonic() - begin < 2.5, "a look a second, and its repair"
    facts.wait_for("drift in the event log", lambda: any(e["intended"] == "withdrawn" for e in pop.drifts()))
    bgpctl(pop.lab, "announce", "web")


def test_what_somebody_disabled_comes_back_and_is_reported(pop):
    pop.bird('disable "anypop_web_v6"')
    pop.wait_at_router(["v4"])
    pop.wait_at_router(VIPS)
    facts.wait_for("drift in the event log", lambda: any(e["intended"] == "announced" for e in pop.drifts()))


def test_a_broken_bird_conf_stops_neither_health_nor_the_operator(pop):
    with pop.broken_bird_conf():
        facts.wait_for("the broken file in the event log",
                       lambda: any(e["event"] == "bird-config" and not e["good"] for e in pop.events.lines()), 25)
        for name in [host.name for host in pop.lab.topology.backends(pop.host.pop)]:
            pop.lab.kill(name, "nginx")
        pop.wait_at_router([])
        traffic_moved(pop.lab)
        backends._start_all(pop.lab)
        pop.wait_at_router(VIPS)
        bgpctl(pop.lab, "withdraw", "web", "--reason", "bird.conf is broken")
        pop.wait_at_router([])
        bgpctl(pop.lab, "drain", "web", "--reason", "the hold is another one")
        bgpctl(pop.lab, "announce", "web")
        pop.wait_at_router(VIPS)


def test_a_restarted_bird_comes_back_as_it_was(pop):
    """Killed and started, and restarted cleanly: drained it comes back drained, withdrawn it comes back withdrawn."""
    def restarts():
        return [event for event in pop.events.lines() if event["event"] == "bird-restart"]

    bgpctl(pop.lab, "drain", "web", "--reason", "restarts")
    for level in ("drained", "withdrawn"):
        for restart in (lambda: pop.lab.restart(pop.host.name, "bird"), lambda: kill_and_start(pop.lab, pop.host.name)):
            before = len(restarts())
            restart()
            facts.wait_for("somebody's restart of BIRD in the event log", lambda known=before: len(restarts()) == known + 1)
            facts.wait_for("BGP sessions established", lambda: pop.lab.session_down(pop.host) == [])
            pop.wait_at_router(VIPS if level == "drained" else [])
            if level == "drained":
                for family, session in pop.sessions.items():
                    assert "(65535,0)" in facts.bird_route_from(pop.router, session, PREFIXES[family])
        if level == "drained":
            bgpctl(pop.lab, "withdraw", "web", "--reason", "restarts")
            pop.wait_at_router([])
    assert pop.drifts() == [], "the state files were right all along"
    for family in VIPS:
        session = f"{pop.lab.topology.client_transit}_{family}"
        facts.wait_for(f"the event log to tell how {session} went with each BIRD and came back",
                       lambda name=session: told_of(pop.events, name)[-8:] == [False, True] * 4)
    bgpctl(pop.lab, "announce", "web")


def told_of(events, session):
    return [event["established"] for event in events.lines() if event["event"] == "session" and event["session"] == session]


def kill_and_start(lab, host):
    lab.kill(host, "bird")
    daemons.wait_gone(lab.init(host), "bird")
    lab.start(host, "bird")
    lab.wait_daemon(host, "bird")
