# SPDX-License-Identifier: Apache-2.0
"""What an operator does from the control node (the bed's client): playbooks, and looking at what they did."""
from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from labkit import facts
from labkit.namespaces import BIN_DIR

import inventory
from bed import Bed

ANSIBLE = inventory.ROOT / "ansible"
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
    def __init__(self, bed: Bed, folder: Path, package: Path):
        self.bed, self.folder, self.package = bed, folder, package
        self.durations: list[tuple[str, float]] = []
        inventory.write(folder / "inventory", bed.topology)

    def start(self, playbook: str, *arguments: str, **variables) -> subprocess.Popen:
        """A playbook under way; `variables` are extra ones. Its output is a pipe."""
        variables = {"anypop_package_file": str(self.package), **variables}
        own = ["env", "ANSIBLE_NOCOLOR=1", f"ANSIBLE_CONFIG={ANSIBLE}/ansible.cfg", "ANSIBLE_HOST_KEY_CHECKING=False",
               f"ANSIBLE_LOCAL_TEMP={self.folder}/tmp", "ANSIBLE_SSH_CONTROL_PATH_DIR=/run/lab/cp", "LC_ALL=C.UTF-8",
               "ANSIBLE_DEPRECATION_WARNINGS=False"]
        command = [*own, "ansible-playbook", "-i", str(self.folder / "inventory"), str(ANSIBLE / "playbooks" / playbook),
                   "-e", json.dumps(variables), *arguments]
        return subprocess.Popen(self.bed.enter("client", *command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, cwd=ANSIBLE, stdin=subprocess.DEVNULL)

    def play(self, playbook: str, *arguments: str, **variables) -> Played:
        began = time.monotonic()
        with self.start(playbook, *arguments, **variables) as process:
            output = process.communicate(timeout=600)[0]
        played = Played(process.returncode, output, time.monotonic() - began)
        self.durations.append((" ".join([playbook, *arguments]), played.seconds))
        (self.folder / f"{len(self.durations):02}-{playbook}.log").write_text(output)
        print(f"{playbook} {' '.join(arguments)}: exit code {played.code}, {played.seconds:.1f} s")
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
        return Load(self, self.folder / f"{name}.jsonl", rate, long)


class Load:
    """Requests of many clients while something is done to the servers."""

    def __init__(self, operator: Operator, path: Path, rate: int, long: int):
        self._path = path
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

    def result(self) -> tuple[int, list[dict]]:
        """How many requests there were, and those that failed."""
        requests = [json.loads(line) for line in self._path.read_text().splitlines()]
        return len(requests), [request for request in requests if request["error"]]
