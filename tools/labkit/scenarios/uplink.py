# SPDX-License-Identifier: Apache-2.0
"""The cable between the router and the PoP is pulled."""
from __future__ import annotations

from ..lab import Lab
from .scenario import Scenario, traffic_moved


def _set(lab: Lab, up: bool) -> int:
    return lab.set_port(lab.topology.client_transit, lab.topology.preferred.name, up)


SCENARIOS = [
    Scenario("uplink-down", "The uplink goes down", lambda lab: _set(lab, False), traffic_moved,
             lambda lab: _set(lab, True)),
]
