# SPDX-License-Identifier: Apache-2.0
"""A small lab for encapsulations: one balancer, two backends that are behind a router as well as on the balancer's link.

                       client 10.100.0.10
                         │ LAN clients
                       router ────────── LAN far ───┬──────────┐      10.N.0.0/24 and 2001:db8:N::/64: clients N=100,
                         │ LAN pop                  │ eth0     │ eth0       pop N=1, far N=9
                  ┌──────┴────────┬─────────────┐   │          │
               lb .2           b1 .11 eth1 ── b1    │       b2 .12 …
             dataplane         (l2 arrives here)    (tunnels arrive here; answers leave here)

The router sends the VIPs to lb. What the backends need is installed by anypop-backend, as on a server.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from . import daemons, facts, namespaces, network
from . import state as lab_state
from .configs import HASH_KEY, PROBE, PROBE_SOURCES
from .daemons import BIN, DATAPLANE, HEALTHMON, NGINX
from .errors import LabError
from .topology import PREFIX4, PREFIX6, VIPS, Host

LANS = {"clients": 100, "pop": 1, "far": 9}
HOSTS = {  # interface: (LAN, number)
    "client": {"eth0": ("clients", 10)},
    "router": {"clients": ("clients", 1), "pop": ("pop", 1), "far": ("far", 1)},
    "lb": {"eth0": ("pop", 2)},
    "b1": {"eth0": ("far", 11), "eth1": ("pop", 11)},
    "b2": {"eth0": ("far", 12), "eth1": ("pop", 12)},
}
BACKENDS = ("b1", "b2")
TUNNEL_SOURCES = ["172.16.0.0/16", "2001:db8:f::/64"]
DOWNLOAD_BYTES = 4_000_000
SLOW_START_MS = 3000  # with the monitor


def address(family: str, lan: str, number: int) -> str:
    return f"10.{LANS[lan]}.0.{number}" if family == "v4" else f"2001:db8:{LANS[lan]}::{number}"


def gateway_lan(host: str) -> str:
    return HOSTS[host]["eth0"][0]


class TunnelLab:
    """One lab at a time on a machine: hold lab_state.machine_lock(), and call lab.clean_up() at the end, whatever happens."""

    def __init__(self, build: Path):
        lab_state.require_root()
        self.inits: dict[str, int] = {}
        self.bin = (build / "bin").resolve()
        lab_state.STATE_DIR.mkdir(mode=0o755, exist_ok=True)
        self.log = lab_state.STATE_DIR / "setup.log"

    def up(self) -> TunnelLab:
        self.fabric = namespaces.start_outer(self.bin, self.log)
        lab_state.State(init_pid=self.fabric, init_start=lab_state.start_time(self.fabric)).save()
        for name in HOSTS:
            namespaces.start_host(self.fabric, name, self.log)
        for name in HOSTS:
            self.inits[name] = namespaces.find_host_init(name, self.log)
        self._cables()
        for name in HOSTS:
            self._configure(name)
        for name in BACKENDS:
            (self.root(name) / "etc/nginx/lab.conf").write_text(nginx(name))
            self.run(name, "sh", "-c", f"head -c {DOWNLOAD_BYTES} /dev/zero >/var/tmp/download")
            daemons.start(self.inits[name], Host(name, "backend"), NGINX)
        for name in BACKENDS:
            facts.wait_for(f"{name}: nginx answers", lambda n=name: self.run(
                n, "curl", "-sf", "--max-time", "1", "http://127.0.0.1/").returncode == 0)
        return self

    # --- hosts

    def root(self, host: str) -> Path:
        return Path(f"/proc/{self.inits[host]}/root")

    def run(self, host: str, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess:
        return subprocess.run(daemons.enter(self.inits[host], *command), capture_output=True, text=True, timeout=timeout_s)

    def check(self, host: str, *command: str) -> str:
        done = self.run(host, *command)
        if done.returncode != 0:
            raise LabError(f"{host}: {' '.join(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def agent(self, host: str, *arguments: str) -> str:
        return self.check(host, f"{BIN}/anypop-backend", *arguments)

    def curl(self, vip: str, *arguments: str, path: str = "/") -> str:
        url = f"http://[{vip}]{path}" if ":" in vip else f"http://{vip}{path}"
        return self.check("client", "curl", "-sS", "-f", "--max-time", "20", *arguments, url)

    def forget_path_mtu(self) -> None:
        """The client has learned from an earlier tunnel how large its packets may be."""
        for command in ("ip route flush cache", "ip -6 route flush cache", "ip tcp_metrics flush"):
            self.check("client", *command.split())

    # --- the balancer

    def start(self, forwarding: str, outer: str, monitored: bool = False) -> None:
        """Both VIPs with this forwarding; `outer` is the family of the backends' addresses, or "same" as the VIP's.
        `monitored`: with the monitor, whose probes go through the data path."""
        text = pop_yaml(forwarding, outer, "dataplane" if monitored else "direct")
        for host in ("lb", *BACKENDS):
            (self.root(host) / "etc/anypop/pop.yaml").write_text(text)
        for host in BACKENDS:
            self.agent(host, "install", "--config", "/etc/anypop/pop.yaml", "--backend", host)
        daemons.start(self.inits["lb"], Host("lb", "balancer"), DATAPLANE)
        facts.wait_for("lb: every next hop resolved", self._resolved)
        if monitored:
            daemons.start(self.inits["lb"], Host("lb", "balancer"), HEALTHMON)

    def stop(self) -> None:
        for daemon in ("healthmon", "dataplane"):
            pid = daemons.pid_of(self.inits["lb"], daemon)
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
                daemons.wait_gone(self.inits["lb"], daemon)
        for host in BACKENDS:
            self.agent(host, "remove")

    def services(self) -> list[dict]:
        return facts.daemon_get(self.inits["lb"], "dataplane", "/v1/state")["services"]

    def backend_states(self) -> list[dict]:
        return [backend for service in self.services() for backend in service["backends"]]

    def monitored(self) -> bool:
        """Has the monitor told the dataplane what it found at every backend?"""
        state = facts.daemon_get(self.inits["lb"], "healthmon", "/v1/state")
        return all(backend["healthy"] for service in state["services"] for backend in service["backends"])

    def verdicts(self) -> dict[str, int]:
        """Those that have seen packets."""
        stats = facts.daemon_get(self.inits["lb"], "dataplane", "/v1/stats")
        return {entry["verdict"]: entry["packets"] for entry in stats["verdicts"] if entry["packets"]}

    def decapsulated(self, host: str) -> dict[str, int]:
        """What the agent's program did on the backend, summed over its interfaces; those verdicts that have seen packets."""
        sums: dict[str, int] = {}
        for packets in json.loads(self.agent(host, "status", "--json"))["packets"].values():
            for verdict, count in packets.items():
                sums[verdict] = sums.get(verdict, 0) + count
        return {verdict: count for verdict, count in sums.items() if count}

    def _resolved(self) -> bool:
        if daemons.pid_of(self.inits["lb"], "dataplane") is None:
            raise LabError(f"lb: {namespaces.tail_line(daemons.log_path(self.inits['lb'], 'dataplane'))}")
        missing = [backend["next_hop"] for backend in self.backend_states() if not backend["resolved"]]
        if missing:
            raise LabError("; ".join(missing))
        return True

    # --- the network

    def _cables(self) -> None:
        lines = [f"link add {lan} type bridge stp_state 0 forward_delay 0 mcast_snooping 0" for lan in LANS]
        lines += [f"link set {lan} up" for lan in LANS]
        ports = []
        for host, interfaces in HOSTS.items():
            for interface, (lan, _) in interfaces.items():
                ports.append(f"{host}.{lan}")
                lines.append(f"link add {ports[-1]} type veth peer name {interface} netns {self.inits[host]}")
                lines.append(f"link set {ports[-1]} master {lan} up")
        network.ip_batch(self.fabric, lines)
        network.run(self.fabric, "; ".join(f"ethtool -K {port} {network.OFFLOADS_OFF}" for port in [*ports, *LANS]))

    def _configure(self, host: str) -> None:
        lines = []
        for interface, (lan, number) in HOSTS[host].items():
            lines.append(f"addr add {address('v4', lan, number)}/24 dev {interface}")
            lines.append(f"addr add {address('v6', lan, number)}/64 dev {interface} nodad")
            lines.append(f"link set {interface} up")
        for family, vip in VIPS.items():
            if host == "router":
                lines += [f"route add {to} via {address(family, 'pop', 2)}" for to in (vip, PROBE_SOURCES[family])]
            else:
                lines.append(f"route add default via {address(family, gateway_lan(host), 1)}")
        network.ip_batch(self.inits[host], lines)
        offloads = "; ".join(f"ethtool -K {interface} {network.OFFLOADS_OFF}" for interface in HOSTS[host])
        network.run(self.inits[host], offloads)
        if host == "router":
            network.run(self.inits[host], "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        elif host in BACKENDS:
            # Packets of l2 arrive on eth1, and the way back to the client is eth0: a strict filter would drop them.
            network.run(self.inits[host], "sysctl -qw net.ipv4.conf.eth1.rp_filter=1")


def pop_yaml(forwarding: str, outer: str, via: str = "direct") -> str:
    services = []
    for family, vip in VIPS.items():
        of_backends = family if outer == "same" else outer
        lan = "pop" if forwarding == "l2" else "far"
        service = {
            "name": f"web{family[1]}", "vip": vip, "protocol": "tcp", "port": 80, "forwarding": forwarding,
            "probe": PROBE | {"via": via},
            "backends": [{"name": name, "address": address(of_backends, lan, 11 + i)} for i, name in enumerate(BACKENDS)],
        }
        if via == "dataplane":
            service["slow_start_ms"] = SLOW_START_MS
        services.append(service | ({} if forwarding == "l2" else {"tunnel_source": TUNNEL_SOURCES}))
    config = {
        "pop": "lab", "services": services, "announcements": [{"name": "web", "prefixes": [PREFIX4, PREFIX6]}],
        "dataplane": {"ports": [{"name": "uplink", "af_xdp": "eth0"}], "hugepages": False, "memory_mb": 64,
                      "hash_key": HASH_KEY},
    }
    if via == "dataplane":
        config["dataplane"]["probe_sources"] = list(PROBE_SOURCES.values())
    return json.dumps(config, indent=2) + "\n"


def nginx(name: str) -> str:
    # An upload is answered only when all of it has arrived: the proxy buffers it first.
    return f"""daemon off;
master_process off;
error_log stderr warn;
pid /run/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type text/plain;
  server {{
    listen 80;
    listen [::]:80 ipv6only=on;
    location = / {{ return 200 "{name}\\n"; }}
    location = /healthz {{ return 200 "ok\\n"; }}
    location = /download {{ alias /var/tmp/download; }}
    location = /upload {{ client_max_body_size 64m; proxy_pass http://127.0.0.1:81/; }}
  }}
  server {{
    listen 127.0.0.1:81;
    client_max_body_size 64m;
    location / {{ return 200 "$content_length\\n"; }}
  }}
}}
"""
