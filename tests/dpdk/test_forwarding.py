# SPDX-License-Identifier: Apache-2.0
"""Frames from a capture through the whole program into a capture: rewritten to the right backend, and counted."""
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.utils import rdpcap, wrpcap

from support import VIP4, VIP6, backend, configuration, service, wait_for

PORT_MAC = "02:70:63:61:70:00"  # net_pcap's own
CLIENT_MAC = "02:00:00:00:00:99"


def mac(service_number, backend_number):
    return f"02:00:00:00:0{service_number}:0{backend_number}"


SERVICES = [
    service("web4", VIP4, "tcp", 80, [backend(1, 4, mac(1, 1)), backend(2, 4, mac(1, 2))]),
    service("dns4", VIP4, "udp", 53, [backend(1, 4, mac(2, 1))]),
    service("web6", VIP6, "tcp", 80, [backend(1, 6, mac(3, 1)), backend(2, 6, mac(3, 2))]),
    service("dns6", VIP6, "udp", 53, [backend(2, 6, mac(4, 2))]),
]


def ethernet():
    return Ether(dst=PORT_MAC, src=CLIENT_MAC)


def flow(number):
    """One packet of each service, of the same client."""
    v4, v6 = IP(src=f"203.0.113.{number + 1}", dst=VIP4), IPv6(src=f"2001:db8:c::{number + 1:x}", dst=VIP6)
    tcp, udp = TCP(sport=1024 + number, dport=80), UDP(sport=1024 + number, dport=53) / b"q"
    return [ethernet() / v4 / tcp, ethernet() / v4 / udp, ethernet() / v6 / tcp, ethernet() / v6 / udp]


def pcap_port(folder, packets, receive_options=""):
    wrpcap(str(folder / "in.pcap"), packets)
    return {"name": "test", "vdev": f"net_pcap0,rx_pcap={folder}/in.pcap,tx_pcap={folder}/out.pcap{receive_options}"}


def total(dataplane):
    return sum(dataplane.verdicts().values())


def hash_engine_of_this_processor():
    flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
    if not {"aes", "sse4_1"} <= set(flags):
        return "portable"
    return "vaes" if {"vaes", "avx2"} <= set(flags) else "aes-ni"


def test_frames_leave_for_their_backend_and_every_packet_is_counted(tmp_path, start):
    wanted = [packet for number in range(50) for packet in flow(number)]
    v4 = IP(src="203.0.113.1", dst=VIP4)
    others = {
        "pass_not_vip": [ethernet() / ARP(), ethernet() / IP(dst="198.51.100.2") / TCP(dport=80)],
        "drop_no_service": [ethernet() / v4 / TCP(dport=81), ethernet() / v4 / UDP(dport=80)] * 2,
        "drop_unsupported": [ethernet() / v4 / GRE()],
        "drop_icmp": [ethernet() / v4 / ICMP(type="timestamp-request")],
        "drop_fragment_orphan": [ethernet() / IP(src="203.0.113.1", dst=VIP4, proto=17, frag=9) / (b"x" * 64)],
        "drop_truncated": [Ether(bytes(ethernet() / v4 / TCP(dport=80))[:36])],
    }
    dropped = [packet for packets in others.values() for packet in packets]
    sent = wanted + dropped
    dataplane = start(configuration(tmp_path, pcap_port(tmp_path, sent), SERVICES)).ready()
    wait_for("all packets were seen", lambda: total(dataplane) >= len(sent))

    expected = dict.fromkeys(dataplane.verdicts(), 0) | {"forward": len(wanted)}
    expected |= {verdict: len(packets) for verdict, packets in others.items()}
    assert dataplane.verdicts() == expected
    counted = {s["name"]: dataplane.backend_packets(s["name"]) for s in SERVICES}
    assert dataplane.get("/v1/state")["hash_engine"] == hash_engine_of_this_processor()
    port = dataplane.get("/v1/state")["ports"][0]
    assert (port["rx_packets"], port["tx_packets"], port["tx_dropped"]) == (len(sent), len(wanted), 0)
    assert dataplane.stop() == 0

    out = rdpcap(str(tmp_path / "out.pcap"))
    assert len(out) == len(wanted)
    seen = {s["name"]: {b["name"]: 0 for b in s["backends"]} for s in SERVICES}
    for position, (before, after) in enumerate(zip(wanted, out)):
        chosen = SERVICES[position % 4]
        names = {b["mac"]: b["name"] for b in chosen["backends"]}
        assert after.dst in names and after.src == PORT_MAC, after.summary()
        assert bytes(after)[12:] == bytes(before)[12:], "only the MACs may change"
        seen[chosen["name"]][names[after.dst]] += 1
    assert seen == counted
    assert all(packets > 0 for s in seen.values() for packets in s.values()), seen


