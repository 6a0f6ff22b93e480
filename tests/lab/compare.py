#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the monitor with the two usual ways of withdrawing an anycast prefix, in the same lab, with the same
thresholds: how long from the death of the backends to the withdrawal at the router, and what it costs while all is well.

    sudo tests/lab/compare.py [--trials 10]      writes COMPARISON.md; about 6 minutes
"""
from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import configs, facts  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from labkit.daemons import Daemon, start, wait_gone  # noqa: E402
from labkit.lab import Lab, clean_up  # noqa: E402
from labkit.scenarios.scenario import balancer  # noqa: E402
from labkit.topology import ANYCAST_AS, PREFIX4  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from results_page import machine  # noqa: E402

INTERVAL_S, TIMEOUT_S, RISE, FALL = 1, 1, 2, 3  # whole seconds: ExaBGP's checker takes no others
CPU_S = 20
CHECKER = Path(__file__).with_name("exec_checker.py")


class Setup:
    """One way of announcing 198.51.100.0/24 from the preferred PoP's balancer."""
    goes_on = False  # after its turn

    def __init__(self, lab: Lab):
        self.lab = lab
        self.host = balancer(lab)
        self.init = lab.init(self.host.name)
        self.root = lab.root(self.host.name)
        self.backends = [host.name for host in lab.topology.backends(self.host.pop)]
        # As the monitor counts: half of the backends is enough.
        addresses = [lab.topology.hosts[name].address("v4") for name in self.backends]
        self.check = " || ".join(f"curl -sf -m {TIMEOUT_S / 2} -o /dev/null http://{a}/healthz" for a in addresses)

    def run(self, name: str, *command: str) -> None:
        start(self.init, self.host, Daemon(name, command))

    def stop(self, name: str, number=signal.SIGTERM) -> None:
        self.lab.kill(self.host.name, name, number)
        wait_gone(self.init, name)


class Anypop(Setup):
    name = "anypop-healthmon"
    text = "one process; probes in its event loop; `disable` on BIRD's socket"
    goes_on = True  # the next one is the same with another setting

    def begin(self):
        pass  # it runs

    def processes(self):
        return [self.lab.pid(self.host.name, "healthmon")]


class AnypopByDefault(Anypop):
    name = "the same, `fast_interval_ms` by default"
    text = "half of the interval while a change is under way"
    goes_on = False

    def begin(self):
        path = self.root / "etc/anypop/pop.yaml"
        config = json.loads(path.read_text())
        for service in config["services"]:
            del service["probe"]["fast_interval_ms"]
        path.write_text(json.dumps(config))
        self.lab.restart(self.host.name, "healthmon")

    def end(self):
        self.stop("healthmon")
        self.stop("bird")


class ExecChecker(Setup):
    name = "exec check and `birdc configure`"
    text = "a program for each check; prefix list rewritten, BIRD reconfigured (as anycast_healthchecker does it)"

    def begin(self):
        session = next(s for s in self.lab.topology.sessions(self.host) if s.family == "v4")
        text = configs._bird_head(self.host.attachments[0].address4)
        text += f'include "/etc/bird/list.conf";\nprotocol static vips {{ ipv4; route {PREFIX4} blackhole; }}\n'
        text += configs._bird_session(session, ANYCAST_AS, "none", "where net ~ ACAST_PS")
        (self.root / "etc/bird/bird.conf").write_text(text)
        (self.root / "etc/bird/list.conf").write_text("define ACAST_PS = [ ];\n")
        (self.root / "etc/bird/exec_checker.py").write_text(CHECKER.read_text())
        self.run("bird", "bird", "-f")
        self.run("checker", "/usr/bin/python3", "-BI", "/etc/bird/exec_checker.py", self.check, PREFIX4, "/etc/bird/list.conf",
                 str(INTERVAL_S), str(TIMEOUT_S), str(RISE), str(FALL))

    def end(self):
        self.stop("checker", signal.SIGKILL)
        self.stop("bird")

    def processes(self):
        return [self.lab.pid(self.host.name, "checker")]


class ExaBgp(Setup):
    name = "ExaBGP and its health check"
    text = "a program for each check; ExaBGP speaks BGP itself (`--withdraw-on-down`)"

    def begin(self):
        session = next(s for s in self.lab.topology.sessions(self.host) if s.family == "v4")
        check = (f'/usr/bin/python3 -m exabgp healthcheck --cmd "sh /etc/exabgp/check.sh" --interval {INTERVAL_S} '
                 f"--fast-interval {INTERVAL_S} --timeout {TIMEOUT_S} --rise {RISE} --fall {FALL} --no-ip-setup "
                 f"--ip {PREFIX4} --next-hop {session.local} --withdraw-on-down --no-syslog")
        (self.root / "etc/exabgp").mkdir(exist_ok=True)
        (self.root / "etc/exabgp/check.sh").write_text(self.check + "\n")
        (self.root / "etc/exabgp/lab.conf").write_text(f"""process check {{
  run {check};
  encoder text;
}}
neighbor {session.remote} {{
  router-id {session.local};
  local-address {session.local};
  local-as {ANYCAST_AS};
  peer-as {session.remote_as};
  hold-time 9;
  family {{ ipv4 unicast; }}
  api {{ processes [ check ]; }}
}}
""")
        self.run("exabgp", "env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.log.level=WARNING", "exabgp",
                 "/etc/exabgp/lab.conf")

    def end(self):
        self.stop("exabgp")

    def processes(self):
        return [self.lab.pid(self.host.name, "exabgp")]


def descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            found += [int(word) for word in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except OSError:
            pass
    return found


def cpu_s(pids: list[int]) -> float:
    """Used so far by processes, their descendants, and those of them that have ended and been waited for."""
    ticks = 0
    for pid in {d for pid in pids for d in descendants(pid)}:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def home_route(lab: Lab, there: bool) -> None:
    home = lab.topology.preferred.name
    facts.wait_for(f"t1: {'a' if there else 'no'} route to {home}",
                   lambda: (home in facts.route(lab.init("t1"), "v4")) is there, 60, 0.002)


def trial(lab: Lab, setup: Setup) -> float:
    """Milliseconds from the death of the backends to the router's having no route to the PoP."""
    routes = lab.init("t1")
    home = lab.topology.preferred.name
    time.sleep((time.time_ns() % 997) / 997 * INTERVAL_S)  # at any point of the interval
    pids = [lab.pid(name, "nginx") for name in setup.backends]
    begin = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    while home in facts.route(routes, "v4"):
        if time.monotonic() - begin > 30:
            raise SystemExit(f"{setup.name}: not withdrawn after 30 s")
        time.sleep(0.005)
    took = (time.monotonic() - begin) * 1000
    for name in setup.backends:
        lab.start(name, "nginx")
    home_route(lab, True)
    return took


def measure(lab: Lab, setup: Setup, trials: int) -> dict:
    setup.begin()
    home_route(lab, True)
    pids = setup.processes()
    before, begin = cpu_s(pids), time.monotonic()
    time.sleep(CPU_S)
    used = (cpu_s(pids) - before) / (time.monotonic() - begin)
    took = [trial(lab, setup) for _ in range(trials)]
    if not setup.goes_on:
        setup.end()
        home_route(lab, False)
    print(f"{setup.name}: {[round(t) for t in took]} ms, {used * 100:.2f} % of a core", flush=True)
    return {"name": setup.name, "text": setup.text, "took": took, "cpu_percent": used * 100}


PAGE = """# Compared with the usual health checkers

Written by `sudo tests/lab/compare.py --trials {trials}`; do not edit. {trials} deaths each on {machine}; load average
{load} before.

The same lab, PoP and router, and the same thresholds: a check each {interval} s with a timeout of {timeout} s, fall
{fall}, rise {rise}, half of the two backends is enough, and, but for the
second line, no faster interval during a change. Both backends are
killed at a random moment, so {fall} checks take between {least} and {most} ms. The end is the router's kernel without
a route to the PoP. The CPU is that of the checker, with the programs that it starts, over {cpu} s in which nothing
happens.

| | death to withdrawal, median | worst | CPU | |
|---|---|---|---|---|
{rows}

What the figures do not show: the monitor looks after two address families here, asks the dataplane 20 times a second
whether it turns, and reads back from BIRD each second what is exported; the others check IPv4 alone. The other two fork a
shell and curl for each check.

ExaBGP is Debian's (`exabgp`), with the health check that comes with it. The exec checker is
[exec_checker.py](exec_checker.py): the logic of anycast_healthchecker, which is not in Debian, in 40 lines.
"""


def write_page(results: list[dict], trials: int, load: str) -> None:
    rows = "\n".join(
        f"| {r['name']} | {statistics.median(r['took']):.0f} ms | {max(r['took']):.0f} ms | {r['cpu_percent']:.2f} % | {r['text']} |"
        for r in results)
    Path(__file__).with_name("COMPARISON.md").write_text(PAGE.format(
        trials=trials, machine=machine(), load=load, interval=INTERVAL_S, timeout=TIMEOUT_S, fall=FALL, rise=RISE,
        cpu=CPU_S, least=(FALL - 1) * INTERVAL_S * 1000,
        most=FALL * INTERVAL_S * 1000, rows=rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    arguments = parser.parse_args()
    load = Path("/proc/loadavg").read_text().split()[0]
    configs.PROBE.update(interval_ms=INTERVAL_S * 1000, fast_interval_ms=INTERVAL_S * 1000, down_interval_ms=INTERVAL_S * 1000,
                         jitter_percent=0, timeout_ms=TIMEOUT_S * 1000 - 1, rise=RISE, fall=FALL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lab is taken down then, too
    with lab_state.machine_lock():
        try:
            lab = Lab.up(arguments.build, lambda line: None)
            results = [measure(lab, kind(lab), arguments.trials) for kind in (Anypop, AnypopByDefault, ExecChecker, ExaBgp)]
        finally:
            clean_up()
    write_page(results, arguments.trials, load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
