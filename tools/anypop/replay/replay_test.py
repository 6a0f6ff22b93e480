# SPDX-License-Identifier: Apache-2.0
"""`anypop replay` over captures of every kind, made and read back by scapy."""
import bz2
import gzip
import json
import lzma
import os
import resource
import struct
import subprocess
import zlib

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, Dot1Q, Ether, Loopback
from scapy.utils import PcapNgWriter, PcapWriter, rdpcap

ANYPOP = os.environ["ANYPOP"]
PORT_MAC, CLIENT_MAC = "02:00:00:00:00:aa", "02:00:00:00:00:99"
VIP4, VIP6 = "198.51.100.1", "2001:db8:53::1"


def mac(number):
    return f"02:00:00:00:01:{number:02x}"


@pytest.fixture
def config(tmp_path):
    def backends(addresses):
        return [{"name": f"b{i}", "address": a, "mac": mac(i)} for i, a in enumerate(addresses, 1)]

    def service(name, vip, protocol, port, addresses, **more):
        return {"name": name, "vip": vip, "protocol": protocol, "port": port, "backends": backends(addresses),
                "table_size": 1009, "probe": {"type": "tcp", "port": 80}} | more
    pop = {
        "pop": "test",
        "dataplane": {"ports": [{"name": "up", "af_xdp": "eth1"}], "hash_key": "00" * 16},
        "services": [
            service("web4", VIP4, "tcp", 80, ["10.0.0.1", "10.0.0.2"]),
            service("web6", VIP6, "tcp", 80, ["2001:db8:a::1", "2001:db8:a::2"]),
            service("dns4", VIP4, "udp", 53, ["10.0.1.1"], forwarding="ipip", tunnel_source=["172.16.0.1"]),
        ],
        "announcements": [{"name": "all", "prefixes": ["198.51.100.0/24", "2001:db8:53::/48"]}],
    }
    path = tmp_path / "pop.yaml"

    def write(change=lambda pop: None):
        change(pop)
        path.write_text(json.dumps(pop))
        return path
    write()
    write.path = path
    return write


def anypop(*arguments, **options):
    return subprocess.run([ANYPOP, "replay", *map(str, arguments)], capture_output=True, timeout=60, **options)


def replay(folder, config, *more, code=0):
    """The frames that left, those for the kernel, and the lines of JSON."""
    out, punt = folder / "out.pcap", folder / "punt.pcap"
    done = anypop("--config", config.path, "--in", folder / "in.pcap", "--out", out, "--punt", punt, "--json", *more)
    assert done.returncode == code, done.stderr
    return list(rdpcap(str(out))), list(rdpcap(str(punt))), [json.loads(line) for line in done.stdout.splitlines()]


def ethernet():
    return Ether(dst=PORT_MAC, src=CLIENT_MAC)


def web(number, **ip):
    return IP(src=f"203.0.113.{number}", dst=VIP4, **ip) / TCP(sport=1000 + number, dport=80, flags="A")


def capture(path, packets, **options):
    writer = PcapWriter(str(path), **options)
    writer.write(packets)
    writer.close()


def test_frames_go_where_the_dataplane_would_send_them(tmp_path, config):
    frames = [ethernet() / web(i) for i in range(1, 41)]
    frames[7:7] = [ethernet() / ARP(), ethernet() / IPv6(dst=VIP6) / TCP(dport=80), ethernet() / IP(dst=VIP4) / TCP(dport=81),
                   ethernet() / Dot1Q(vlan=7) / web(99), ethernet() / IP(dst=VIP4) / ICMP(id=5) / b"ping"]
    capture(tmp_path / "in.pcap", frames)
    out, punt, lines = replay(tmp_path, config)
    assert [line["index"] for line in lines] == list(range(45))
    assert [line["verdict"] for line in lines[7:12]] == ["pass_not_vip", "forward", "drop_no_service", "forward", "reply_echo"]
    assert lines[7] == lines[7] | {"service": None, "backend": None, "decision": None}
    assert lines[8]["service"] == "web6" and lines[9]["service"] is None
    assert [bytes(p) for p in punt] == [bytes(frames[7])]
    leaving = [i for i, line in enumerate(lines) if line["verdict"] in ("forward", "reply_echo")]
    assert len(out) == len(leaving) == 43
    seen = set()
    for frame, i in zip(out, leaving):
        if lines[i]["verdict"] == "reply_echo":
            assert frame[ICMP].type == 0 and (frame.src, frame.dst) == (PORT_MAC, CLIENT_MAC)
            continue
        number = int(lines[i]["backend"][1:])
        seen.add(number)
        assert (frame.dst, frame.src) == (mac(number), PORT_MAC), "from the port that it came to"
        assert bytes(frame)[12:] == bytes(frames[i])[12:]
        assert lines[i]["decision"] == "hashed" and lines[i]["bytes"] == len(frames[i])
        assert float(lines[i]["time"]) == pytest.approx(float(frame.time))
    assert seen == {1, 2}


