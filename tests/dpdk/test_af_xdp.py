# SPDX-License-Identifier: Apache-2.0
"""A balancer on a kernel interface: VIP packets to the dataplane, the rest to the kernel, nothing left behind."""
import collections
import signal
import subprocess

import pytest

from support import VIP4, VIP6, backend, configuration, free_hugepages, run, service, wait_for

PORT = {"name": "uplink", "af_xdp": "eth0"}
SERVICES = [service(f"{protocol}{family}", vip, protocol, 80, [backend(1, family), backend(2, family)])
            for protocol in ("tcp", "udp") for family, vip in ((4, VIP4), (6, VIP6))]


@pytest.fixture
def balancer(tmp_path, network, start):
    """balancer(…) starts the dataplane on lb and waits until every backend's MAC is known."""
    def start_one(**dataplane):
        one = start(configuration(tmp_path, PORT, SERVICES, **dataplane), prefix=network.within("lb"),
                    name=f"pop{len(list(tmp_path.glob('*.log')))}").ready()
        wait_for("next hops are resolved", lambda: resolved(one))
        return one
    return start_one


def resolved(dataplane):
    return all(b["resolved"] for s in SERVICES for b in dataplane.backend_states(s["name"]).values())


def answers(network, protocol, vip, times=12):
    return collections.Counter(network.ask(protocol, vip) for _ in range(times))


def test_clients_reach_both_backends_and_the_kernel_keeps_the_rest(network, balancer):
    dataplane = balancer()
    assert network.xdp_program() == "anypop_steer"
    for name in ("b1", "b2"):
        assert dataplane.backend_states("tcp4")[name]["mac"] == network.mac(name)
    for s in SERVICES:
        found = answers(network, s["protocol"], s["vip"])
        assert set(found) == {"b1", "b2"}, (s["name"], found)
        assert all(packets > 0 for packets in dataplane.backend_packets(s["name"]).values())
    verdicts = dataplane.verdicts()

    assert network.ping("client", "10.1.0.1") and network.ping("client", "2001:db8:a::1")
    assert dataplane.verdicts() == verdicts, "packets for the host entered the dataplane"
    assert {v for v, packets in verdicts.items() if packets} == {"forward"}
    port = dataplane.get("/v1/state")["ports"][0]
    assert port["link_up"] and port["mac"] == network.mac("lb")
    assert port["rx_packets"] == port["tx_packets"] == verdicts["forward"]


def test_a_ping_is_answered_as_long_as_a_backend_is_healthy(network, balancer):
    dataplane = balancer()
    for vip in (VIP4, VIP6):
        assert network.ping("client", vip), vip
    assert dataplane.verdicts()["reply_echo"] == 2
    dataplane.put_health(*[(s["name"], b, False) for s in SERVICES for b in ("b1", "b2")])
    assert not network.ping("client", VIP4)
    wait_for("the ping was counted", lambda: dataplane.verdicts()["drop_icmp"] > 0)


