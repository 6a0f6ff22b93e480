# SPDX-License-Identifier: Apache-2.0
"""The test bed: three PoPs of real Debian systems behind the lab's routers, and a client from which they are rolled out.

The lab's pieces (tools/labkit) make routers, client and cables; what in the lab is a namespace with our daemons is here a
machine with nothing on it but sshd.
"""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

from labkit import daemons, namespaces, network
from labkit import state as lab_state
from labkit.daemons import daemons_of
from labkit.facts import wait_for
from labkit.lab import Lab, clean_up
from labkit.topology import Host, Pop, Topology

from machines import Machine

POPS = (Pop("ams", 1, "t1", balancers=2, backends=2), Pop("fra", 2, "t2", backends=1), Pop("lon", 3, "t2", backends=1))
HUGEPAGES_PER_BALANCER = 64
BGP_PASSWORD = "change-me"  # the example's vault
KEY = "/run/lab/id"  # in the client


class Bed(Lab):
    """Comes up all or not at all. `down()` takes it, and so does `ANYPOP_LAB_NAME=bed tools/lab down`."""

    @classmethod
    def up(cls, build: Path, tree: Path, say: Callable[[str], None]) -> Bed:
        lab_state.require_root()
        clean_up()
        bed = cls(lab_state.State(build=str(build)), Topology(pops=POPS), say)
        try:
            bed._come_up(build / "bin", tree)
        except BaseException:
            clean_up()
            raise
        return bed

    @classmethod
    def running(cls, tree: Path, say: Callable[[str], None]) -> Bed | None:
        """The bed that an earlier run left up, if one did."""
        state = lab_state.load()
        if state is None or not state.alive():
            return None
        bed = cls(state, Topology(pops=POPS), say)
        bed.machines = {host.name: Machine(bed, host, tree) for host in bed.topology.hosts.values() if is_machine(host)}
        return bed

    def _come_up(self, bin_dir: Path, tree: Path) -> None:
        lab_state.STATE_DIR.mkdir(mode=0o755, exist_ok=True)
        balancers_and_a_successor = len(self.topology.balancers()) + 1
        lab_state.add_hugepages(self.state, balancers_and_a_successor * HUGEPAGES_PER_BALANCER)
        log = lab_state.STATE_DIR / "setup.log"
        self.state.init_pid = namespaces.start_outer(bin_dir, log)
        self.state.init_start = lab_state.start_time(self.state.init_pid)
        self.state.save()
        for name in self.topology.hosts:
            namespaces.start_host(self.state.init_pid, name, log)
        for name in self.topology.hosts:
            self.state.hosts[name] = namespaces.find_host_init(name, log)
        self.state.save()
        network.build(self.topology, self.state.init_pid, self.state.hosts, configure_host)
        self._start_routers()
        self._start_machines(tree)

    def _start_routers(self) -> None:
        for host in self.topology.transit_hosts():
            self._write_configs(host)
            self._add_passwords(host)
            for daemon in daemons_of(host):
                daemons.start(self.init(host.name), host, daemon)
                self.wait_daemon(host.name, daemon.name)

    def _add_passwords(self, host: Host) -> None:
        """Towards the PoPs routers want TCP MD5, as the example's inventory has it."""
        for session in self.topology.sessions(host):
            if session.kind != "pop":
                continue
            if host.transit.software == "bird":
                path, after = "etc/bird/bird.conf", f"  neighbor {session.remote} as {session.remote_as};\n"
                line = f'  password "{BGP_PASSWORD}";\n'
            else:
                path, after = "etc/frr/bgpd.conf", f" neighbor {session.remote} remote-as {session.remote_as}\n"
                line = f" neighbor {session.remote} password {BGP_PASSWORD}\n"
            conf = self.root(host.name) / path
            conf.write_text(conf.read_text().replace(after, after + line))

    def _start_machines(self, tree: Path) -> None:
        key = self.root("client") / KEY.lstrip("/")
        key.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        public_key = key.with_suffix(".pub").read_text()
        self.machines = {host.name: Machine(self, host, tree) for host in self.topology.hosts.values() if is_machine(host)}
        for machine in self.machines.values():
            machine.make(public_key)
            machine.start()
        for name in self.machines:
            self.wait_ssh(name)
            self.progress(f"{name}: answers to ssh")

    # --- the client's hand

    def ssh_words(self, host: str, command: str) -> list[str]:
        return ["ssh", "-i", KEY, *SSH_OPTIONS, f"root@{self.topology.hosts[host].address('v4')}", command]

    def ssh(self, host: str, command: str, timeout_s: float = 30) -> subprocess.CompletedProcess:
        return self.run("client", *self.ssh_words(host, command), timeout_s=timeout_s)

    def wait_ssh(self, host: str, deadline_s: float = 90) -> None:
        wait_for(f"{host} answers to ssh", lambda: self.ssh(host, "true").returncode == 0, deadline_s, 0.2)


SSH_OPTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o",
               "ConnectTimeout=5", "-o", "BatchMode=yes")


def is_machine(host: Host) -> bool:
    return host.role in ("balancer", "backend")


def configure_host(host: Host, init: int) -> None:
    """A machine has its addresses and no more: the rest is the rollout's work."""
    plain = host if not is_machine(host) else Host(host.name, "balancer", host.pop, None, host.attachments, host.gateway4,
                                                   host.gateway6)
    network.configure_host(plain, init)
