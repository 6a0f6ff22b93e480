# SPDX-License-Identifier: Apache-2.0
"""What the lab remembers between two commands, and what it took from the machine and must give back.

Two labs of different ANYPOP_LAB_NAME know nothing of each other and can be up at the same time (tests/deploy has one of its own).

STATE_DIR exists only while a lab does, or after one was killed; the next `up` or `down` then gives back what it held.
"""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import LabError

NAME = os.environ.get("ANYPOP_LAB_NAME", "lab")
STATE_DIR = Path(f"/run/anypop-{NAME}")
STATE_FILE = STATE_DIR / "state.json"
HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


@dataclass
class State:
    init_pid: int = 0  # of the outer namespace's tini
    init_start: int = 0  # its start time, so that a reused pid is not taken for it
    build: str = ""
    variant: str = "standard"
    hugepages_added: int = 0
    hosts: dict[str, int] = field(default_factory=dict)  # pid of each host's init

    def save(self) -> None:
        STATE_DIR.mkdir(mode=0o755, exist_ok=True)
        temporary = STATE_FILE.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.rename(STATE_FILE)

    def alive(self) -> bool:
        return self.init_pid > 0 and start_time(self.init_pid) == self.init_start


def load() -> State | None:
    try:
        return State(**json.loads(STATE_FILE.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise LabError(f"{STATE_FILE}: not a lab's state ({error}); remove it if no lab runs") from error


def forget() -> None:
    shutil.rmtree(STATE_DIR, ignore_errors=True)


def start_time(pid: int) -> int:
    """In clock ticks since boot; -1 if there is no such process, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return -1 if fields[0] in "ZX" else int(fields[19])


@contextlib.contextmanager
def machine_lock():
    """One lab command that changes something at a time. An abstract socket: nothing stays behind, however we die."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0anypop-{NAME}")
    except OSError as error:
        lock.close()
        raise LabError("another tools/lab command is at work on this machine; wait for it or stop it") from error
    try:
        yield
    finally:
        lock.close()


def hugepages() -> int:
    """What the machine is set to. The kernel's nr_hugepages also counts surplus ones: taken back while in use."""
    return int((HUGEPAGES / "nr_hugepages").read_text()) - _surplus()


def _surplus() -> int:
    return int((HUGEPAGES / "surplus_hugepages").read_text())


def add_hugepages(state: State, count: int) -> None:
    """Recorded before it is done, so that a lab that is killed in between gives them back."""
    before = hugepages()
    state.hugepages_added = count
    state.save()
    (HUGEPAGES / "nr_hugepages").write_text(str(before + count))
    got = max(hugepages() - before, 0)
    if got < count:
        state.hugepages_added = got
        give_back_hugepages(state)
        raise LabError(
            f"hugepages: got {got} of {count} pages of 2 MB; memory is short or fragmented: free some and try again"
        )


def give_back_hugepages(state: State, deadline_s: float = 5) -> None:
    """Returns when they are free: the kernel lets go of a dead dataplane's packet buffers a little late."""
    if state.hugepages_added:
        surplus = _surplus()
        (HUGEPAGES / "nr_hugepages").write_text(str(max(hugepages() - state.hugepages_added, 0)))
        end = time.monotonic() + deadline_s
        while _surplus() > surplus and time.monotonic() < end:
            time.sleep(0.01)
    state.hugepages_added = 0
    state.save()


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and needs root; run it with sudo")
