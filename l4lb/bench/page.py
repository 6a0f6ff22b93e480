#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes l4lb/PERFORMANCE.md and l4lb/performance.svg from l4lb/performance.json, the output of `anypop bench --full --json`."""
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

L4LB = pathlib.Path(__file__).resolve().parents[1]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MS = {"ns": 1e-6, "us": 1e-3, "ms": 1}
STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none",
    "svg.hashsalt": "anypop", "figure.facecolor": "white", "axes.grid": True, "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6, "axes.axisbelow": True,
}

PAGE = """# The engine, measured

Written by `l4lb/bench/record`; do not edit. One core of {processor}, bursts of {burst}, 64-byte TCP packets (74 in IPv6) with
distinct headers in permuted order from a buffer larger than the caches, {flows} flows where nothing else is said, `release` build, the
hash by {hash_engine}. `ns/packet` is the engine alone: the time between the call of `process_burst()` and its return. *Tracked* are packets
that a record was found or made for. Rounds over all cases: {rounds}; the best of each counts. What is measured and how:
[anypop bench](../tools/anypop/README.md#bench), which repeats any of it on another machine.

The machine by itself: copying 64 bytes within the cache {copy_hot:.1f} ns, from memory in order {copy_cold:.1f} ns, a prefetched load
from memory {random_read:.1f} ns. The share of the processor that the run had: {share:.0%} at the least, {median_share:.0%} in the middle.
{disturbed}

![ns/packet by flows, forwarding and stage](performance.svg)

## What was asked for

{promises}

{notes}

## Stage by stage
Measured apart, with a clock between the stages, which costs about a nanosecond:

{stages}

## Parts
The keyed hash of a flow, by implementation (the best one that the processor has runs; `hash_engine` in `/v1/state`):

{hashes}

Rebuilding a Maglev table, which happens on the control thread when backends change:

{maglev}

## Everything

{tables}
"""


def named(results: list, group: str, name: str) -> dict | None:
    return next((r for r in results if r["group"] == group and r["name"] == name), None)


def promise_rows(found: dict):
    """(what, the figure, the most it may be); a row whose cases were not measured is left out."""
    results = found["results"]

    def ns(group, name):
        result = named(results, group, name)
        return result and result["ns_per_packet"]

    def worst(group, *words):
        return max((r["ns_per_packet"] for r in results if r["group"] == group and all(w in r["name"] for w in words)),
                   default=None)

    def ratio(a, b):
        return a / b if a and b else None
    def record_ratio(name):
        return ratio(ns("tracking", f"{name}, 1M flows"), ns("tracking", "always, 1M flows"))

    def maglev_ms(backends):
        return max((run["cpu_time"] * MS[run["time_unit"]] for run in found.get("maglev", [])
                    if f"/backends:{backends}/slots:65537/" in run["name"]), default=None)
    yield "steady, any number of flows, `ipip`: ns", worst("flows", "v4"), 12
    yield "`track: always`, 1k flows: ns", ns("tracking", "always, 1k flows"), 14
    yield "`track: always`, 1M flows: ns", ns("tracking", "always, 1M flows"), 25
    yield "new flows, each with a record: ns", worst("new flows", "v4", "always"), 30
    yield "every slot moved, over `always` at 1M flows", record_ratio("every slot moved"), 1.5
    yield "one of ten came back, over `always` at 1M flows", record_ratio("one of ten came back"), 1.5
    one = ns("services", "v4 1 service")
    yield "500 services with one pool over one service", ratio(ns("services", "v4 500 services, one pool"), one), 1.15
    yield "500 services with a pool each over one service", ratio(ns("services", "v4 500 services, a pool each"), one), 1.15
    yield "IPv6 over IPv4, 1M flows", ratio(ns("flows", "v6 1M flows"), ns("flows", "v4 1M flows")), 1.3
    yield "a record: bytes of table", found.get("record_bytes"), 10
    yield "Maglev table for 100 backends, the slower of equal and different weights: ms", maglev_ms(100), 1
    yield "Maglev table for 1000 backends, the same: ms", maglev_ms(1000), 5


def promises(found: dict) -> str:
    lines = ["| | measured | at most | |", "|---|---:|---:|---|"]
    for what, figure, limit in promise_rows(found):
        if figure is not None:
            lines.append(f"| {what} | {figure:.{1 if limit > 2 else 2}f} | {limit} | {'met' if figure <= limit else 'not met'} |")
    return "\n".join(lines)


def hashes(found: dict) -> str:
    lines = ["| | ns/flow |", "|---|---:|"]
    for run in found.get("hash", []):
        family = "IPv4" if "V4" in run["name"] else "IPv6"
        if "ns/packet" in run:  # in the counter's unit, seconds by 10^9
            lines.append(f"| {family}, {run['label']} | {run['ns/packet']:.1f} |")
    return "\n".join(lines)


