# SPDX-License-Identifier: Apache-2.0
"""Writes down every change of the anycast routes in this network namespace, as a program of its own in a router.

    python3 routewatch.py SECONDS v4=198.51.100.0/24 v6=2001:db8:53::/48

One JSON object a line: {"unix_ns", "family": "v4"|"v6", "action": "add"|"del", "interfaces": [...]}; the first is
{"ready": true}. The time is taken before anything is parsed. rtnetlink(7).
"""
import ipaddress
import json
import os
import signal
import socket
import struct
import sys
import time

RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
RTA_DST, RTA_OIF, RTA_MULTIPATH = 1, 4, 9
NLMSG_HEADER, ROUTE_MESSAGE, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBBBBBI"), struct.Struct("=HH")
NEXT_HOP = struct.Struct("=HBBi")


def aligned(length: int) -> int:
    return (length + 3) & ~3


def attributes(data: bytes):
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[ATTRIBUTE.size:length]
        data = data[aligned(length):]


def interfaces_of(found: dict) -> list:
    indices = []
    if RTA_OIF in found:
        indices.append(struct.unpack("=i", found[RTA_OIF])[0])
    hops = found.get(RTA_MULTIPATH, b"")
    while len(hops) >= NEXT_HOP.size:
        length, _flags, _hops, index = NEXT_HOP.unpack_from(hops)
        indices.append(index)
        hops = hops[max(aligned(length), NEXT_HOP.size):]
    names = []
    for index in indices:
        try:
            names.append(socket.if_indextoname(index))
        except OSError:
            names.append(str(index))  # the interface has gone meanwhile
    return names


def changes(datagram: bytes, families: dict):
    while len(datagram) >= NLMSG_HEADER.size:
        length, kind, _flags, _sequence, _port = NLMSG_HEADER.unpack_from(datagram)
        if length < NLMSG_HEADER.size:
            return
        body, datagram = datagram[NLMSG_HEADER.size:length], datagram[aligned(length):]
        if kind not in (RTM_NEWROUTE, RTM_DELROUTE):
            continue
        bits = ROUTE_MESSAGE.unpack_from(body)[1]
        found = dict(attributes(body[aligned(ROUTE_MESSAGE.size):]))
        if RTA_DST not in found:
            continue
        family = families.get(ipaddress.ip_network((found[RTA_DST], bits), strict=False))
        if family:
            action = "add" if kind == RTM_NEWROUTE else "del"
            yield {"family": family, "action": action, "interfaces": interfaces_of(found)}


def main() -> None:
    signal.alarm(int(float(sys.argv[1])) + 1)  # never outlives its run for long
    families = {ipaddress.ip_network(prefix): name for name, prefix in (word.split("=") for word in sys.argv[2:])}
    watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    watch.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
    os.nice(-10)  # the time it takes to wake up is an error of the measurement
    print(json.dumps({"ready": True}), flush=True)
    while True:
        datagram = watch.recv(65536)
        now = time.time_ns()
        for change in changes(datagram, families):
            print(json.dumps({"unix_ns": now, **change}), flush=True)


if __name__ == "__main__":
    main()
