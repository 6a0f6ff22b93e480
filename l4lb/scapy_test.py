# SPDX-License-Identifier: Apache-2.0
"""A second opinion on what the engine writes: scapy takes every packet apart and computes every checksum anew."""
import os
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.utils import rdpcap

GOLDEN_TEST = os.environ["ANYPOP_GOLDEN_TEST"]
OUTER_TTL = 64


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(before, after, verdict) of each packet that leaves."""
    folder = tmp_path_factory.mktemp("golden")
    subprocess.run([GOLDEN_TEST, "--gtest_filter=GoldenCaptures.*", "--gtest_brief=1"], check=True,
                   env=os.environ | {"ANYPOP_CAPTURE_DIR": str(folder)}, stdout=subprocess.DEVNULL)
    verdicts = (folder / "verdicts.txt").read_text().split()
    return list(zip(rdpcap(str(folder / "in.pcap")), rdpcap(str(folder / "out.pcap")), verdicts, strict=True))


def ip_layer(frame):
    return frame.getlayer(IP) if frame.getlayer(IP) and not above(frame, IPv6, IP) else frame.getlayer(IPv6)


def above(frame, upper, lower):
    """Does `upper` come before `lower`?"""
    names = [layer for layer in frame.layers() if layer in (upper, lower)]
    return bool(names) and names[0] is upper


def bare(ip):
    """The bytes of an IP packet without Ethernet's padding."""
    size = ip.len if isinstance(ip, IP) else 40 + ip.plen
    return bytes(ip)[:size]


def rebuilt(packet, *fields):
    """The packet after scapy has computed these fields of these layers itself."""
    copy = type(packet)(bytes(packet))
    for layer, field in fields:
        copy.getlayer(layer).delfieldval(field)
    return bytes(copy)


def traffic_class(ip):
    return ip.tos if isinstance(ip, IP) else ip.tc


def check_outer(outer):
    """Lengths and header checksum."""
    if isinstance(outer, IP):
        assert outer.flags == "DF" and outer.ttl == OUTER_TTL and outer.ihl == 5
        assert rebuilt(outer, (IP, "len"), (IP, "chksum")) == bytes(outer)
    else:
        assert outer.hlim == OUTER_TTL
        assert rebuilt(outer, (IPv6, "plen")) == bytes(outer)


def next_protocol(ip):
    return ip.proto if isinstance(ip, IP) else ip.nh


def inside(outer):
    """What a tunnel's endpoint would take out, and how it was wrapped."""
    protocol = next_protocol(outer)
    payload = bytes(outer)[20 if isinstance(outer, IP) else 40:]
    if protocol in (4, 41):
        return payload, "ipip", protocol
    if protocol == 47:
        gre = GRE(payload)
        assert (gre.chksum_present, gre.key_present, gre.seqnum_present, gre.version) == (0, 0, 0, 0)
        return payload[4:], "gre", {0x0800: 4, 0x86dd: 41}[gre.proto]
    udp = UDP(payload)
    assert protocol == 17 and udp.dport in (6080, 16080) and udp.sport >= 49152 and udp.len == len(payload)
    assert payload[8:10] in (b"\0\x04", b"\0\x29") and payload[10:12] == b"\0\0"
    if isinstance(outer, IP) or udp.dport == 16080:
        assert udp.chksum == 0
    else:
        assert rebuilt(outer, (UDP, "chksum")) == bytes(outer), "UDP checksum"
    return payload[12:], "gue", payload[9]


def test_every_encapsulated_packet(pairs):
    seen = {}
    for before, after, verdict in pairs:
        inner, outer = ip_layer(before), ip_layer(after)
        if verdict != "forward" or bare(inner) == bare(outer):
            continue
        check_outer(outer)
        payload, kind, protocol = inside(outer)
        assert payload == bare(inner), "the inner packet must not change"
        assert protocol == (4 if isinstance(inner, IP) else 41)
        assert traffic_class(outer) == traffic_class(inner)
        key = (kind, type(inner).__name__, type(outer).__name__)
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 12 and min(seen.values()) > 50, seen


def test_every_too_big_error(pairs):
    seen = {IP: 0, IPv6: 0}
    for before, after, verdict in pairs:
        if verdict != "reply_too_big":
            continue
        packet, error = ip_layer(before), ip_layer(after)
        seen[type(error)] += 1
        check_outer(error)
        assert (after[Ether].src, after[Ether].dst) == (before[Ether].dst, before[Ether].src)
        assert (error.src, error.dst) == (packet.dst, packet.src)
        if isinstance(error, IP):
            icmp, most = error[ICMP], 576
            assert (icmp.type, icmp.code) == (3, 4) and icmp.nexthopmtu < packet.len
            assert rebuilt(error, (ICMP, "chksum")) == bytes(error)
            quoted = bytes(error)[28:]
        else:
            icmp, most = error[ICMPv6PacketTooBig], 1280
            assert icmp.code == 0 and icmp.mtu < packet.plen + 40
            assert rebuilt(error, (ICMPv6PacketTooBig, "cksum")) == bytes(error)
            quoted = bytes(error)[48:]
        assert len(bytes(error)) == min(most, len(bytes(error)) - len(quoted) + len(bare(packet)))
        assert quoted == bare(packet)[:len(quoted)]
    assert min(seen.values()) > 5, seen


def test_every_echo_reply(pairs):
    seen = {IP: 0, IPv6: 0}
    for before, after, verdict in pairs:
        if verdict != "reply_echo":
            continue
        request, reply = ip_layer(before), ip_layer(after)
        seen[type(reply)] += 1
        assert (after[Ether].src, after[Ether].dst) == (before[Ether].dst, before[Ether].src)
        assert (reply.src, reply.dst) == (request.dst, request.src)
        layer, field, kind = ((ICMP, "chksum", 0) if isinstance(reply, IP) else (ICMPv6EchoReply, "cksum", 129))
        assert reply[layer].type == kind
        packet = type(reply)(bare(reply))
        fields = [(layer, field)] + ([(IP, "chksum")] if isinstance(reply, IP) else [])
        assert rebuilt(packet, *fields) == bytes(packet)
        start = 24 if isinstance(reply, IP) else 44
        assert bare(reply)[start:] == bare(request)[start:]
    assert min(seen.values()) >= 4, seen
