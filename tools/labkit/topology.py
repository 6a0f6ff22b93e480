# SPDX-License-Identifier: Apache-2.0
"""The lab as data: who is there, on which networks, with which addresses. Everything else is derived from this file.

A further PoP is one more line in POPS; a second balancer in a PoP is `balancers=2`.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

ANYCAST_AS = 64512
VIP4, VIP6 = "198.51.100.1", "2001:db8:53::1"
PREFIX4, PREFIX6 = "198.51.100.0/24", "2001:db8:53::/48"
VIPS = {"v4": VIP4, "v6": VIP6}
PREFIXES = {"v4": PREFIX4, "v6": PREFIX6}


@dataclass(frozen=True)
class Transit:
    name: str
    asn: int
    software: str  # "bird" or "frr"


@dataclass(frozen=True)
class Pop:
    name: str
    number: int  # of its LAN: 10.N.0.0/24 and 2001:db8:N::/64
    transit: str
    balancers: int = 1
    backends: int = 2
    port: str = "af_xdp"  # or "punt": the dataplane has eth0 to itself, and the kernel gets up0 instead
    probes: str = "direct"  # or "dataplane": through the data path


TRANSITS = (Transit("t1", 65001, "bird"), Transit("t2", 65002, "frr"))
POPS = (Pop("ams", 1, "t1"), Pop("fra", 2, "t2"))
# What `tools/lab up --variant` knows: the PoPs, and what is special about them.
VARIANTS = {
    "standard": (POPS, "two PoPs of one balancer each, which leaves the NIC to the kernel"),
    "punt": (
        tuple(replace(pop, port="punt", probes="dataplane") for pop in POPS),
        "the dataplanes own their NICs: BGP, ARP and all else reach the kernel through them, probes go the clients' way",
    ),
    "pair": (
        (replace(POPS[0], balancers=2), *POPS[1:]),
        "two balancers in ams that ask the backends directly",
    ),
    "ecmp": (
        (replace(POPS[0], balancers=2, backends=3, probes="dataplane"), *POPS[1:]),
        "two balancers in ams, over which its router spreads the flows, and which probe through themselves",
    ),
}
CLIENT_TRANSIT = "t1"  # the client's gateway; the PoPs behind it are the nearest ones
CLIENT_LAN_NUMBER = 100
CORE_LAN_NUMBER = 200  # further links between transits count on from here


@dataclass(frozen=True)
class Attachment:
    """A host's interface on a LAN."""

    lan: str
    interface: str
    address4: str
    address6: str


@dataclass(frozen=True)
class Lan:
    name: str
    number: int

    def address4(self, host: int) -> str:
        return f"10.{self.number}.0.{host}"

    def address6(self, host: int) -> str:
        return f"2001:db8:{self.number}::{host}"

    def address(self, family: str, host: int) -> str:
        return self.address4(host) if family == "v4" else self.address6(host)


@dataclass
class Host:
    name: str
    role: str  # "client", "transit", "balancer" or "backend"
    pop: Pop | None = None
    transit: Transit | None = None
    attachments: list[Attachment] = field(default_factory=list)
    gateway4: str = ""
    gateway6: str = ""

    def on(self, lan: str) -> Attachment:
        return next(a for a in self.attachments if a.lan == lan)

    @property
    def owns_port(self) -> bool:
        """Of a balancer: has its dataplane the NIC to itself?"""
        return self.role == "balancer" and self.pop.port == "punt"

    @property
    def probe_sources(self) -> dict[str, str]:
        """Of a balancer: the addresses that its probes through the data path come from."""
        number = int(self.attachments[0].address4.rsplit(".", 1)[1])
        return {"v4": f"172.20.{16 * self.pop.number + number}.0/24", "v6": f"2001:db8:fe{self.pop.number:02x}:{number}::/64"}

    def address(self, family: str) -> str:
        """Of a host that is on one LAN only."""
        return self.attachments[0].address4 if family == "v4" else self.attachments[0].address6


