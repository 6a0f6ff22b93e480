# SPDX-License-Identifier: Apache-2.0
"""Control groups of the machines that boot in a lab (tests/deploy): the one thing of it that outlives its processes."""
from __future__ import annotations

import time
from pathlib import Path

from .state import NAME as LAB

NAME = f"anypop-{LAB}"


def folders() -> list[Path]:
    """One in each hierarchy that has it."""
    root = Path("/sys/fs/cgroup")
    return [tree / NAME for tree in (root, root / "unified", root / "systemd") if (tree / NAME).is_dir()]


def remove(deadline_s: float = 10) -> None:
    """When the processes are gone."""
    end = time.monotonic() + deadline_s
    for top in folders():
        for folder in [*sorted(top.rglob("*"), reverse=True), top]:
            _remove(folder, end)


def _remove(folder: Path, end: float) -> None:
    while folder.is_dir():
        try:
            folder.rmdir()
        except OSError:  # the kernel has not yet taken its last process apart
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
