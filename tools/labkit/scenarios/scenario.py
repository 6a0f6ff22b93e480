# SPDX-License-Identifier: Apache-2.0
"""What a scenario is, and the words that several of them use."""
from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from .. import facts
from ..lab import Lab
from ..topology import VIPS, Host


@dataclass(frozen=True)
class Scenario:
    name: str
    sentence: str  # of the preferred PoP; the title of its plot
    inject: Callable[[Lab], int]  # returns the instant of the fault, CLOCK_REALTIME in nanoseconds
    effect: Callable[[Lab], None]  # waits until the fault has done all that it does
    repair: Callable[[Lab], None]  # as the supervisor or the operator would


def balancer(lab: Lab) -> Host:
    """Where the faults happen: the first balancer of the PoP that the client prefers."""
    return lab.topology.balancers(lab.topology.preferred)[0]


def nothing(_lab: Lab) -> None:
    pass


def traffic_moved(lab: Lab) -> None:
    """The client's router sends both families elsewhere, and somebody answers there."""
    home = lab.topology.preferred.name
    transit = lab.init(lab.topology.client_transit)
    for family, vip in VIPS.items():
        facts.wait_for(f"{lab.topology.client_transit}: {family} route away from {home}",
                       lambda f=family: home not in (facts.route(transit, f) or [home]), 20, 0.01)
        facts.wait_for(f"client: {family} VIP answers from elsewhere",
                       lambda v=vip: facts.answer(lab.init("client"), v).get("pop") not in (None, home), 20, 0.01)


def observe(seconds: float) -> Callable[[Lab], None]:
    """For faults that must have no effect: there is nothing to wait for but time."""
    return lambda _lab: time.sleep(seconds)
