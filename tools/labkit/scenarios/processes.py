# SPDX-License-Identifier: Apache-2.0
"""A process of the balancer dies or hangs."""
from __future__ import annotations

import signal

from ..lab import Lab
from .scenario import Scenario, balancer, nothing, observe, traffic_moved


def _kill(daemon: str):
    return lambda lab: lab.kill(balancer(lab).name, daemon)


def _start(daemon: str):
    return lambda lab: lab.start(balancer(lab).name, daemon)


def _stop_dataplane(lab: Lab) -> int:
    return lab.kill(balancer(lab).name, "dataplane", signal.SIGSTOP)


def _continue_dataplane(lab: Lab) -> None:
    lab.kill(balancer(lab).name, "dataplane", signal.SIGCONT)


def _restart_dataplane(lab: Lab) -> int:
    return lab.start_anew(balancer(lab).name, "dataplane", signal.SIGUSR1)


SCENARIOS = [
    Scenario("dataplane-kill", "The dataplane is killed", _kill("dataplane"), traffic_moved, _start("dataplane")),
    Scenario("dataplane-stop", "The dataplane hangs", _stop_dataplane, traffic_moved, _continue_dataplane),
    Scenario("dataplane-restart", "The dataplane is restarted", _restart_dataplane, observe(1.5), nothing),
    Scenario("monitor-kill", "The monitor is killed", _kill("healthmon"), observe(1.0), _start("healthmon")),
    Scenario("bird-kill", "BIRD is killed", _kill("bird"), traffic_moved, _start("bird")),
]