@pytest.mark.parametrize("options", [{"endianness": "<"}, {"endianness": ">"}, {"endianness": "<", "nano": True},
                                     {"endianness": ">", "nano": True}])
def test_every_byte_order_and_resolution(tmp_path, config, options):
    frames = [ethernet() / web(1), ethernet() / web(2)]
    frames[0].time, frames[1].time = 1.000001, 4.25
    capture(tmp_path / "in.pcap", frames, **options)
    out, _, lines = replay(tmp_path, config)
    assert [float(frame.time) for frame in out] == [1.000001, 4.25]
    assert [line["time"] for line in lines] == [1.000001, 4.25]


@pytest.mark.parametrize("magic, seconds, fraction, expected", [
    (0xa1b2c3d4, 2208988801, 500000, "2208988801.500000000"),  # 2040: more than a signed number holds
    (0xa1b2c3d4, 0xffffffff, 5, "4294967295.000005000"),
    (0xa1b23c4d, 0x80000000, 5, "2147483648.000000005"),
    (0xa1b2c3d4, 7, 2_500_000, "9.500000000"),  # a fraction of more than a second
    (0xa1b2c3d4, 7, 0xffffffff, "7.000000000"),  # of no sense
    (0xa1b23c4d, 0xffffffff, 0x7fffffff, "4294967297.147483647"),
])
def test_times_of_all_32_bits(tmp_path, config, magic, seconds, fraction, expected):
    frame = bytes(ethernet() / web(1))
    (tmp_path / "in.pcap").write_bytes(struct.pack("=IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
                                       + struct.pack("=IIII", seconds, fraction, len(frame), len(frame)) + frame)
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap", "--json")
    assert json.loads(done.stdout, parse_float=str)["time"] == expected
    written = struct.unpack("=II", (tmp_path / "out.pcap").read_bytes()[24:32])
    whole, _, rest = expected.partition(".")
    assert written == (min(int(whole), 0xffffffff), int(rest) if int(whole) <= 0xffffffff else 999_999_999)


LINKS = {
    "cooked": (113, lambda ip: CookedLinux(src=b"\2\0\0\0\0\1", lladdrlen=6, proto=0x0800 if ip.version == 4 else 0x86dd) / ip),
    "cooked v2": (276, lambda ip: struct.pack("!HHiHBB8s", 0x0800 if ip.version == 4 else 0x86dd, 0, 1, 1, 0, 6, b"\2")
                  + bytes(ip)),
    "raw": (101, lambda ip: ip),
    "loopback": (0, lambda ip: Loopback(type=2 if ip.version == 4 else 30) / ip),
    "big-endian loopback": (108, lambda ip: struct.pack("!I", 2 if ip.version == 4 else 24) + bytes(ip)),
    "IPsec": (109, lambda ip: struct.pack("=III", 2 if ip.version == 4 else 24, 0x1234, 1) + bytes(ip)),
    "PPP": (9, lambda ip: struct.pack("!HH", 0xff03, ppp(ip)) + bytes(ip)),
    "PPP without address": (9, lambda ip: struct.pack("!H", ppp(ip)) + bytes(ip)),
    "PPP, compressed": (9, lambda ip: struct.pack("!B", ppp(ip)) + bytes(ip)),
    "PPP on a serial line": (50, lambda ip: struct.pack("!HH", 0xff03, ppp(ip)) + bytes(ip)),
    "PPP as Cisco": (9, lambda ip: struct.pack("!HH", 0x0f00, ether(ip)) + bytes(ip)),
    "Cisco HDLC": (104, lambda ip: struct.pack("!HH", 0x0f00, ether(ip)) + bytes(ip)),
    "Cisco HDLC with PPP's numbers": (104, lambda ip: struct.pack("!HH", 0x0f00, ppp(ip)) + bytes(ip)),
    "Cisco HDLC as PPP": (104, lambda ip: struct.pack("!HH", 0xff03, ppp(ip)) + bytes(ip)),
    "Cisco HDLC without address": (104, lambda ip: struct.pack("!H", ppp(ip)) + bytes(ip)),
    "PPPoE": (51, lambda ip: struct.pack("!BBHHH", 0x11, 0, 7, len(ip) + 2, ppp(ip)) + bytes(ip)),
    "MPLS": (219, lambda ip: struct.pack("!II", 0x12345040, 0x00777140) + bytes(ip)),
    "NFLOG": (239, lambda ip: nflog(ip, "<")),
    "big-endian NFLOG": (239, lambda ip: nflog(ip, ">")),
}


def ppp(ip):
    return 0x21 if ip.version == 4 else 0x57


def ether(ip):
    return 0x0800 if ip.version == 4 else 0x86dd


def nflog(ip, order):
    """A prefix and the packet among attributes of a length and a type."""
    family = struct.pack("!BBH", 2 if ip.version == 4 else 10, 0, 5)
    return (family + struct.pack(order + "HH", 8, 1) + struct.pack("!HBB", ether(ip), 1, 0)
            + struct.pack(order + "HH", 6, 10) + b"x\0\0\0" + struct.pack(order + "HH", 4 + len(ip), 9) + bytes(ip))


def raw_pcap(path, link_type, packets, wire_bytes=None, snaplen=262144):
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, snaplen, link_type))
        for packet in packets:
            packet = bytes(packet)
            file.write(struct.pack("=IIII", 1, 0, len(packet), wire_bytes or len(packet)) + packet)


