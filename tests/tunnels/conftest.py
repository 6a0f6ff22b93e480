# SPDX-License-Identifier: Apache-2.0
"""One small lab for all encapsulations. Run by ctest (label lab), or:

    sudo /usr/bin/python3 -m pytest tests/tunnels --build build/release
"""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from labkit import state as lab_state  # noqa: E402
from labkit.lab import clean_up  # noqa: E402
from labkit.tunnels import TunnelLab  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", type=Path, default=ROOT / "build/release", help="build folder, programs in its bin/")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="the lab makes network namespaces and needs root"))


@pytest.fixture(scope="session")
def lab(request):
    with lab_state.machine_lock():
        clean_up()
        try:
            yield TunnelLab(request.config.getoption("--build").resolve()).up()
        finally:
            clean_up()


@pytest.fixture
def serving(lab):
    """serving(forwarding, outer family): the PoP serves like this until the end of the test."""
    try:
        yield lab.start
    finally:
        lab.stop()