@dataclass
class Session:
    """A BGP session, seen from one side. One for each family; `name` says which: ams_lb1_v4."""

    name: str
    family: str
    local: str
    remote: str
    remote_as: int
    kind: str  # "transit" or "pop": what the other side is
    remote_host: str


class Topology:
    def __init__(self, pops=POPS, transits=TRANSITS, client_transit=CLIENT_TRANSIT):
        self.pops = {pop.name: pop for pop in pops}
        self.transits = {transit.name: transit for transit in transits}
        self.client_transit = client_transit
        self.lans: dict[str, Lan] = {}
        self.hosts: dict[str, Host] = {}
        self._build(list(pops), list(transits))

    # The PoP that the client's router prefers while everything works.
    @property
    def preferred(self) -> Pop:
        near = [pop for pop in self.pops.values() if pop.transit == self.client_transit]
        return min(near, key=lambda pop: pop.number)  # at the same distance the lowest router ID wins

    def balancers(self, pop: Pop | None = None) -> list[Host]:
        return [h for h in self.hosts.values() if h.role == "balancer" and (pop is None or h.pop == pop)]

    def backends(self, pop: Pop | None = None) -> list[Host]:
        return [h for h in self.hosts.values() if h.role == "backend" and (pop is None or h.pop == pop)]

    def transit_hosts(self) -> list[Host]:
        return [h for h in self.hosts.values() if h.role == "transit"]

    def sessions(self, host: Host) -> list[Session]:
        """The BGP sessions of a transit or a balancer."""
        found = []
        for other in self.hosts.values():
            if other is host or "backend" in (host.role, other.role) or "client" in (host.role, other.role):
                continue
            if host.role == other.role == "balancer":
                continue
            shared = {a.lan for a in host.attachments} & {a.lan for a in other.attachments}
            for lan in sorted(shared):
                found += [self._session(host, other, lan, family) for family in ("v4", "v6")]
        return found

    def _session(self, host: Host, other: Host, lan: str, family: str) -> Session:
        mine, theirs = host.on(lan), other.on(lan)
        local, remote = (mine.address4, theirs.address4) if family == "v4" else (mine.address6, theirs.address6)
        name = f"{other.name.replace('-', '_')}_{family}"
        remote_as = other.transit.asn if other.transit else ANYCAST_AS
        return Session(name, family, local, remote, remote_as, "transit" if other.transit else "pop", other.name)

    def _build(self, pops: list[Pop], transits: list[Transit]) -> None:
        for index, transit in enumerate(transits, start=1):
            self.hosts[transit.name] = Host(transit.name, "transit", transit=transit)
            for other in transits[: index - 1]:
                lan = self._lan(f"{other.name}{transit.name}", CORE_LAN_NUMBER + len(self.lans))
                self._attach(self.hosts[other.name], lan, 1)
                self._attach(self.hosts[transit.name], lan, 2)
        clients = self._lan("clients", CLIENT_LAN_NUMBER)
        self._attach(self.hosts[self.client_transit], clients, 1)
        self._attach(self._leaf(Host("client", "client"), clients), clients, 10)
        for pop in pops:
            lan = self._lan(pop.name, pop.number)
            self._attach(self.hosts[pop.transit], lan, 1)
            for n in range(1, pop.balancers + 1):
                self._attach(self._leaf(Host(f"{pop.name}-lb{n}", "balancer", pop), lan), lan, 1 + n)
            for n in range(1, pop.backends + 1):
                self._attach(self._leaf(Host(f"{pop.name}-b{n}", "backend", pop), lan), lan, 10 + n)

    def _lan(self, name: str, number: int) -> Lan:
        self.lans[name] = Lan(name, number)
        return self.lans[name]

    def _leaf(self, host: Host, lan: Lan) -> Host:
        host.gateway4, host.gateway6 = lan.address4(1), lan.address6(1)
        self.hosts[host.name] = host
        return host

    def _attach(self, host: Host, lan: Lan, number: int) -> None:
        # A router's interface bears its LAN's name, so that a route's interface names the PoP.
        interface = lan.name if host.role == "transit" else "eth0"
        host.attachments.append(Attachment(lan.name, interface, lan.address4(number), lan.address6(number)))
