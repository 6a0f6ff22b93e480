# SPDX-License-Identifier: Apache-2.0
"""What `tools/lab status` says."""
from __future__ import annotations

import http.client
from typing import Any

from . import daemons, facts
from .errors import LabError
from .lab import Lab
from .topology import VIPS


def report(lab: Lab) -> dict[str, Any]:
    hosts = {}
    for host in lab.topology.hosts.values():
        entry: dict[str, Any] = {
            "role": host.role, "addresses": [a for t in host.attachments for a in (t.address4, t.address6)],
            "daemons": {d.name: _asked(lambda h=host, d=d: "up" if lab.daemon_answers(h.name, d.name) else "silent")
                        for d in daemons.daemons_of(host)},
        }
        if host.role in ("transit", "balancer"):
            entry["sessions"] = len(lab.topology.sessions(host))
            entry["sessions_down"] = _asked(lambda h=host: lab.session_down(h))
        if host.role == "transit":
            entry["routes"] = {family: _asked(lambda h=host, f=family: facts.route(lab.init(h.name), f))
                               for family in VIPS}
        if host.role == "balancer":
            entry["gaps"] = _asked(lambda h=host: lab.forwarding_gaps(h))
        hosts[host.name] = entry
    answers = {family: facts.answer(lab.init("client"), vip) for family, vip in VIPS.items()}
    good = all(answers.values()) and all(_host_good(entry) for entry in hosts.values())
    return {"good": good, "hosts": hosts, "answers": answers}


def _asked(question) -> Any:
    try:
        return question()
    except (LabError, OSError, ValueError, http.client.HTTPException) as error:
        return f"? {error}"


def _host_good(entry: dict[str, Any]) -> bool:
    missing = entry.get("sessions_down") or entry.get("gaps")
    return not missing and all(state == "up" for state in entry["daemons"].values())


def text(found: dict[str, Any]) -> str:
    lines = []
    for name, entry in found["hosts"].items():
        parts = [f"{daemon} {state}" for daemon, state in entry["daemons"].items()]
        if "sessions" in entry:
            down = entry["sessions_down"]
            parts.append(f"{entry['sessions']} BGP sessions" + (f", not up: {down}" if down else " up"))
        if "routes" in entry:
            parts += [f"{family} to {', '.join(r) if isinstance(r, list) and r else r or 'nowhere'}"
                      for family, r in entry["routes"].items()]
        if entry.get("gaps"):
            parts.append(f"out of service: {entry['gaps']}")
        lines.append(f"{name:10} {'; '.join(parts) or '-'}")
    for family, answer in found["answers"].items():
        lines.append(f"VIP {family}     " + (" ".join(f"{k}={v}" for k, v in answer.items()) or "no answer"))
    lines.append("good" if found["good"] else "NOT good")
    return "\n".join(lines)
