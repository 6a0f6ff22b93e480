# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus in the lab's client, which scrapes every balancer over the routers and knows the alert rules."""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator

from . import configs, facts
from .errors import LabError
from .lab import Lab

ALERTS = Path(__file__).resolve().parents[1] / "examples/prometheus/alerts.yml"
HOST = "client"
PORT = 9090
SCRAPE_INTERVAL_MS = 500


def config(lab: Lab) -> str:
    """prometheus.yml. JSON is YAML."""
    targets = [{"targets": [configs.monitor_listen(host)], "labels": {"pop": host.pop.name}}
               for host in lab.topology.balancers()]
    interval = f"{SCRAPE_INTERVAL_MS}ms"
    return json.dumps({
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "anypop", "static_configs": targets}],
    }, indent=2)


class Prometheus:
    """Answers as its API gives them. An error of a query is a LabError with Prometheus' own words."""

    def __init__(self, lab: Lab):
        self._lab = lab

    def api(self, path: str, **parameters: str) -> Any:
        words = ["curl", "-sG", "--max-time", "5", f"http://127.0.0.1:{PORT}/api/v1/{path}"]
        for name, value in parameters.items():
            words += ["--data-urlencode", f"{name}={value}"]
        answer = json.loads(self._lab.run(HOST, *words).stdout)
        if answer["status"] != "success":
            raise LabError(f"Prometheus: {answer.get('error')}: {parameters}")
        return answer["data"]

    def series(self, query: str) -> list[tuple[dict[str, str], float]]:
        """An instant query: labels and value of each series."""
        return [(one["metric"], float(one["value"][1])) for one in self.api("query", query=query)["result"]]

    def value(self, query: str) -> float | None:
        """Of the only series; None: there is none."""
        found = self.series(query)
        if len(found) > 1:
            raise LabError(f"{query}: found {len(found)} series, expected one")
        return found[0][1] if found else None

    def wait(self, query: str, value: float, deadline_s: float = 20) -> None:
        facts.wait_for(f"{query} is {value:g}", lambda: self.value(query) == value, deadline_s)


@contextlib.contextmanager
def running(lab: Lab, folder: Path) -> Iterator[Prometheus]:
    (folder / "prometheus.yml").write_text(config(lab))
    command = lab.enter(HOST, "prometheus", f"--config.file={folder}/prometheus.yml",
                        f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{PORT}")
    with open(folder / "prometheus.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        found = Prometheus(lab)
        facts.wait_for("Prometheus has scraped every balancer", lambda: _scrapes(process, folder, found))
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _scrapes(process: subprocess.Popen, folder: Path, prometheus: Prometheus) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Prometheus has ended: {(folder / 'prometheus.log').read_text()[-2000:]}")
    up = prometheus.series('up{job="anypop"}')
    return len(up) == len(prometheus._lab.topology.balancers()) and all(value == 1 for _, value in up)
