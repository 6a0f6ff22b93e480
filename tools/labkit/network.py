# SPDX-License-Identifier: Apache-2.0
"""Interfaces, bridges, addresses and kernel settings, from the topology."""
from __future__ import annotations

import subprocess

from .errors import LabError
from .topology import VIP4, VIP6, Host, Topology

# A veth hands over TCP segments with unfinished checksums and larger than the MTU; the dataplane would carry them on as
# they are.
OFFLOADS_OFF = "tx off tso off gso off gro off"

ROLE_SYSCTLS = {
    # Of several ways of the same length a flow takes one, by its addresses and ports.
    "transit": ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.fib_multipath_hash_policy=1",
                "net.ipv6.fib_multipath_hash_policy=1"],
    # DSR: the backend owns the VIP, but must not answer ARP for it on the LAN, nor use it as a sender there.
    "backend": ["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"],
    "client": ["net.ipv4.ip_local_port_range=10000 65000", "net.ipv4.tcp_tw_reuse=1"],
    "balancer": [],
}


def port_name(host: str, lan: str, topology: Topology) -> str:
    """The switch's side of the cable, in the fabric."""
    return host if len(topology.hosts[host].attachments) == 1 else f"{host}.{lan}"


def build(topology: Topology, fabric: int, inits: dict[str, int], configure=None) -> None:
    """`fabric` and `inits` are pids whose network namespaces are meant; `configure` instead of configure_host()."""
    lines = []
    for lan in topology.lans:
        lines.append(f"link add {lan} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {lan} up")
    ports = []
    for host in topology.hosts.values():
        for attachment in host.attachments:
            port = port_name(host.name, attachment.lan, topology)
            ports.append(port)
            # In two steps: the port's name may be the peer's, and the two must not meet in one namespace.
            lines.append(f"link add {port} type veth peer name {attachment.interface} netns {inits[host.name]}")
            lines.append(f"link set {port} master {attachment.lan} up")
    ip_batch(fabric, lines)
    run(fabric, "; ".join(f"ethtool -K {port} {OFFLOADS_OFF}" for port in [*ports, *topology.lans]))
    for host in topology.hosts.values():
        (configure or configure_host)(host, inits[host.name])
    for backend in topology.backends() if configure is None else []:
        # What a PoP's routers would know.
        ip_batch(inits[backend.name], [
            f"route add {balancer.probe_sources[family]} via {balancer.address(family)}"
            for balancer in topology.balancers(backend.pop) for family in ("v4", "v6") if backend.pop.probes == "dataplane"])


def address_lines(host: Host, interface: str = "") -> list[str]:
    """Addresses and gateways, for ip -batch; of a host's own interfaces, or of what stands for its only one."""
    lines = []
    for attachment in host.attachments:
        device = interface or attachment.interface
        lines.append(f"addr replace {attachment.address4}/24 dev {device}")
        lines.append(f"addr replace {attachment.address6}/64 dev {device}" + (" nodad" if interface else ""))
        lines.append(f"link set {device} up")
    if host.gateway4:
        lines += [f"route replace default via {host.gateway4}", f"route replace default via {host.gateway6}"]
    return lines


def configure_host(host: Host, init: int) -> None:
    sysctls = ROLE_SYSCTLS[host.role]
    if sysctls:
        run(init, "sysctl -qw " + " ".join(f"'{setting}'" for setting in sysctls))
    if host.owns_port:  # the dataplane's own interface gets the addresses, when there is one
        lines = [f"link set {a.interface} addrgenmode none up" for a in host.attachments]
    else:
        lines = address_lines(host)
    if host.role == "backend":
        lines += [f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo"]
    ip_batch(init, lines)
    run(init, "; ".join(f"ethtool -K {a.interface} {OFFLOADS_OFF}" for a in host.attachments))


def set_port(topology: Topology, fabric: int, host: str, lan: str, up: bool) -> None:
    """Pulls or plugs a host's cable: the host loses the carrier."""
    ip_batch(fabric, [f"link set {port_name(host, lan, topology)} {'up' if up else 'down'}"])


def ip_batch(pid: int, lines: list[str]) -> None:
    _checked(["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"], "\n".join(lines) + "\n")


def run(pid: int, script: str) -> None:
    """A shell in the network namespace (and, for /proc/sys, the mount namespace) of a process."""
    _checked(["nsenter", "-t", str(pid), "-n", "-m", "-p", "sh", "-euc", script], "")


def _checked(command: list[str], text: str) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
