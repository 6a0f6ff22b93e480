#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/lab/CHAOS.md from the lines that chaos.py --out has written.

    tests/lab/chaos_page.py build/chaos.jsonl
"""
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import chaos  # noqa: E402
from results_page import machine  # noqa: E402

PAGE = """# Every process killed, stopped and restarted

Written by `tests/lab/chaos_page.py` from what `sudo tests/lab/chaos.py --seed {seed} --rounds {rounds} --out FILE`
wrote; do not edit. {rounds} rounds on {machine}.

In each round one to three of a PoP's processes are killed, stopped (SIGSTOP) or restarted at random moments, for 0.1
to 1.8 seconds each, also side by side: the dataplane, the monitor, BIRD, nginx on both backends. Then everything is
mended, and the round ends when all is as before. A watch in the router's kernel writes down every change of the
routes of both families. [chaos.py](chaos.py) tells exactly what is counted.

| | wanted | median | worst | rounds in which it was not so |
|---|---|---|---|---|
| the router has a route to the PoP while it cannot serve | at most {limit:.0f} s | {dead_median:.2f} s | {dead_worst:.2f} s | \
{dead_wrong} |
| the same while the monitor is dead or stopped | until it is back | {blind_median:.2f} s | {blind_worst:.2f} s | |
| the route is missing while the PoP can serve, beyond the hold-down of {hold_down:.1f} s | at most {limit:.0f} s | \
{missing_median:.2f} s | {missing_worst:.2f} s | {missing_wrong} |

{blind_limit} A monitor that stays dead is another matter: systemd gives it up after half a minute and runs `bgpctl
withdraw --all`.

"The PoP can serve" is true from the dataplane's answer that it has next hops, with a backend alive; {known:.2f} s
more are what the configured probes need to notice (`rise` 2, each 100 ms), and are not counted as missing.

| process | killed | stopped | restarted | worst: served while it could not | worst: missing |
|---|---|---|---|---|---|
{rows}

The rounds of a line are those that broke this process, alone or with others.
"""


def rows(results: list[dict]) -> str:
    def process(fault):
        return fault["daemon"] if fault["daemon"] != "nginx" else f"nginx of {fault['host']}"

    lines = []
    for name in sorted({process(fault) for result in results for fault in result["faults"]}):
        mine = [result for result in results if name in map(process, result["faults"])]
        counts = [sum(fault["kind"] == kind and process(fault) == name for result in mine for fault in result["faults"])
                  for kind in chaos.KINDS]
        lines.append(f"| {name} | {counts[0]} | {counts[1]} | {counts[2]} | {max(r['served_dead_s'] for r in mine):.2f} s "
                     f"| {max(map(missing, mine)):.2f} s |")
    return "\n".join(lines)


def missing(result: dict) -> float:
    """Beyond the hold-down, and what the probes need."""
    return max(0.0, result["missing_s"] - (chaos.missing_limit_s() - chaos.LIMIT_S))


def main() -> None:
    results = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    dead = [result["served_dead_s"] for result in results]
    blind = [result["served_dead_monitor_s"] for result in results]
    gone = [missing(result) for result in results]
    Path(__file__).with_name("CHAOS.md").write_text(PAGE.format(
        seed=" and ".join(sorted({str(result["seed"]) for result in results})), rounds=len(results), machine=machine(),
        limit=chaos.LIMIT_S, hold_down=chaos.configs.HOLD_DOWN_MS / 1000, known=chaos.KNOWN_S,
        dead_median=statistics.median(dead), dead_worst=max(dead), dead_wrong=sum(d > chaos.LIMIT_S for d in dead),
        blind_median=statistics.median(blind), blind_worst=max(blind),
        missing_median=statistics.median(gone), missing_worst=max(gone),
        missing_wrong=sum(g > chaos.LIMIT_S for g in gone), rows=rows(results),
        blind_limit="While the monitor is dead nobody withdraws (fail-static), so the second line is as long as it was dead for."))


if __name__ == "__main__":
    main()
