# SPDX-License-Identifier: Apache-2.0
"""The dataplane ends and another one follows: TCP connections that are open go on, on their backends, also when the
backends have changed of late, so that the table alone would move them."""
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from support import VIP4, VIP6, backend, configuration, service, wait_for

LONG_LIVED = os.path.join(os.path.dirname(__file__), "long_lived.py")
PORT = {"name": "uplink", "af_xdp": "eth0"}
SERVICES = [service("tcp4", VIP4, "tcp", 81, [backend(1, 4), backend(2, 4)]),
            service("tcp6", VIP6, "tcp", 81, [backend(1, 6), backend(2, 6)])]
NAMES = [s["name"] for s in SERVICES]


class Held:
    """Connections of the client's that stay open."""

    def __init__(self, network, count=30):
        self.process = subprocess.Popen([*network.within("client"), sys.executable, LONG_LIVED, "--hold", str(count), VIP4,
                                         VIP6], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def result(self):
        out = json.loads(self.process.communicate("\n", timeout=60)[0])
        print(out)
        return out


class World:
    """The network with long-lived servers, and one dataplane after the other on the balancer."""

    def __init__(self, tmp_path, network, start):
        self.tmp_path, self.network, self.start_program = tmp_path, network, start
        self.running = []
        self.dataplane = None

    def start(self, services=SERVICES, **dataplane):
        config = configuration(self.tmp_path, PORT, services, **dataplane)
        self.dataplane = self.start_program(config, prefix=self.network.within("lb"),
                                            name=f"pop{len(list(self.tmp_path.glob('*.log')))}").ready()
        wait_for("next hops are resolved", lambda: all(
            b["resolved"] for s in services for b in self.dataplane.backend_states(s["name"]).values()))
        return self.dataplane

    def health(self, name, healthy):
        assert self.dataplane.put_health(*[(s, name, healthy) for s in NAMES])[0] == 200

    def hold(self):
        self.running.append(Held(self.network))
        return self.running[-1]


@pytest.fixture
def world(tmp_path, network, start):
    world = World(tmp_path, network, start)
    servers = [subprocess.Popen([*network.within(host), sys.executable, LONG_LIVED, "--serve", host, VIP4, VIP6])
               for host in ("b1", "b2")]
    for host in ("b1", "b2"):
        wait_for("the servers listen", lambda h=host: " 0.0.0.0:81 " in subprocess.run(
            [*network.within(h), "ss", "-ltn"], capture_output=True, text=True, check=True).stdout)
    yield world
    for process in [held.process for held in world.running] + servers:
        process.kill()
        process.wait()


def with_two_generations(world):
    """Connections that a change would move: first all on b1, then new ones on both, with the window open."""
    world.start()
    world.health("b2", False)
    old = world.hold()
    world.health("b2", True)
    young = world.hold()
    return old, young


def expect_all_alive(old, young):
    result = old.result()
    assert result["broken"] == [] and result["moved"] == 0, result
    assert set(result["backends"]) == {"b1"}
    result = young.result()
    assert result["broken"] == [] and result["moved"] == 0, result
    assert set(result["backends"]) == {"b1", "b2"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_connections_outlive_the_process(world, number):
    old, young = with_two_generations(world)
    for _ in range(2):
        world.dataplane.stop(number)
        dataplane = world.start()
        assert "event=takeover taken=true" in dataplane.text()
    assert {n: b["healthy"] for n, b in dataplane.backend_states("tcp4").items()} == {"b1": True, "b2": True}
    # The window, too: what opens now goes to both.
    latest = world.hold()
    assert set(latest.result()["backends"]) == {"b1", "b2"}
    expect_all_alive(old, young)


def test_connections_break_without_the_takeover(world):
    """The other half of the proof: the tables are what saves them."""
    old, young = with_two_generations(world)
    world.dataplane.stop()
    for path in (world.tmp_path / "run/takeover").iterdir():
        path.unlink()
    dataplane = world.start()
    assert "event=takeover taken=false records=0" in dataplane.text()
    assert old.result()["broken"], "half of them belong to slots that are b2's now"
    young.result()


def test_an_upgrade_with_another_configuration(world):
    """Other numbers for the backends, another size for the tables."""
    old, young = with_two_generations(world)
    world.dataplane.stop(signal.SIGUSR1)
    services = [dict(s, backends=s["backends"][::-1]) for s in SERVICES[::-1]]
    dataplane = world.start(services, flow_records=4096)
    assert "event=takeover taken=true" in dataplane.text()
    expect_all_alive(old, young)


def test_a_backend_that_is_down_stays_down(world):
    world.start()
    world.health("b2", False)
    held = world.hold()
    world.dataplane.stop(signal.SIGKILL)
    dataplane = world.start()
    assert not dataplane.backend_states("tcp4")["b2"]["healthy"], "the monitor has not said otherwise"
    result = held.result()
    assert result["broken"] == [] and set(result["backends"]) == {"b1"}, result


def test_a_damaged_state_begins_anew_with_one_line(world):
    world.start()
    world.dataplane.stop()
    state = world.tmp_path / "run/takeover/state"
    state.write_bytes(state.read_bytes()[:-3] + b"???")
    dataplane = world.start()
    lines = [line for line in dataplane.text().splitlines() if "flows begin anew" in line]
    assert len(lines) == 1 and "found a wrong checksum" in lines[0], lines
    assert dataplane.stop() == 0


def test_a_planned_restart_is_announced_and_then_done(world):
    dataplane = world.start()
    assert dataplane.get("/v1/heartbeat")["planned_restart_ms"] == 0
    dataplane.process.send_signal(signal.SIGUSR1)
    announced = set()

    def ended():
        try:
            announced.add(dataplane.get("/v1/heartbeat")["planned_restart_ms"])
        except OSError:
            pass
        return dataplane.process.poll() is not None
    wait_for("it leaves", ended)
    assert 3000 in announced
    assert dataplane.process.returncode == 0
    assert world.network.xdp_program() is None


def test_a_successor_prepares_beside_and_then_follows(world, monkeypatch):
    """Also as under systemd, whose side is a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(world.tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(world.tmp_path / "notify"))
        old, young = with_two_generations(world)
        first = world.dataplane
        first.process.send_signal(signal.SIGUSR2)
        assert first.process.wait(30) == 0
        pid = wait_for("the next one answers", lambda: state_or_none(first, "pid"))
        try:
            assert pid != first.process.pid
            assert first.text().count("event=takeover taken=true") == 1
            expect_all_alive(old, young)
            told = [manager.recv(1000).decode() for _ in range(3)]
            assert told == ["READY=1", f"MAINPID={pid}", "READY=1"]
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for("it ends", lambda: not os.path.exists(f"/proc/{pid}"))
        assert world.network.xdp_program() is None


def state_or_none(dataplane, key):
    try:
        return dataplane.get("/v1/state")[key]
    except OSError:
        return None


def test_a_successor_that_cannot_start_changes_nothing(world):
    dataplane = world.start()
    dataplane.config_path.write_text("pop: [")
    dataplane.process.send_signal(signal.SIGUSR2)
    wait_for("its end is seen", lambda: "the next process ended before it could follow" in dataplane.text())
    assert dataplane.get("/v1/heartbeat")["planned_restart_ms"] == 0
    assert set(world.hold().result()["backends"]) == {"b1", "b2"}
    assert dataplane.stop() == 0
