# SPDX-License-Identifier: Apache-2.0
"""One lab for all of these: the usual one, but with two balancers in PoP ams. Run by ctest (label lab), or:

    sudo /usr/bin/python3 -m pytest tests/drain --build build/release
"""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import state as lab_state  # noqa: E402
from labkit.lab import Lab, clean_up  # noqa: E402
from labkit.topology import Pop, Topology  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", type=Path, default=ROOT / "build/release", help="build folder, programs in its bin/")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="the lab makes network namespaces and needs root"))


@pytest.fixture(scope="session")
def lab(request):
    lines = []
    topology = Topology(pops=(Pop("ams", 1, "t1", balancers=2), Pop("fra", 2, "t2")))
    with lab_state.machine_lock():
        try:
            yield Lab.up(request.config.getoption("--build").resolve(), lines.append, topology)
        finally:
            clean_up()