@pytest.mark.parametrize("kind", LINKS)
def test_every_link_type_becomes_ethernet(tmp_path, config, kind):
    link_type, wrap = LINKS[kind]
    v4, v6 = web(1), IPv6(src="2001:db8:c::1", dst=VIP6) / TCP(dport=80, flags="A")
    raw_pcap(tmp_path / "in.pcap", link_type, [wrap(v4), wrap(v6), b"\0"])
    out, _, lines = replay(tmp_path, config)
    assert [(line["verdict"], line["service"]) for line in lines[:2]] == [("forward", "web4"), ("forward", "web6")]
    assert lines[2]["verdict"] in ("drop_truncated", "pass_not_vip")
    assert [bytes(frame.payload) for frame in out] == [bytes(v4), bytes(v6)]
    assert all(frame.dst in (mac(1), mac(2)) for frame in out)


def test_a_link_type_without_ip_is_named(tmp_path, config):
    raw_pcap(tmp_path / "in.pcap", 189, [b"x" * 64])
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"link type 189 (USB_LINUX: USB" in done.stderr
    assert not (tmp_path / "out.pcap").exists()
    raw_pcap(tmp_path / "in.pcap", 65000, [b"x" * 64])
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
    assert done.returncode == 1 and b"link type 65000 (unknown)" in done.stderr


def ng_block(kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def ng_packet(interface, data, wire_bytes=None):
    return ng_block(6, struct.pack("<IIIII", interface, 0, 1, len(data), wire_bytes or len(data)) + data)


NG_SECTION = ng_block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))


def test_pcapng_with_an_interface_that_nobody_can_read(tmp_path, config):
    """A Bluetooth dongle between two Ethernet ports: its packets are no VIP's, and the others are read."""
    frame = bytes(ethernet() / web(1))
    (tmp_path / "in.pcap").write_bytes(b"".join([
        NG_SECTION, *(ng_block(1, struct.pack("<HHI", link, 0, 0)) for link in (201, 1)),
        ng_packet(0, b"\2" * 9, 70), ng_packet(1, frame), ng_packet(0, bytes(web(2))), ng_packet(1, frame)]))
    out, punt, lines = replay(tmp_path, config)
    assert [line["verdict"] for line in lines] == ["pass_not_vip", "forward"] * 2 and len(out) == 2 and not punt
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
    assert b"2 packets are of link types that are not understood" in done.stdout and b"201 (BLUETOOTH" in done.stdout
    assert b"captured in part" not in done.stdout