def test_a_flow_stays_on_its_backend(tmp_path, start):
    sent = [packet for _ in range(5) for number in range(40) for packet in flow(number)]
    dataplane = start(configuration(tmp_path, pcap_port(tmp_path, sent), SERVICES)).ready()
    wait_for("all packets were seen", lambda: total(dataplane) >= len(sent))
    assert dataplane.stop() == 0
    out = rdpcap(str(tmp_path / "out.pcap"))
    backends = {}
    for before, after in zip(sent, out, strict=True):
        backends.setdefault(bytes(before)[14:], set()).add(after.dst)
    assert len(backends) == 160 and all(len(macs) == 1 for macs in backends.values())


def test_tunnels_carry_the_packet_and_answer_what_does_not_fit(tmp_path, start):
    tunneled = [service("web4", VIP4, "tcp", 80, [backend(1, 6, mac(1, 1))]) |
                {"forwarding": "ipip", "tunnel_source": ["2001:db8:f::/64"], "tunnel_mtu": 1400},
                service("web6", VIP6, "tcp", 80, [backend(1, 4, mac(2, 1))]) |
                {"forwarding": "ipip", "tunnel_source": ["172.16.0.1"]}]
    large4 = ethernet() / IP(src="203.0.113.1", dst=VIP4, flags="DF") / TCP(dport=80) / (b"x" * 1321)
    large6 = ethernet() / IPv6(src="2001:db8:c::1", dst=VIP6) / TCP(dport=80) / (b"x" * 1421)
    sent = [large4, *flow(1)[0::2], large6]
    dataplane = start(configuration(tmp_path, pcap_port(tmp_path, sent), tunneled)).ready()
    wait_for("all packets were seen", lambda: total(dataplane) >= len(sent))
    verdicts = dataplane.verdicts()
    assert (verdicts["forward"], verdicts["reply_too_big"], sum(verdicts.values())) == (2, 2, 4)
    assert dataplane.stop() == 0

    error4, first, second, error6 = rdpcap(str(tmp_path / "out.pcap"))
    assert first.src == second.src == PORT_MAC and (first.dst, second.dst) == (mac(1, 1), mac(2, 1))
    assert (first[IPv6].dst, first[IPv6].nh) == ("2001:db8:a::11", 4)
    assert bytes(first)[14 + 40:] == bytes(sent[1])[14:]
    assert (second[IP].src, second[IP].dst, second[IP].proto) == ("172.16.0.1", "10.1.0.11", 41)
    assert bytes(second)[14 + 20:] == bytes(sent[2])[14:]
    assert error4.dst == error6.dst == CLIENT_MAC and error4.src == PORT_MAC
    assert (error4[IP].dst, error4[ICMP].type, error4[ICMP].code) == ("203.0.113.1", 3, 4)
    assert error4[ICMP].nexthopmtu == 1360
    assert (error6[IPv6].dst, error6[ICMPv6PacketTooBig].mtu) == ("2001:db8:c::1", 1480)


def endless(tmp_path, start, **dataplane):
    """The same packets again and again, so that a change can be seen to take hold."""
    sent = [packet for number in range(16) for packet in flow(number)]
    wrpcap(str(tmp_path / "in.pcap"), sent)
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    return start(configuration(tmp_path, port, SERVICES, **dataplane)).ready()


def test_health_moves_traffic_by_the_time_it_is_answered(tmp_path, start):
    dataplane = endless(tmp_path, start)
    wait_for("b1 gets traffic", lambda: dataplane.backend_packets("web4")["b1"] > 0)
    status, body = dataplane.put_health(("web4", "b1", False))
    assert status == 200 and body["generation"] == dataplane.get("/v1/state")["generation"] == 2

    frozen = dataplane.backend_packets("web4")
    wait_for("b2 gets traffic", lambda: dataplane.backend_packets("web4")["b2"] > frozen["b2"] + 1000)
    assert dataplane.backend_packets("web4")["b1"] == frozen["b1"], "the answer came before the workers had changed"
    states = dataplane.backend_states("web4")
    assert (states["b1"]["healthy"], states["b1"]["slots"], states["b2"]["slots"]) == (False, 0, 1009)
    assert dataplane.verdicts()["drop_no_backend"] == 0

    dataplane.put_health(("web4", "b2", False))
    wait_for("nobody is left", lambda: dataplane.verdicts()["drop_no_backend"] > 0)
    dataplane.put_health(("web4", "b1", True), ("web4", "b2", True))
    wait_for("b1 is back", lambda: dataplane.backend_packets("web4")["b1"] > frozen["b1"])


