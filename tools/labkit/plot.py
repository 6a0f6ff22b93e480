# SPDX-License-Identifier: Apache-2.0
"""Drawings of a run and of many, as SVG and PNG. The colours are Okabe and Ito's, for colour-blind readers too."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

from .timeline import Observations  # noqa: E402

POP_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
ERROR_COLOUR = "#D00000"
# Level above the slowest answer (a factor), marker, label.
ERRORS = {
    "new": (2.8, "x", "failed"), "long": (1.9, "+", "failed, long-lived"), "moved": (1.3, "|", "reset by the move"),
}
BACKEND_MARKERS = ("o", "^", "s", "D", "v")
STEP_LABELS = {"fault": "fault", "backend": "last backend out", "verdict": "verdict", "command": "command to BIRD",
               "route": "route changed", "answer": "first answer elsewhere"}
STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none",
    "svg.hashsalt": "anypop", "figure.facecolor": "white", "axes.grid": True, "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
}


def draw_run(folder: Path) -> None:
    """plot.svg and plot.png beside the run's result.json: the failover above, the whole run below."""
    found = json.loads((folder / "result.json").read_text())
    seen = Observations.read(folder, found)
    steps = {"fault": 0.0, **{k: v for k, v in found["fault"]["steps_ms"].items() if v is not None}}
    repair = (found["repair_unix_ns"] - found["fault_unix_ns"]) / 1e9
    points = _points(seen)
    first, last = min(p["x"] for p in points), max(p["x"] for p in points)
    with pyplot.rc_context(STYLE):
        figure, (near, whole) = pyplot.subplots(2, 1, figsize=(10, 6.4), height_ratios=(1.7, 1))
        zoom = max([*steps.values(), found["fault"]["outage_ms"]]) / 1000
        zoom = min(max(zoom * 1.35, 0.25), repair)
        _draw(near, points, (-0.25 * zoom, zoom), 6)
        _draw(whole, points, (first, last), 3)
        _mark_steps(near, steps)
        for x, label in ((0, "fault"), (repair, "repair")):
            whole.axvline(x, color="black", linewidth=0.9)
            whole.annotate(label, (x, 1), xycoords=("data", "axes fraction"), xytext=(2, 4),
                           textcoords="offset points", fontsize=9)
        near.set_xlabel("milliseconds after the fault")
        near.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x * 1000:g}"))
        whole.set_xlabel("seconds after the fault: the whole run")
        handles, labels = near.get_legend_handles_labels()
        more = [pair for pair in zip(*whole.get_legend_handles_labels()) if pair[1] not in labels]
        handles, labels = handles + [h for h, _ in more], labels + [l for _, l in more]
        figure.legend(handles, labels, loc="lower center", ncols=min(len(labels), 7), frameon=False, markerscale=1.5,
                      handletextpad=0.2, columnspacing=1.2)
        figure.suptitle(_title(found), x=0.01, ha="left", fontsize=13, fontweight="bold")
        figure.tight_layout(rect=(0, 0.05, 1, 1))
        _save(figure, folder / "plot")


def _title(found: dict[str, Any]) -> str:
    fault = found["fault"]
    if fault["new"]["failed"] == 0:
        return f"{found['sentence']}: no new request failed"
    return f"{found['sentence']}: outage {fault['outage_ms']:.0f} ms, {fault['new']['failed']} new requests failed"


def _points(seen: Observations) -> list[dict[str, Any]]:
    return [
        {"x": (r["start_unix_ns"] - seen.fault_unix_ns) / 1e9, "y": max(r["latency_us"], 1) / 1000, "pop": r["pop"],
         "backend": r["backend"], "error": r["error"], "kind": "moved" if i in seen.moved else r["kind"]}
        for i, r in enumerate(seen.requests)
    ]


