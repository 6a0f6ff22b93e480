# SPDX-License-Identifier: Apache-2.0
"""Probes through the data path: from a reserved source address on lb, by the dataplane, to the VIP on the backend that
the address names; the answer comes by the backend's own route. On a port of the kernel's and on one that DPDK owns."""
import json
import signal

import pytest

from support import VIP4, VIP6, backend, configuration, run, service, wait_for

SOURCES = ["10.9.0.0/24", "2001:db8:9::/64"]
ENTRANCE = "anypop-probe"
PORTS = {"af_xdp": {"name": "uplink", "af_xdp": "eth0"},
         "owned": {"name": "uplink", "vdev": "net_af_xdp0,iface=eth0,start_queue=0,queue_count=1", "kernel": "up0"}}
SERVICES = [service(f"{protocol}{family}", vip, protocol, 80, [backend(1, family), backend(2, family)])
            for protocol in ("tcp", "udp") for family, vip in ((4, VIP4), (6, VIP6))]


@pytest.fixture(params=PORTS)
def host(request):
    return request.param


@pytest.fixture
def balancer(tmp_path, network, start, host):
    """The dataplane on lb; the backends send what is for the reserved addresses to lb, as a PoP's network would."""
    def start_one(**dataplane):
        if host == "owned":
            for address in ("10.1.0.1/24", "2001:db8:a::1/64"):
                run(*network.within("lb"), "ip", "addr", "del", address, "dev", "eth0", check=False)
            network.ip("lb", "link", "set", "eth0", "addrgenmode", "none")
        run(*network.within("lb"), "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0")
        config = configuration(tmp_path, PORTS[host], SERVICES, probe_sources=SOURCES, **dataplane)
        one = start(config, prefix=network.within("lb"), name=f"pop{len(list(tmp_path.glob('*.log')))}").ready()
        if host == "owned":
            network.ip("lb", "addr", "replace", "10.1.0.1/24", "dev", "up0")
            network.ip("lb", "addr", "replace", "2001:db8:a::1/64", "dev", "up0", "nodad")
        for name in ("b1", "b2"):
            network.ip(name, "route", "replace", SOURCES[0], "via", "10.1.0.1")
            network.ip(name, "route", "replace", SOURCES[1], "via", "2001:db8:a::1")
        wait_for("next hops are resolved", lambda: all(
            b["resolved"] for s in SERVICES for b in one.backend_states(s["name"]).values()))
        return one
    return start_one


def source(dataplane, service_name, backend_name):
    return dataplane.backend_states(service_name)[backend_name]["probe_source"]


def traffic(dataplane):
    return sum(packets for s in SERVICES for packets in dataplane.backend_packets(s["name"]).values())


def test_a_probe_reaches_the_backend_that_its_source_names(network, balancer):
    dataplane = balancer()
    for s in SERVICES:
        for name in ("b1", "b2"):
            asked = [network.ask(s["protocol"], s["vip"], host="lb", source=source(dataplane, s["name"], name))
                     for _ in range(6)]
            assert asked == [name] * 6, (s["name"], name, asked)
    counts = dataplane.verdicts()
    assert counts["forward_probe"] > 8 * 6 and counts["forward"] == 0, counts
    assert traffic(dataplane) == 0, "probes are no traffic of the service's"
    # Health and weight are what probes are to find out: they do not decide about them.
    dataplane.put_health(*[(s["name"], b, False) for s in SERVICES for b in ("b1", "b2")])
    assert network.ask("tcp", VIP4, 0.5) is None, "clients are not served"
    assert network.ask("tcp", VIP4, host="lb", source=source(dataplane, "tcp4", "b2")) == "b2"
    assert network.ask("udp", VIP6, host="lb", source=source(dataplane, "udp6", "b1")) == "b1"


def test_nobody_outside_may_use_the_addresses(network, balancer):
    dataplane = balancer()
    for vip, family, name in ((VIP4, 4, "tcp4"), (VIP6, 6, "tcp6")):
        # The client learns lb's MAC: lb's kernel answers no question that comes from an address of its own.
        assert network.ask("tcp", vip) in ("b1", "b2")
        for wanted in ("b1", "b2"):
            own = source(dataplane, name, wanted)
            network.ip("client", "addr", "add", f"{own}/{32 if family == 4 else 128}", "dev", "lo", *(
                ["nodad"] if family == 6 else []))
            before = dataplane.verdicts()
            assert network.ask("tcp", vip, 0.3, source=own) is None
            after = dataplane.verdicts()
            assert after["drop_reserved_source"] > before["drop_reserved_source"], after
            assert after["forward"] == before["forward"] and after["forward_probe"] == before["forward_probe"]


def test_a_source_that_names_nobody_is_dropped(network, balancer):
    dataplane = balancer()
    taken = {b["probe_source"] for s in SERVICES for b in dataplane.backend_states(s["name"]).values()}
    nobodys = next(f"10.9.0.{n}" for n in range(1, 255) if f"10.9.0.{n}" not in taken)
    assert network.ask("tcp", VIP4, 0.3, host="lb", source=nobodys) is None
    assert dataplane.verdicts()["drop_probe_unknown"] > 0


def rules(network):
    return [rule for family in ("-4", "-6") for rule in json.loads(network.ip("lb", family, "-j", "rule", "show"))
            if str(rule["table"]) == "7732"]


def test_what_the_kernel_is_told_goes_with_the_dataplane(network, balancer):
    before = network.ip("lb", "rule", "show"), network.ip("lb", "-6", "rule", "show")
    dataplane = balancer()
    assert len(rules(network)) == 2
    assert dataplane.stop() == 0
    assert (network.ip("lb", "rule", "show"), network.ip("lb", "-6", "rule", "show")) == before
    assert ENTRANCE not in network.ip("lb", "link", "show")
    # Killed, it can clean up nothing: probes fail, rather than take another way, and the next one takes over.
    dataplane = balancer()
    own = source(dataplane, "tcp4", "b1")
    dataplane.stop(signal.SIGKILL)
    assert network.ask("tcp", VIP4, 0.3, host="lb", source=own) is None
    dataplane = balancer()
    assert len(rules(network)) == 2
    assert network.ask("tcp", VIP4, host="lb", source=own) == "b1"


def test_idle_workers_wake_for_probes(network, balancer, host):
    dataplane = balancer()
    loops = [worker["loops"] for worker in dataplane.get("/v1/heartbeat")["workers"]]
    if host == "af_xdp":  # the other port has nothing to wait for, so that its worker naps
        wait_for("the worker sleeps", lambda: idle(dataplane))
    assert network.ask("tcp", VIP4, host="lb", source=source(dataplane, "tcp4", "b1")) == "b1"
    assert [worker["loops"] for worker in dataplane.get("/v1/heartbeat")["workers"]] > loops


def idle(dataplane):
    """About 100 passes a second: one for each sleep of 10 ms."""
    first = dataplane.get("/v1/heartbeat")["workers"][0]["loops"]
    run("sleep", "0.1")
    return dataplane.get("/v1/heartbeat")["workers"][0]["loops"] - first < 200


def test_a_strict_reverse_path_filter_is_refused(tmp_path, network, start, host):
    kind = "eth0" if host == "af_xdp" else "default"
    run(*network.within("lb"), "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{kind}.rp_filter=1")
    config = configuration(tmp_path, PORTS[host], SERVICES, probe_sources=SOURCES)
    code, line = start(config, prefix=network.within("lb")).complaint()
    assert code == 1 and f"remedy: sysctl net.ipv4.conf.{kind}.rp_filter=2" in line, line
