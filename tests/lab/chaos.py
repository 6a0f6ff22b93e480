#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills, stops and restarts the processes of a PoP in random order, and watches its router.

    sudo tests/lab/chaos.py --rounds 200 --seed 1            a lab of its own
    sudo tests/lab/chaos.py --rounds 1 --first 17 --seed 1   only that round
    sudo tests/lab/chaos.py --seed 1 --out build/chaos.jsonl && tests/lab/chaos_page.py build/chaos.jsonl

Each round breaks one to three of the PoP's processes (the dataplane, the monitor, BIRD, nginx on both backends): SIGKILL
and a start, SIGSTOP and SIGCONT, or SIGTERM and a start, at random moments and for a random time, also side by side. What
a round does is a function of the seed and its number alone. It ends when everything works again.

What must hold, for either family:
  serving    the router has no route to the PoP for more than 1 s at a stretch while the PoP cannot serve. While the
             monitor is dead or stopped nobody can know: then until 1 s after it is back. (That it stays dead is the
             lease's business, and no part of this.)
  missing    while the PoP can serve, its BGP session is up and the monitor runs, the route is missing for at most the
             hold-down and 1 s.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import configs, daemons, facts, observe  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from labkit.errors import LabError  # noqa: E402
from labkit.lab import Lab, clean_up  # noqa: E402
from labkit.scenarios.scenario import balancer  # noqa: E402
from labkit.topology import VIPS  # noqa: E402

LIMIT_S = 1.0
# From the instant at which all is well to the policy's knowing it: `rise` probes of a backend that was down.
KNOWN_S = configs.PROBE["rise"] * configs.PROBE["interval_ms"] / 1000 + configs.PROBE["timeout_ms"] / 1000
SAMPLE_S = 0.02
KINDS = ("kill", "stop", "restart")

Span = tuple[float, float]


@dataclass(frozen=True)
class Fault:
    host: str
    daemon: str
    kind: str
    at_s: float
    for_s: float

    @property
    def process(self) -> str:
        return self.daemon if self.daemon != "nginx" else f"nginx of {self.host}"


def plan(seed: int, number: int, processes: list[tuple[str, str]]) -> list[Fault]:
    rng = random.Random(f"{seed}/{number}")
    chosen = rng.sample(processes, rng.choice((1, 1, 2, 2, 3)))
    return [Fault(host, daemon, rng.choice(KINDS), round(rng.uniform(0, 0.6), 3), round(rng.uniform(0.1, 1.8), 3))
            for host, daemon in chosen]


@dataclass
class Timeline:
    """Spans of time, as CLOCK_REALTIME in seconds, in which something was true."""
    spans: list[Span] = field(default_factory=list)
    since: float | None = None

    def set(self, value: bool, when: float) -> None:
        if value and self.since is None:
            self.since = when
        elif not value and self.since is not None:
            self.spans.append((self.since, when))
            self.since = None

    def until(self, end: float) -> list[Span]:
        return self.spans + ([(self.since, end)] if self.since is not None else [])


def both(a: list[Span], b: list[Span]) -> list[Span]:
    return sorted((max(x[0], y[0]), min(x[1], y[1])) for x in a for y in b if max(x[0], y[0]) < min(x[1], y[1]))


def neither(spans: list[Span], whole: Span) -> list[Span]:
    """The rest of `whole`."""
    rest, at = [], whole[0]
    for begin, end in sorted(spans):
        if begin > at:
            rest.append((at, min(begin, whole[1])))
        at = max(at, end)
    if at < whole[1]:
        rest.append((at, whole[1]))
    return [span for span in rest if span[0] < span[1]]


def longest(spans: list[Span]) -> float:
    return max((end - begin for begin, end in spans), default=0.0)


class Watch(threading.Thread):
    """Asks the dataplane and the router, 50 times a second, what cannot be known from our own doings."""

    def __init__(self, lab: Lab, where: str):
        super().__init__(daemon=True)
        self._lab, self._init = lab, lab.init(where)
        self._router = lab.init(lab.topology.client_transit)
        self._sessions = {family: f"{where.replace('-', '_')}_{family}" for family in VIPS}
        self.forwarding = Timeline()
        self.established = {family: Timeline() for family in VIPS}
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(SAMPLE_S):
            before = time.time()
            forwards = self._forwards()
            # "It forwards" counts from the answer, "it does not" from the question: the benefit of the doubt is ours.
            self.forwarding.set(forwards, time.time() if forwards else before)
            for family, session in self._sessions.items():
                up = self._up(session)
                self.established[family].set(up, time.time() if up else before)

    def _forwards(self) -> bool:
        try:
            state = facts.daemon_get(self._init, "dataplane", "/v1/state", 0.15)
            return all(any(backend["resolved"] for backend in service["backends"]) for service in state["services"])
        except (OSError, ValueError, KeyError, LabError):
            return False

    def _up(self, session: str) -> bool:
        try:
            return facts.bird_established(self._router, session)
        except (OSError, LabError):
            return False

    def stop(self):
        self._end.set()
        self.join()


class Chaos:
    def __init__(self, lab: Lab):
        self.lab = lab
        self.host = balancer(lab)
        self.backends = [host.name for host in lab.topology.backends(self.host.pop)]
        self.processes = [(self.host.name, name) for name in ("dataplane", "healthmon", "bird")]
        self.processes += [(name, "nginx") for name in self.backends]
        self.down: dict[tuple[str, str], Timeline] = {process: Timeline() for process in self.processes}

    # --- the faults

    def break_and_mend(self, fault: Fault, start: float) -> None:
        time.sleep(max(0.0, start + fault.at_s - time.time()))
        down = self.down[fault.host, fault.daemon]
        pid = self.lab.pid(fault.host, fault.daemon)
        number = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "restart": signal.SIGTERM}[fault.kind]
        when = time.time()
        os.kill(pid, number)
        down.set(True, when)
        if fault.kind == "stop":
            time.sleep(fault.for_s)
            when = time.time()
            os.kill(pid, signal.SIGCONT)
            down.set(False, when)
            return
        daemons.wait_gone(self.lab.init(fault.host), fault.daemon)
        if fault.kind == "kill":
            time.sleep(max(0.0, when + fault.for_s - time.time()))
        self.lab.start(fault.host, fault.daemon)
        self.lab.wait_daemon(fault.host, fault.daemon)
        down.set(False, time.time())

    def round(self, faults: list[Fault], folder: Path) -> dict:
        watch = Watch(self.lab, self.host.name)
        with observe.route_watch(self.lab, folder / "routes.jsonl") as routes:
            watch.start()
            try:
                begin = time.time()
                self._all_at_once(faults, begin)
                self._recovered()
                end = time.time()
            finally:
                watch.stop()
            routes.stop(signal.SIGTERM)
            lines = [line for line in routes.lines() if "unix_ns" in line]
        return self._judge((begin, end), lines, watch)

    def _all_at_once(self, faults: list[Fault], begin: float) -> None:
        failures: list[BaseException] = []

        def one(fault):
            try:
                self.break_and_mend(fault, begin)
            except BaseException as error:  # to be raised in the thread that waits
                failures.append(error)

        threads = [threading.Thread(target=one, args=(fault,)) for fault in faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _recovered(self) -> None:
        self.lab.wait_steady(deadline_s=30)

    # --- the judgement

    def _judge(self, whole: Span, changes: list[dict], watch: Watch) -> dict:
        end = whole[1]
        down = {process: timeline.until(end) for process, timeline in self.down.items()}
        for timeline in self.down.values():
            timeline.spans.clear()
        dataplane, monitor = down[self.host.name, "dataplane"], down[self.host.name, "healthmon"]
        backends = both(*(down[name, "nginx"] for name in self.backends))
        forwarding = watch.forwarding.until(end)
        cannot_serve = sorted([*dataplane, *backends])
        can_serve = both(forwarding, neither(cannot_serve, whole))
        # One second for the monitor to find out, counted from its own return.
        blind = [(begin, until + LIMIT_S) for begin, until in monitor]
        found = {"served_dead_s": 0.0, "served_dead_monitor_s": 0.0, "missing_s": 0.0}
        for family in VIPS:
            there = self._route_spans(changes, family, whole)
            wrong = both(there, _joined(cannot_serve))
            found["served_dead_s"] = max(found["served_dead_s"], longest(both(wrong, neither(blind, whole))))
            found["served_dead_monitor_s"] = max(found["served_dead_monitor_s"], longest(wrong))
            could = both(both(can_serve, neither(blind, whole)), watch.established[family].until(end))
            found["missing_s"] = max(found["missing_s"], longest(both(could, neither(there, whole))))
        return {key: round(value, 3) for key, value in found.items()} | {"round_s": round(whole[1] - whole[0], 1)}

    def _route_spans(self, changes: list[dict], family: str, whole: Span) -> list[Span]:
        timeline = Timeline()
        timeline.set(True, whole[0])  # it was steady
        for change in changes:
            if change["family"] == family:
                home = change["action"] == "add" and self.host.pop.name in change["interfaces"]
                # The route to another PoP replaces ours by an "add"; then the "del" of ours says nothing new.
                timeline.set(home, change["unix_ns"] / 1e9)
        return timeline.until(whole[1])


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def missing_limit_s() -> float:
    return configs.HOLD_DOWN_MS / 1000 + KNOWN_S + LIMIT_S


def problem(found: dict) -> str | None:
    if found["served_dead_s"] > LIMIT_S:
        return f"the router had a route to a PoP that could not serve for {found['served_dead_s']} s"
    if found["missing_s"] > missing_limit_s():
        return f"the route was missing for {found['missing_s']} s while the PoP could serve"
    return None


def run(lab: Lab, seed: int, first: int, rounds: int, say, record=lambda result: None) -> list[dict]:
    chaos = Chaos(lab)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + rounds):
            lab.wait_steady()
            faults = plan(seed, number, chaos.processes)
            words = "; ".join(f"{f.process} {f.kind} at {f.at_s} for {f.for_s}" for f in faults)
            found = chaos.round(faults, Path(folder))
            wrong = problem(found)
            results.append({"round": number, "faults": [asdict(fault) for fault in faults], **found, "problem": wrong})
            record(results[-1])
            say(f"round {number}: {words}: {found}" + (f"  WRONG: {wrong}" if wrong else ""))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--out", type=Path, help="append each round's result, one JSON object a line")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)

    def record(result: dict) -> None:  # round by round, so that an interrupted run is not lost
        if arguments.out:
            with open(arguments.out, "a") as out:
                out.write(json.dumps({"seed": seed, **result}) + "\n")

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lab is taken down then, too
    with lab_state.machine_lock():
        try:
            lab = Lab.up(arguments.build, lambda line: None)
            results = run(lab, seed, arguments.first, arguments.rounds, lambda line: print(line, flush=True), record)
        finally:
            clean_up()
    wrong = [result for result in results if result["problem"]]
    for key, text in (("served_dead_s", "route to a PoP that could not serve"), ("missing_s", "route missing")):
        values = [result[key] for result in results]
        print(f"{text}: median {statistics.median(values):.3f} s, worst {max(values):.3f} s")
    print(f"{len(results)} rounds, {len(wrong)} wrong; repeat one with --seed {seed} --first N --rounds 1")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