def _draw(axes, points: list[dict[str, Any]], limits: tuple[float, float], size: float) -> None:
    shown = [p for p in points if limits[0] <= p["x"] <= limits[1]]
    good = [p for p in shown if not p["error"]]
    pops = sorted({p["pop"] for p in points if p["pop"]})
    backends = sorted({p["backend"] for p in points if p["backend"]})
    for backend in backends:
        mine = [p for p in good if p["backend"] == backend]
        siblings = [b for b in backends if b.split("-")[0] == backend.split("-")[0]]
        if mine:
            axes.plot([p["x"] for p in mine], [p["y"] for p in mine], linestyle="", markersize=size * 0.7, alpha=0.75,
                      marker=BACKEND_MARKERS[siblings.index(backend) % len(BACKEND_MARKERS)], markeredgewidth=0,
                      color=POP_COLOURS[pops.index(mine[0]["pop"]) % len(POP_COLOURS)], label=backend)
    # The band above the latencies belongs to the errors: their latency is only the client's patience.
    floor = min([p["y"] for p in good], default=0.1)
    roof = max([p["y"] for p in good], default=10) * 1.6
    for kind, (level, marker, label) in ERRORS.items():
        bad = [p["x"] for p in shown if p["error"] and p["kind"] == kind]
        if bad:
            axes.plot(bad, [roof * level] * len(bad), linestyle="", marker=marker, markersize=size, color=ERROR_COLOUR,
                      markeredgewidth=size / 6, label=label)
    axes.set_yscale("log")
    axes.set_ylim(min(floor * 0.8, 0.09), roof * 4)
    axes.set_xlim(limits)
    axes.axhspan(roof, roof * 4, color="#FBEAEA", zorder=0, linewidth=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}" if y <= roof else ""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("answer after, ms")


def _mark_steps(axes, steps: dict[str, float]) -> None:
    """Vertical lines with labels above the drawing, one row each where they would overlap."""
    low, high = axes.get_xlim()
    rows: list[float] = []  # where each row's last label ends, as a fraction of the width
    for name, when_ms in sorted(steps.items(), key=lambda item: item[1]):
        axes.axvline(when_ms / 1000, color="black", linewidth=0.9, linestyle="-" if name == "fault" else (0, (4, 2)))
        text = STEP_LABELS[name] + ("" if name == "fault" else f" {when_ms:.1f} ms")
        at, width = (when_ms / 1000 - low) / (high - low), 0.0085 * len(text)
        right = at + width > 1  # no room on the right of the line
        begin, end = (at - width, at) if right else (at, at + width)
        row = next((i for i, taken in enumerate(rows) if taken < begin - 0.01), len(rows))
        rows[row:row + 1] = [end]
        axes.annotate(text, (when_ms / 1000, 1), xycoords=("data", "axes fraction"), textcoords="offset points",
                      xytext=(-2 if right else 2, 4 + 12 * row), ha="right" if right else "left", fontsize=9,
                      annotation_clip=False)


def draw_summary(summary: dict[str, Any], path: Path) -> None:
    """Each run's outage as a dot, the median as a bar, one line for each scenario."""
    names = list(summary)
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(10, 0.9 + 0.48 * len(names)))
        for row, name in enumerate(names):
            entry = summary[name]
            median = entry["fault"]["outage_ms"]["median"]
            axes.barh(row, median, height=0.55, color=POP_COLOURS[0], alpha=0.35)
            axes.plot(entry["outages_ms"], [row] * len(entry["outages_ms"]), "|", color=POP_COLOURS[0], markersize=11)
            most = max(entry["outages_ms"])
            text = "no new request failed" if most == 0 else f"{median:.0f} ms, at most {most:.0f}"
            axes.annotate(text, (most, row), xytext=(7, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(range(len(names)), [summary[name]["sentence"] for name in names])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlim(left=0, right=max(axes.get_xlim()[1], 100))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("outage as new requests saw it, ms (bar: median; strokes: each run)")
        runs = max(entry["runs"] for entry in summary.values())
        title = f"Outage by fault, {runs} run{'s' if runs != 1 else ''} each"
        axes.set_title(title, loc="left", fontsize=13, fontweight="bold")
        figure.tight_layout()
        _save(figure, path)


def _save(figure, path: Path) -> None:
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})
    pyplot.close(figure)