def test_tunnels_have_room_for_the_outer_header(tmp_path, network, start):
    """The kernel here cannot unwrap, so the backend's interface is listened to."""
    tunneled = [service("tcp4", VIP4, "tcp", 80, [backend(1, 4)]) |
                {"forwarding": "gre", "tunnel_source": ["10.1.0.1"]},
                service("tcp6", VIP6, "tcp", 80, [backend(1, 6)]) |
                {"forwarding": "gue", "tunnel_source": ["2001:db8:a::1"]}]
    dataplane = start(configuration(tmp_path, PORT, tunneled), prefix=network.within("lb")).ready()
    for name in ("tcp4", "tcp6"):
        wait_for("next hops are resolved", lambda n=name: dataplane.backend_states(n)["b1"]["resolved"])
    for vip, wanted in ((VIP4, "ip proto 47 and ip dst 10.1.0.11"), (VIP6, "ip6 proto 17 and udp dst port 6080")):
        capture = subprocess.Popen([*network.within("b1"), "tcpdump", "-nn", "-c", "1", "-i", "eth0", wanted],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            wait_for("the packet arrives", lambda v=vip, c=capture: network.ask("tcp", v, 0.5) or c.poll() is not None)
            assert capture.stdout.read()
        finally:
            capture.kill()
            capture.wait()
    assert {v for v, packets in dataplane.verdicts().items() if packets} == {"forward"}


def test_an_unhealthy_backend_gets_no_new_connection(network, balancer):
    dataplane = balancer()
    assert dataplane.put_health(("tcp4", "b1", False))[0] == 200
    assert set(answers(network, "tcp", VIP4)) == {"b2"}
    assert set(answers(network, "tcp", VIP6)) == {"b1", "b2"}, "another service's health is its own"


def test_next_hops_follow_the_kernel(network, balancer):
    dataplane = balancer()
    generation = dataplane.get("/v1/state")["generation"]
    network.ip("lb", "neigh", "replace", "10.1.0.11", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    wait_for("the new MAC is used", lambda: dataplane.backend_states("tcp4")["b1"]["mac"] == "02:00:00:00:00:99")
    assert dataplane.get("/v1/state")["generation"] > generation
    network.ip("lb", "neigh", "del", "10.1.0.11", "dev", "eth0")
    wait_for("the kernel was asked again", lambda: dataplane.backend_states("tcp4")["b1"]["mac"] == network.mac("b1"))


def test_a_backend_that_is_gone_becomes_unresolved_and_comes_back(network, balancer):
    dataplane = balancer()
    network.ip("b1", "link", "set", "eth0", "down")
    network.ip("lb", "neigh", "del", "10.1.0.11", "dev", "eth0")
    wait_for("b1 is unresolved", lambda: not dataplane.backend_states("tcp4")["b1"]["resolved"])
    found = answers(network, "tcp", VIP4, times=6)
    assert "b1" not in found
    if None in found:  # connections whose slot is b1's
        assert dataplane.verdicts()["drop_next_hop_unresolved"] > 0
    network.ip("b1", "link", "set", "eth0", "up")
    wait_for("b1 is resolved again", lambda: resolved_v4(dataplane))


def resolved_v4(dataplane):
    return dataplane.backend_states("tcp4")["b1"]["resolved"]


def test_lost_neighbour_messages_are_made_up_for(tmp_path, network, balancer):
    dataplane = balancer()
    dataplane.process.send_signal(signal.SIGSTOP)
    # More changes than the socket's buffer holds; the one that matters comes last and is lost.
    changes = [f"neigh replace 10.1.0.{100 + n % 100} lladdr 02:00:00:00:{n // 100:02x}:00 dev eth0"
               for n in range(4000)]
    batch = tmp_path / "changes"
    batch.write_text("\n".join([*changes, "neigh replace 10.1.0.11 lladdr 02:00:00:00:00:99 dev eth0"]) + "\n")
    network.ip("lb", "-batch", str(batch))
    dataplane.process.send_signal(signal.SIGCONT)
    wait_for("the last change is known", lambda: dataplane.backend_states("tcp4")["b1"]["mac"] == "02:00:00:00:00:99")
    assert "messages were lost" in dataplane.text(), "nothing was lost, so nothing was tested"


def test_more_queues_than_the_interface_has(tmp_path, network, start):
    config = configuration(tmp_path, PORT | {"queues": 4}, SERVICES)
    code, line = start(config, prefix=network.within("lb")).complaint()
    assert code == 1 and "dataplane.ports[0].queues: found 4, expected at most 1" in line, line
    assert network.xdp_program() is None
    assert list((tmp_path / "run").iterdir()) == []


def test_the_link_is_the_kernels(network, balancer):
    dataplane = balancer()
    network.ip("switch", "link", "set", "lb", "down")
    wait_for("the link is seen to be down", lambda: not dataplane.get("/v1/state")["ports"][0]["link_up"])
    network.ip("switch", "link", "set", "lb", "up")
    wait_for("traffic flows again", lambda: network.ask("tcp", VIP4))
    assert dataplane.get("/v1/state")["ports"][0]["link_up"]


def test_sigterm_leaves_nothing(tmp_path, network, hugepages, balancer):
    before = free_hugepages()
    dataplane = balancer(hugepages=True)
    assert free_hugepages() <= before - hugepages
    assert set(answers(network, "tcp", VIP4)) == {"b1", "b2"}
    assert dataplane.stop() == 0
    assert network.xdp_program() is None
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["takeover"]
    wait_for("the hugepages are free again", lambda: free_hugepages() >= before)


def test_after_sigkill_the_next_start_works(tmp_path, network, hugepages, balancer):
    dataplane = balancer(hugepages=True)
    assert dataplane.stop(signal.SIGKILL) == -signal.SIGKILL
    assert network.xdp_program() == "anypop_steer", "nobody was there to remove it"
    # Without a socket in its map the left-over program gives VIP packets to the kernel, which has no such address.
    assert network.ping("client", "10.1.0.1")

    # At once: the kernel may still hold the dead one's hugepages, and the new one waits for them.
    dataplane = balancer(hugepages=True)
    assert set(answers(network, "tcp", VIP4)) == {"b1", "b2"}
    assert dataplane.stop() == 0
    assert network.xdp_program() is None


def test_sigstop_shows_and_sigcont_heals(network, balancer):
    dataplane = balancer()
    dataplane.process.send_signal(signal.SIGSTOP)
    assert network.ask("tcp", VIP4, timeout_s=0.5) is None
    dataplane.process.send_signal(signal.SIGCONT)
    wait_for("it forwards again", lambda: network.ask("tcp", VIP4))
    assert dataplane.get("/v1/heartbeat")["workers"][0]["age_ms"] < 1000


def test_a_second_instance_on_the_same_interface_is_refused(tmp_path, network, balancer, start):
    first = balancer()
    config = configuration(tmp_path, PORT, SERVICES)
    other = tmp_path / "other"
    other.mkdir()
    config["run_dir"] = str(other)
    code, line = start(config, prefix=network.within("lb"), name="second").complaint()
    assert code == 1 and "dataplane.ports[0].af_xdp: another anypop-dataplane steers 'eth0'" in line, line
    assert list(other.iterdir()) == []
    assert network.xdp_program() == "anypop_steer"
    assert network.ask("tcp", VIP4) in ("b1", "b2")
    assert first.stop() == 0


def test_a_foreign_xdp_program_is_left_alone(tmp_path, network, start):
    source, compiled = tmp_path / "foreign.c", tmp_path / "foreign.o"
    source.write_text('__attribute__((section("xdp"), used)) int foreign(void *context) { return 2; }\n'
                      'char _license[] __attribute__((section("license"), used)) = "GPL";\n')
    run("clang", "-target", "bpf", "-O2", "-g", "-c", str(source), "-o", str(compiled))
    network.ip("lb", "link", "set", "eth0", "xdp", "object", str(compiled), "section", "xdp")
    code, line = start(configuration(tmp_path, PORT, SERVICES), prefix=network.within("lb")).complaint()
    assert code == 1 and "dataplane.ports[0].af_xdp" in line and "'foreign'" in line and "remedy" in line, line
    assert network.xdp_program() == "foreign"
    assert list((tmp_path / "run").iterdir()) == []


TAGGED = """
from scapy.all import Dot1Q, Ether, IP, TCP, sendp
sendp([Ether(src="{client}", dst="{lb}") / Dot1Q(vlan=7) / IP(src="10.1.0.2", dst="{vip}") / TCP(sport=port, dport=80, flags="S")
       for port in range(3000, 3016)], iface="eth0", verbose=0)
"""


def test_a_vlan_tag_stays_on_the_way(network, balancer):
    """The router and the backends on one VLAN of the port. (This kernel has no VLAN interfaces: frames are made by hand.)"""
    # A veth hands a tag over beside the frame, where no XDP program sees it; a NIC does so with rxvlan on.
    for place, device in (("switch", "lb"), ("lb", "eth0"), ("client", "eth0")):
        run(*network.within(place), "ethtool", "-K", device, "txvlan", "off", "rxvlan", "off")
    dataplane = balancer()
    captures = [subprocess.Popen([*network.within(host), "tcpdump", "-nn", "-e", "-l", "-i", "eth0", "-c", "1", "vlan 7 and tcp"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for host in ("b1", "b2")]
    try:
        for capture in captures:
            assert any("listening" in line for line in capture.stderr)
        run(*network.within("client"), "/usr/bin/python3", "-c",
            TAGGED.format(client=network.mac("client"), lb=network.mac("lb"), vip=VIP4))
        wait_for("all are forwarded", lambda: dataplane.verdicts()["forward"] == 16)
        for host, capture in zip(("b1", "b2"), captures):
            line = capture.stdout.readline()
            assert f"> {network.mac(host)}" in line and "vlan 7" in line, line
    finally:
        for capture in captures:
            capture.kill()
            capture.wait()