@pytest.mark.parametrize("kind, code", [(10, 0), (0x0bad, 0), (6, 1)])
def test_pcapng_with_a_giant_block(tmp_path, config, kind, code):
    """The secrets of a long TLS capture are skipped unread; a packet cannot be that large."""
    frame = bytes(ethernet() / web(1))
    parts = [NG_SECTION, ng_block(1, struct.pack("<HHI", 1, 0, 0)), ng_block(kind, b"s" * (5 << 20)), ng_packet(0, frame)]
    (tmp_path / "in.pcap").write_bytes(b"".join(parts))
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap", "--json")
    assert done.returncode == code and done.stdout.count(b"\n") == 1 - code, done.stderr
    for cut in (40, len(frame) + 40):
        (tmp_path / "in.pcap").write_bytes(b"".join(parts)[:-cut - len(ng_packet(0, frame))])
        done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
        assert done.returncode == 1 and b"damaged pcapng file" in done.stderr


def test_packets_without_a_length(tmp_path, config):
    """As a machine with TSO captures what it sends: the NIC would have filled it in."""
    v4, v6 = web(1, len=0) / (b"x" * 3000), IPv6(src="2001:db8:c::1", dst=VIP6, plen=0) / TCP(dport=80, flags="A") / (b"x" * 3000)
    packets = [ethernet() / v4, ethernet() / v6, ethernet() / Dot1Q(vlan=7) / v4, ethernet() / web(1),
               ethernet() / IP(src="203.0.113.1", dst=VIP4, len=0)]
    capture(tmp_path / "in.pcap", packets)
    out, _, lines = replay(tmp_path, config)
    assert [line["verdict"] for line in lines] == ["forward"] * 4 + ["drop_malformed"]
    assert [out[0][IP].len, out[1][IPv6].plen, out[2][IP].len] == [3040, 3020, 3040]
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
    assert b"3 packets had the length 0" in done.stdout


def test_pcapng_of_several_interfaces(tmp_path, config):
    """Another link type, snapshot length and resolution of each interface: what Wireshark writes."""
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    def packet(interface, ticks, data, wire_bytes=None):
        return block(6, struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xffffffff, len(data),
                                    wire_bytes or len(data)) + data)
    v4 = web(1)
    nano = struct.pack("<HHBxxx", 9, 1, 9) + struct.pack("<HH", 0, 0)
    parts = [block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)),
             block(1, struct.pack("<HHI", 1, 0, 65535)), block(1, struct.pack("<HHI", 101, 0, 96) + nano),
             block(0x80000001, b"something private"),
             packet(0, 2_500_000, bytes(ethernet() / v4)), packet(1, 3_000_000_123, bytes(v4)), block(5, b"\0" * 12)]
    (tmp_path / "in.pcap").write_bytes(b"".join(parts))
    out, _, lines = replay(tmp_path, config)
    assert [line["verdict"] for line in lines] == ["forward"] * 2 and lines[0]["backend"] == lines[1]["backend"]
    assert [bytes(frame.payload) for frame in out] == [bytes(v4)] * 2
    assert [f"{line['time']:.9f}" for line in lines] == ["2.500000000", "3.000000123"]
    for cut in range(28, sum(map(len, parts[:-1])), 7):
        (tmp_path / "in.pcap").write_bytes(b"".join(parts)[:cut])
        done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "cut.pcap")
        assert done.returncode in (0, 1) and done.stderr.count(b"\n") == done.returncode, done.stderr


def test_pcapng_sections_of_both_byte_orders(tmp_path, config):
    """Files that were joined; every kind of block that holds a packet. A simple one has no time of its own."""
    frame = bytes(ethernet() / web(1))

    def section(order):
        def block(kind, body):
            body += b"\0" * (-len(body) % 4)
            return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)
        length = len(frame)
        return b"".join([block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1)),
                         block(1, struct.pack(order + "HHI", 1, 0, 0)),
                         block(6, struct.pack(order + "IIIII", 0, 0, 5_000_000, length, length) + frame),
                         block(2, struct.pack(order + "HHIIII", 0, 0, 0, 7_000_000, length, length) + frame),
                         block(3, struct.pack(order + "I", length) + frame)])
    (tmp_path / "in.pcap").write_bytes(section(">") + section("<"))
    out, _, lines = replay(tmp_path, config)
    assert [line["time"] for line in lines] == [5, 7, 7] * 2
    assert [line["verdict"] for line in lines] == ["forward"] * 6
    assert [bytes(packet)[12:] for packet in out] == [frame[12:]] * 6


