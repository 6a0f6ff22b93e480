# SPDX-License-Identifier: Apache-2.0
"""The inventory of the test bed: the example's, with the bed's hosts and the times of a test."""
from __future__ import annotations

import json
from pathlib import Path

from labkit.topology import Topology

from bed import KEY, SSH_OPTIONS

MONITORING = "lon-b1"  # has Prometheus besides
# Probes more often than the example's, so that a test waits less; deadlines longer, so that a machine that is short of
# processors takes no balancer for dead.
PROBE = {"type": "http", "path": "/healthz", "interval_ms": 500, "timeout_ms": 1500, "rise": 2, "fall": 3}


def write(folder: Path, topology: Topology, **changes) -> None:
    """Into a copy of the example; JSON is YAML. `changes` are variables that are another than in the beginning."""
    balancers, backends = topology.balancers(), topology.backends()
    groups = {
        "monitoring": {"hosts": {MONITORING: {}}},
        "balancers": {"hosts": {h.name: {"anypop_bird_router_id": h.address("v4"), "anypop_bird_neighbors": _sessions(topology, h)}
                                for h in balancers}},
        "backends": {"hosts": {h.name: {"anypop_backend_address4": h.address("v4"), "anypop_backend_address6": h.address("v6")}
                               for h in backends}},
    }
    for pop in topology.pops:
        members = [h for h in [*balancers, *backends] if h.pop.name == pop]
        groups[pop] = {"hosts": {h.name: {"ansible_host": h.address("v4")} for h in members}, "vars": {"anypop_pop": pop}}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"children": groups}}, indent=2))
    (folder / "group_vars/all/zz_bed.yml").write_text(json.dumps(_variables() | changes, indent=2))


def services(**changes) -> list[dict]:
    """anypop_services as the bed has them, with changes to the first."""
    found = [{"name": f"web{family}", "vip": vip, "protocol": "tcp", "port": 80, "probe": PROBE}
             for family, vip in (("4", "198.51.100.1"), ("6", "2001:db8:53::1"))]
    found[0] |= changes
    return found


def _variables() -> dict:
    return {
        "ansible_ssh_private_key_file": KEY,
        "ansible_ssh_common_args": " ".join(SSH_OPTIONS),
        "anypop_services": services(),
        "anypop_announcements": [{"name": "web", "prefixes": ["198.51.100.0/24", "2001:db8:53::/48"],
                                  "min_healthy_percent": 50, "hold_down_ms": 500,
                                  "flaps": {"latch_penalty": 0, "hold_down_max_ms": 500}}],
        "anypop_dataplane": {"ports": [{"name": "uplink", "af_xdp": "eth0"}]},
        "anypop_monitoring_grafana": True,
        "anypop_host_hugepages": 0,  # a container cannot reserve them; the bed has
        "anypop_host_sysctl": {"net.core.somaxconn": 4096},
        "anypop_monitor": {"http_listen": "{{ ansible_host }}:9473", "heartbeat_timeout_ms": 3000},
        "anypop_bird_bfd_multiplier": 10,
        "anypop_drain_deadline": "20s",
        "anypop_undrain_deadline": "60s",
        "anypop_announce_timeout": "60s",
    }


def _sessions(topology: Topology, host) -> list[dict]:
    return [{"name": s.name, "address": s.remote, "local": s.local, "as": s.remote_as,
             "password": "{{ vault_bird_passwords[anypop_pop] }}"} for s in topology.sessions(host)]
