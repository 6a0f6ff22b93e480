# SPDX-License-Identifier: Apache-2.0
import ipaddress
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit import configs, network  # noqa: E402
from labkit.topology import POPS, Pop, Topology  # noqa: E402


def test_addresses_are_unique_and_valid():
    topology = Topology()
    addresses = [ipaddress.ip_address(a) for h in topology.hosts.values() for t in h.attachments
                 for a in (t.address4, t.address6)]
    assert len(addresses) == len(set(addresses))


def test_sessions_are_seen_from_both_sides():
    topology = Topology()
    for host in [*topology.transit_hosts(), *topology.balancers()]:
        for session in topology.sessions(host):
            back = [s for s in topology.sessions(topology.hosts[session.remote_host]) if s.remote == session.local]
            assert len(back) == 1 and back[0].local == session.remote


def test_third_pop_and_second_balancer_are_one_line_each():
    topology = Topology(pops=(*POPS, Pop("lon", 3, "t2", balancers=2)))
    assert {"lon-lb1", "lon-lb2", "lon-b1", "lon-b2"} <= set(topology.hosts)
    assert len(topology.sessions(topology.hosts["t2"])) == 8
    assert [s.remote_host for s in topology.sessions(topology.hosts["lon-lb2"])] == ["t2", "t2"]
    assert "10.3.0.3" in configs.frr_files(topology, topology.hosts["t2"])["bgpd.conf"]
    ports = [network.port_name(h.name, a.lan, topology) for h in topology.hosts.values() for a in h.attachments]
    assert len(ports) == len(set(ports)) and max(map(len, ports)) <= 15, "the kernel's limit for names of interfaces"


def test_preferred_pop_is_behind_the_clients_router():
    assert Topology().preferred.name == "ams"
