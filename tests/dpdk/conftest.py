# SPDX-License-Identifier: Apache-2.0
import os
import signal

import pytest

from network import Network
from support import Dataplane, add_hugepages


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("these tests need root: namespaces, XDP programs, hugepages", returncode=1)


@pytest.fixture
def start(tmp_path):
    """start(config, …) runs a dataplane; whatever happens, none is left running."""
    running = []

    def start_one(config, **options):
        running.append(Dataplane(tmp_path, config, **options))
        return running[-1]
    yield start_one
    for dataplane in running:
        print(dataplane.text())  # pytest shows it when the test failed
        dataplane.stop(signal.SIGKILL)
        dataplane.end_successors()


@pytest.fixture
def network():
    network = Network()
    try:
        yield network.up()
    finally:
        network.down()


@pytest.fixture
def hugepages():
    pages = 32  # 64 MB
    add_hugepages(pages)
    yield pages
    add_hugepages(-pages)