def test_dropped_packets_give_their_buffers_back(tmp_path, start):
    dataplane = endless(tmp_path, start, packet_buffers=4096)
    for s in SERVICES:
        dataplane.put_health(*((s["name"], b["name"], False) for b in s["backends"]))
    wait_for("many times the buffers were dropped", lambda: dataplane.verdicts()["drop_no_backend"] > 10 * 4096)


def test_bad_requests_are_answered_and_change_nothing(tmp_path, start):
    dataplane = endless(tmp_path, start)
    for status, method, path, body, problem in [
            (404, "GET", "/v1/nothing", None, "/v1/nothing"),
            (405, "POST", "/v1/state", "{}", "expected GET"),
            (405, "GET", "/v1/health", None, "expected PUT"),
            (405, "GET", "/v1/reload", None, "expected POST"),
            (400, "POST", "/v1/reload", "pop: x", "expected none"),
            (400, "PUT", "/v1/health", "not json", ""),
            (400, "PUT", "/v1/health", {"backends": [{"service": "web4"}]}, "backend")]:
        found, answer = dataplane.request(method, path, body)
        assert found == status and problem in answer["error"], (method, path, body, found, answer)
    assert dataplane.get("/v1/state")["generation"] == 1
    assert dataplane.backend_states("web4")["b1"]["healthy"]


def test_workers_on_named_cores_share_the_queues_and_beat(tmp_path, start):
    wrpcap(str(tmp_path / "in.pcap"), flow(1))
    port = {"name": "test", "queues": 2,
            "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,rx_pcap={tmp_path}/in.pcap,tx_pcap={tmp_path}/o0.pcap,"
                    f"tx_pcap={tmp_path}/o1.pcap"}
    dataplane = start(configuration(tmp_path, port, SERVICES, cores=[0, 1])).ready()
    wait_for("both queues were read", lambda: dataplane.verdicts()["forward"] == 8)

    def loops():
        return [worker["loops"] for worker in dataplane.get("/v1/heartbeat")["workers"]]
    before = loops()
    assert len(before) == 2
    wait_for("idle workers beat", lambda: all(now > then for now, then in zip(loops(), before)))
    assert dataplane.stop() == 0


def test_a_packet_leaves_by_the_port_it_came_in_on(tmp_path, start):
    sent = {"east": [flow(number)[0] for number in range(10)], "west": [flow(number)[2] for number in range(20)]}
    ports = []
    for number, (name, packets) in enumerate(sent.items()):
        (tmp_path / name).mkdir()
        ports.append(pcap_port(tmp_path / name, packets) | {"name": name})
        ports[-1]["vdev"] = ports[-1]["vdev"].replace("net_pcap0", f"net_pcap{number}")
    config = configuration(tmp_path, ports[0], SERVICES, packet_buffers=4096)
    config["dataplane"]["ports"] = ports
    dataplane = start(config).ready()
    wait_for("both ports were read", lambda: dataplane.verdicts()["forward"] == 30)
    macs = {port["name"]: port["mac"] for port in dataplane.get("/v1/state")["ports"]}
    assert dataplane.stop() == 0
    assert len(set(macs.values())) == 2
    for name, packets in sent.items():
        out = rdpcap(str(tmp_path / name / "out.pcap"))
        assert [bytes(p)[12:] for p in out] == [bytes(p)[12:] for p in packets]
        assert {p.src for p in out} == {macs[name]}


def test_busy_polling_forwards_and_stops(tmp_path, start):
    dataplane = endless(tmp_path, start, polling="busy")
    wait_for("packets flow", lambda: dataplane.verdicts()["forward"] > 10_000)
    assert dataplane.stop() == 0


def test_sigterm_leaves_what_the_next_one_takes_over_and_nothing_else(tmp_path, start):
    dataplane = endless(tmp_path, start)
    assert dataplane.stop() == 0
    assert sorted(str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*")) == [
        "takeover", "takeover/flows.0", "takeover/state"]
