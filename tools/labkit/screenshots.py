# SPDX-License-Identifier: Apache-2.0
"""`tools/lab screenshots`: the pictures of the README, of a lab in which things happen."""
from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import Callable

from . import campaign, configs, namespaces, observe, prometheus, scenarios, terminal
from .browser import Browser
from .lab import Lab
from .run import run_once
from .scenarios.scenario import balancer

RUNS = 5  # of the failover in the report
WIDTH = 1100
TRAFFIC_S = 62  # until a graph of a minute is full


def take(lab: Lab, out: Path, say: Callable[[str], None]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="anypop-screenshots-") as folder:
        _report(lab, Path(folder), out, say)
        victim = lab.topology.backends(lab.topology.preferred)[0].name
        try:
            with observe.load(lab, Path(folder) / "page.jsonl") as load:
                time.sleep(TRAFFIC_S)
                lab.kill(victim, "nginx")
                _page(lab, out, say)
                load.stop(signal.SIGINT)
            with observe.load(lab, Path(folder) / "terminal.jsonl") as load:  # each ends by itself after a while
                _terminals(lab, Path(folder), out, say)
                load.stop(signal.SIGINT)
        finally:
            lab.start(victim, "nginx")
    lab.wait_steady()


def _page(lab: Lab, out: Path, say: Callable[[str], None]) -> None:
    where = balancer(lab)
    with Browser(lab.enter(where.name)) as browser:
        browser.open(f"http://{configs.monitor_listen(where)}/")
        browser.wait_for("1 of 2 healthy")
        time.sleep(3)  # the graphs go on
        for name, (width, scheme) in {"status-page": (WIDTH, "light"), "status-page-dark": (WIDTH, "dark"),
                                      "status-page-phone": (390, "light")}.items():
            browser.look(width, 900, scheme)
            browser.screenshot(out / f"{name}.png", height_max=2600)
            say(f"{out / name}.png")


def _terminals(lab: Lab, folder: Path, out: Path, say: Callable[[str], None]) -> None:
    where, bin_dir = balancer(lab), namespaces.BIN_DIR
    _terminal(lab.enter(where.name, f"{bin_dir}/anypop", "top"), r"web6.*packets/s.*[0-9]{2,} .*#", "anypop top", folder,
              out / "top.png", say)
    inventory = folder / "pops"
    inventory.write_text("".join(f"{host.pop.name} http://{configs.monitor_listen(host)}\n"
                                 for host in lab.topology.balancers()))
    _terminal(lab.enter(prometheus.HOST, "sh", "-c", f"{bin_dir}/anypop status --inventory {inventory}; sleep 60"),
              "fra .*good", "anypop status --inventory /etc/anypop/pops", folder, out / "fleet.png", say)


def _terminal(command: list[str], pattern: str, caption: str, folder: Path, path: Path, say: Callable[[str], None]) -> None:
    screen = terminal.capture(command, pattern)
    page = folder / f"{path.stem}.html"
    page.write_text(terminal.to_html(screen, caption))
    with Browser() as browser:
        browser.look(900, 300)
        browser.open(f"file://{page}")
        browser.wait_for("anypop")
        width = browser.evaluate("Math.ceil(document.querySelector('figure').getBoundingClientRect().width)")
        height = browser.evaluate("Math.ceil(document.querySelector('figure').getBoundingClientRect().height)")
        browser.look(width, height)
        browser.screenshot(path, height_max=height)
    say(str(path))


def _report(lab: Lab, folder: Path, out: Path, say: Callable[[str], None]) -> None:
    scenario = scenarios.ALL["all-backends-die"]
    runs = []
    for number in range(1, RUNS + 1):
        found = run_once(lab, scenario, folder / f"run-{number}")
        runs.append({**found, "folder": f"run-{number}"})
        say(f"{scenario.name} {number}/{RUNS}")
    page = folder / "report.html"
    campaign.write_page(Path(lab.state.build) / "bin/anypop", runs, folder, page)
    with Browser() as browser:
        browser.look(WIDTH, 900)
        browser.open(f"file://{page}")
        browser.wait_for(scenario.sentence)
        browser.screenshot(out / "report.png", height_max=1500)
    say(f"{out}/report.png")
