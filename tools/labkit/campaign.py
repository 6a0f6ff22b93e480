# SPDX-License-Identifier: Apache-2.0
"""`tools/lab run`: scenarios one after another, any number of times, with tables, JSON and drawings at the end."""
from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

from . import diagnose, plot, report, scenarios
from . import state as lab_state
from .errors import LabError
from .lab import Lab, clean_up, is_up
from .run import run_once
from .scenarios import Scenario


def run(arguments) -> int:
    chosen = _chosen(arguments.scenario)
    lab_state.require_root()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with lab_state.machine_lock(), _lab(arguments) as lab:
        results, failures = _run_all(lab, chosen, arguments.runs, out)
        anypop = Path(lab.state.build) / "bin/anypop"
    if not results:
        return 1
    found = report.summary(results)
    (out / "summary.json").write_text(json.dumps(found, indent=2) + "\n")
    (out / "summary.md").write_text(report.summary_markdown(found))
    _draw(results, found, out, anypop)
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif len(results) == 1:
        print(report.run_table(results[0]))
    else:
        print(report.summary_table(found))
    _say(f"lab: {len(results)} runs in {out}" + (f"; {failures} more could not be finished" if failures else ""))
    return 1 if failures else 0


def _chosen(name: str) -> list[Scenario]:
    if name == "all":
        return list(scenarios.ALL.values())
    if name not in scenarios.ALL:
        raise LabError(f"scenario: found '{name}', expected 'all' or one of {', '.join(scenarios.ALL)}")
    return [scenarios.ALL[name]]


@contextlib.contextmanager
def _lab(arguments) -> Iterator[Lab]:
    """The lab that is up, or one of our own, which goes when we go."""
    if is_up():
        yield Lab.running(_say)
        return
    lab = Lab.up(arguments.build, _say)
    try:
        yield lab
    finally:
        if not arguments.keep:
            clean_up()
            _say("lab: down")


def _run_all(lab: Lab, chosen: list[Scenario], runs: int, out: Path) -> tuple[list[dict[str, Any]], int]:
    results, failures = [], 0
    for scenario in chosen:
        for number in range(1, runs + 1):
            folder = out / scenario.name / f"run-{number:02}"
            began = time.monotonic()
            try:
                found = run_once(lab, scenario, folder)
            except LabError as error:
                failures += 1
                _say(f"{scenario.name} {number}/{runs}: {error}")
                print(diagnose.dump(lab, folder / "diagnosis"), file=sys.stderr)
                _say(f"{scenario.name} {number}/{runs}: logs, counters and BIRD's state are in {folder / 'diagnosis'}")
                lab = _another(lab)
                continue
            found["folder"] = str(folder.relative_to(out))
            results.append(found)
            _say(f"{scenario.name} {number}/{runs}: outage {found['fault']['outage_ms']:.1f} ms, "
                 f"{found['fault']['new']['failed']} new requests failed ({time.monotonic() - began:.1f} s)")
    return results, failures


def _another(lab: Lab) -> Lab:
    """After a run that did not end steady, the next one must not begin in its ruins."""
    build = Path(lab.state.build)
    clean_up()
    return Lab.up(build, lambda _line: None)


def _draw(results: list[dict[str, Any]], found: dict[str, Any], out: Path, anypop: Path) -> None:
    """The run with the median outage of each scenario, a page about all of its runs, and the summary. After the lab:
    drawing takes a whole core."""
    for name in found:
        runs = sorted((r for r in results if r["scenario"] == name), key=lambda r: r["fault"]["outage_ms"])
        middle = runs[(len(runs) - 1) // 2]
        plot.draw_run(out / middle["folder"])
        for ending in (".svg", ".png"):
            (out / f"{name}{ending}").write_bytes((out / middle["folder"] / f"plot{ending}").read_bytes())
        write_page(anypop, runs, out, out / f"{name}.html")
    if len(results) > 1:
        plot.draw_summary(found, out / "summary")


def write_page(anypop: Path, runs: list[dict[str, Any]], out: Path, page: Path) -> None:
    command = [str(anypop), "report", "--title", runs[0]["sentence"], "--out", str(page)]
    for run in sorted(runs, key=lambda run: run["fault_unix_ns"]):
        folder = out / run["folder"]
        command += ["--events", f"{run['home']}={folder}/events.jsonl", "--requests", f"{folder}/requests.jsonl",
                    "--mark", f"fault={run['fault_unix_ns']}", "--mark", f"repair={run['repair_unix_ns']}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"anypop report: {done.stderr.strip()}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
