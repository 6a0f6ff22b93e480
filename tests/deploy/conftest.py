# SPDX-License-Identifier: Apache-2.0
"""One test bed for all tests, which run in the order of the file: each starts from what the one before left. By hand:

    sudo /usr/bin/python3 -m pytest tests/deploy --build build/release
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]
sys.dont_write_bytecode = True

import bed as testbed  # noqa: E402
import tree  # noqa: E402
from labkit import state as lab_state  # noqa: E402
from rollout import Operator  # noqa: E402

VERSIONS = ("0.1.0+1", "0.1.0+2")


def pytest_addoption(parser):
    parser.addoption("--build", type=Path, default=ROOT / "build/release", help="build folder, programs in its bin/")


def pytest_collection_modifyitems(items):
    why = None
    if os.geteuid() != 0:
        why = "the test bed boots machines and needs root"
    elif shutil.which("systemd-nspawn") is None:
        why = "there is no systemd-nspawn on this machine"
    if why:
        print(f"\nSKIPPED, ALL OF IT: {why}", file=sys.stderr)
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def packages(tmp_path_factory) -> list[Path]:
    """The previous one, and the next one: the same programs, which need not be compiled again, in a later package."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([ROOT / "tools/packaging/build-deb", "--check", "--out", folder, "--version", VERSIONS[0]], check=True)
    found = [folder / f"anypop_{version}_amd64.deb" for version in VERSIONS]
    inside = folder / "inside"
    subprocess.run(["dpkg-deb", "--raw-extract", found[0], inside], check=True)
    control = inside / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSIONS[0]}", f"Version: {VERSIONS[1]}"))
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", inside, found[1]], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(inside)
    return found


@pytest.fixture(scope="session")
def operator(request, packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator")
    with lab_state.machine_lock():
        base = tree.of_package(packages[0], print)
        bed = testbed.Bed.up(request.config.getoption("--build").resolve(), base, print)
        try:
            made = Operator(bed, folder, packages[0])
            made.start_web_servers()
            yield made
            print("\n".join(f"{seconds:7.1f} s  {name}" for name, seconds in made.durations))
        finally:
            testbed.tear_down()


@pytest.fixture(autouse=True)
def explain(request, operator):
    """After a failure: what the machines have to say."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        for name in operator.bed.machines:
            said = operator.bed.ssh(name, "systemctl --failed --no-legend; journalctl -q -n 25 -o cat -u 'anypop*' -u bird")
            print(f"--- {name}\n{said.stdout}{said.stderr}")
