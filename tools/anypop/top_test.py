# SPDX-License-Identifier: Apache-2.0
"""`anypop top` on a terminal of its own, against daemons that say what they are told to."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from fake_pop import FakePop

ANYPOP = os.environ["ANYPOP"]
DEADLINE_S = 30
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


@pytest.fixture
def pop(tmp_path):
    fake = FakePop(tmp_path / "p")
    yield fake
    fake.stop()


class OnTerminal:
    """The program on a pseudo-terminal of 100 columns and 40 rows."""

    def __init__(self, pop, *arguments):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave, self.seen = slave, b""

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([ANYPOP, "top", "--config", pop.config, "--interval", "100", *arguments], stdin=slave,
                                        stdout=slave, stderr=slave, preexec_fn=own_terminal)

    def wait_for(self, text, since=0):
        end = time.monotonic() + DEADLINE_S
        while text not in self.seen[since:]:
            assert time.monotonic() < end and (self.process.poll() is None or self.pending()), (text, self.seen[-2000:])
            if self.pending():
                self.seen += os.read(self.master, 65536)
        return len(self.seen)

    def pending(self):
        return select.select([self.master], [], [], 0.05)[0]

    def ends(self):
        end = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen[-2000:]
            if self.pending():
                self.seen += os.read(self.master, 65536)
        code = self.process.returncode
        self.wait_for(LEAVE)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def on_terminal(pop):
    running = []

    def start(*arguments):
        running.append(OnTerminal(pop, *arguments))
        return running[-1]
    yield start
    for one in running:
        one.close()


def test_draws_rates_until_q(on_terminal):
    top = on_terminal()
    top.wait_for(ENTER)
    first = top.wait_for(b"web4")
    top.wait_for(b"k ", top.wait_for(b"forward", first))  # some thousand packets a second, once there are two looks
    assert b"PoP test" in top.seen and b"announced" in top.seen
    os.write(top.master, b"xq")
    assert top.ends() == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)])
def test_a_signal_leaves_the_terminal_as_it_was(on_terminal, number, code):
    top = on_terminal()
    top.wait_for(b"forward")
    top.process.send_signal(number)
    assert top.ends() == code


def test_control_c(on_terminal):
    top = on_terminal()
    top.wait_for(b"forward")
    os.write(top.master, b"\x03")
    assert top.ends() == 0


def test_stops_and_continues(on_terminal):
    top = on_terminal()
    top.wait_for(b"forward")
    top.process.send_signal(signal.SIGTSTP)
    at = top.wait_for(LEAVE)
    assert os.waitid(os.P_PID, top.process.pid, os.WSTOPPED) is not None
    assert termios.tcgetattr(top.slave) == top.before
    top.process.send_signal(signal.SIGCONT)
    top.wait_for(b"forward", top.wait_for(ENTER, at))
    os.write(top.master, b"q")
    assert top.ends() == 0


def test_a_smaller_terminal_is_not_overrun(on_terminal):
    top = on_terminal()
    top.wait_for(b"198.51.100.1 tcp/80")
    at = len(top.seen)
    fcntl.ioctl(top.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 30, 0, 0))
    top.wait_for(b"PoP test", at)
    top.wait_for(b"\x1b[J", top.wait_for(b"\x1b[H", at + 1))
    screen = top.seen[at:].split(b"\x1b[H")[-2]
    assert screen.count(b"\r\n") <= 4, screen
    os.write(top.master, b"q")
    assert top.ends() == 0


def test_goes_on_without_a_daemon(on_terminal, pop):
    top = on_terminal()
    top.wait_for(b"forward")
    pop.dataplane.stop()
    top.wait_for(b"dataplane does not answer")
    os.write(top.master, b"q")
    assert top.ends() == 0


def once(pop, *arguments):
    return subprocess.run([ANYPOP, "top", "--config", pop.config, "--interval", "100", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=DEADLINE_S)


def test_once(pop):
    done = once(pop, "--once")
    assert done.returncode == 0 and "\x1b" not in done.stdout and "198.51.100.1 tcp/80" in done.stdout
    view = json.loads(once(pop, "--once", "--json").stdout)
    assert view["good"] and view["verdicts"]["forward"]["per_s"] > 0
    assert view["services"][0]["backends"][0]["bytes"]["per_s"] == pytest.approx(
        100 * view["services"][0]["backends"][0]["packets"]["per_s"])
    pop.announce = False
    assert once(pop, "--once").returncode == 1
    pop.monitor.stop()
    done = once(pop, "--once")
    assert done.returncode == 1 and "monitor does not answer" in done.stdout and "forward" in done.stdout


def test_no_terminal(pop):
    done = once(pop)
    assert done.returncode == 2 and "--once" in done.stderr and done.stderr.count("\n") == 1
