# SPDX-License-Identifier: Apache-2.0
"""Backends die by SIGKILL: their kernel refuses connections."""
from __future__ import annotations

import os
import signal
import time

from .. import facts
from ..lab import Lab
from .scenario import Scenario, balancer, traffic_moved


def _names(lab: Lab) -> list[str]:
    return [host.name for host in lab.topology.backends(lab.topology.preferred)]


def _kill_one(lab: Lab) -> int:
    return lab.kill(_names(lab)[0], "nginx")


def _kill_all(lab: Lab) -> int:
    pids = [lab.pid(name, "nginx") for name in _names(lab)]  # looked up first, so that they die together
    when = time.time_ns()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return when


def _one_out(lab: Lab) -> None:
    name, where = _names(lab)[0], balancer(lab)
    gaps = {f"web4/{name} unhealthy", f"web6/{name} unhealthy"}
    facts.wait_for(f"{where.name}: {name} out of every service",
                   lambda: gaps <= set(lab.forwarding_gaps(where)), interval_s=0.01)


def _start_one(lab: Lab) -> None:
    lab.start(_names(lab)[0], "nginx")


def _start_all(lab: Lab) -> None:
    for name in _names(lab):
        lab.start(name, "nginx")


SCENARIOS = [
    Scenario("backend-dies", "One backend dies", _kill_one, _one_out, _start_one),
    Scenario("all-backends-die", "All backends of a PoP die", _kill_all, traffic_moved, _start_all),
]
