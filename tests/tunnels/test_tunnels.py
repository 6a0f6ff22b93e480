# SPDX-License-Identifier: Apache-2.0
"""Real TCP to real nginx in every encapsulation and pair of families, set up by anypop-backend, over a router."""
import contextlib
import itertools
import json
import subprocess

import pytest

from labkit import daemons, facts
from labkit.topology import PREFIXES, VIP4, VIP6, VIPS
from labkit.tunnels import BACKENDS, DOWNLOAD_BYTES, SLOW_START_MS, address

VARIANTS = [("l2", "same"), *((forwarding, outer) for forwarding in ("ipip", "gre", "gue") for outer in VIPS)]
UPLOAD_BYTES = 2_000_000


def everything(lab, host):
    """What the agent may change, as text."""
    commands = ("ip addr show dev lo", "ip route show table local", "ip -6 route show table local", "tc qdisc show",
                "tc filter show dev eth0 ingress", "sysctl -a --pattern arp_ignore|arp_announce|rp_filter",
                "ls -A /run/anypop-backend")
    return {command: lab.run(host, *command.split()).stdout for command in commands}


@pytest.mark.parametrize("forwarding,outer", VARIANTS)
def test_clients_are_served(lab, serving, forwarding, outer):
    before = {host: everything(lab, host) for host in BACKENDS}
    lab.forget_path_mtu()
    serving(forwarding, outer)
    hops = {backend["next_hop"] for backend in lab.backend_states()}
    if forwarding == "l2":
        assert hops == {f"{address(f, 'pop', n)} on eth0" for f in VIPS for n in (11, 12)}
    else:
        assert hops == {f"{address(outer, 'pop', 1)} on eth0"}, "the way to a tunnel's end is the router"
    for vip in VIPS.values():
        assert {lab.curl(vip).strip() for _ in range(16)} == set(BACKENDS)

    # Both ways, more than one window: a client's full segments do not fit the tunnel until ICMP has told it.
    (lab.root("client") / "var/tmp/upload").write_bytes(bytes(UPLOAD_BYTES))
    for vip in VIPS.values():
        size = lab.curl(vip, "-o", "/dev/null", "-w", "%{size_download}", path="/download")
        assert int(size) == DOWNLOAD_BYTES
        assert int(lab.curl(vip, "--data-binary", "@/var/tmp/upload", path="/upload")) == UPLOAD_BYTES

    verdicts = lab.verdicts()
    assert set(verdicts) == ({"forward"} if forwarding == "l2" else {"forward", "reply_too_big"}), verdicts
    counts = [lab.decapsulated(host) for host in BACKENDS]
    if forwarding == "l2":
        assert counts == [{}, {}], "no program is needed"
    else:
        facts.wait_for("every packet that was forwarded was taken off", lambda: lab.verdicts()["forward"] == sum(
            lab.decapsulated(host)[f"decap_{forwarding}"] for host in BACKENDS))
        assert all(set(count) <= {f"decap_{forwarding}", "pass_other"} for count in counts), counts

    lab.stop()
    assert {host: everything(lab, host) for host in BACKENDS} == before, "remove undoes exactly what install did"


@pytest.mark.parametrize("forwarding,outer", VARIANTS)
def test_probes_see_what_clients_see(lab, serving, forwarding, outer):
    """Probes through the data path: what breaks on the way of clients' packets breaks them, and nothing else does."""
    serving(forwarding, outer, monitored=True)

    def health():
        return {(service["name"], b["name"]): b["healthy"] for service in lab.services() for b in service["backends"]}
    facts.wait_for("every backend is healthy", lambda: lab.monitored() and all(health().values()))
    counts = lab.verdicts()
    assert set(counts) <= {"forward_probe", "pass_not_vip"} and counts["forward_probe"] > 0, counts
    # b1's server runs and answers at its own address, where a direct probe would find it; only the way to the VIP there
    # is broken.
    lab.agent("b1", "remove")
    facts.wait_for("b1 alone is out", lambda: {b for (_, b), good in health().items() if not good} == {"b1"})
    for vip in VIPS.values():
        assert {lab.curl(vip).strip() for _ in range(8)} == {"b2"}
    lab.agent("b1", "install", "--config", "/etc/anypop/pop.yaml", "--backend", "b1")
    facts.wait_for("b1 is back", lambda: all(health().values()))


HOLD = """
import http.client, json, sys
held = [http.client.HTTPConnection(vip, 80, timeout=5) for vip in sys.argv[1:] for _ in range(15)]
for connection in held:
    connection.connect()
    connection.auto_open = 0
for line in sys.stdin:
    names = []
    for connection in held:
        connection.request("GET", "/")
        names.append(connection.getresponse().read().decode().strip())
    print(json.dumps(names), flush=True)
"""


