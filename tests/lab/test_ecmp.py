# SPDX-License-Identifier: Apache-2.0
"""Two balancers of a PoP behind one router: they agree on every flow without talking, so that losing one of them, or
getting one more, breaks no flow while the backends stay the same."""
import collections
import json
import signal

from labkit import daemons, facts, namespaces, observe
from labkit.scenarios.operator import bgpctl
from labkit.topology import VIP4, VIP6, VIPS

VARIANT = "ecmp"
LONG = 240  # connections that live through everything
PARTS = ("healthmon", "dataplane", "bird")


def load(lab, output):
    """A request is good if it is answered within 5 s: what TCP sends again must not count as broken."""
    return observe.Observer(lab, "client", [
        f"{namespaces.BIN_DIR}/anypop-loadgen", "--target", f"v4={VIP4}:80", "--target", f"v6=[{VIP6}]:80", "--rate", "40",
        "--long", str(LONG), "--long-interval-ms", "400", "--timeout-ms", "5000", "--duration-s", "120"], output)


def hops(lab, family):
    """By which balancers the client's router reaches the VIPs."""
    done = lab.run(lab.topology.client_transit, "ip", "-j", "-4" if family == "v4" else "-6", "route", "show", "proto", "bird")
    gateways = {lb.address(family): lb.name for lb in lab.topology.balancers(lab.topology.preferred)}
    found = set()
    for route in json.loads(done.stdout or "[]"):
        for hop in route.get("nexthops", [route]):
            if hop.get("gateway") in gateways:
                found.add(gateways[hop["gateway"]])
    return found


def wait_hops(lab, wanted):
    for family in VIPS:
        facts.wait_for(f"{family} routes by {wanted}", lambda f=family: hops(lab, f) == wanted)


def forwarded(lab, host):
    stats = facts.daemon_get(lab.init(host), "dataplane", "/v1/stats")
    return next(entry["packets"] for entry in stats["verdicts"] if entry["verdict"] == "forward")


def each_forwards(lab, hosts, packets=200):
    before = {host: forwarded(lab, host) for host in hosts}
    facts.wait_for(f"{' and '.join(hosts)} forward",
                   lambda: all(forwarded(lab, host) > before[host] + packets for host in hosts))


def check_nothing_broke(requests):
    bad = [request for request in requests if request["error"]]
    assert bad == [], f"{len(bad)} of {len(requests)}, first {bad[:3]}"
    served = collections.defaultdict(set)
    for request in requests:
        if request["kind"] == "long":
            served[request["connection"]].add(request["backend"])
    assert len(served) == LONG, "every connection lived to the end"
    assert all(len(backends) == 1 for backends in served.values()), "a flow changed its backend"
    assert set().union(*served.values()) == {"ams-b1", "ams-b2", "ams-b3"}


def both(lab):
    return [lb.name for lb in lab.topology.balancers(lab.topology.preferred)]


def start_all(lab, host):
    for daemon in reversed(PARTS):
        lab.start(host, daemon)
    for daemon in PARTS:
        lab.wait_daemon(host, daemon)


def test_one_is_lost_and_one_is_added_and_no_flow_breaks(lab, tmp_path):
    """Lost without a word, as by a power cut; then the same one comes as a new one, that knows of no flow."""
    first, second = both(lab)
    wait_hops(lab, {first, second})
    lab.forget_connections()
    with load(lab, tmp_path / "requests.jsonl") as requests:
        each_forwards(lab, [first, second])
        for daemon in PARTS:
            lab.kill(second, daemon, signal.SIGKILL)
        for daemon in PARTS:
            daemons.wait_gone(lab.init(second), daemon)
        wait_hops(lab, {first})
        each_forwards(lab, [first], 1500)
        start_all(lab, second)
        wait_hops(lab, {first, second})
        each_forwards(lab, [first, second], 1500)
        # And the other one is taken out by its operator.
        bgpctl(lab, "withdraw", "web", "--reason", "test of two balancers")
        wait_hops(lab, {second})
        each_forwards(lab, [second], 1500)
        bgpctl(lab, "announce", "web")
        wait_hops(lab, {first, second})
        each_forwards(lab, [first, second], 1500)
        requests.stop(signal.SIGINT)
        check_nothing_broke(requests.lines())
    lab.wait_steady()


def test_they_say_the_same_about_every_flow(lab):
    flows = [(vip, source) for vip, source in ((VIP4, "192.0.2.{}"), (VIP6, "2001:db8:c::{}"))]
    seen = set()
    for vip, source in flows:
        for port in range(20000, 20040):
            answers = set()
            for host in both(lab):
                where = f"[{vip}]:80" if ":" in vip else f"{vip}:80"
                whence = source.format(port % 200 + 1)
                whence = f"[{whence}]:{port}" if ":" in whence else f"{whence}:{port}"
                done = lab.run(host, f"{daemons.BIN}/anypop", "explain", "--live", "--from", whence, "--to",
                               where, "--json")
                assert done.returncode == 0, done.stderr
                answers.add(json.loads(done.stdout)["backend"])
            assert len(answers) == 1, (vip, port, answers)
            seen |= answers
    assert len(seen) == 3
