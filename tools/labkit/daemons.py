# SPDX-License-Identifier: Apache-2.0
"""The daemons of each host: what is run, and the hand that starts and stops them. The lab is their supervisor."""
from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from . import namespaces, network
from .configs import KERNEL_INTERFACE
from .errors import LabError
from .topology import Host

BIN = namespaces.BIN_DIR


@dataclass(frozen=True)
class Daemon:
    name: str
    command: tuple[str, ...]
    before: str = ""  # shell, run to its end before every start
    after: str = ""  # the same after it


_FRR = ("-u", "frr", "-g", "frr", "--log", "stdout")
_BIRD = ("bird", "-f", "-u", "bird", "-g", "bird")

BIRD = Daemon("bird", _BIRD)
ZEBRA = Daemon("zebra", ("/usr/lib/frr/zebra", "-f", "/etc/frr/zebra.conf", *_FRR))
BFDD = Daemon("bfdd", ("/usr/lib/frr/bfdd", "-f", "/etc/frr/bfdd.conf", *_FRR))
BGPD = Daemon("bgpd", ("/usr/lib/frr/bgpd", "-f", "/etc/frr/bgpd.conf", *_FRR))
NGINX = Daemon("nginx", ("nginx", "-c", "/etc/nginx/lab.conf"), before="mkdir -p /var/log/nginx")
# Nothing is announced at boot: the state files must be there before BIRD reads them.
POP_BIRD = Daemon("bird", _BIRD, before=f"{BIN}/bgpctl init")
DATAPLANE = Daemon("dataplane", (f"{BIN}/anypop-dataplane", "--config", "/etc/anypop/pop.yaml"))
HEALTHMON = Daemon("healthmon", (f"{BIN}/anypop-healthmon", "--config", "/etc/anypop/pop.yaml"))


def _owning_dataplane(host: Host) -> Daemon:
    """Its interface for the kernel gets its addresses as soon as it is there: systemd-networkd's work on a server."""
    lines = "\n".join(network.address_lines(host, KERNEL_INTERFACE))
    after = (f"n=0; until ip link show {KERNEL_INTERFACE} >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 500 ]; sleep 0.02; "
             f"done; ip -batch - <<'END'\n{lines}\nEND\n")
    return replace(DATAPLANE, after=after)


def daemons_of(host: Host) -> list[Daemon]:
    """In the order in which they start."""
    if host.owns_port:
        return [_owning_dataplane(host), POP_BIRD, HEALTHMON]
    if host.role == "transit":
        return [BIRD] if host.transit.software == "bird" else [ZEBRA, BFDD, BGPD]
    return {"backend": [NGINX], "balancer": [POP_BIRD, DATAPLANE, HEALTHMON]}.get(host.role, [])


def log_path(init: int, daemon: str) -> Path:
    return Path(f"/proc/{init}/root/var/log/lab/{daemon}.log")


def enter(init: int, *command: str) -> list[str]:
    """The command line that runs `command` in a host."""
    return ["nsenter", "-t", str(init), "-m", "-u", "-n", "-p", *command]


def _run(init: int, host: Host, script: str) -> None:
    done = subprocess.run(enter(init, "sh", "-euc", script), capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"{host.name}: {script}: {(done.stderr or done.stdout).strip()}")


def start(init: int, host: Host, daemon: Daemon) -> None:
    """Returns once it is started; whether it works is a question for facts.py."""
    if daemon.before:
        _run(init, host, daemon.before)
    script = (
        f'echo $$ >/run/lab/{daemon.name}.pid; exec "$@" >>/var/log/lab/{daemon.name}.log 2>&1 </dev/null'
    )
    environment = {**os.environ, namespaces.MARKER: host.name}
    command = enter(init, "setsid", "--fork", "sh", "-euc", script, "sh", *daemon.command)
    _forget_pid(init, daemon.name)
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while pid_of(init, daemon.name) is None:
        if time.monotonic() > end:
            tail = namespaces.tail_line(log_path(init, daemon.name))
            raise LabError(f"{host.name}: {daemon.name} ended as soon as it started: {tail}")
        time.sleep(0.005)
    if daemon.after:
        _run(init, host, daemon.after)


def pid_of(init: int, daemon: str) -> int | None:
    """Our pid of a running daemon; None if it does not run."""
    try:
        inner = int(_pid_file(init, daemon).read_text())
    except (FileNotFoundError, ValueError, OSError):
        return None
    return namespaces.outer_pid_of(init, inner)


def wait_gone(init: int, daemon: str, deadline_s: float = 10) -> None:
    end = time.monotonic() + deadline_s
    while pid_of(init, daemon) is not None:
        if time.monotonic() > end:
            raise LabError(f"{daemon}: still running {deadline_s:g} s after its signal")
        time.sleep(0.005)


def _pid_file(init: int, daemon: str) -> Path:
    return Path(f"/proc/{init}/root/run/lab/{daemon}.pid")


def _forget_pid(init: int, daemon: str) -> None:
    _pid_file(init, daemon).unlink(missing_ok=True)