def test_pcapng_as_scapy_writes_it(tmp_path, config):
    writer = PcapNgWriter(str(tmp_path / "in.pcap"))
    for i in range(1, 6):
        writer.write(ethernet() / web(i))
    writer.close()
    assert len(replay(tmp_path, config)[0]) == 5


def test_packets_captured_in_part_are_taken_as_whole(tmp_path, config):
    whole = ethernet() / web(1) / (b"x" * 1000)
    dns = ethernet() / IP(src="203.0.113.1", dst=VIP4) / UDP(dport=53) / (b"y" * 1000)
    raw_pcap(tmp_path / "in.pcap", 1, [bytes(whole)[:96], bytes(whole)[:40], bytes(dns)[:80]], wire_bytes=len(whole))
    out, _, lines = replay(tmp_path, config)
    assert [line["verdict"] for line in lines] == ["forward", "drop_truncated", "forward"]
    assert [(len(frame), frame.wirelen) for frame in out] == [(96, len(whole)), (100, len(dns) + 20)]
    assert bytes(out[0])[12:] == bytes(whole)[12:96] and bytes(out[1])[34:] == bytes(dns)[14:80]


@pytest.mark.parametrize("bytes_held", [60, 96, 128])
def test_what_is_cut_off_does_not_change_the_verdict(tmp_path, config, bytes_held):
    """DNS, a ping, and a router's word about a packet of ours: all that is needed ends at byte 42, 42 and 66."""
    dns = IP(src="203.0.113.1", dst=VIP4) / UDP(dport=53) / (b"y" * 400)
    ping = IP(src="203.0.113.1", dst=VIP4) / ICMP(id=7) / (b"z" * 1000)
    quoted = IP(src=VIP4, dst="203.0.113.9", len=1500) / TCP(sport=80, dport=4242) / (b"x" * 500)
    too_big = IP(src="192.0.2.254", dst=VIP4) / ICMP(type=3, code=4, nexthopmtu=1400) / bytes(quoted)
    other = IP(src="203.0.113.1", dst="192.0.2.1") / ICMP() / (b"z" * 1000)
    packets = [bytes(ethernet() / packet) for packet in (dns, ping, too_big, other)]
    with open(tmp_path / "in.pcap", "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, bytes_held, 1))
        for packet in packets:
            file.write(struct.pack("=IIII", 1, 0, bytes_held, len(packet)) + packet[:bytes_held])
    out, punt, lines = replay(tmp_path, config)
    error = "drop_truncated" if bytes_held < 66 else "forward"
    assert [line["verdict"] for line in lines] == ["forward", "reply_echo", error, "pass_not_vip"]
    assert [frame.wirelen for frame in out[:2]] == [len(packets[0]) + 20, len(packets[1])] and len(punt) == 1
    summary = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap").stdout
    assert (b"without all of their headers" in summary) == (bytes_held < 66)


def test_frames_larger_than_the_mtu(tmp_path, config):
    giant = ethernet() / web(1) / (b"x" * 60000)
    capture(tmp_path / "in.pcap", [giant, ethernet() / IP(src="203.0.113.1", dst=VIP4, flags="DF") / UDP(dport=53) / (b"x" * 20000)])
    out, _, lines = replay(tmp_path, config)
    assert [line["verdict"] for line in lines] == ["forward", "reply_too_big"]
    assert len(out[0]) == len(giant) and out[1][ICMP].nexthopmtu == 1480
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
    assert b"larger than the MTU" in done.stdout


def test_captures_without_packets(tmp_path, config):
    raw_pcap(tmp_path / "in.pcap", 1, [])
    assert replay(tmp_path, config) == ([], [], [])
    (tmp_path / "in.pcap").write_bytes(b"")
    assert replay(tmp_path, config) == ([], [], [])


def test_standard_input_and_output(tmp_path, config):
    capture(tmp_path / "in.pcap", [ethernet() / web(1)])
    done = anypop("--config", config.path, "--in", "-", "--out", "-", input=(tmp_path / "in.pcap").read_bytes())
    assert done.returncode == 0 and b"forward" in done.stderr
    (tmp_path / "out.pcap").write_bytes(done.stdout)
    assert rdpcap(str(tmp_path / "out.pcap"))[0].dst in (mac(1), mac(2))


def test_garbage_gets_one_line_and_leaves_nothing(tmp_path, config):
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "ng").write_bytes(b"\x0a\x0d\x0d\x0a" + b"\xff" * 64)
    capture(tmp_path / "good", [ethernet() / web(1)])
    for name, expected in {"garbage": b"", "ng": b"damaged", "none": b"No such file", ".": b""}.items():
        done = anypop("--config", config.path, "--in", tmp_path / name, "--out", tmp_path / "out.pcap")
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and expected in done.stderr, done.stderr
        assert name.encode() in done.stderr or name == "."
    for arguments in (["--out", tmp_path / "good"], ["--out", "-", "--json"], ["--out", "x", "--punt", "x"],
                      ["--out", "x", "--down", "web4"], ["--out", "x", "--down", "web4/b9"],
                      ["--out", "x", "--down", "web4/b1@soon"], ["--out", "x", "--mtu", "1"], []):
        done = anypop("--config", config.path, "--in", tmp_path / "good", *arguments, cwd=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
    done = anypop("--config", config.path, "--in", tmp_path / "good", "--out", tmp_path / "no" / "out.pcap")
    assert done.returncode == 1 and b"No such file" in done.stderr
    done = anypop("--config", config.path, "--in", tmp_path / "good", "--out", "/dev/full")
    assert done.returncode == 1 and b"No space left" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["garbage", "good", "ng", "pop.yaml"]


@pytest.mark.parametrize("from_standard_input", [False, True])
def test_captures_packed_by_gzip(tmp_path, config, from_standard_input):
    """Also in several pieces, as log rotation joins them, and with a pcapng inside."""
    frames = [ethernet() / web(i % 250) for i in range(2000)]
    capture(tmp_path / "pcap", frames)
    plain = (tmp_path / "pcap").read_bytes()
    frame = bytes(frames[0])
    ng = b"".join([NG_SECTION, ng_block(1, struct.pack("<HHI", 1, 0, 0)), *[ng_packet(0, frame)] * 2000])
    for packed in (gzip.compress(plain), gzip.compress(plain[:1000]) + gzip.compress(plain[1000:]),
                   gzip.compress(plain) + b"\0" * 512, gzip.compress(ng), gzip.compress(plain, 0)):
        (tmp_path / "in.pcap").write_bytes(packed)
        where = ("-", {"input": packed}) if from_standard_input else (tmp_path / "in.pcap", {})
        done = anypop("--config", config.path, "--in", where[0], "--out", tmp_path / "out.pcap", "--json", **where[1])
        assert done.returncode == 0 and done.stdout.count(b"forward") == 2000, done.stderr


def test_gzip_files_that_are_damaged(tmp_path, config):
    """Cut between two packets it looks like a capture that is all there; only gzip's own end tells."""
    capture(tmp_path / "pcap", [ethernet() / web(i) for i in range(1, 101)])
    plain = (tmp_path / "pcap").read_bytes()
    assert plain[24 + 70 * 60:][8:12] == struct.pack("=I", 54)
    packer = zlib.compressobj(wbits=31)
    early = packer.compress(plain[:24 + 70 * 60]) + packer.flush(zlib.Z_SYNC_FLUSH)
    whole = gzip.compress(plain)
    wrong = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    for packed, lines, problem in ((early, 60, b"the gzip file ends early"), (wrong, 100, b"the gzip file is damaged"),
                                   (whole[:9], 0, b"ends early"), (b"\x1f\x8b" + b"\0" * 64, 0, b"is damaged"),
                                   (gzip.compress(whole), 0, b"gzip in gzip")):
        (tmp_path / "in.pcap").write_bytes(packed)
        done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap", "--json")
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and problem in done.stderr, done.stderr
        assert done.stdout.count(b"\n") == lines
    assert anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", "x", cwd=tmp_path).returncode == 1


def test_unpacking_needs_no_memory_for_all_of_it(tmp_path, config):
    """400 MB of nothing, from 400 KB."""
    block = ng_block(0x0bad, b"\0" * (1 << 20))
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(NG_SECTION) + b"".join(packer.compress(block) for _ in range(400)) + packer.flush()
    (tmp_path / "in.pcap").write_bytes(packed)
    assert replay(tmp_path, config) == ([], [], [])
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300_000, "kilobytes, most of them ASan's"


@pytest.mark.parametrize("pack, tool", [(lzma.compress, b"xz"), (bz2.compress, b"bzip2"),
                                        (lambda data: b"\x28\xb5\x2f\xfd" + data, b"zstd"),
                                        (lambda data: b"\x04\x22\x4d\x18" + data, b"lz4")])
def test_other_compressed_files_name_their_tool(tmp_path, config, pack, tool):
    capture(tmp_path / "pcap", [ethernet() / web(1)])
    packed = pack((tmp_path / "pcap").read_bytes())
    for inside in (packed, gzip.compress(packed)):
        (tmp_path / "in.pcap").write_bytes(inside)
        done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap")
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1
        assert b"in.pcap: found a file that " + tool + b" has compressed" in done.stderr and tool + b" -dc FILE |" in done.stderr


def test_a_capture_that_ends_early_keeps_what_it_has(tmp_path, config):
    capture(tmp_path / "in.pcap", [ethernet() / web(i) for i in range(1, 4)])
    (tmp_path / "in.pcap").write_bytes((tmp_path / "in.pcap").read_bytes()[:-5])
    out, _, lines = replay(tmp_path, config, code=1)
    assert len(out) == len(lines) == 2


def test_backends_that_fail_and_return(tmp_path, config):
    frames = [ethernet() / web(i) for i in range(1, 41) for _ in range(3)]
    for i, frame in enumerate(frames):
        frame.time = 100 + (i % 3) * 10
    frames.sort(key=lambda frame: frame.time)
    capture(tmp_path / "in.pcap", frames)
    _, _, lines = replay(tmp_path, config, "--down", "web4/b1@5", "--up", "web4/b1@15.5")
    chosen = [[line["backend"] for line in lines[start:start + 40]] for start in (0, 40, 80)]
    assert set(chosen[0]) == {"b1", "b2"} and set(chosen[1]) == {"b2"}
    assert chosen[2] == chosen[1], "a flow stays with a living backend"
    _, _, lines = replay(tmp_path, config, "--down", "web4/b1", "--down", "web4/b2")
    assert {line["verdict"] for line in lines} == {"drop_no_backend"}


def test_next_hops(tmp_path, config):
    """From `mac:`; without one a stand-in made of the address, or none."""
    config(lambda pop: [backend.pop("mac") for service in pop["services"] for backend in service["backends"]])
    capture(tmp_path / "in.pcap", [ethernet() / web(i) for i in range(1, 20)])
    assert {frame.dst for frame in replay(tmp_path, config)[0]} == {"02:00:0a:00:00:01", "02:00:0a:00:00:02"}
    out, _, lines = replay(tmp_path, config, "--no-stand-ins")
    assert not out and {line["verdict"] for line in lines} == {"drop_next_hop_unresolved"}
    done = anypop("--config", config.path, "--in", tmp_path / "in.pcap", "--out", tmp_path / "out.pcap", "--port-mac",
                  "02:00:00:00:00:77")
    assert b"web4/b1 is the first" in done.stdout and b"(stand-in)" in done.stdout
    assert {frame.src for frame in rdpcap(str(tmp_path / "out.pcap"))} == {"02:00:00:00:00:77"}


def test_the_captures_clock_is_the_engines(tmp_path, config):
    """Later fragments follow the first for 5 seconds of the capture's time, also when the clock is set back."""
    def fragments(when, gap):
        whole = IP(src="203.0.113.1", dst=VIP4, id=int(when) & 0xffff) / UDP(dport=53) / (b"x" * 64)
        first, second = ethernet() / IP(bytes(whole)[:52]), ethernet() / IP(bytes(whole)[:20] + bytes(whole)[52:])
        for frame, flags, offset in ((first, "MF", 0), (second, 0, 4)):
            ip = frame[IP]
            ip.flags, ip.frag = flags, offset
            del ip.len, ip.chksum
        first.time, second.time = when, when + gap
        return [first, second]
    capture(tmp_path / "in.pcap", fragments(1e9, 4) + fragments(1e9 + 100, 6) + fragments(1e9 + 200, -50))
    lines = replay(tmp_path, config)[2]
    assert [line["verdict"] for line in lines] == ["forward", "forward", "forward", "drop_fragment_orphan", "forward", "forward"]
