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
