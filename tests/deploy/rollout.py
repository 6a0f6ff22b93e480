# SPDX-License-Identifier: Apache-2.0
"""What an operator does from the control node (the bed's client): playbooks, and looking at what they did."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from labkit import facts
from labkit.namespaces import BIN_DIR

import checkout
import inventory
from bed import Bed
from guide import Guide

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
NGINX = """events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/plain;
  keepalive_timeout 3600s;
  keepalive_requests 1000000;
  server {{
    listen 80 backlog=4096;
    listen [::]:80 ipv6only=on backlog=4096;
    location = /healthz {{ return 200 "ok\\n"; }}
    location / {{
      add_header X-Anypop "pop={pop} backend={name}";
      return 200 "pop={pop} backend={name}\\n";
    }}
  }}
}}
"""


@dataclass
class Played:
    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> dict[str, int]:
        return {host: int(changed) for host, _, changed, _, _ in RECAP.findall(self.output)}


class Operator:
    """Works in a fresh checkout, by the guide."""

    def __init__(self, bed: Bed, folder: Path):
        self.bed, self.folder = bed, folder
        self.checkout = checkout.fresh(folder / "checkout")
        self.ansible = self.checkout / "ansible"
        self.inventory = self.ansible / "inventory/mine"
        self.guide = Guide(self.ansible / "docs/GUIDE.md")
        self.guide.followed.append("Build the packages")  # checkout.packages() did
        self.durations: list[tuple[str, float]] = []
        self._shell = f"cd {self.checkout}\n"  # what a block of the guide begins with: where the one before ended

    def provide(self, packages: dict[str, Path]) -> None:
        """As if these had just been built."""
        place = self.checkout / "build/deb"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for deb in packages.values():
            shutil.copy(deb, place)

    def go_on(self) -> None:
        """Where an earlier run of the tests left its bed: after the guide's section about the inventory."""
        self.write_inventory()
        self._shell = f"cd {self.ansible}\n"

    def write_inventory(self, **changes) -> None:
        """What the reader of the guide changes in his copy of the example; `changes` are what he changes later."""
        if not self.inventory.is_dir():
            shutil.copytree(self.ansible / "inventory/example", self.inventory)
        inventory.write(self.inventory, self.bed.topology, **changes)

    def follow(self, section: str, edit: Callable[[], None] = lambda: None, settle: Callable[[], object] = lambda: None) -> Played:
        """Types what the guide says, in one shell; `edit` (or `settle`) is what the reader does after the first block: change
        files, or wait until all is up."""
        output, began, code = "", time.monotonic(), 0
        for block in self.guide.blocks(section):
            after = self.folder / "shell"
            script = f'{self._shell}{block}\n{{ declare -px; printf "cd %q\\n" "$PWD"; }} >{after}\n'
            with self._begin("bash", "-euo", "pipefail", "-c", script) as process:
                output += process.communicate(timeout=900)[0]
            code = code or process.returncode
            if code != 0:
                break
            self._shell = after.read_text()
            edit(), settle()
            edit = settle = lambda: None  # noqa: E731
        played = Played(code, output, time.monotonic() - began)
        self._note(f"guide, {section}", played)
        assert code == 0, played.output[-6000:]
        return played

    def start(self, playbook: str, *arguments: str, **variables) -> subprocess.Popen:
        """A playbook under way; `variables` are extra ones. Its output is a pipe."""
        extra = ("-e", json.dumps(variables)) if variables else ()
        return self._begin("ansible-playbook", "-i", "inventory/mine", f"playbooks/{playbook}", *extra, *arguments)

    def _begin(self, *command: str) -> subprocess.Popen:
        own = ["env", "-C", str(self.ansible), "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_DEPRECATION_WARNINGS=False",
               f"ANSIBLE_LOCAL_TEMP={self.folder}/tmp", "ANSIBLE_SSH_CONTROL_PATH_DIR=/run/lab/cp", "LC_ALL=C.UTF-8",
               *self._vault_password()]
        return subprocess.Popen(self.bed.enter("client", *own, *command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, stdin=subprocess.DEVNULL)

    def _vault_password(self) -> list[str]:
        path = self.ansible / "vault-password"  # the guide makes it
        return [f"ANSIBLE_VAULT_PASSWORD_FILE={path}"] if path.exists() else []

    def _note(self, what: str, played: Played) -> None:
        self.durations.append((what, played.seconds))
        (self.folder / f"{len(self.durations):02}.log").write_text(f"{what}\n{played.output}")
        print(f"{what}: exit code {played.code}, {played.seconds:.1f} s", flush=True)

    def play(self, playbook: str, *arguments: str, **variables) -> Played:
        began = time.monotonic()
        with self.start(playbook, *arguments, **variables) as process:
            output = process.communicate(timeout=900)[0]
        played = Played(process.returncode, output, time.monotonic() - began)
        self._note(" ".join([playbook, *arguments, *variables]), played)
        return played

    def succeed(self, playbook: str, *arguments: str, **variables) -> Played:
        played = self.play(playbook, *arguments, **variables)
        assert played.code == 0, played.output[-6000:]
        return played

    def start_web_servers(self) -> None:
        """The operator's own service, which the rollout knows nothing of."""
        for host in self.bed.topology.backends():
            conf = NGINX.format(pop=host.pop.name, name=host.name)
            (self.bed.machines[host.name].root / "etc/nginx/nginx.conf").write_text(conf)
            started = self.bed.ssh(host.name, "systemctl enable --now nginx")
            assert started.returncode == 0, started.stderr

    def must(self, host: str, command: str, timeout_s: float = 60) -> str:
        """Runs it there and returns what it prints; anything but success is an error."""
        done = self.bed.ssh(host, command, timeout_s)
        assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def say(self, host: str, command: str) -> str:
        """What it prints, whatever its exit code."""
        return self.bed.ssh(host, command).stdout

    def wait(self, host: str, command: str, deadline_s: float = 60) -> None:
        facts.wait_for(f"{host}: {command}", lambda: self.bed.ssh(host, command).returncode == 0, deadline_s, 0.3)

    def write(self, host: str, path: str, text: str) -> None:
        self.must(host, f"cat >{path} <<'END_OF_FILE'\n{text.rstrip()}\nEND_OF_FILE")

    def bring(self, host: str, file: Path) -> None:
        shutil.copy(file, self.bed.machines[host].root / "root" / file.name)

    # --- looking

    def version(self, host: str) -> str:
        return self.bed.ssh(host, "dpkg-query --show --showformat '${Version}' anypop").stdout

    def answering_pop(self, family: str = "v4") -> str:
        return facts.answer(self.bed.init("client"), {"v4": "198.51.100.1", "v6": "2001:db8:53::1"}[family]).get("pop", "")

    def wait_serving(self, *pops: str, deadline_s: float = 60) -> None:
        for family in ("v4", "v6"):
            facts.wait_for(f"the {family} VIP answers from {' or '.join(pops)}",
                           lambda f=family: self.answering_pop(f) in pops, deadline_s)

    def wait_announced(self, host: str, deadline_s: float = 60) -> None:
        facts.wait_for(f"{host} announces everything", lambda: self.bed.ssh(host, "anypop status").returncode == 0, deadline_s, 0.5)

    def load(self, name: str, rate: int = 100, long: int = 10) -> Load:
        return Load(self, self.folder / f"{name.replace(' ', '-')}.jsonl", rate, long)


class Load:
    """Requests of many clients while something is done to the servers."""

    def __init__(self, operator: Operator, path: Path, rate: int, long: int):
        self._path, self._long = path, long
        command = [f"{BIN_DIR}/anypop-loadgen", "--target", "v4=198.51.100.1:80", "--target", "v6=[2001:db8:53::1]:80", "--rate",
                   str(rate), "--long", str(long), "--timeout-ms", "3000", "--duration-s", "900", "--output", str(path)]
        self._process = subprocess.Popen(operator.bed.enter("client", *command), stdin=subprocess.DEVNULL)

    def __enter__(self) -> Load:
        facts.wait_for("the load has begun", lambda: self._path.exists() and self._path.stat().st_size > 0)
        return self

    def __exit__(self, *_) -> None:
        # nsenter forks into the PID namespace: the client is its child.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in children or [str(self._process.pid)]:
            os.kill(int(pid), 2)
        self._process.wait(timeout=30)

    def must_be_clean(self, at_least: int = 100) -> None:
        """Enough requests, none failed; the same for the connections that stayed open all the time."""
        requests = [json.loads(line) for line in self._path.read_text().splitlines()]
        failed = [request for request in requests if request["error"]]
        kept = {request["connection"] for request in requests if request["kind"] == "long"}
        said = f"{len(requests)} requests, {len(failed)} failed; {self._long} long connections, {len(kept) - self._long} of them broken"
        print(f"{self._path.stem}: {said}")
        assert len(requests) >= at_least and failed == [] and len(kept) == self._long, f"{said}: {failed[:5]}"
