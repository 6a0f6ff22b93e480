# SPDX-License-Identifier: Apache-2.0
"""Results as tables for people and as summary.json."""
from __future__ import annotations

import math
from typing import Any

STEPS = ("backend", "verdict", "command", "route", "answer")
STEP_NAMES = {
    "backend": "last backend out", "verdict": "verdict", "command": "command to BIRD", "route": "route changed at t1",
    "answer": "first answer elsewhere",
}
RETURN_NAMES = {**STEP_NAMES, "backend": "last backend in", "answer": "first answer from home"}


def statistics(values: list[float | None]) -> dict[str, float | int] | None:
    """Median, 95th percentile (nearest rank) and maximum; None if no run had a value."""
    present = sorted(v for v in values if v is not None)
    if not present:
        return None
    middle = len(present) // 2
    median = present[middle] if len(present) % 2 else (present[middle - 1] + present[middle]) / 2
    p95 = present[math.ceil(0.95 * len(present)) - 1]
    return {"runs": len(present), "median": round(median, 3), "p95": round(p95, 3), "max": round(present[-1], 3)}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Over the runs of each scenario, in the order in which the scenarios were run."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(r["scenario"] for r in results):
        runs = [r for r in results if r["scenario"] == name]
        found[name] = {"sentence": runs[0]["sentence"], "runs": len(runs)}
        for phase in ("fault", "return"):
            found[name][phase] = {
                "steps_ms": {step: statistics([r[phase]["steps_ms"][step] for r in runs]) for step in STEPS},
                "outage_ms": statistics([r[phase]["outage_ms"] for r in runs]),
                **{
                    f"{kind}_{what}": statistics([r[phase][kind][what] for r in runs])
                    for kind in ("new", "long") for what in ("total", "failed", "moved")
                },
            }
        found[name]["outages_ms"] = [r["fault"]["outage_ms"] for r in runs]
    return found


def run_table(found: dict[str, Any]) -> str:
    """One run."""
    lines = [f"{found['sentence']} ({found['scenario']})"]
    for phase, title, names in (("fault", "after the fault", STEP_NAMES), ("return", "after the repair", RETURN_NAMES)):
        part = found[phase]
        lines.append(f"  {title}")
        steps = {step: when for step, when in part["steps_ms"].items() if when is not None}
        for step, when_ms in sorted(steps.items(), key=lambda item: item[1]):
            lines.append(f"    {names[step]:24} {when_ms:9.1f} ms")
        lines.append(f"    {'outage for new requests':24} {part['outage_ms']:9.1f} ms")
        for kind in ("new", "long"):
            count = part[kind]
            what = f"failed {count['failed']}, moved {count['moved']}"
            lines.append(f"    {kind + ' requests':24} {count['total']:6d}, {what}")
    by = ", ".join(f"{name} {count}" for name, count in sorted({**found["by_pop"], **found["by_backend"]}.items()))
    lines.append(f"  answers by {by or 'nobody'}")
    return "\n".join(lines)


HEADINGS = ("scenario", "runs", "verdict", "command", "route", "answer", "outage", "p95", "max", "new failed",
            "long failed", "moved", "back")


def summary_rows(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, entry in found.items():
        fault = entry["fault"]
        moved = _number(fault["new_moved"], "median", 0), _number(fault["long_moved"], "median", 0)
        rows.append([
            name, str(entry["runs"]),
            *(_number(fault["steps_ms"][step]) for step in ("verdict", "command", "route", "answer")),
            _number(fault["outage_ms"]), _number(fault["outage_ms"], "p95"), _number(fault["outage_ms"], "max"),
            _number(fault["new_failed"], "median", 0), _number(fault["long_failed"], "median", 0), "+".join(moved),
            _number(entry["return"]["steps_ms"]["answer"], "median", 0),
        ])
    return rows


def summary_table(found: dict[str, Any]) -> str:
    """One line for each scenario: medians after the fault, in ms."""
    rows = [list(HEADINGS), *summary_rows(found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append("Medians, in ms after the fault. outage: as new requests saw it. failed, moved: requests (moved:"
                 " new+long, open\nwhen the route changed). back: first answer from home, ms after the repair began.")
    return "\n".join(lines)


def summary_markdown(found: dict[str, Any]) -> str:
    rows = [list(HEADINGS), ["---"] + ["---:"] * (len(HEADINGS) - 1), *summary_rows(found)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _number(of: dict | None, key: str = "median", digits: int = 1) -> str:
    return "-" if of is None else f"{of[key]:.{digits}f}"
