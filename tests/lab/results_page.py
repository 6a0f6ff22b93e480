#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/lab/RESULTS.md and copies its plots from a folder that `tools/lab run all` made."""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil

HERE = pathlib.Path(__file__).resolve().parent

PAGE = """# Failover, measured

Written by `sudo tests/lab/record {runs}`; do not edit. {runs} runs of each fault on {machine}; load average {load}
before the runs. Two PoPs, the routers, the client and its load share these cores, and packets go over veth: the figures
show the shape and the order of magnitude, not a NIC's.

The monitor probes each backend every 100 ms (timeout 90 ms, fall 3, rise 2) and asks the dataplane for its heartbeat
every 50 ms (timeout 200 ms). The client opens 200 connections a second, to the IPv4 and the IPv6 VIP in turn, whether
or not answers come, and keeps 10 long-lived ones. A request that has no answer after 500 ms has failed.

![Outage by fault](results/summary.png)

{table}

Milliseconds after the fault, medians: **verdict** the monitor decides; **command** goes to BIRD; **route** the later of
the IPv4 and IPv6 routes changes in the kernel of router t1; **answer** the first from the other PoP. **outage**: from
the start of the first new request that failed to the start of the first after which none fails; its median, 95th
percentile and maximum. **new failed**, **long failed**: requests, medians. **moved**: connections that were open when
the route changed and were reset by the other PoP, new + long-lived; anycast does that to every connection. **back**:
first answer from home, after the repair began.

## What was promised

{promises}

The same, doubled for a noisy machine, is what [test_faults.py](test_faults.py) asserts in every test run.

## Every fault

The median run of each. The raw data of all of them is in `build/lab-results` after the command.

{plots}
"""


def worst(summary: dict, scenario: str, *keys: str) -> float:
    """The largest value over the runs."""
    value = summary[scenario]["fault"]
    for key in keys:
        value = value[key]
    return value["max"]


def promises(summary: dict) -> str:
    route = summary["withdraw"]["fault"]["steps_ms"]["route"]
    command = summary["withdraw"]["fault"]["steps_ms"]["command"]
    rows = [
        ("all backends of a PoP die", "outage under 500 ms",
         f"at most {worst(summary, 'all-backends-die', 'outage_ms'):.0f} ms"),
        ("the dataplane is killed", "outage under 300 ms",
         f"at most {worst(summary, 'dataplane-kill', 'outage_ms'):.0f} ms"),
        ("one backend dies", "no failure after 400 ms", f"none after {worst(summary, 'backend-dies', 'outage_ms'):.0f} ms"),
        ("`bgpctl withdraw`", "no new request fails", f"at most {worst(summary, 'withdraw', 'new_failed'):.0f} failed"),
        ("`bgpctl withdraw`", "the router's route gone within 20 ms",
         f"{route['median']:.0f} ms from the start of the program, at most {route['max']:.0f}; "
         f"{route['median'] - command['median']:.1f} ms from the command to BIRD"),
        ("the monitor is killed", "nothing fails", f"at most {worst(summary, 'monitor-kill', 'new_failed'):.0f} failed"),
    ]
    return "\n".join(["| fault | wanted | measured |", "| --- | --- | --- |"] + [f"| {a} | {b} | {c} |" for a, b, c in rows])


def machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores of {cpu.group(1) if cpu else 'an unknown CPU'}, Linux {platform.release().split('-')[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=pathlib.Path)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--load-before", required=True)
    arguments = parser.parse_args()
    summary = json.loads((arguments.raw / "summary.json").read_text())
    results = HERE / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    for name in ["summary", *summary]:
        for ending in ("png", "svg"):
            shutil.copy(arguments.raw / f"{name}.{ending}", results)
    shutil.copy(arguments.raw / "summary.json", results)
    plots = "\n\n".join(f"### {facts['sentence']}\n\n![{facts['sentence']}](results/{name}.png)"
                        for name, facts in summary.items())
    (HERE / "RESULTS.md").write_text(PAGE.format(
        runs=arguments.runs, machine=machine(), load=arguments.load_before, plots=plots,
        table=(arguments.raw / "summary.md").read_text().strip(), promises=promises(summary)))


if __name__ == "__main__":
    main()
