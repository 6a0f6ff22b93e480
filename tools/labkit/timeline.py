# SPDX-License-Identifier: Apache-2.0
"""From what was written down during a run to its result. Pure: observations in, numbers out.

The steps, each the first of its kind after the fault (or after the repair, on the way back):
  backend    the last backend that the monitor took out of (into) service
  verdict    the monitor, or an operator's hold, decided on the level of the announcement
  command    BIRD was told, as the sender wrote down
  route      the client's router changed its kernel's route; of both families the later
  answer     a good answer from another PoP (from the home PoP); of both families the later

A request is failed, or moved, or good. Moved: its connection was open when the router changed the route, and the other
PoP, which does not know the connection, reset it; anycast does that to every connection, however a PoP is taken out.
"""
from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable

FAMILIES = ("v4", "v6")
# The route watch learns of a change a little after packets follow it.
WATCH_LATE_NS = 5_000_000
# An older request was in trouble before the route changed: that is a failure, whatever ended it.
MOVED_AGE_MAX_NS = 50_000_000


@dataclass
class Observations:
    home: str  # the PoP that the client prefers
    fault_unix_ns: int
    repair_unix_ns: int
    requests: list[dict[str, Any]]
    routes: list[dict[str, Any]]
    events: list[dict[str, Any]]
    moved: set[int] = field(default_factory=set)  # indices of requests

    @classmethod
    def read(cls, folder: Path, found: dict[str, Any]) -> Observations:
        """Of a finished run, from the files that it left."""
        requests, routes, events = (
            [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
            for name in ("requests", "routes", "events")
        )
        routes = [line for line in routes if "unix_ns" in line]
        return cls(found["home"], found["fault_unix_ns"], found["repair_unix_ns"], requests, routes, events)

    def __post_init__(self):
        self.requests.sort(key=lambda request: request["start_unix_ns"])
        self.moved = _moved(self.requests, self.routes)


def _moved(requests: list[dict], routes: list[dict]) -> set[int]:
    began: dict[int, int] = {}
    found = set()
    for index, request in enumerate(requests):
        began.setdefault(request["connection"], request["start_unix_ns"])
        if request["error"] not in ("reset", "closed"):
            continue
        for change in routes:
            when = change["unix_ns"]
            if (
                change["family"] == request["target"]
                and began[request["connection"]] <= when <= request["end_unix_ns"] + WATCH_LATE_NS
                and request["start_unix_ns"] >= when - MOVED_AGE_MAX_NS
            ):
                found.add(index)
    return found


def result(seen: Observations) -> dict[str, Any]:
    after_fault = (seen.fault_unix_ns, seen.repair_unix_ns)
    after_repair = (seen.repair_unix_ns, 1 << 63)
    return {
        "home": seen.home,
        "fault_unix_ns": seen.fault_unix_ns,
        "repair_unix_ns": seen.repair_unix_ns,
        "fault": _phase(seen, *after_fault, away=True),
        "return": _phase(seen, *after_repair, away=False),
        "requests": _counts(seen, 0, 1 << 63),
        "route_changes": len(seen.routes),
        "by_pop": dict(Counter(r["pop"] for r in seen.requests if not r["error"])),
        "by_backend": dict(Counter(r["backend"] for r in seen.requests if not r["error"])),
        "errors": dict(Counter(r["error"] for r in seen.requests if r["error"])),
        "late_start_max_ms": max(
            ((r["start_unix_ns"] - r["scheduled_unix_ns"]) / 1e6 for r in seen.requests if r["kind"] == "new"),
            default=0),
    }


def _phase(seen: Observations, begin: int, end: int, away: bool) -> dict[str, Any]:
    """Steps in milliseconds from `begin`, what failed, and the outage, in [begin, end)."""
    steps = {
        name: None if when is None else round((when - begin) / 1e6, 3)
        for name, when in steps_unix_ns(seen, begin, end, away).items()
    }
    return {"steps_ms": steps, **_counts(seen, begin, end), "outage_ms": outage_ms(seen, begin, end)}


def steps_unix_ns(seen: Observations, begin: int, end: int, away: bool) -> dict[str, int | None]:
    events = [event for event in seen.events if begin <= event["unix_ns"] < end]
    decided = [e for e in events if e["event"] == "verdict" and e["announce"] is not away]
    if not decided:  # an operator's order is a verdict as well
        decided = [e for e in events if e["event"] == ("hold" if away else "release")]
    commands = [e for e in events if e["event"] == "command" and e["announce"] is not away and e.get("sent_unix_ns")]
    backends = [e for e in events if e["event"] == "backend" and e["healthy"] is not away]
    routes = [
        _first(c["unix_ns"] for c in seen.routes
               if c["family"] == family and begin <= c["unix_ns"] < end and _at_home(c, seen.home) is not away)
        for family in FAMILIES
    ]
    answers = [
        _first(sorted(
            r["end_unix_ns"] for r in seen.requests
            if r["target"] == family and not r["error"] and begin <= r["start_unix_ns"] < end
            and (r["pop"] == seen.home) is not away))
        for family in FAMILIES
    ]
    moved = None not in routes
    return {
        "backend": max((e["unix_ns"] for e in backends), default=None),
        "verdict": _first(e["unix_ns"] for e in decided),
        "command": _first(e["sent_unix_ns"] for e in commands),
        "route": max(routes) if moved else None,
        "answer": max(answers) if moved and None not in answers else None,
    }


def outage_ms(seen: Observations, begin: int, end: int) -> float:
    """From the start of the first failed new request to the start of the first one after which all were good."""
    new = [r for i, r in enumerate(seen.requests) if r["kind"] == "new" and i not in seen.moved]
    failed = [r["start_unix_ns"] for r in new if r["error"] and begin <= r["end_unix_ns"] < end]
    if not failed:
        return 0.0
    recovered = next((r["start_unix_ns"] for r in new if r["start_unix_ns"] > failed[-1]), failed[-1])
    return round((recovered - failed[0]) / 1e6, 3)


# By their ends: a request that was under way when the fault came belongs to what followed.
def _counts(seen: Observations, begin: int, end: int) -> dict[str, Any]:
    counts = {}
    for kind in ("new", "long"):
        chosen = [(i, r) for i, r in enumerate(seen.requests) if r["kind"] == kind and begin <= r["end_unix_ns"] < end]
        counts[kind] = {
            "total": len(chosen),
            "failed": sum(1 for i, r in chosen if r["error"] and i not in seen.moved),
            "moved": sum(1 for i, _ in chosen if i in seen.moved),
        }
    return counts


def _at_home(change: dict, home: str) -> bool:
    return change["action"] == "add" and home in change["interfaces"]


def _first(values: Iterable[int]) -> int | None:
    return next(iter(values), None)
