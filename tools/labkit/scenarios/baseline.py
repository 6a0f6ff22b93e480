# SPDX-License-Identifier: Apache-2.0
"""No fault: what the lab itself costs."""
from __future__ import annotations

import time

from .scenario import Scenario, nothing, observe

SCENARIOS = [Scenario("baseline", "Nothing happens", lambda _lab: time.time_ns(), observe(1.5), nothing)]
