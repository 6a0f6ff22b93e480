#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through what an operator meets, in the lab, and writes down what was typed and what was answered.

    sudo tests/lab/operations.py            writes bgpctl/OPERATIONS.md; about a minute
"""
from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import daemons, facts, observe  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from labkit.lab import Lab, clean_up  # noqa: E402
from labkit.scenarios.scenario import traffic_moved  # noqa: E402
from labkit.timeline import Observations  # noqa: E402

HEAD = """# A day in operations

Written by `sudo tests/lab/operations.py`; do not edit. Every line after a prompt was typed, and every answer is what
really came, in the [lab](../tools/labkit/README.md): PoPs `ams` and `fra`, BIRD and FRR as their routers, nginx as the
backends, a client that prefers `ams`.
The lab's times are short: probes each 100 ms, a hold-down of half a second. [bgpctl](README.md) has every command, `man bgpctl` an
example of each.
"""


class Page:
    def __init__(self, lab: Lab):
        self.lab = lab
        self.parts = [HEAD]

    def say(self, text: str) -> None:
        self.parts.append(" ".join(text.split()) if not text.startswith("##") else text)

    def run(self, host: str, command: str, exit_code: int = 0) -> str:
        path = f"PATH={daemons.BIN}:/usr/bin:/usr/sbin:/bin:/sbin"
        done = subprocess.run(self.lab.enter(host, "env", path, "sh", "-c", command),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90)
        if done.returncode != exit_code:
            raise SystemExit(f"{host}: {command}: exit code {done.returncode}, expected {exit_code}\n{done.stdout}")
        shown = done.stdout.rstrip("\n")
        code = f"\n(exit code {exit_code})" if exit_code else ""
        self.parts.append(f"```\n{host}$ {command}\n{shown}{code}\n```")
        return done.stdout

    def text(self) -> str:
        return "\n\n".join(self.parts) + "\n"


def first_look(page: Page) -> None:
    page.say("## All is well")
    page.say("""Three facts for each announcement, which must agree: what is **intended** and why, what BIRD has **in its table**, and to
        which sessions it is **exported**. A line that begins with `!` is a contradiction.""")
    page.run("ams-lb1", "bgpctl status")
    page.run("client", "curl -s http://198.51.100.1/")


def drain(page: Page, folder: Path) -> None:
    page.say("## Maintenance: a drain")
    page.say("""The machine is to be restarted. `drain` makes the announcement unattractive (GRACEFUL_SHUTDOWN and two prepends, in one
        replacing update), waits until its packets have stopped, and only then withdraws. A client is busy meanwhile with 200 new
        connections a second.""")
    begin = time.time_ns()
    with observe.route_watch(page.lab, folder / "routes.jsonl") as routes, \
            observe.load(page.lab, folder / "requests.jsonl") as load:
        facts.wait_for("the load", lambda: len(load.lines()) > 100)
        page.run("ams-lb1", 'bgpctl drain web --wait --deadline 5m --quiet-for 2s --reason "kernel update"')
        load.stop(signal.SIGINT)
        routes.stop(signal.SIGTERM)
        seen = Observations("ams", begin, begin, load.lines(), [line for line in routes.lines() if "unix_ns" in line], [])
    new = [index for index, line in enumerate(seen.requests) if line["kind"] == "new"]
    bad = [seen.requests[index]["error"] for index in new if seen.requests[index]["error"] and index not in seen.moved]
    print(f"drain: {len(new)} new requests, failed: {bad}", file=sys.stderr)
    page.say(f"""Connections that the client opened during this: {len(new)}. Failed: {len(bad)}. Open at the very moment at which the
        router moved them to `fra`, where the backends do not know them and reset what is not over yet:
        {len(seen.moved.intersection(new))}. No drain of a whole PoP can spare those; long connections are better ended by the
        service itself before it ([what a drain keeps](README.md#how-a-drain-works)). The order is a hold: it outranks health
        and survives every restart.""")
    page.run("ams-lb1", "bgpctl hold")
    page.run("ams-lb1", "bgpctl status web")
    page.run("client", "curl -s http://198.51.100.1/")
    page.say("""And back: de-preferred first, once the monitor finds everything healthy, then in full. If it does not become healthy in
        time, the hold stays.""")
    page.run("ams-lb1", "bgpctl undrain web --wait-healthy --deadline 5m")
    page.say("Who did what, why, and what came of it:")
    page.run("ams-lb1", "bgpctl log web -n 9")
    page.lab.wait_steady()


def failed_pop(page: Page) -> None:
    page.say("## A PoP fails")
    page.say("""Both backends of `ams` die. Nobody has to do anything: the monitor withdraws, and the client is answered by `fra`.""")
    for host in ("ams-b1", "ams-b2"):
        page.lab.kill(host, "nginx")
    traffic_moved(page.lab)
    page.run("ams-lb1", "bgpctl status web")
    page.run("client", "curl -s http://198.51.100.1/")
    page.run("ams-lb1", "bgpctl log -n 8")
    page.say("""May it be announced all the same? Not without a word from you: `announce` leaves the decision to the monitor, and says
        why it does not.""")
    page.run("ams-lb1", "bgpctl announce web --timeout 1s", exit_code=1)
    page.say("""The backends come back, and with them, after the hold-down, the announcement. `anypop report` puts the whole story
        together.""")
    for host in ("ams-b1", "ams-b2"):
        page.lab.start(host, "nginx")
    page.lab.wait_steady()
    page.run("ams-lb1", "bgpctl log web -n 3")


def stuck_bird(page: Page) -> None:
    page.say("## BIRD is stuck")
    page.say("""BIRD hangs (SIGSTOP, here). BFD has told the router already, so the traffic is elsewhere; `status` says what is known and
        what is not.""")
    page.lab.kill("ams-lb1", "bird", signal.SIGSTOP)
    traffic_moved(page.lab)
    page.run("ams-lb1", "bgpctl status", exit_code=1)
    page.say("""Nobody knows what BIRD will do when it wakes up. Give the order now: it is written to the state file, which BIRD reads, and
        to the hold, which the monitor reads. Exit code 1 says that BIRD has not confirmed it.""")
    page.run("ams-lb1", 'bgpctl withdraw web --reason "BIRD hangs, ticket 43"', exit_code=1)
    page.say("BIRD wakes up. The monitor has been trying every second, and puts it right.")
    page.lab.kill("ams-lb1", "bird", signal.SIGCONT)
    facts.wait_for("BIRD at what is intended", lambda: "announced" not in table_level(page.lab), 20)
    facts.wait_for("BGP sessions established", lambda: page.lab.session_down(page.lab.topology.hosts["ams-lb1"]) == [], 20)
    page.run("ams-lb1", "bgpctl status web")
    page.say("When it is trusted again:")
    page.run("ams-lb1", "bgpctl announce web")
    page.lab.wait_steady()


def table_level(lab: Lab) -> str:
    state = facts.daemon_get(lab.init("ams-lb1"), "healthmon", "/v1/state")
    return state["announcements"][0]["table_level"] or "announced"


def bad_config(page: Page) -> None:
    page.say("## A bad configuration")
    page.say("""Somebody saved half a sentence in bird.conf. BIRD goes on with what it has, a restart of it would fail, and no withdrawal
        that needs a `configure` works any more. Ours needs none.""")
    conf = page.lab.root("ams-lb1") / "etc/bird/bird.conf"
    good = conf.read_text()
    try:
        conf.write_text(good + "protocol bgp new_peer {\n  neighbor 10.1.0.9 as\n")
        page.run("ams-lb1", "birdc configure", exit_code=1)
        page.run("ams-lb1", "bgpctl status | head -n 5")
        page.run("ams-lb1", 'bgpctl withdraw web --reason "bird.conf is broken, ticket 44"')
        page.run("client", "curl -s http://198.51.100.1/")
    finally:
        conf.write_text(good)
    page.say("""It is mended. A `configure` by anybody brings nothing back, because the state file is what BIRD reads; the operator's word
        ends the hold.""")
    page.run("ams-lb1", "birdc configure")
    page.run("ams-lb1", "bgpctl announce web")
    page.lab.wait_steady()
    page.say("""A bad pop.yaml is one line with the place, what was found and what was expected, and changes nothing. Look before you
        reload:""")
    pop = page.lab.root("ams-lb1") / "etc/anypop/pop.yaml"
    good = pop.read_text()
    try:
        pop.write_text(good.replace('"min_healthy_percent": 50', '"min_healthy_percent": 500'))
        page.run("ams-lb1", "anypop check-config", exit_code=1)
        page.say("""The operator's hand still works, by the copy that the monitor keeps of the last pop.yaml that was good, and so does
            the withdrawal if the monitor is lost:""")
        page.run("ams-lb1", "bgpctl status | head -n 2")
    finally:
        pop.write_text(good)
    page.run("ams-lb1", "anypop check-config")


def looking_on(page: Page) -> None:
    page.say("## Looking on")
    page.say("""The same for tools, over the monitor's [API](../healthmon/API.md): the state, the events as they happen, and holds.""")
    page.run("ams-lb1", "curl -s --unix-socket /run/anypop/healthmon.sock http://x/v1/holds -d "
                        "'{\"announcements\": [\"web\"], \"kind\": \"withdraw\", \"reason\": \"ticket 45\", \"for\": \"30m\", "
                        "\"dry_run\": true}'")
    page.run("ams-lb1", "bgpctl log --since 1m --json | tail -n 2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--out", type=Path, default=ROOT / "bgpctl/OPERATIONS.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lab is taken down then, too
    with lab_state.machine_lock():
        try:
            lab = Lab.up(arguments.build, lambda line: None)
            page = Page(lab)
            first_look(page)
            drain(page, Path(lab_state.STATE_DIR))
            failed_pop(page)
            stuck_bird(page)
            bad_config(page)
            looking_on(page)
        finally:
            clean_up()
    arguments.out.write_text(page.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
