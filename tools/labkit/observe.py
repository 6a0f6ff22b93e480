# SPDX-License-Identifier: Apache-2.0
"""What runs beside a fault and writes things down: the load in the client, the route watch in the client's router."""
from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from . import facts, namespaces
from .errors import LabError
from .lab import Lab
from .topology import PREFIXES, VIP4, VIP6

RATE_PER_S = 200
LONG_CONNECTIONS = 10
LONG_INTERVAL_MS = 100
TIMEOUT_MS = 500
RUN_MAX_S = 90  # the observers end by themselves after this, whatever becomes of us


class Observer:
    """A program in a host whose standard output goes to a file of ours. Use as a context."""

    def __init__(self, lab: Lab, host: str, command: list[str], output: Path):
        self.path = output
        self._name = f"{host}: {Path(command[0]).name}"
        self._command = lab.enter(host, *command)

    def __enter__(self):
        with open(self.path, "wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.PIPE,
                                             stdin=subprocess.DEVNULL, start_new_session=True)
        facts.wait_for(f"{self._name} begins", self._began, interval_s=0.005)
        return self

    def _began(self) -> bool:
        if self._process.poll() is not None:
            raise LabError(f"ended with {self._process.returncode}: {self._process.stderr.read().decode().strip()}")
        return self.path.stat().st_size > 0

    def stop(self, number: signal.Signals) -> None:
        """The signal goes to the program itself: nsenter, its parent, would not pass it on."""
        if self._process.poll() is None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), number)
        self._process.wait(timeout=20)

    def __exit__(self, *_error):
        if self._process.poll() is None:
            self.stop(signal.SIGKILL)
        self._process.stderr.close()

    def lines(self) -> list[dict[str, Any]]:
        # The last line may be cut by a SIGKILL.
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def load(lab: Lab, output: Path) -> Observer:
    return Observer(lab, "client", [
        f"{namespaces.BIN_DIR}/anypop-loadgen", "--target", f"v4={VIP4}:80", "--target", f"v6=[{VIP6}]:80",
        "--rate", str(RATE_PER_S), "--long", str(LONG_CONNECTIONS), "--long-interval-ms", str(LONG_INTERVAL_MS),
        "--timeout-ms", str(TIMEOUT_MS), "--duration-s", str(RUN_MAX_S),
    ], output)


def route_watch(lab: Lab, output: Path) -> Observer:
    script = str(Path(__file__).with_name("routewatch.py"))
    prefixes = [f"{family}={prefix}" for family, prefix in PREFIXES.items()]
    command = ["/usr/bin/python3", "-BI", script, str(RUN_MAX_S), *prefixes]
    return Observer(lab, lab.topology.client_transit, command, output)


class EventLog:
    """What a balancer's processes wrote into their event log since this object was made."""

    def __init__(self, lab: Lab, balancer: str):
        self._path = lab.root(balancer) / "var/lib/anypop/events.jsonl"
        self._offset = self._path.stat().st_size if self._path.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with open(self._path, "rb") as log:
            log.seek(self._offset)
            return [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
