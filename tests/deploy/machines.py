# SPDX-License-Identifier: Apache-2.0
"""Machines: Debian systems that boot systemd and sshd, each in the network namespace of a host of the lab.

A machine is a systemd-nspawn inside the lab's outer namespaces, on an overlay whose upper layer is memory: when the lab's
init ends, however it ends, the kernel takes all of it. Only control groups outlive that; labkit.cgroups takes them.
"""
from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path

from labkit import cgroups, namespaces
from labkit.facts import wait_for

BED = "/run/lab/machines"  # in the outer mount namespace

# The flags beyond the ordinary: BPF and AF_XDP work with every capability and bpf(); --register and --keep-unit leave the
# machine's own systemd out of it; DPDK wants to look at /sys/module. 133 is a reboot. A server that reboots has forgotten
# its interfaces' addresses but those that its network configuration restores; here the bed is that configuration, and lo is
# the rollout's.
BOOT = """
cgroups=/sys/fs/cgroup
if [ "$BED_CGROUP2" = yes ]; then
  mount -t cgroup2 cgroup "$cgroups"
  places=$cgroups
else
  mount -t tmpfs cgroup "$cgroups"
  mkdir "$cgroups/unified" "$cgroups/systemd"
  mount -t cgroup2 cgroup "$cgroups/unified"
  mount -t cgroup -o none,name=systemd cgroup "$cgroups/systemd"
  places="$cgroups/unified $cgroups/systemd"
fi
for place in $places; do
  mkdir -p "$place/$BED_CGROUP/$BED_NAME"
  echo $$ >"$place/$BED_CGROUP/$BED_NAME/cgroup.procs"
done
cd "$BED_DIR"
while :; do
  code=0
  systemd-nspawn --quiet --boot --register=no --keep-unit --capability=all --system-call-filter=bpf --machine="$BED_NAME" \
    --directory=root --network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off --link-journal=no \
    --bind-ro=/sys/module --console=pipe </dev/null >>console.log 2>&1 || code=$?
  [ "$code" = 133 ] || exit "$code"
  ip address flush dev lo scope global
  echo rebooted >>reboots
done
"""


class Machine:
    def __init__(self, lab, host, tree: Path):
        self._lab, self.host, self.name, self._tree = lab, host, host.name, tree

    @property
    def _outer(self) -> Path:
        return Path(f"/proc/{self._lab.state.init_pid}/root")

    @property
    def root(self) -> Path:
        """The machine's files, seen from here."""
        return self._outer / BED.lstrip("/") / self.name / "root"

    def make(self, public_key: str) -> None:
        script = f"""
          mkdir -p {BED}/{self.name}; cd {BED}/{self.name}; mkdir -p upper work root
          mount -t overlay -o lowerdir={self._tree},upperdir=upper,workdir=work machine root
        """
        self._in_outer(script)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        # An id of its own also tells systemd that this is no first boot, on which it would enable whatever there is.
        (self.root / "etc/machine-id").write_text(hashlib.md5(self.name.encode()).hexdigest() + "\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost\n")
        keys = self.root / "root/.ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        (keys / "authorized_keys").write_text(public_key)

    def start(self) -> None:
        environment = {**os.environ, namespaces.MARKER: f"{self.name}.machine", "BED_NAME": self.name, "BED_CGROUP": cgroups.NAME,
                       "BED_DIR": f"{BED}/{self.name}", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
                       "BED_CGROUP2": "yes" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "no"}
        network = f"--net=/proc/{self._lab.init(self.name)}/ns/net"
        subprocess.run(
            ["nsenter", "-t", str(self._lab.state.init_pid), "-m", "-p", network, "setsid", "--fork", "unshare", "-m",
             "--propagation", "slave", "sh", "-euc", BOOT],
            check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def lose(self) -> None:
        """As if somebody pulled its power: every process of it is gone at once."""
        for pid in self._pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(f"{self.name} is dead", lambda: not self._pids(), 20)

    def reboots(self) -> int:
        try:
            return (self.root.parent / "reboots").read_text().count("\n")
        except FileNotFoundError:
            return 0

    def console(self) -> str:
        try:
            return (self.root.parent / "console.log").read_text(errors="replace")[-3000:]
        except FileNotFoundError:
            return ""

    def _pids(self) -> list[int]:
        found = []
        for folder in cgroups.folders():
            for procs in (folder / self.name).rglob("cgroup.procs"):
                found += [int(line) for line in procs.read_text().split()]
        return found

    def _in_outer(self, script: str) -> None:
        subprocess.run(["nsenter", "-t", str(self._lab.state.init_pid), "-m", "-p", "sh", "-euc", script], check=True)


def cannot_boot(tree: Path) -> str:
    """Why systemd-nspawn cannot run on this machine; empty if it can."""
    command = ["unshare", "--mount", "--propagation", "slave", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--read-only",
               "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe", "--capability=all",
               "--system-call-filter=bpf", f"--directory={tree}", "/bin/true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
