# SPDX-License-Identifier: Apache-2.0
"""Two BIRDs in network namespaces of their own, joined by a veth: one for the PoP, one for its router.

    pop: 192.0.2.1 AS 64512  ---- veth ----  192.0.2.2 AS 64513 :router

The namespaces have no names and every process dies with this one, so nothing is left behind however a test ends.
"""
import ctypes
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import yaml

BGPCTL = os.environ["BGPCTL"]
EXAMPLE = os.environ["ANYPOP_EXAMPLE_CONFIG"]
BIRD = "/usr/sbin/bird"
PATIENCE_S = 20
PREFIX4 = "198.51.100.0/24"
PREFIX6 = "2001:db8:53::/48"
BOTH = [PREFIX4, PREFIX6]

_libc = ctypes.CDLL(None)

# A runner that gives up sends SIGTERM: that, too, has to run the clean-up.
signal.signal(signal.SIGTERM, signal.default_int_handler)


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what, condition, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience_s} s in vain for: {what}")


def run(*command):
    subprocess.run(command, check=True, timeout=PATIENCE_S)


def removal_of(prefix):
    """Of a line of the router's log: when it took this route out, in ns; None for any other line."""
    def parse(line):
        match = re.match(r"(\S+ \S+)\.(\d{6}) <TRACE> pop1\.ipv[46] > removed (?:\[\S+\] )?(\S+)", line)
        if not match or match[3] != prefix:
            return None
        seconds = int(datetime.datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").timestamp())
        return seconds * 10**9 + int(match[2]) * 1000
    return parse


class Bird:
    HEAD = """\
log "{folder}/bird.log" all;
router id {router_id};
timeformat log "%Y-%m-%d %H:%M:%S.%6f";
debug protocols {{ states, routes, packets }};
protocol device {{ }}
"""
    TIMERS = "connect delay time 1; connect retry time 1; error wait time 1, 2;"

    def __init__(self, folder, name, router_id, body, holder=None):
        """`holder`: the namespace of another one instead of one of its own."""
        self.folder = pathlib.Path(folder, name)
        self.folder.mkdir()
        self.conf = self.folder / "bird.conf"
        self.socket = self.folder / "bird.ctl"
        self.conf.write_text(self.HEAD.format(folder=self.folder, router_id=router_id) + body)
        self.holder = holder or subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=die_with_parent)
        own = os.readlink("/proc/self/ns/net")
        wait_for("a namespace", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own)
        self.process = None

    def inside(self, *command):
        return ["nsenter", "--net", "--target", str(self.holder.pid), *command]

    def start(self):
        self.process = subprocess.Popen(
            self.inside(BIRD, "-f", "-c", str(self.conf), "-s", str(self.socket), "-P", str(self.folder / "pid")),
            preexec_fn=die_with_parent)
        wait_for("BIRD's socket", self.answers)

    def answers(self):
        try:
            return "Daemon is up" in self.ask("show status")
        except OSError:
            return False

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait(timeout=PATIENCE_S)

    def stop(self):
        for process in (self.process, self.holder):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(timeout=PATIENCE_S)

    def ask(self, *commands):
        """What BIRD answers, on one connection of our own."""
        text = ""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE_S)
            s.connect(str(self.socket))
            stream = s.makefile("r")
            assert stream.readline().startswith("0001 ")
            for command in commands:
                s.sendall(command.encode() + b"\n")
                while True:
                    line = stream.readline()
                    if not line:
                        raise OSError("BIRD hung up")
                    text += line
                    if re.match(r"\d{4} ", line):
                        break
        return text

    def log(self):
        return (self.folder / "bird.log").read_text(errors="replace").splitlines()


