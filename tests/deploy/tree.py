# SPDX-License-Identifier: Apache-2.0
"""The Debian tree that every machine of the test bed starts from. Made once by debootstrap, kept outside the checkout.

It holds what a fresh server holds (systemd, sshd, python3), and the libraries that the package needs. What the rollout itself
installs from Debian is in the tree's package cache: machines have no way to a mirror.
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterable

from labkit.errors import LabError

CACHE = Path(os.environ.get("ANYPOP_TESTBED_CACHE", "/var/cache/anypop-testbed"))
SUITE = "bookworm"
BASE = (
    "ca-certificates", "curl", "dbus", "ethtool", "iproute2", "iputils-ping", "kmod", "openssh-server", "procps", "python3",
    "python3-apt", "systemd", "systemd-sysv", "tcpdump",
)
INSTALLED = ("nginx-light", "stayrtr", "zsh")  # the operator's own, which the rollout knows nothing of
CACHED = ("bird2", "prometheus")  # the rollout installs them; see above
UNITS_OFF = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "dpkg-db-backup.timer", "fstrim.timer",
             "nginx.service", "stayrtr.service")
FORMAT = 10  # of this file: a tree of another number is not used

Say = Callable[[str], None]


def of_packages(debs: Iterable[Path], say: Say) -> Path:
    """The tree for these packages: a folder, complete, which nobody writes to."""
    base = base_of_all(say)
    libraries = tuple(sorted({name for deb in debs for name in _dependencies(deb)}))

    def add_libraries(tree: Path) -> None:
        _run("cp", "-a", "--reflink=auto", str(base), str(tree))
        _install(tree, *libraries)

    return _cached("tree", (base.name, libraries), add_libraries, say)


def base_of_all(say: Say) -> Path:
    """What every tree begins with, whatever the packages."""
    sources = _sources()
    return _cached("base", (FORMAT, BASE, INSTALLED, CACHED, sources), lambda tree: _make_base(tree, sources), say)


def _cached(kind: str, what: tuple, make: Callable[[Path], None], say: Say) -> Path:
    path = CACHE / f"{kind}-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"
    if path.is_dir():
        return path
    say(f"tree: making {path}; later runs find it there")
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{kind}-*"):
        shutil.rmtree(old)
    unfinished = CACHE / f"unfinished-{kind}-{os.getpid()}"
    try:
        make(unfinished)
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return path


def _dependencies(deb: Path) -> set[str]:
    text = _output("dpkg-deb", "-f", str(deb), "Depends")
    names = {re.split(r"[ (|:]", word.strip(), maxsplit=1)[0] for word in text.split(",")}
    return names - set(CACHED) - {"systemd", "adduser", "libsystemd0"}


def _sources() -> tuple[str, ...]:
    """Debian's archives as this machine is configured: its mirror is the bed's."""
    lines = _output("apt-get", "indextargets", "--format", "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
                    "Created-By: Packages").splitlines()
    found = {line.partition("|")[2] for line in lines if line.startswith("Debian|")}
    found = {line for line in found if re.fullmatch(rf"deb \S+ {SUITE}(-updates|-security)? main", line)}
    if not any(f" {SUITE} " in line for line in found):
        raise LabError(f"apt: no archive of Debian {SUITE} is configured; run 'apt-get update', or add one")
    return tuple(sorted(found))


def _make_base(tree: Path, sources: tuple[str, ...]) -> None:
    mirror = next(line.split()[1] for line in sources if line.split()[2] == SUITE)
    _run("debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", SUITE, str(tree), mirror)
    (tree / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
    (tree / "etc/dpkg/dpkg.cfg.d/bed").write_text("force-unsafe-io\n")  # a tree that is lost is made again
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    _chroot(tree, "apt-get", "update")
    _chroot(tree, "apt-get", "install", "-y", "--no-install-recommends", "--download-only", *CACHED)
    _install(tree, *INSTALLED)
    _chroot(tree, "systemctl", "disable", *UNITS_OFF)
    (tree / "etc/hostname").unlink(missing_ok=True)


def _install(tree: Path, *packages: str) -> None:
    """Without starting anything: the chroot is this machine."""
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    resolver = tree / "etc/resolv.conf"
    shutil.copy("/etc/resolv.conf", resolver)
    _chroot(tree, "apt-get", "install", "-y", "--no-install-recommends", *packages)
    policy.unlink()
    resolver.unlink()


def _chroot(tree: Path, *command: str) -> None:
    _run("chroot", str(tree), "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", *command)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:4])} …: {(done.stderr or done.stdout).strip()[-600:]}")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
