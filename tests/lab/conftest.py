# SPDX-License-Identifier: Apache-2.0
"""One lab for all tests of a file that need one. Run by ctest (label lab), or:

    sudo /usr/bin/python3 -m pytest tests/lab --build build/release
"""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import diagnose, scenarios  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from labkit.lab import Lab, clean_up  # noqa: E402
from labkit.run import run_once  # noqa: E402
from labkit.timeline import Observations  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", type=Path, default=ROOT / "build/release", help="build folder, programs in its bin/")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="the lab makes network namespaces and needs root"))


@pytest.fixture(scope="session")
def build(request) -> Path:
    return request.config.getoption("--build").resolve()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="module")
def lab(request, build):
    """Of the module's VARIANT."""
    lines = []
    with lab_state.machine_lock():
        made = Lab.up(build, lines.append, getattr(request.module, "VARIANT", "standard"))
        try:
            yield made
        finally:
            clean_up()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "lab" in item.funcargs:
        folder = Path(item.funcargs["build"]) / "lab-failures" / item.name
        report.sections.append((f"the lab's logs (all of it in {folder})", diagnose.dump(item.funcargs["lab"], folder)))


class Run:
    """A finished run: its result, and what was observed."""

    def __init__(self, found, folder):
        self.found = found
        self.fault = found["fault"]
        self.steps_ms = found["fault"]["steps_ms"]
        self.back = found["return"]
        self.seen = Observations.read(folder, found)

    def failed(self, kind, phase=None):
        """Requests of this kind that failed, in the whole run or a phase, not counting those that were only moved."""
        begin = self.seen.repair_unix_ns if phase == "return" else 0
        end = self.seen.repair_unix_ns if phase == "fault" else 1 << 63
        return [r for i, r in enumerate(self.seen.requests)
                if r["kind"] == kind and r["error"] and i not in self.seen.moved and begin <= r["end_unix_ns"] < end]

    def home_adds(self):
        """How often the client's router got a route to the home PoP."""
        return [c for c in self.seen.routes if c["action"] == "add" and self.seen.home in c["interfaces"]]


@pytest.fixture
def run(lab, tmp_path):
    def one(name) -> Run:
        found = run_once(lab, scenarios.ALL[name], tmp_path)
        print(found)
        return Run(found, tmp_path)

    return one
