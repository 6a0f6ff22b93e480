# SPDX-License-Identifier: Apache-2.0
r"""A switch with a client, the balancer and two backends on it, each in a namespace of its own.

    client ──┐          ┌── b1   owns the VIPs on lo, answers the client itself and names itself
    .2       ├── switch ┤   .11
    lb ──────┘          └── b2   the same
    .1  the dataplane    .12
"""
import json
import os
import subprocess
import sys

from support import VIP4, VIP6, run, wait_for

ADDRESSES = {"client": 2, "lb": 1, "b1": 11, "b2": 12}
SERVER = os.path.join(os.path.dirname(__file__), "name_server.py")


class Network:
    def __init__(self):
        self.tag = f"dp{os.getpid() % 100000}"
        self.namespaces = []
        self.servers = []

    def space(self, host):
        return f"{self.tag}-{host}"

    def within(self, host):
        return ("ip", "netns", "exec", self.space(host))

    def ip(self, host, *arguments):
        return run("ip", "-n", self.space(host), *arguments).stdout

    def add_namespace(self, host):
        run("ip", "netns", "add", self.space(host))
        self.namespaces.append(host)
        run(*self.within(host), "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        self.ip(host, "link", "set", "lo", "up")

    def up(self):
        self.add_namespace("switch")
        self.ip("switch", "link", "add", "br0", "type", "bridge")
        self.ip("switch", "link", "set", "br0", "up")
        for host, number in ADDRESSES.items():
            self.add_namespace(host)
            self.ip(host, "link", "add", "eth0", "type", "veth", "peer", "name", host, "netns", self.space("switch"))
            self.ip("switch", "link", "set", host, "master", "br0", "up")
            # A veth sends unfinished checksums and oversized segments, which the dataplane would carry on.
            for place, device in ((host, "eth0"), ("switch", host)):
                run(*self.within(place), "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            self.ip(host, "link", "set", "eth0", "up")
            self.ip(host, "addr", "add", f"10.1.0.{number}/24", "dev", "eth0")
            self.ip(host, "addr", "add", f"2001:db8:a::{number}/64", "dev", "eth0", "nodad")
        self.ip("client", "route", "add", VIP4, "via", "10.1.0.1")
        self.ip("client", "route", "add", VIP6, "via", "2001:db8:a::1")
        for host in ("b1", "b2"):
            self.ip(host, "addr", "add", f"{VIP4}/32", "dev", "lo")
            self.ip(host, "addr", "add", f"{VIP6}/128", "dev", "lo", "nodad")
            self.servers.append(subprocess.Popen([*self.within(host), sys.executable, SERVER, host, VIP4, VIP6]))
        for host in ("b1", "b2"):
            for own in (f"10.1.0.{ADDRESSES[host]}", f"2001:db8:a::{ADDRESSES[host]}"):
                wait_for(f"{host} answers at {own}", lambda o=own: self.ask("tcp", o) is not None)
        return self

    def down(self):
        for server in self.servers:
            server.kill()
            server.wait()
        for host in self.namespaces:
            subprocess.run(["ip", "netns", "del", self.space(host)], check=False)

    def ask(self, protocol, address, timeout_s=2, host="client", source=None):
        """The backend that answers the client (or another host), or None."""
        result = run(*self.within(host), sys.executable, SERVER, "--ask", protocol, address, str(timeout_s),
                     *([source] if source else []), check=False)
        return result.stdout.strip() or None

    def ping(self, host, address):
        return run(*self.within(host), "ping", "-c", "1", "-W", "2", address, check=False).returncode == 0

    def mac(self, host):
        return json.loads(self.ip(host, "-j", "link", "show", "eth0"))[0]["address"]

    def xdp_program(self, host="lb"):
        """The name of the interface's XDP program, or None."""
        program = json.loads(self.ip(host, "-j", "link", "show", "eth0"))[0].get("xdp")
        return program and program["prog"]["name"]
