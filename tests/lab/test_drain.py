# SPDX-License-Identifier: Apache-2.0
"""What a drain promises: no request fails and no connection breaks.

Two balancers of one PoP choose the same backend for a flow without talking, so when the router, which spreads the flows
over both, moves a connection from one to the other, it goes on. Between PoPs that cannot be: the other PoP has other
backends, and a connection that is open when the router moves it is reset there, as after any change of an anycast route.
What a drain promises there is that nothing else is lost: every request that begins after the move is answered, and there
is no gap.
"""
import json
import signal
import subprocess
import time

from labkit import facts, observe
from labkit.daemons import BIN
from labkit.scenarios.scenario import traffic_moved
from labkit.timeline import Observations
from labkit.topology import VIPS

VARIANT = "pair"
DEADLINE_S = 20
PAIR = {"ams-lb1", "ams-lb2"}


def order(lab, host, *words):
    done = lab.run(host, f"{BIN}/bgpctl", *words, timeout_s=60)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def address(lab, host, family):
    return lab.topology.hosts[host].address(family)


def wait_router_uses(lab, hosts):
    for family in VIPS:
        facts.wait_for(f"t1 sends {family} to {', '.join(sorted(hosts))}",
                       lambda f=family: facts.gateways(lab.init("t1"), f) == {address(lab, host, f) for host in hosts}, 20, 0.01)


def forwarded(lab, host):
    """Packets that this balancer has sent to its backends."""
    stats = facts.daemon_get(lab.init(host), "dataplane", "/v1/stats")
    return sum(backend["packets"] for service in stats["services"] for backend in service["backends"])


class Load:
    """200 new connections a second and 10 that last for the whole test, beside the body of the with."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder

    def __enter__(self):
        self._routes = observe.route_watch(self.lab, self.folder / "routes.jsonl").__enter__()
        self._load = observe.load(self.lab, self.folder / "requests.jsonl").__enter__()
        facts.wait_for("the load", lambda: len(self._load.lines()) > 200)
        return self

    def __exit__(self, *error):
        try:
            if error[0] is None:
                before = len(self._load.lines())
                facts.wait_for("more load after the end", lambda: len(self._load.lines()) > before + 200)
                self._load.stop(signal.SIGINT)
                self._routes.stop(signal.SIGTERM)
                self.requests = self._load.lines()
                self.routes = [line for line in self._routes.lines() if "unix_ns" in line]
        finally:
            self._load.__exit__()
            self._routes.__exit__()

    def errors(self, kind):
        return [r for r in self.requests if r["kind"] == kind and r["error"]]

    def connections(self, kind):
        return {r["connection"] for r in self.requests if r["kind"] == kind}


def test_draining_a_balancer_breaks_no_connection(lab, tmp_path):
    lab.wait_steady()
    wait_router_uses(lab, PAIR)
    with Load(lab, tmp_path) as load:
        said = json.loads(order(lab, "ams-lb1", "drain", "web", "--wait", "--deadline", f"{DEADLINE_S}s",
                                "--quiet-for", "1s", "--reason", "kernel update", "--json"))
        wait_router_uses(lab, {"ams-lb2"})
        carried = forwarded(lab, "ams-lb1")
        # It is out of the way: its death is nobody's concern.
        lab.kill("ams-lb1", "dataplane")
        others = forwarded(lab, "ams-lb2")
        facts.wait_for("the other one carries on", lambda: forwarded(lab, "ams-lb2") > others + 500)
        lab.start("ams-lb1", "dataplane")
        facts.wait_for("ams-lb1 in full service",
                       lambda: lab.forwarding_gaps(lab.topology.hosts["ams-lb1"]) == [], 20)
        order(lab, "ams-lb1", "undrain", "web", "--wait-healthy", "--deadline", f"{DEADLINE_S}s")
        wait_router_uses(lab, PAIR)
    print(f"{len(load.requests)} requests, {len(load.connections('long'))} connections for the whole time; drain: {said}")
    result = said["announcements"][0]
    assert result["ok"] and result["ended"] == "quiet" and result["waited_s"] < DEADLINE_S
    assert carried > 0, "it had no part of the load, so nothing was drained"
    assert load.errors("new") == []
    assert load.errors("long") == []
    assert {r["pop"] for r in load.requests} == {"ams"}
    assert len(load.connections("long")) == observe.LONG_CONNECTIONS, "a connection was broken and opened anew"


def test_draining_a_pop_fails_no_request_and_leaves_no_gap(lab, tmp_path):
    lab.wait_steady()
    with Load(lab, tmp_path) as load:
        fault = time.time_ns()
        drains = [subprocess.Popen(lab.enter(host, f"{BIN}/bgpctl", "drain", "web", "--wait", "--deadline",
                                             f"{DEADLINE_S}s", "--quiet-for", "1s", "--reason", "power work"),
                                   stdout=subprocess.PIPE, text=True) for host in ("ams-lb1", "ams-lb2")]
        assert [drain.wait(timeout=60) for drain in drains] == [0, 0]
        said = [drain.communicate()[0] for drain in drains]
        traffic_moved(lab)
        repair = time.time_ns()
        for host in ("ams-lb1", "ams-lb2"):
            order(lab, host, "undrain", "web", "--wait-healthy", "--deadline", f"{DEADLINE_S}s")
        lab.wait_route("t1", {"ams"})
    assert all("drained and withdrawn: quiet" in text for text in said), said
    seen = Observations("ams", fault, repair, load.requests, load.routes, [])
    bad = [r for i, r in enumerate(seen.requests) if r["error"] and i not in seen.moved]
    print(f"{len(load.requests)} requests, {len(seen.moved)} on connections that were open when the route moved")
    assert bad == []
    new_moved = [i for i in seen.moved if seen.requests[i]["kind"] == "new"]
    assert len(new_moved) <= 8, "a request lasts a millisecond: hardly any is open when the route moves"
    assert all(change["action"] == "add" for change in load.routes), "the route was replaced, never taken out"
