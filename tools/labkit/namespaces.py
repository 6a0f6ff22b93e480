# SPDX-License-Identifier: Apache-2.0
"""Private namespaces. One outer PID namespace holds everything, so that nothing can outlive its init.

outer init (tini): own pid, mount and net namespace; its net namespace is the fabric, where the bridges are
  └ host init (tini), one for each host: own pid, mount, net and uts namespace, and its own /run, /etc, /var and /sys,
      so that daemons keep their default paths
Nothing is named in /run/netns. A host is entered by nsenter; its files are read through /proc/PID/root.
"""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from .errors import LabError
from .state import NAME

MARKER = f"ANYPOP_{NAME.upper()}"  # in the environment of every process of the lab: the host's name, or "fabric"
BIN_DIR = "/run/lab/bin"  # the build's programs, as seen in every host

# -n: mount's own notes in /run/mount would be made in the machine's /run.
FABRIC_SETUP = """
mount -n -t tmpfs -o mode=0755 lab /run
mkdir -p /run/lab/bin
mount --bind "$LAB_BIN" /run/lab/bin
mount -t sysfs lab /sys
ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
"""

# The overlays make /etc and /var private without naming every path that a daemon might write to.
HOST_SETUP = """
hostname "$LAB_HOST"
mkdir -p /run/lab/hosts
mount -t tmpfs -o mode=0755 lab /run/lab/hosts
cd /run/lab/hosts
mkdir -p run/lab/bin etc etc.work var var.work
cd /
mount --bind /run/lab/bin /run/lab/hosts/run/lab/bin
mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/hosts/etc,workdir=/run/lab/hosts/etc.work lab /etc
mount -t overlay -o lowerdir=/var,upperdir=/run/lab/hosts/var,workdir=/run/lab/hosts/var.work lab /var
mount --rbind /run/lab/hosts/run /run
mount -t sysfs lab /sys
mount -t bpf lab /sys/fs/bpf
mkdir -p /run/lock /run/bird /run/frr /run/anypop /etc/anypop /var/lib/anypop /var/log/lab /var/tmp/frr
chown bird:bird /run/bird
chown frr:frr /run/frr /var/tmp/frr
ip link set lo up
for c in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$c/rp_filter
  echo 0 >/proc/sys/net/ipv4/conf/$c/send_redirects
  echo 0 >/proc/sys/net/ipv4/conf/$c/accept_redirects
  echo 0 >/proc/sys/net/ipv6/conf/$c/accept_dad
  echo 0 >/proc/sys/net/ipv6/conf/$c/accept_ra
  echo 0 >/proc/sys/net/ipv6/conf/$c/autoconf
  echo 0 >/proc/sys/net/ipv6/conf/$c/router_solicitations
  echo 0 >/proc/sys/net/ipv6/conf/$c/accept_redirects
done
"""


def init_command(*unshare_options: str) -> list[str]:
    return [
        "unshare", *unshare_options, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
        "/bin/sh", "-euc", '. /dev/fd/0 || exit 1; exec tini -s -- sleep infinity </dev/null',
    ]


def start_outer(bin_dir: Path, log: Path) -> int:
    """Returns the pid of the outer init."""
    environment = {**os.environ, MARKER: "fabric", "LAB_BIN": str(bin_dir)}
    _start(["setsid", "--fork", *init_command()], FABRIC_SETUP, environment, log)
    return _wait_for_init("fabric", log)


def start_host(outer: int, name: str, log: Path) -> None:
    """Begins a host; find_host_init() waits until it is there. Hosts start side by side."""
    environment = {**os.environ, MARKER: name, "LAB_HOST": name}
    enter = ["nsenter", "-t", str(outer), "-m", "-n", "-p", "setsid", "--fork"]
    _start([*enter, *init_command("--uts")], HOST_SETUP, environment, log)


def find_host_init(name: str, log: Path) -> int:
    return _wait_for_init(name, log)


def _start(command: list[str], script: str, environment: dict[str, str], log: Path) -> None:
    # The script is standard input as a file, not a pipe: nobody has to stay to feed it.
    script_fd = os.memfd_create("setup")
    os.write(script_fd, b"set -eu\n" + script.encode())
    os.lseek(script_fd, 0, os.SEEK_SET)
    with open(log, "ab") as errors:
        try:
            subprocess.run(command, stdin=script_fd, stdout=errors, stderr=errors, env=environment, check=True)
        except FileNotFoundError as error:
            raise LabError(f"{error.filename}: not installed; run 'sudo tools/install-deps'") from error
        finally:
            os.close(script_fd)


def _wait_for_init(name: str, log: Path, deadline_s: float = 20) -> int:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        for pid, host in marked_processes().items():
            # The program becomes tini only when the set-up script has succeeded.
            if host == name and ns_pids(pid)[-1:] == [1] and _comm(pid) == "tini":
                return pid
        time.sleep(0.005)
    raise LabError(f"{name}: its namespaces did not come up; see {log}: {tail_line(log)}")


def marked_processes() -> dict[int, str]:
    """Every process of a lab on this machine, by pid: the name of its host."""
    found = {}
    marker = f"{MARKER}=".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        for variable in environment.split(b"\0"):
            if variable.startswith(marker):
                found[int(entry)] = variable[len(marker):].decode()
    return found


def ns_pids(pid: int) -> list[int]:
    """The pid of a process in each PID namespace from ours inwards; empty if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return [int(word) for word in line.split()[1:]]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return []


def outer_pid_of(host_init: int, inner_pid: int) -> int | None:
    """Our pid of the process that a host knows as inner_pid."""
    try:
        namespace = os.readlink(f"/proc/{host_init}/ns/pid")
    except FileNotFoundError:
        return None
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                if ns_pids(int(entry))[-1:] == [inner_pid]:
                    return int(entry)
        except OSError:
            continue
    return None


def kill_everything(deadline_s: float = 20) -> None:
    """Kills the outer init, and with it everything; returns when the kernel has taken all of it apart."""
    end = time.monotonic() + deadline_s
    dying: dict[tuple[int, int], str] = {}
    while True:
        # Again and again: an interrupted `up` may have one on its way that was not there at the first look.
        marked = marked_processes()
        for pid in [pid for pid, host in marked.items() if host == "fabric"]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # A process that ends has no environment any more, and so no mark, while its namespaces are taken apart.
        dying |= {(pid, started): host for pid, host in marked.items() if (started := _start_time(pid))}
        dying = {key: host for key, host in dying.items() if _start_time(key[0]) == key[1]}
        if not marked and not dying:
            return
        if time.monotonic() > end:
            raise LabError(f"processes of the lab are still there: {marked or dying}; end them by hand")
        time.sleep(0.01)


def _start_time(pid: int) -> int:
    """In clock ticks after the boot; with it a pid means one process for ever. 0: there is none, or only its exit code."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # A zombie may be our own child, whose `run` was interrupted: nobody will fetch it before we have ended.
    return 0 if state in "ZX" else int(numbers[18])


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tail_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else "(empty)"
