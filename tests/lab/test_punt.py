# SPDX-License-Identifier: Apache-2.0
"""The whole PoP with dataplanes that own their NICs: BGP, BFD, ARP and the answers to probes reach the kernel through
them, and probes take the clients' way."""
import re

from labkit import facts
from labkit.scenarios.scenario import balancer
from labkit.topology import VIPS
from test_faults import assert_moved_and_back

VARIANT = "punt"

JUNK = """
import socket, time
end = time.monotonic() + {seconds}
junk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
junk.connect(("{address}", 9))
while time.monotonic() < end:
    for _ in range(100):
        try:
            junk.send(b"junk")
        except OSError:
            pass
"""


def dataplane(lab, path, host=None):
    return facts.daemon_get(lab.init((host or balancer(lab)).name), "dataplane", path)


def verdicts(lab):
    return {entry["verdict"]: entry["packets"] for entry in dataplane(lab, "/v1/stats")["verdicts"]}


def punted(lab, what):
    return {kind["kind"]: kind[what] for kind in dataplane(lab, "/v1/state")["ports"][0]["punted"]}


def test_everything_of_the_kernels_goes_through_the_dataplane(lab):
    where = balancer(lab)
    routes = lab.run(where.name, "ip", "-br", "addr", "show", "dev", "eth0").stdout
    assert re.fullmatch(r"eth0\S* +UP *", routes.strip()), "eth0 is not the kernel's"
    sent = punted(lab, "sent")
    assert sent["routing"] > 10 and sent["neighbours"] > 0, sent
    assert sum(punted(lab, "refused").values()) == 0
    assert dataplane(lab, "/v1/state")["ports"][0]["from_kernel"] > 10


def test_probes_go_the_clients_way_and_come_back_by_the_kernels(lab):
    before = verdicts(lab)["forward_probe"], punted(lab, "sent")["probes"]
    facts.wait_for("probes and their answers", lambda: verdicts(lab)["forward_probe"] > before[0] + 20
                   and punted(lab, "sent")["probes"] > before[1] + 20)
    assert verdicts(lab)["drop_probe_unknown"] == 0
    assert lab.forwarding_gaps(balancer(lab)) == []


def test_clients_are_served_by_both_backends(run):
    done = run("baseline")
    assert done.failed("new") == [] and done.failed("long") == []
    assert set(done.found["by_backend"]) == {"ams-b1", "ams-b2"}


def test_junk_at_full_rate_costs_neither_sessions_nor_probes(lab):
    where = balancer(lab)
    lab.wait_steady()
    up = facts.bird(lab.init(where.name), "show protocols")
    done = lab.run("client", "/usr/bin/python3", "-c", JUNK.format(seconds=4, address=where.address("v4")))
    assert done.returncode == 0, done.stderr
    assert lab.session_down(where) == [] and lab.bfd_down(where) == []
    since = re.compile(r"^(\S+_v[46])\s+BGP\s+\S+\s+up\s+(\S+)", re.M)
    after = facts.bird(lab.init(where.name), "show protocols")
    # BIRD works out the time of day anew for each answer.
    assert [(name, at[:8]) for name, at in since.findall(after)] == [(name, at[:8]) for name, at in since.findall(up)]
    limited = punted(lab, "limited")
    print(f"limited {limited}, sent {punted(lab, 'sent')}")
    assert limited["routing"] == 0 and limited["probes"] == 0
    assert lab.forwarding_gaps(where) == [], "probes were lost"
    assert {facts.answer(lab.init("client"), vip).get("pop") for vip in VIPS.values()} == {"ams"}


def test_its_backends_die(run):
    assert_moved_and_back(run("all-backends-die"), outage_ms=1000)


def test_the_dataplane_is_killed_and_bgp_with_it(run):
    # Nobody forwards BFD's packets any more: the router needs its 300 ms to see it, whatever the monitor does.
    assert_moved_and_back(run("dataplane-kill"), outage_ms=1200)
