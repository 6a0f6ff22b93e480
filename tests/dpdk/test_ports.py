# SPDX-License-Identifier: Apache-2.0
"""Two AF_XDP ports: two uplinks of one balancer."""
from network import ADDRESSES
from support import VIP4, VIP6, backend, configuration, run, service, wait_for

SERVICES = [service("tcp4", VIP4, "tcp", 80, [backend(1, 4), backend(2, 4)]),
            service("tcp6", VIP6, "tcp", 80, [backend(1, 6), backend(2, 6)])]


def resolved(dataplane):
    return all(b["resolved"] for s in SERVICES for b in dataplane.backend_states(s["name"]).values())


def test_two_ports_each_answer_on_their_own(tmp_path, network, start):
    """A second link between the switch and the balancer."""
    network.ip("lb", "link", "add", "eth1", "type", "veth", "peer", "name", "lb1", "netns", network.space("switch"))
    network.ip("switch", "link", "set", "lb1", "master", "br0", "up")
    for place, device in (("lb", "eth1"), ("switch", "lb1")):
        run(*network.within(place), "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    # Each interface answers for its own addresses only, so that the client's way is the one that it asked for.
    run(*network.within("lb"), "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    network.ip("lb", "link", "set", "eth1", "up")
    ports = [{"name": "east", "af_xdp": "eth0"}, {"name": "west", "af_xdp": "eth1"}]
    config = configuration(tmp_path, ports[0], SERVICES, memory_mb=128)
    config["dataplane"]["ports"] = ports
    dataplane = start(config, prefix=network.within("lb")).ready()
    wait_for("next hops are resolved", lambda: resolved(dataplane))
    assert network.ask("tcp", VIP4)

    def forwarded():
        return {p["name"]: p["tx_packets"] for p in dataplane.get("/v1/state")["ports"]}
    before = forwarded()
    assert before["east"] > 0 and before["west"] == 0
    mac = next(p["mac"] for p in dataplane.get("/v1/state")["ports"] if p["name"] == "west")
    network.ip("client", "neigh", "replace", f"10.1.0.{ADDRESSES['lb']}", "lladdr", mac, "dev", "eth0")
    assert network.ask("tcp", VIP4)
    assert forwarded()["west"] > 0, "what came in by the second port left by it"


def test_what_is_for_a_backend_leaves_by_the_port_that_leads_there(tmp_path, network, start):
    """Clients behind one port, backends behind the other one, answers by lb's kernel."""
    network.ip("switch", "link", "add", "br1", "type", "bridge")
    network.ip("switch", "link", "set", "br1", "up")
    network.ip("lb", "link", "add", "eth1", "type", "veth", "peer", "name", "lb1", "netns", network.space("switch"))
    for place, device in (("lb", "eth1"), ("switch", "lb1")):
        run(*network.within(place), "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    for device in ("lb1", "b1", "b2"):
        network.ip("switch", "link", "set", device, "master", "br1", "up")
    network.ip("lb", "addr", "flush", "dev", "eth0")
    network.ip("lb", "link", "set", "eth1", "up")
    run(*network.within("lb"), "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for device, net4, net6 in (("eth0", "10.2.0", "2001:db8:b"), ("eth1", "10.1.0", "2001:db8:a")):
        network.ip("lb", "addr", "add", f"{net4}.1/24", "dev", device)
        network.ip("lb", "addr", "add", f"{net6}::1/64", "dev", device, "nodad")
    network.ip("client", "addr", "flush", "dev", "eth0")
    network.ip("client", "addr", "add", "10.2.0.2/24", "dev", "eth0")
    network.ip("client", "addr", "add", "2001:db8:b::2/64", "dev", "eth0", "nodad")
    network.ip("client", "route", "replace", VIP4, "via", "10.2.0.1")
    network.ip("client", "route", "replace", VIP6, "via", "2001:db8:b::1")
    for host in ("b1", "b2"):
        network.ip(host, "route", "replace", "default", "via", "10.1.0.1")
        network.ip(host, "route", "replace", "default", "via", "2001:db8:a::1")
    ports = [{"name": "clients", "af_xdp": "eth0"}, {"name": "backends", "af_xdp": "eth1"}]
    config = configuration(tmp_path, ports[0], SERVICES, memory_mb=128, probe_sources=["10.9.0.0/24", "2001:db8:9::/64"])
    config["dataplane"]["ports"] = ports
    dataplane = start(config, prefix=network.within("lb")).ready()
    wait_for("next hops are resolved", lambda: resolved(dataplane))
    for vip in (VIP4, VIP6):
        assert {network.ask("tcp", vip) for _ in range(12)} == {"b1", "b2"}
    state = {p["name"]: p for p in dataplane.get("/v1/state")["ports"]}
    assert state["clients"]["rx_packets"] > 0 and state["clients"]["tx_packets"] == 0
    assert state["backends"]["tx_packets"] == dataplane.verdicts()["forward"] > 0
    for s in SERVICES:
        for name, known in dataplane.backend_states(s["name"]).items():
            assert network.ask("tcp", s["vip"], host="lb", source=known["probe_source"]) == name
    assert network.ping("client", VIP4), "and an answer leaves by the port that the question came by"
    assert {p["name"]: p["tx_packets"] for p in dataplane.get("/v1/state")["ports"]}["clients"] == 1