class Lab:
    POP_BODY = """\
include "{include}";
protocol bgp router1 {{
  local 192.0.2.1 as 64512; neighbor 192.0.2.2 as 64513; {timers}
  ipv4 {{ import none; export where proto ~ "anypop_*"; }};
  ipv6 {{ import none; export where proto ~ "anypop_*"; next hop address 2001:db8:ffff::1; }};
}}
"""
    ROUTER_BODY = """\
protocol bgp pop1 {{
  local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512; {timers}
  ipv4 {{ import all; export none; }};
  ipv6 {{ import all; export none; }};
}}
"""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="anypop-bgpctl-"))
        self.folder.chmod(0o755)
        self.birds = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        include = self.folder / "anypop.conf"
        self.pop = self._bird("pop", "192.0.2.1", self.POP_BODY.format(include=include, timers=Bird.TIMERS))
        self.router = self._bird("router", "192.0.2.2", self.ROUTER_BODY.format(timers=Bird.TIMERS))
        config = yaml.safe_load(pathlib.Path(EXAMPLE).read_text())
        config |= {"run_dir": str(self.folder / "run"), "state_dir": str(self.folder / "state"),
                   "bird": {"socket": str(self.pop.socket), "local_as": 64512}}
        self.configure(config)
        self.config = self.folder / "pop.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.events_file = self.folder / "state" / "events.jsonl"
        self.render()
        self.bgpctl("init")
        run("ip", "link", "add", "up0", "netns", str(self.pop.holder.pid), "type", "veth", "peer", "name", "down0",
            "netns", str(self.router.holder.pid))
        for number, bird, device in ((1, self.pop, "up0"), (2, self.router, "down0")):
            run(*bird.inside("ip", "address", "add", f"192.0.2.{number}/30", "dev", device))
            run(*bird.inside("ip", "address", "add", f"2001:db8:ffff::{number}/64", "dev", device, "nodad"))
            run(*bird.inside("ip", "link", "set", device, "up"))
        for bird in self.birds:
            bird.start()
        self.wait_session()

    def configure(self, config):
        """Changes to pop.yaml."""

    def render(self):
        (self.folder / "anypop.conf").write_text(self.bgpctl("render").stdout)

    def _bird(self, *arguments):
        self.birds.append(Bird(self.folder, *arguments))
        return self.birds[-1]

    def close(self):
        for bird in self.birds:
            bird.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def bgpctl(self, *arguments, exit_code=0, prefix=(), options=()):
        done = subprocess.run([*prefix, BGPCTL, "--config", str(self.config), *options, *arguments], capture_output=True,
                              text=True, timeout=PATIENCE_S)
        assert exit_code is None or done.returncode == exit_code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def status(self):
        return json.loads(self.bgpctl("status", "--json", exit_code=None).stdout)

    def wait_session(self):
        wait_for("the BGP session", lambda: "Established" in self.router.ask('show protocols "pop1"'))
        wait_for("the BGP session, seen by the PoP", lambda: "Established" in self.pop.ask('show protocols "router1"'))

    def routes_at_router(self):
        text = self.router.ask("show route")
        return [prefix for prefix in (PREFIX4, PREFIX6) if prefix in text]

    def route_at_router(self, prefix):
        """AS path and communities as the router has them; None: it has no route."""
        text = self.router.ask(f"show route {prefix} all")
        path = re.search(r"BGP.as_path: ([\d ]+)", text)
        communities = re.search(r"BGP.community: (.*)", text)
        if path is None:
            return None
        return path[1].split(), re.findall(r"\((\d+),(\d+)\)", communities[1]) if communities else []

    def updates_at_router(self):
        return sum("Got UPDATE" in line for line in self.router.log())

    def wait_routes(self, prefixes):
        wait_for(f"the router to have {prefixes}", lambda: self.routes_at_router() == prefixes)

    def events(self, kind):
        lines = [json.loads(line) for line in self.events_file.read_text().splitlines()]
        return [line for line in lines if line["event"] == kind]

    def removal_ns_at_router(self, prefix, after_ns):
        """When the router took the route out, by its own log."""
        times = (at_ns for at_ns in map(removal_of(prefix), self.router.log()) if at_ns is not None)
        return next((at_ns for at_ns in times if at_ns >= after_ns - 1000), None)