def maglev(found: dict) -> str:
    lines = ["| backends | slots | weights | ms |", "|---:|---:|---|---:|"]
    for run in found.get("maglev", []):
        part = dict(word.split(":") for word in run["name"].split("/")[1:])
        lines.append(f"| {part['backends']} | {part['slots']} | {'equal' if part['equal'] == '1' else 'all different'} | "
                     f"{run['cpu_time'] * MS[run['time_unit']]:.2f} |")
    return "\n".join(lines)


def tables(results: list) -> str:
    out = []
    for group in dict.fromkeys(r["group"] for r in results):
        out += [f"### {group[0].upper()}{group[1:]}", "", "| | ns/packet | Mpps | p10 to p90 | tracked | CPU |",
                "|---|---:|---:|---:|---:|---:|"]
        for r in (r for r in results if r["group"] == group):
            out.append(f"| {r['name']} | {r['ns_per_packet']:.1f} | {r['mpps']:.1f} | {r['ns_p10']:.1f} to {r['ns_p90']:.1f} | "
                       f"{r['tracked']:.0%} | {r['cpu_share']:.0%}{'' if r['calm'] else ' !'} |")
        out.append("")
    return "\n".join(out).rstrip()


def stages(results: list) -> str:
    """Where the time goes, stage by stage."""
    found = [r for r in results if "stage_ns" in r]
    if not found:
        return ""
    names = list(found[0]["stage_ns"])
    lines = ["| ns/packet | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for r in found:
        lines.append(f"| {r['name']} | " + " | ".join(f"{r['stage_ns'][name]:.1f}" for name in names) + " |")
    return "\n".join(lines)


def disturbed(results: list) -> str:
    wide = sum(not r["calm"] for r in results)
    return f"Lines with ! ({wide} of {len(results)}) spread widely all the same: something else ran." if wide else ""


def bars(axes, results: list, group: str, title: str) -> None:
    rows = [r for r in results if r["group"] == group][::-1]
    axes.barh([r["name"] for r in rows], [r["ns_per_packet"] for r in rows], color=COLOURS[0], height=0.65)
    for i, r in enumerate(rows):
        axes.annotate(f"{r['ns_per_packet']:.1f}", (r["ns_per_packet"], i), xytext=(3, 0), textcoords="offset points",
                      va="center", fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ns/packet")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")


def stage_bars(axes, results: list) -> None:
    rows = [r for r in results if "stage_ns" in r][::-1]
    left = [0.0] * len(rows)
    for colour, stage in zip(COLOURS, rows[0]["stage_ns"] if rows else ()):
        widths = [r["stage_ns"][stage] for r in rows]
        axes.barh([r["name"] for r in rows], widths, left=left, color=colour, height=0.65, label=stage)
        left = [a + b for a, b in zip(left, widths)]
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ns/packet")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    axes.set_title("stage by stage", loc="left", fontsize=10, fontweight="bold")


def lines_by_flows(axes, results: list) -> None:
    steady = [r for r in results if r["group"] in ("flows", "tracking") and r["situation"] != "no_vip"]
    series: dict = {}
    for r in steady:
        label = r["name"].rsplit(",", 1)[0] if r["group"] == "tracking" else f"v{r['family']}, {r['popularity']}"
        series.setdefault(label, []).append((r["flows"], r["ns_per_packet"]))
    for colour, (label, points) in zip(COLOURS * 2, series.items()):
        points.sort()
        axes.plot(*zip(*points), marker="o", markersize=4, label=label, color=colour)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("flows")
    axes.set_ylabel("ns/packet")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("by flows", loc="left", fontsize=10, fontweight="bold")


def draw(results: list, path: pathlib.Path) -> None:
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
        lines_by_flows(axes[0][0], results)
        bars(axes[0][1], results, "forwarding", "by what is put before the packet")
        stage_bars(axes[1][0], results)
        bars(axes[1][1], results, "services", "by services")
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    found = json.loads((L4LB / "performance.json").read_text())
    results = found["results"]
    shares = sorted(r["cpu_share"] for r in results)
    flows = named(results, "backends", "v4 10 backends") or results[0]
    draw(results, L4LB / "performance.svg")
    (L4LB / "PERFORMANCE.md").write_text(PAGE.format(
        processor=found["processor"], burst=found["burst"], flows=f"{flows['flows']:,}", share=shares[0],
        median_share=shares[len(shares) // 2], promises=promises(found), tables=tables(results),
        hash_engine=found["hash_engine"], rounds=found["rounds"], stages=stages(results), disturbed=disturbed(results),
        notes=(L4LB / "bench" / "notes.md").read_text().strip(), hashes=hashes(found), maglev=maglev(found), **found["references_ns"]))


if __name__ == "__main__":
    main()
