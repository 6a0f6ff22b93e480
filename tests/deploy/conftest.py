# SPDX-License-Identifier: Apache-2.0
"""One test bed for all tests, which run in the order of the file: each starts from what the one before left. By hand:

    sudo /usr/bin/python3 -m pytest tests/deploy --build build/release
"""
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]
sys.dont_write_bytecode = True
os.environ["ANYPOP_LAB_NAME"] = "bed"  # a lab may be up beside it

import bed as testbed  # noqa: E402
import checkout  # noqa: E402
import machines  # noqa: E402
import tree  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from labkit.lab import clean_up  # noqa: E402
from rollout import Operator  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", type=Path, default=ROOT / "build/release", help="build folder, programs in its bin/")
    parser.addoption("--keep", action="store_true", help="use the bed that is up, and leave it up: for work on the tests")


SKIPPED = 125  # exit code; ctest and tests/run count it as skipped, not as passed


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        _skip_all("the test bed boots machines and needs root")
    if shutil.which("systemd-nspawn") is None or shutil.which("debootstrap") is None:
        _skip_all("systemd-nspawn and debootstrap are not here; run 'sudo tools/install-deps'")


def _skip_all(why: str):
    pytest.exit(f"SKIPPED, ALL OF IT: {why}", returncode=SKIPPED)


@pytest.fixture(scope="session")
def packages(tmp_path_factory) -> list[dict[str, Path]]:
    # Each takes minutes when nothing is cached.
    with ThreadPoolExecutor() as beside:
        base = beside.submit(tree.base_of_all, print)
        built = checkout.packages(tmp_path_factory.mktemp("packages"))
        base.result()
    return built


@pytest.fixture(scope="session")
def operator(request, packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator")
    keep = request.config.getoption("--keep")
    with lab_state.machine_lock():
        base = tree.of_packages(packages[0].values(), print)
        if why := machines.cannot_boot(base):
            _skip_all(f"systemd-nspawn cannot run here: {why}")
        bed = testbed.Bed.running(base, print) if keep else None
        fresh = bed is None
        bed = bed or testbed.Bed.up(request.config.getoption("--build").resolve(), base, print)
        try:
            made = Operator(bed, folder)
            made.provide(packages[0])
            if fresh:
                made.start_web_servers()
            else:
                made.go_on()
            yield made
            print("\n".join(f"{seconds:7.1f} s  {name}" for name, seconds in made.durations))
        finally:
            if not keep:
                clean_up()


@pytest.fixture(autouse=True)
def explain(request, operator):
    """After a failure: what the machines have to say."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        for name in operator.bed.machines:
            said = operator.bed.ssh(name, "systemctl --failed --no-legend; journalctl -q -n 25 -o cat -u 'anypop*' -u bird")
            print(f"--- {name}\n{said.stdout}{said.stderr}")
