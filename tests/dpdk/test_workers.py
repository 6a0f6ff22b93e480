# SPDX-License-Identifier: Apache-2.0
"""Two workers on one port, each with its queue. The kernel spreads packets over the queues by their hash: TCP by addresses
and ports, ICMP errors and IPv6 fragments by addresses alone, so that they come to another worker than half of the flows
that they belong to."""
import os
import subprocess
import sys

import pytest

from support import VIP4, VIP6, backend, configuration, run, service, wait_for

LONG_LIVED = os.path.join(os.path.dirname(__file__), "long_lived.py")
PORT = {"name": "uplink", "vdev": "net_af_packet0,iface=eth0,qpairs=2", "queues": 2}
COUNT = 24

# In the client's namespace: an ICMP error, or a segment in two fragments, about each connection whose port is named.
SENDER = f"""
import sys
from scapy.all import Ether, ICMP, ICMPv6PacketTooBig, IP, IPv6, IPv6ExtHdrFragment, Raw, TCP, sendp
kind, mac, *ports = sys.argv[1:]
for number, port in enumerate(map(int, ports)):
    if kind == "icmp4":
        packets = [IP(src="10.1.0.2", dst="{VIP4}") / ICMP(type=3, code=1) /
                   IP(src="{VIP4}", dst="10.1.0.2") / TCP(sport=81, dport=port)]
    elif kind == "icmp6":
        packets = [IPv6(src="2001:db8:a::2", dst="{VIP6}") / ICMPv6PacketTooBig(mtu=1500) /
                   IPv6(src="{VIP6}", dst="2001:db8:a::2") / TCP(sport=81, dport=port)]
    else:
        segment = bytes(TCP(sport=port, dport=81, flags="A", seq=1, chksum=1) / Raw(b"x" * 28))
        head = IPv6(src="2001:db8:a::2", dst="{VIP6}")
        packets = [head / IPv6ExtHdrFragment(nh=6, m=1, offset=0, id=number + 1) / Raw(segment[:24]),
                   head / IPv6ExtHdrFragment(nh=6, m=0, offset=3, id=number + 1) / Raw(segment[24:])]
    sendp([Ether(dst=mac) / p for p in packets], iface="eth0", verbose=False)
"""


class Watched:
    """What arrives at a backend, counted by tcpdump."""

    def __init__(self, network, host, what, path):
        self.path = path
        with open(path, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen([*network.within(host), "tcpdump", "-nnl", "--immediate-mode", "-i", "eth0",
                                             what], stdout=out, stderr=subprocess.PIPE, text=True)
        assert "listening" in "".join(self.process.stderr.readline() for _ in range(2))

    def count(self):
        return self.path.read_text().count(" IP")

    def stop(self):
        self.process.terminate()
        self.process.communicate()
        return self.count()


@pytest.fixture
def world(network):
    processes = []

    def run_there(host, *arguments):
        processes.append(subprocess.Popen([*network.within(host), sys.executable, LONG_LIVED, *arguments],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return processes[-1]
    for host in ("b1", "b2"):
        run_there(host, "--serve", host, VIP4, VIP6)
        wait_for("the servers listen", lambda h=host: " 0.0.0.0:81 " in run(*network.within(h), "ss", "-ltn").stdout)
    yield run_there
    for process in processes:
        process.kill()
        process.wait()


def client_ports(network, vip):
    lines = run(*network.within("client"), "ss", "-tnH", "dst", f"[{vip}]" if ":" in vip else vip).stdout.splitlines()
    return [line.split()[3].rsplit(":", 1)[1] for line in lines]


def test_what_belongs_to_a_flow_of_the_other_worker_reaches_its_backend(tmp_path, network, start, world):
    # The kernel sees the packets too, and would answer that it knows no way to the VIP.
    for vip in (VIP4, VIP6):
        network.ip("lb", "route", "add", "blackhole", vip)
    macs = {n: network.mac(f"b{n}") for n in (1, 2)}
    services = [service("tcp4", VIP4, "tcp", 81, [backend(n, 4, macs[n]) for n in (1, 2)]),
                service("tcp6", VIP6, "tcp", 81, [backend(n, 6, macs[n]) for n in (1, 2)])]
    config = configuration(tmp_path, PORT, services, cores=[0, 1], flow_window_ms=2000)
    dataplane = start(config, prefix=network.within("lb")).ready()

    def health(healthy):
        assert dataplane.put_health(("tcp4", "b2", healthy), ("tcp6", "b2", healthy))[0] == 200
    health(False)
    held = world("client", "--hold", str(COUNT), VIP4, VIP6)
    assert held.stdout.readline() == "ready\n"
    health(True)

    def windows():
        return [one["open_windows"] > 0 for one in dataplane.get("/v1/state")["services"]]
    assert windows() == [True, True]
    # The slots of half of the flows are b2's now, and only the records know better.
    wait_for("the windows are over", lambda: "event=snapshot cause=windows" in dataplane.text())
    assert windows() == [False, False]
    flows = dataplane.get("/v1/stats")["flows"]
    assert flows["established"] >= COUNT / 2, flows
    forwarded = [next(v["packets"] for v in w["verdicts"] if v["verdict"] == "forward")
                 for w in dataplane.get("/v1/stats")["workers"]]
    assert len(forwarded) == 2 and min(forwarded) > COUNT, "both workers have flows"

    for kind, vip, what, each in (("icmp4", VIP4, "icmp", 1), ("icmp6", VIP6, "icmp6 and ip6[40] == 2", 1),
                                  ("fragments6", VIP6, "ip6 proto 44", 2)):
        ports = client_ports(network, vip)
        assert len(ports) == COUNT
        right, wrong = (Watched(network, host, f"{what} and dst host {vip}", tmp_path / f"{kind}.{host}")
                        for host in ("b1", "b2"))
        run(*network.within("client"), sys.executable, "-c", SENDER, kind, network.mac("lb"), *ports)
        wait_for(f"all {kind} arrive", lambda r=right, e=each: r.count() == e * COUNT)
        assert (right.stop(), wrong.stop()) == (each * COUNT, 0), kind
        assert dataplane.verdicts()["drop_fragment_orphan"] == 0
    out = held.communicate("\n", timeout=60)[0]
    assert '"broken": []' in out and '"moved": 0' in out, out
