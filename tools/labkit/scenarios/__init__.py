# SPDX-License-Identifier: Apache-2.0
"""The faults. A scenario is a fault, how one sees that its effect is there, and the repair; run.py does the rest."""
from .scenario import Scenario
from . import backends, baseline, operator, processes, uplink

ALL: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (baseline, backends, processes, uplink, operator)
    for scenario in module.SCENARIOS
}
