# SPDX-License-Identifier: Apache-2.0
"""The operator takes the PoP out and puts it in again."""
from __future__ import annotations

import time

from .. import namespaces
from ..errors import LabError
from ..lab import Lab
from .scenario import Scenario, balancer, traffic_moved


def bgpctl(lab: Lab, *words: str) -> int:
    """Returns the instant before the program was started."""
    when = time.time_ns()
    done = lab.run(balancer(lab).name, f"{namespaces.BIN_DIR}/bgpctl", *words)
    if done.returncode != 0:
        raise LabError(f"bgpctl {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return when


SCENARIOS = [
    Scenario("withdraw", "An operator withdraws a PoP",
             lambda lab: bgpctl(lab, "withdraw", "web", "--reason", "maintenance"), traffic_moved,
             lambda lab: bgpctl(lab, "announce", "web")),
]
