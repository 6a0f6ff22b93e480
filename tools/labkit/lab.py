# SPDX-License-Identifier: Apache-2.0
"""The lab as one object: up, down, its daemons, and the facts that make it steady."""
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

from . import cgroups, configs, daemons, facts, namespaces, network
from . import state as lab_state
from .daemons import Daemon, daemons_of
from .errors import LabError
from .topology import VARIANTS, VIPS, Host, Topology

PROGRAMS = ("anypop-dataplane", "anypop-healthmon", "bgpctl", "anypop-loadgen")
STALE_STATES = ("established", "time-wait", "fin-wait-1", "fin-wait-2", "last-ack", "close-wait", "closing")
HUGEPAGE_MB = 2

Progress = Callable[[str], None]


class Lab:
    """Of a running lab, or one that up() is about to make. `progress` hears one line for each step."""

    def __init__(self, state: lab_state.State, topology: Topology | None = None, progress: Progress = print):
        self.state = state
        self.topology = topology or Topology()
        self.progress = progress

    # --- up and down

    @classmethod
    def up(cls, build: Path, progress: Progress = print, variant: str = "standard") -> Lab:
        """All or nothing: after an exception, KeyboardInterrupt too, nothing is left."""
        lab_state.require_root()
        bin_dir = (build / "bin").resolve()
        missing = [program for program in PROGRAMS if not os.access(bin_dir / program, os.X_OK)]
        if missing:
            raise LabError(
                f"{bin_dir}: found no {', '.join(missing)}; build them with 'cmake --workflow --preset release' "
                "or name the build folder with --build"
            )
        if is_up():
            raise LabError("a lab is up on this machine already; take it down first with 'tools/lab down'")
        clean_up()
        lab = cls(lab_state.State(build=str(build.resolve()), variant=variant), Topology(VARIANTS[variant][0]), progress)
        try:
            lab._bring_up(bin_dir)
        except BaseException:
            lab.progress("lab: not up; taking down what was there")
            clean_up()
            raise
        return lab

    @classmethod
    def running(cls, progress: Progress = print) -> Lab:
        lab_state.require_root()
        state = lab_state.load()
        if state is None or not state.alive():
            raise LabError("no lab is up on this machine; bring one up with 'tools/lab up'")
        return cls(state, Topology(VARIANTS[state.variant][0]), progress)

    def _bring_up(self, bin_dir: Path) -> None:
        balancers = self.topology.balancers()
        pages = len(balancers) * configs.DATAPLANE_MEMORY_MB // HUGEPAGE_MB
        lab_state.STATE_DIR.mkdir(mode=0o755, exist_ok=True)
        lab_state.add_hugepages(self.state, pages)
        self.progress(f"machine: {pages} hugepages of {HUGEPAGE_MB} MB added")
        log = lab_state.STATE_DIR / "setup.log"
        self.state.init_pid = namespaces.start_outer(bin_dir, log)
        self.state.init_start = lab_state.start_time(self.state.init_pid)
        self.state.save()
        for name in self.topology.hosts:
            namespaces.start_host(self.state.init_pid, name, log)
        for name in self.topology.hosts:
            self.state.hosts[name] = namespaces.find_host_init(name, log)
        self.state.save()
        network.build(self.topology, self.state.init_pid, self.state.hosts)
        self.progress(f"network: {len(self.topology.hosts)} hosts on {len(self.topology.lans)} networks")
        for host in self.topology.hosts.values():
            self._write_configs(host)
        for host in self.topology.hosts.values():
            for daemon in daemons_of(host):
                daemons.start(self.init(host.name), host, daemon)
                if daemon.name == "zebra":  # the others would try again only 10 s later
                    self.wait_daemon(host.name, "zebra")
        for host in self.topology.hosts.values():
            for daemon in daemons_of(host):
                self.wait_daemon(host.name, daemon.name)
                self.progress(f"{host.name}: {daemon.name} up")
        self.wait_steady(report=True, deadline_s=60)

    def down(self) -> None:
        clean_up()

    # --- hosts and daemons

    def init(self, host: str) -> int:
        if host not in self.state.hosts:
            raise LabError(f"host: found '{host}', expected one of {', '.join(self.topology.hosts)}")
        return self.state.hosts[host]

    def root(self, host: str) -> Path:
        """A host's files, seen from here."""
        return Path(f"/proc/{self.init(host)}/root")

    def enter(self, host: str, *command: str) -> list[str]:
        return daemons.enter(self.init(host), *command)

    def run(self, host: str, *command: str, timeout_s: float = 20) -> subprocess.CompletedProcess:
        return subprocess.run(self.enter(host, *command), capture_output=True, text=True, timeout=timeout_s)

    def daemon(self, host: str, name: str) -> Daemon:
        found = {daemon.name: daemon for daemon in daemons_of(self.topology.hosts[host])}
        if name not in found:
            raise LabError(f"{host}: found daemon '{name}', expected one of {', '.join(found) or 'none'}")
        return found[name]

    def pid(self, host: str, daemon: str) -> int:
        """Of a running daemon, as this machine's root PID namespace knows it."""
        pid = daemons.pid_of(self.init(host), daemon)
        if pid is None:
            raise LabError(f"{host}: {daemon} does not run; start it first")
        return pid

    def start(self, host: str, daemon: str) -> None:
        daemons.start(self.init(host), self.topology.hosts[host], self.daemon(host, daemon))

    def kill(self, host: str, daemon: str, number: signal.Signals = signal.SIGKILL) -> int:
        """The instant of the signal, CLOCK_REALTIME in nanoseconds."""
        pid = self.pid(host, daemon)
        when = time.time_ns()
        os.kill(pid, number)
        return when

    def restart(self, host: str, daemon: str) -> None:
        """As `systemctl restart` does with the packaged units, and back when it works again."""
        self.start_anew(host, daemon, signal.SIGUSR1 if daemon == "dataplane" else signal.SIGTERM)
        self.wait_daemon(host, daemon)

    def start_anew(self, host: str, daemon: str, number: signal.Signals) -> int:
        """Ends it and starts it at once. The instant of the signal, CLOCK_REALTIME in nanoseconds."""
        when = self.kill(host, daemon, number)
        daemons.wait_gone(self.init(host), daemon)
        self.start(host, daemon)
        return when

    def forget_connections(self) -> None:
        """Closes the backends' connections of earlier runs. Anycast leaves halves of connections at the PoP that lost
        them, and a later connection with the same ports, moved there, would hear nothing instead of a reset."""
        states = [word for state in STALE_STATES for word in ("state", state)]
        for backend in self.topology.backends():
            self.run(backend.name, "ss", "-KtH", *states)

    def set_port(self, host: str, lan: str, up: bool) -> int:
        when = time.time_ns()
        network.set_port(self.topology, self.state.init_pid, host, lan, up)
        return when

    def _write_configs(self, host: Host) -> None:
        root = self.root(host.name)
        if host.role == "balancer":
            (root / "etc/anypop/pop.yaml").write_text(configs.pop_yaml(self.topology, host))
            rendered = self.run(host.name, f"{namespaces.BIN_DIR}/bgpctl", "render")
            if rendered.returncode != 0:
                raise LabError(f"{host.name}: bgpctl render: {rendered.stderr.strip()}")
            (root / "etc/bird/anypop.conf").write_text(rendered.stdout)
            (root / "etc/bird/bird.conf").write_text(configs.bird_balancer(self.topology, host))
        elif host.role == "backend":
            (root / "etc/nginx/lab.conf").write_text(configs.nginx(host))
        elif host.role == "transit" and host.transit.software == "bird":
            (root / "etc/bird/bird.conf").write_text(configs.bird_transit(self.topology, host))
        elif host.role == "transit":
            for name, text in configs.frr_files(self.topology, host).items():
                (root / "etc/frr" / name).write_text(text)
                (root / "etc/frr" / name).chmod(0o644)

    # --- facts

    def daemon_answers(self, host: str, daemon: str) -> bool:
        init = self.init(host)
        if daemons.pid_of(init, daemon) is None:
            tail = namespaces.tail_line(daemons.log_path(init, daemon))
            raise LabError(f"{host}: {daemon} does not run; its log ends: {tail}")
        if daemon == "bird":
            return "Daemon is up and running" in facts.bird(init, "show status")
        if daemon in ("zebra", "bfdd", "bgpd"):
            return (self.root(host) / "run/frr" / ("zserv.api" if daemon == "zebra" else f"{daemon}.vty")).exists()
        if daemon == "nginx":
            own = self.topology.hosts[host].address("v4")
            return self.run(host, "curl", "-sf", "--max-time", "1", f"http://{own}/healthz").stdout == "ok\n"
        return bool(facts.daemon_get(init, daemon, "/v1/state"))

    def wait_daemon(self, host: str, daemon: str, deadline_s: float = 20) -> None:
        facts.wait_for(f"{host}: {daemon} answers", lambda: self.daemon_answers(host, daemon), deadline_s)

    def session_down(self, host: Host) -> list[str]:
        """The host's BGP sessions that are not established, as it sees them."""
        sessions = self.topology.sessions(host)
        if host.role == "transit" and host.transit.software == "frr":
            states = facts.frr_sessions(self.init(host.name))
            return [s.name for s in sessions if states.get(s.remote) != "Established"]
        return [s.name for s in sessions if not facts.bird_established(self.init(host.name), s.name)]

    def bfd_down(self, host: Host) -> list[str]:
        """The host's BGP neighbours whose BFD session is not up, as it sees them."""
        init = self.init(host.name)
        if host.role == "transit" and host.transit.software == "frr":
            up = facts.frr_bfd_up(init)
        else:
            up = facts.bird_bfd_up(init)
        return [f"BFD to {s.remote}" for s in self.topology.sessions(host) if s.remote not in up]

    def forwarding_gaps(self, balancer: Host) -> list[str]:
        """What keeps a balancer's dataplane from full service."""
        state = facts.daemon_get(self.init(balancer.name), "dataplane", "/v1/state")
        return [
            f"{service['name']}/{backend['name']} " + ("unhealthy" if backend["resolved"] else "unresolved")
            for service in state["services"] for backend in service["backends"]
            if not (backend["healthy"] and backend["resolved"])
        ]

    def wait_route(self, transit: str, pops: set[str], deadline_s: float = 30) -> None:
        """The router's kernel sends both families to these PoPs only."""
        for family in VIPS:
            facts.wait_for(f"{transit}: {family} route to {' or '.join(sorted(pops))}",
                           lambda f=family: self._or_raise_other(facts.route(self.init(transit), f), pops), deadline_s)

    def wait_answer(self, pop: str, deadline_s: float = 20) -> None:
        for family, vip in VIPS.items():
            facts.wait_for(f"client: {family} VIP answers from {pop}",
                           lambda v=vip: facts.answer(self.init("client"), v).get("pop") == pop, deadline_s)

    def wait_steady(self, report: bool = False, deadline_s: float = 30) -> None:
        """Every session up on both sides, every backend in service, every route and answer from where it should be."""
        say = self.progress if report else (lambda line: None)
        for host in [*self.topology.transit_hosts(), *self.topology.balancers()]:
            facts.wait_for(f"{host.name}: BGP sessions established",
                           lambda h=host: not self._or_raise(self.session_down(h)), deadline_s)
            facts.wait_for(f"{host.name}: BFD sessions up",
                           lambda h=host: not self._or_raise(self.bfd_down(h)), deadline_s)
            say(f"{host.name}: {len(self.topology.sessions(host))} BGP sessions established, BFD up")
        for balancer in self.topology.balancers():
            facts.wait_for(f"{balancer.name}: every backend healthy and resolved",
                           lambda b=balancer: not self._or_raise(self.forwarding_gaps(b)), deadline_s)
            say(f"{balancer.name}: every backend healthy and resolved")
        for transit, pops in self._nearest_pops().items():
            self.wait_route(transit, pops, deadline_s)
            say(f"{transit}: routes to {' or '.join(sorted(pops))} in the kernel")
        self.wait_answer(self.topology.preferred.name, deadline_s)
        say(f"client: both VIPs answer from {self.topology.preferred.name}")

    def _nearest_pops(self) -> dict[str, set[str]]:
        nearest = {transit.name: {pop.name for pop in self.topology.pops.values() if pop.transit == transit.name}
                   for transit in self.topology.transits.values()}
        nearest[self.topology.client_transit] = {self.topology.preferred.name}
        return {transit: pops for transit, pops in nearest.items() if pops}

    @staticmethod
    def _or_raise_other(interfaces: list[str], pops: set[str]) -> bool:
        if not interfaces or not set(interfaces) <= pops:
            raise LabError(f"route to {', '.join(interfaces) or 'nowhere'}")
        return True

    @staticmethod
    def _or_raise(missing: list[str]) -> list[str]:
        if missing:
            raise LabError(", ".join(missing))  # so that wait_for can tell what it last saw
        return missing


def is_up() -> bool:
    state = lab_state.load()
    return state is not None and state.alive()


def clean_up() -> None:
    """Ends every process of a lab and gives back what it took, whatever state it is in. Nothing to do is fine."""
    with _deaf():
        namespaces.kill_everything()
        state = lab_state.load()
        if state is not None:
            lab_state.give_back_hugepages(state)
        cgroups.remove()
        lab_state.forget()


@contextlib.contextmanager
def _deaf():
    """A second Ctrl-C must not interrupt the cleaning up that the first one asked for."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
