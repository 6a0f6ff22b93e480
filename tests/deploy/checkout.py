# SPDX-License-Identifier: Apache-2.0
"""A fresh tree as the guide's reader has one, and the packages built in it."""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from guide import Guide
from tree import CACHE

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("anypop", "anypop-backend")
NEXT = "+2"  # after the version of debian/changelog: the next one


def fresh(folder: Path) -> Path:
    """What git knows of this checkout, with what has changed since the last commit, and nothing that was built in it."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(ROOT), str(folder)], check=True)
    listed = subprocess.run(["tar", "--null", "-T", "-", "-cf", "-"], input=b"\0".join(_files()), cwd=ROOT, check=True,
                            stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-xf", "-", "-C", str(folder)], input=listed, check=True)
    return folder


def packages(work: Path) -> list[dict[str, Path]]:
    """By name, this version and the next one: the same programs, which need not be compiled again, in a later package. Built by
    the guide's commands, once for a state of the checkout."""
    kept = CACHE / f"packages-{_hash()}"
    if not kept.is_dir():
        print(f"packages: none in {CACHE} for these sources; building them")
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob("packages-*"):
            shutil.rmtree(old)
        built_in = fresh(work / "build")
        script = Guide(ROOT / "ansible/docs/GUIDE.md").blocks("Build the packages")
        subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(script)], cwd=built_in, check=True)
        unfinished = CACHE / f"unfinished-packages-{os.getpid()}"
        try:
            shutil.copytree(built_in / "build/deb", unfinished)
            for name in NAMES:
                _make_next(_only(unfinished, name))
            unfinished.rename(kept)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(built_in, ignore_errors=True)
    nexts = {name: _only(kept, name, f"*{NEXT}") for name in NAMES}
    return [{name: deb.with_name(deb.name.replace(NEXT, "")) for name, deb in nexts.items()}, nexts]


def version(deb: Path) -> str:
    return deb.name.split("_")[1]


def _only(folder: Path, name: str, pattern: str = "*") -> Path:
    found = list(folder.glob(f"{name}_{pattern}_amd64.deb"))
    assert len(found) == 1, f"{folder}: {name}: found {found}, expected one"
    return found[0]


def _make_next(deb: Path) -> None:
    inside = deb.parent / "inside"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, inside], check=True)
    control = inside / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {version(deb)}\n", f"Version: {version(deb)}{NEXT}\n"))
    target = deb.with_name(deb.name.replace(version(deb), version(deb) + NEXT))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", inside, target], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(inside)


def _files(*except_in: str) -> list[bytes]:
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard", *(f":!{folder}" for folder in except_in)],
                            check=True, capture_output=True, cwd=ROOT).stdout
    return sorted(name for name in set(listed.split(b"\0")) if name and os.path.lexists(ROOT / name.decode()))


def _hash() -> str:
    """Of all that can be in a package."""
    digest = hashlib.sha256()
    for name in _files("tests", "ansible"):
        path = ROOT / name.decode()
        digest.update(name + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return digest.hexdigest()[:12]
