# SPDX-License-Identifier: Apache-2.0
"""Questions to the running lab, and waiting for their answers. No question changes anything."""
from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from typing import Any, Callable

from .daemons import enter
from .errors import LabError
from .topology import PREFIXES


def wait_for(what: str, question: Callable[[], Any], deadline_s: float = 30, interval_s: float = 0.02) -> Any:
    """Asks until the answer is true and returns it. A question that fails counts as no. The interval grows to 0.1 s."""
    end = time.monotonic() + deadline_s
    last: Any = None
    while True:
        try:
            last = question()
            if last:
                return last
        except (OSError, ValueError, KeyError, http.client.HTTPException, LabError) as error:
            last = error
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {deadline_s:g} s; last seen: {last!r}")
        time.sleep(interval_s)
        interval_s = min(interval_s * 1.3, 0.1)


def bird(init: int, command: str) -> str:
    """The answer on BIRD's control socket, codes removed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(f"/proc/{init}/root/run/bird/bird.ctl")
        reader = client.makefile("r", encoding="utf-8", errors="replace")
        _bird_reply(reader)
        client.sendall(command.encode() + b"\n")
        return _bird_reply(reader)


def _bird_reply(reader) -> str:
    lines = []
    for line in reader:
        line = line.rstrip("\n")
        if re.match(r"\d{4}[- ]", line):
            lines.append(line[5:])
            if line[4] == " ":
                return "\n".join(lines)
        elif line.startswith(" "):
            lines.append(line[1:])
    raise LabError("BIRD closed its control socket in the middle of an answer")


def bird_established(init: int, session: str) -> bool:
    return "Established" in bird(init, f'show protocols "{session}"').split()


def bird_bfd_up(init: int) -> set[str]:
    """Addresses of the neighbours whose BFD session is up."""
    rows = [line.split() for line in bird(init, "show bfd sessions").splitlines()]
    return {row[0] for row in rows if len(row) > 2 and row[2] == "Up"}


def bird_updates(init: int, session: str) -> int:
    """How many routes and withdrawals a BIRD has ever received on a session."""
    found = re.findall(r"Import (?:updates|withdraws): +(\d+)", bird(init, f'show protocols all "{session}"'))
    if len(found) != 2:
        raise LabError(f"BIRD does not count the updates of {session}")
    return sum(map(int, found))


def bird_route_from(init: int, session: str, prefix: str) -> str:
    """A route with its attributes as a BIRD has it from one session; empty: it has none."""
    answer = bird(init, f"show route {prefix} protocol {session} all")
    return answer if prefix in answer else ""


def vtysh(init: int, command: str) -> str:
    done = subprocess.run(enter(init, "vtysh", "-c", command), capture_output=True, text=True, timeout=10)
    return done.stdout


def frr_sessions(init: int) -> dict[str, str]:
    """State of each BGP neighbour, by address."""
    summary = json.loads(vtysh(init, "show bgp summary json"))
    return {
        address: peer["state"] for family in summary.values() if isinstance(family, dict)
        for address, peer in family.get("peers", {}).items()
    }


def frr_bfd_up(init: int) -> set[str]:
    return {peer["peer"] for peer in json.loads(vtysh(init, "show bfd peers json")) if peer["status"] == "up"}


def gateways(init: int, family: str) -> set[str]:
    """The next hops to which a host's kernel sends the anycast prefix."""
    command = enter(init, "ip", "-j", "-4" if family == "v4" else "-6", "route", "show", PREFIXES[family])
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return {hop["gateway"] for entry in json.loads(done.stdout or "[]") for hop in entry.get("nexthops", [entry])
            if "gateway" in hop}


def route(init: int, family: str) -> list[str]:
    """The interfaces to which a host's kernel sends the anycast prefix; empty if it has no route."""
    command = enter(init, "ip", "-j", "-4" if family == "v4" else "-6", "route", "show", PREFIXES[family])
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    interfaces = []
    for entry in json.loads(done.stdout or "[]"):
        hops = entry.get("nexthops", [entry])
        interfaces += [hop["dev"] for hop in hops if "dev" in hop]
    return interfaces


class _UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def daemon_get(init: int, daemon: str, path: str, timeout_s: float = 1) -> Any:
    """GET of JSON on a daemon's control socket."""
    connection = _UnixHttp(f"/proc/{init}/root/run/anypop/{daemon}.sock", timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise LabError(f"{daemon}: GET {path}: {response.status} {body[:200]!r}")
        return json.loads(body)
    finally:
        connection.close()


def answer(init: int, vip: str) -> dict[str, str]:
    """Who answers a client at this VIP: {"pop": "ams", "backend": "ams-b1"}; empty if nobody does."""
    url = f"http://[{vip}]/" if ":" in vip else f"http://{vip}/"
    done = subprocess.run(enter(init, "curl", "-sg", "--max-time", "1", url), capture_output=True, text=True)
    return dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
