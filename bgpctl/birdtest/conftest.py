# SPDX-License-Identifier: Apache-2.0
"""One lab for all tests of a run; each test finds it announced and without holds."""
import os

import pytest

from lab import BOTH, Lab


@pytest.fixture(scope="session")
def shared_lab():
    lab = Lab()
    yield lab
    lab.close()


@pytest.fixture
def lab(shared_lab):
    """Announced, no hold, both BIRDs well."""
    try:
        shared_lab.bgpctl("release", "--all")
        shared_lab.bgpctl("announce", "web")
        shared_lab.wait_routes(BOTH)
        yield shared_lab
    finally:
        if os.environ.get("ANYPOP_KEEP_LOGS"):
            print("\n".join(shared_lab.pop.log()[-50:]))
