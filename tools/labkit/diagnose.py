# SPDX-License-Identifier: Apache-2.0
"""Everything that helps to find out why something failed, written into a folder."""
from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path
from typing import Callable

from . import daemons, facts
from .lab import Lab

TAIL_LINES = 6
KERNEL = ("ip addr", "ip -s link", "ip -4 route", "ip -6 route", "ip neigh", "ss -tanp", "cat /proc/net/snmp")


def dump(lab: Lab, folder: Path) -> str:
    """Returns the ends of the logs, for the terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    tails = []
    for host in lab.topology.hosts.values():
        own = folder / host.name
        own.mkdir(exist_ok=True)
        for daemon in daemons.daemons_of(host):
            path = daemons.log_path(lab.init(host.name), daemon.name)
            _attempt(own / f"{daemon.name}.log", lambda p=path: p.read_text(errors="replace"))
            lines = (own / f"{daemon.name}.log").read_text().splitlines()[-TAIL_LINES:]
            alive = daemons.pid_of(lab.init(host.name), daemon.name) is not None
            tails.append(f"--- {host.name} {daemon.name}{'' if alive else ' (DEAD)'}\n" + "\n".join(lines))
        _attempt(own / "kernel.txt", lambda h=host: _commands(lab, h.name, KERNEL))
        _dump_routing(lab, host, own)
        if host.role == "balancer":
            _dump_balancer(lab, host.name, own)
    return "\n".join(tails)


def _dump_routing(lab: Lab, host, own: Path) -> None:
    init = lab.init(host.name)
    if (lab.root(host.name) / "run/bird/bird.ctl").exists():
        words = ("show status", "show protocols all", "show bfd sessions", "show route all")
        _attempt(own / "bird.txt", lambda: "\n".join(f"> {w}\n{facts.bird(init, w)}\n" for w in words))
    elif host.role == "transit":
        words = ("show bgp summary", "show bfd peers", "show bgp ipv4 unicast", "show bgp ipv6 unicast",
                 "show ip route", "show ipv6 route", "show bgp neighbors")
        _attempt(own / "frr.txt", lambda: "\n".join(f"> {w}\n{facts.vtysh(init, w)}\n" for w in words))


def _dump_balancer(lab: Lab, host: str, own: Path) -> None:
    init = lab.init(host)
    for daemon, path in (("dataplane", "/v1/state"), ("dataplane", "/v1/stats"), ("healthmon", "/v1/state")):
        _attempt(own / f"{daemon}-{path.rsplit('/', 1)[1]}.json",
                 lambda d=daemon, p=path: json.dumps(facts.daemon_get(init, d, p), indent=2))
    for name in ("events.jsonl", "holds"):
        source = lab.root(host) / "var/lib/anypop" / name
        if source.is_dir():
            shutil.copytree(source, own / name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy(source, own / name)


def _commands(lab: Lab, host: str, commands: tuple[str, ...]) -> str:
    return "\n".join(f"$ {c}\n{lab.run(host, *c.split()).stdout}" for c in commands)


def _attempt(path: Path, question: Callable[[], str]) -> None:
    try:
        path.write_text(question())
    except (OSError, ValueError, http.client.HTTPException, RuntimeError) as error:
        path.write_text(f"not to be had: {error}\n")
    except Exception as error:  # noqa: BLE001 a dump of a broken lab takes what it can get
        path.write_text(f"not to be had: {type(error).__name__}: {error}\n")