@contextlib.contextmanager
def held_connections(lab):
    """ask(): a request on each of 30 TCP connections that stay open; who answered. One that breaks ends the program."""
    with subprocess.Popen(daemons.enter(lab.inits["client"], "/usr/bin/python3", "-c", HOLD, *VIPS.values()), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        def ask():
            program.stdin.write("\n")
            program.stdin.flush()
            answer = program.stdout.readline()
            assert answer, program.stderr.read()
            return json.loads(answer)
        try:
            yield ask
        finally:
            program.stdin.close()


def test_a_drained_backend_keeps_its_connections_and_comes_back_slowly(lab, serving):
    serving("l2", "same", monitored=True)
    facts.wait_for("every backend is healthy", lab.monitored)

    def weights(name="b1"):
        return [b["weight_permille"] for b in lab.backend_states() if b["name"] == name]

    def order(command, *options):
        for family in VIPS:
            lab.check("lb", f"{daemons.BIN}/anypop", command, f"web{family[1]}/b1", *options)
    with held_connections(lab) as ask:
        served = ask()
        assert set(served) == set(BACKENDS)
        order("drain-backend", "--reason", "disk swap")
        facts.wait_for("b1 drains", lambda: weights() == [0, 0])
        for vip in VIPS.values():
            assert {lab.curl(vip).strip() for _ in range(16)} == {"b2"}, "new connections go elsewhere"
        assert ask() == served, "those that there were stay"
        order("undrain-backend")
        seen = []
        facts.wait_for("b1 has its whole weight", lambda: seen.append(weights()) or seen[-1] == [1000, 1000], 20)
        assert ask() == served
    steps = [weight for weight, _ in itertools.groupby(pair[0] for pair in seen) if weight > 0]
    assert steps == sorted(steps) and steps[0] <= 200 and len(steps) > 5, f"in tenths over {SLOW_START_MS} ms: {steps}"
    assert weights("b2") == [1000, 1000]
    for vip in VIPS.values():
        assert {lab.curl(vip).strip() for _ in range(16)} == set(BACKENDS)


def neighbour(lab, host, target):
    """What `host` finds out about the owner of an address on its link: its MAC, or None."""
    lab.check(host, "ip", "route", "add", target, "dev", "eth0")
    try:
        lab.run(host, "ping", "-c", "1", "-W", "2", target)
        entries = json.loads(lab.check(host, "ip", "-j", "neigh", "show", "to", target))
        return next((entry.get("lladdr") for entry in entries), None)
    finally:
        lab.run(host, "ip", "route", "del", target, "dev", "eth0")
        lab.run(host, "ip", "neigh", "flush", "to", target)


# An address of a prefix is on no interface: the prefix is a local route.
INSIDE = {"v4": "198.51.100.77", "v6": "2001:db8:53::4d"}


@pytest.mark.parametrize("vips,targets", [(VIPS, VIPS), (PREFIXES, INSIDE)], ids=["addresses", "prefixes"])
def test_nobody_says_that_it_owns_the_vip(lab, vips, targets):
    # The test sees it: a server that bears the VIP without the agent answers in ARP.
    what, vip = ("route", ["local", vips["v4"]]) if "/" in vips["v4"] else ("addr", [f"{vips['v4']}/32"])
    lab.check("b1", "ip", what, "add", *vip, "dev", "lo")
    assert neighbour(lab, "lb", targets["v4"]) is not None
    lab.check("b1", "ip", what, "del", *vip, "dev", "lo")
    options = [word for vip in vips.values() for word in ("--vip", vip)]
    for i, host in enumerate(BACKENDS):
        lab.agent(host, "install", *options, "--address", address("v4", "pop", 11 + i))
    try:
        for target in targets.values():
            assert neighbour(lab, "lb", target) is None
            assert lab.run("b1", "ping", "-c", "1", "-W", "2", target).returncode == 0, "it is the server's own all the same"
    finally:
        for host in BACKENDS:
            lab.agent(host, "remove")


SEND = """
import sys
from scapy.all import IP, IPv6, TCP, UDP, GRE, Raw, send
inner = IP(src="192.0.2.66", dst="{vip}") / TCP(sport=6666, dport=80, flags="S")
end = IP(src="{source}", dst="{end}")
send([end / inner, end / GRE() / inner, end / UDP(sport=50000, dport=6080) / Raw(bytes([0, 4, 0, 0])) / inner], verbose=0)
"""


@pytest.mark.parametrize("forwarding", ["ipip", "gre", "gue"])
def test_a_strangers_tunnel_is_dropped(lab, serving, forwarding):
    serving(forwarding, "v4")
    end = address("v4", "far", 11)
    lab.check("client", "/usr/bin/python3", "-c", SEND.format(vip=VIP4, source=address("v4", "clients", 10), end=end))
    counts = lab.decapsulated("b1")
    assert counts == {"drop_source": 1, "pass_other": counts["pass_other"]}, "and what is not configured is the kernel's"


def test_the_route_may_change_while_clients_are_served(lab, serving):
    serving("gue", "v4")
    assert lab.curl(VIP4).strip() in BACKENDS
    far = "10.9.0.0/24"
    lab.check("lb", "ip", "route", "add", "unreachable", far)
    try:
        facts.wait_for("no next hop", lambda: {b["next_hop"] for b in lab.backend_states()} == {"the route refuses"})
        assert not any(backend["resolved"] for backend in lab.backend_states())
    finally:
        lab.check("lb", "ip", "route", "del", "unreachable", far)
    facts.wait_for("next hops again", lambda: all(backend["resolved"] for backend in lab.backend_states()))
    assert lab.curl(VIP4).strip() in BACKENDS
