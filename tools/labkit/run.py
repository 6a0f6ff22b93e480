# SPDX-License-Identifier: Apache-2.0
"""One run of one scenario: steady, load, fault, effect, repair, steady again, and the result."""
from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from . import observe
from .lab import Lab
from .scenarios.scenario import Scenario, balancer
from .timeline import Observations, result

BEFORE_S = 0.7  # of load before the fault
AFTER_S = 0.6  # after the effect and again after the repair: a request that is under way then may still time out


def run_once(lab: Lab, scenario: Scenario, out: Path) -> dict[str, Any]:
    """Leaves the lab steady, or raises. Writes requests.jsonl, routes.jsonl, events.jsonl and result.json."""
    out.mkdir(parents=True, exist_ok=True)
    lab.wait_steady()
    lab.forget_connections()
    events = observe.EventLog(lab, balancer(lab).name)
    with observe.route_watch(lab, out / "routes.jsonl") as routes, observe.load(lab, out / "requests.jsonl") as load:
        time.sleep(BEFORE_S)
        fault_unix_ns = scenario.inject(lab)
        scenario.effect(lab)
        time.sleep(AFTER_S)
        repair_unix_ns = time.time_ns()
        scenario.repair(lab)
        lab.wait_steady()
        time.sleep(AFTER_S)
        load.stop(signal.SIGINT)
        routes.stop(signal.SIGTERM)
        seen = Observations(
            home=lab.topology.preferred.name, fault_unix_ns=fault_unix_ns, repair_unix_ns=repair_unix_ns,
            requests=load.lines(), routes=[line for line in routes.lines() if "unix_ns" in line],
            events=events.lines(),
        )
    _write_lines(out / "events.jsonl", seen.events)
    # In the order that seen.moved counts in.
    _write_lines(out / "requests.jsonl",
                 [{**r, "moved": True} if i in seen.moved else r for i, r in enumerate(seen.requests)])
    found = {"scenario": scenario.name, "sentence": scenario.sentence, **result(seen)}
    (out / "result.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
