# SPDX-License-Identifier: Apache-2.0
"""Captures with as many distinct flows as wanted, in the smallest Ethernet frames, and the configuration that they are for."""
import json
import random
import socket
import struct

FRAME_BYTES = 60  # the checksum that completes 64 is the NIC's
VIP_NETWORK = "198.51.100.0/24"
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
HASH_KEY = "8f0c1d2e3b4a59687786a5b4c3d2e1f0"


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def vip(service):
    """Address and port of a service: 250 to an address, so that many services are on few VIPs, as they are."""
    return f"198.51.100.{1 + service // 250}", 80 + service % 250


def frame(flow, service):
    address, port = vip(service)
    source = socket.inet_aton("10.0.0.0")[:1] + struct.pack("!I", flow)[1:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, FRAME_BYTES - 14, flow & 0xFFFF, 0x4000, 64, 6, 0) + source + socket.inet_aton(address)
    ip = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    tcp = struct.pack("!HHIIBBHHH", 1024 + flow % 60000, port, 1, 1, 0x50, 0x10, 512, 0, 0)
    return (bytes.fromhex("020000000001020000000002") + b"\x08\x00" + ip + tcp).ljust(FRAME_BYTES, b"\0")


def write_capture(path, flows, services):
    """In an order that is not that of the flows' numbers, so that no table is filled and read in one direction."""
    order = list(range(flows))
    random.Random(1).shuffle(order)
    with open(path, "wb") as out:
        out.write(PCAP_HEADER)
        for flow in order:
            out.write(struct.pack("<IIII", 0, 0, FRAME_BYTES, FRAME_BYTES) + frame(flow, flow % services))


def configuration(folder, port, *, services=1, backends=10, forwarding="l2", buffers=65536, memory_mb=512, **dataplane):
    names = [{"name": f"b{n}", "address": f"10.1.{n // 250}.{1 + n % 250}", "mac": f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"}
             for n in range(backends)]
    made = []
    for number in range(services):
        address, vip_port = vip(number)
        made.append({"name": f"s{number}", "vip": address, "protocol": "tcp", "port": vip_port, "forwarding": forwarding,
                     "backends": names, "probe": {"type": "tcp"}} | (
                         {} if forwarding == "l2" else {"tunnel_source": ["172.16.0.0/16"]}))
    return {
        "pop": "bench", "run_dir": str(folder), "state_dir": str(folder / "state"),
        "dataplane": {"ports": [port], "memory_mb": memory_mb, "packet_buffers": buffers, "polling": "busy",
                      "hash_key": HASH_KEY} | dataplane,
        "services": made, "announcements": [{"name": "all", "prefixes": [VIP_NETWORK]}],
    }


def write_configuration(path, config):
    path.write_text(json.dumps(config))  # JSON is YAML
