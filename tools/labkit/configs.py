# SPDX-License-Identifier: Apache-2.0
"""The configuration file of each daemon, as text."""
from __future__ import annotations

import json

from .topology import ANYCAST_AS, PREFIX4, PREFIX6, VIPS, Host, Session, Topology

BFD_INTERVAL_MS = 100
BFD_MULTIPLIER = 3
HASH_KEY = "8f0c1d2e3b4a59687786a5b4c3d2e1f0"
PROBE = {
    "type": "http", "path": "/healthz", "interval_ms": 100, "timeout_ms": 90, "rise": 2, "fall": 3,
}
# What the kernel gets for a NIC that the dataplane owns.
KERNEL_INTERFACE = "up0"
# Of probes through the data path, in the lab for tunnels. Routed to the balancer.
PROBE_SOURCES = {"v4": "172.20.0.0/24", "v6": "2001:db8:fe::/64"}
# Less would not change the failover; more would only make a run longer.
DATAPLANE_MEMORY_MB = 128
HOLD_DOWN_MS = 500


def port(host: Host) -> dict[str, str]:
    interface = host.attachments[0].interface
    if not host.owns_port:
        return {"name": "uplink", "af_xdp": interface}
    # This driver with its own program takes every packet, as a NIC that is bound to vfio-pci would.
    device = f"net_af_xdp0,iface={interface},start_queue=0,queue_count=1"
    return {"name": "uplink", "vdev": device, "kernel": KERNEL_INTERFACE}


MONITOR_PORT = 9473


def monitor_listen(host: Host) -> str:
    """Where a balancer's status page and metrics are."""
    return f"{host.attachments[0].address4}:{MONITOR_PORT}"


def pop_yaml(topology: Topology, host: Host) -> str:
    """pop.yaml of a balancer. JSON is YAML."""
    backends = topology.backends(host.pop)
    config = {
        "pop": host.pop.name,
        "bird": {"local_as": ANYCAST_AS},
        "dataplane": {
            "ports": [port(host)],
            "memory_mb": DATAPLANE_MEMORY_MB,
            "hash_key": HASH_KEY,
        },
        "monitor": {"http_listen": monitor_listen(host)},
        "services": [
            {
                "name": f"web{family[1]}", "vip": vip, "protocol": "tcp", "port": 80,
                "backends": [{"name": backend.name, "address": backend.address(family)} for backend in backends],
                "probe": PROBE | {"via": host.pop.probes},
            }
            for family, vip in VIPS.items()
        ],
        "announcements": [
            {
                "name": "web", "prefixes": [PREFIX4, PREFIX6], "min_healthy_percent": 50,
                "hold_down_ms": HOLD_DOWN_MS,
                # Each run of a scenario waits as long as the first.
                "flaps": {"latch_penalty": 0, "hold_down_max_ms": HOLD_DOWN_MS},
            }
        ],
    }
    if host.pop.probes == "dataplane":
        config["dataplane"]["probe_sources"] = list(host.probe_sources.values())
    return json.dumps(config, indent=2) + "\n"


def _bird_head(router_id: str) -> str:
    return f"""log stderr all;
router id {router_id};
timeformat protocol iso long us;
protocol device {{ }}
protocol bfd {{
  interface "*" {{
    interval {BFD_INTERVAL_MS} ms;
    idle tx interval {BFD_INTERVAL_MS} ms;
    multiplier {BFD_MULTIPLIER};
  }};
}}
"""


def _bird_session(session: Session, local_as: int, imports: str, exports: str) -> str:
    channel = "ipv4" if session.family == "v4" else "ipv6"
    return f"""protocol bgp {session.name} {{
  local {session.local} as {local_as};
  neighbor {session.remote} as {session.remote_as};
  bfd on;
  hold time 9;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  graceful restart off;
  {channel} {{ import {imports}; export {exports}; }};
}}
"""


def bird_transit(topology: Topology, host: Host) -> str:
    """A router: takes everything, gives its own networks and what it learned, and puts BGP's routes into the kernel."""
    text = _bird_head(host.attachments[0].address4)
    text += """protocol direct { ipv4; ipv6; }
protocol kernel kernel4 { merge paths on; ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel kernel6 { merge paths on; ipv6 { import none; export where source = RTS_BGP; }; }
"""
    for session in topology.sessions(host):
        exports = "all" if session.kind == "transit" else "none"
        text += _bird_session(session, host.transit.asn, "all", exports)
    return text


def bird_balancer(topology: Topology, host: Host) -> str:
    """A PoP: announces what `bgpctl render` wrote, and nothing else."""
    text = _bird_head(host.attachments[0].address4) + 'include "/etc/bird/anypop.conf";\n'
    for session in topology.sessions(host):
        text += _bird_session(session, ANYCAST_AS, "none", 'where proto ~ "anypop_*"')
    return text


def frr_files(topology: Topology, host: Host) -> dict[str, str]:
    """Of /etc/frr. One file for each daemon: each would stumble over the blocks of the others."""
    head = f"frr defaults traditional\nhostname {host.name}\n"
    bfdd = f"""bfd
 profile lab
  transmit-interval {BFD_INTERVAL_MS}
  receive-interval {BFD_INTERVAL_MS}
  detect-multiplier {BFD_MULTIPLIER}
"""
    return {
        "vtysh.conf": "no service integrated-vtysh-config\n", "zebra.conf": head, "bfdd.conf": head + bfdd,
        "bgpd.conf": head + _bgpd(topology, host),
    }


def _bgpd(topology: Topology, host: Host) -> str:
    sessions = topology.sessions(host)
    text = f"""router bgp {host.transit.asn}
 bgp router-id {host.attachments[0].address4}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 bgp bestpath compare-routerid
 bgp graceful-restart-disable
 timers bgp 3 9
"""
    for session in sessions:
        text += f""" neighbor {session.remote} remote-as {session.remote_as}
 neighbor {session.remote} description {session.name}
 neighbor {session.remote} timers connect 1
 neighbor {session.remote} bfd profile lab
"""
    for family, channel in (("v4", "ipv4 unicast"), ("v6", "ipv6 unicast")):
        text += f" address-family {channel}\n  redistribute connected\n"
        for session in sessions:
            if session.family == family:
                text += f"  neighbor {session.remote} activate\n"
                if session.kind == "pop":
                    text += f"  neighbor {session.remote} route-map nothing out\n"
        text += " exit-address-family\n"
    return text + "exit\nroute-map nothing deny 10\nexit\n"


def nginx(host: Host) -> str:
    # One process, so that SIGKILL ends all of it: killing only the master would leave workers that answer.
    return f"""daemon off;
master_process off;
error_log stderr warn;
pid /run/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/plain;
  tcp_nodelay on;
  keepalive_timeout 3600s;
  keepalive_requests 1000000;
  server {{
    listen 80 backlog=4096;
    listen [::]:80 ipv6only=on backlog=4096;
    location = /healthz {{ return 200 "ok\\n"; }}
    location / {{
      add_header X-Anypop "pop={host.pop.name} backend={host.name}";
      return 200 "pop={host.pop.name} backend={host.name}\\n";
    }}
  }}
}}
"""
