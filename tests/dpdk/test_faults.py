# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a running dataplane: abused sockets, stalled workers, links that flap or vanish."""
import ctypes
import os
import pwd
import socket
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from support import VIP4, backend, configuration, service, wait_for

SERVICES = [service("tcp4", VIP4, "tcp", 80, [backend(1, 4), backend(2, 4)])]
PORT = {"name": "uplink", "af_xdp": "eth0"}
WITH_MAC = [service("web", VIP4, "tcp", 80, [backend(1, 4, "02:00:00:00:00:11")])]


def connect(dataplane):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(dataplane.socket_path)
    return client


def test_an_abused_control_socket_goes_on_answering(tmp_path, start):
    dataplane = start(configuration(tmp_path, {"name": "test", "vdev": "net_null0"}, WITH_MAC)).ready()
    descriptors = len(os.listdir(f"/proc/{dataplane.process.pid}/fd"))
    crowd = []
    for number in range(2000):
        client = connect(dataplane)
        client.setblocking(False)
        for data in (b"", b"GET /v1/st", b"\x00\xff" * 100, b"POST /v1/reload HTTP/1.1\r\nContent-Length: 99\r\n\r\nx"):
            if number % 4 == len(data) % 4:
                try:
                    client.send(data)
                except OSError:
                    pass
        crowd.append(client)
        if number % 250 == 0:
            began = time.monotonic()
            assert dataplane.get("/v1/heartbeat")["workers"]
            assert time.monotonic() - began < 1
    for client in crowd:
        client.close()
    huge = connect(dataplane)
    huge.sendall(b"PUT /v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
    assert b" 413 " in huge.recv(1000)
    wait_for("the descriptors are free again",
             lambda: len(os.listdir(f"/proc/{dataplane.process.pid}/fd")) <= descriptors + 2)
    assert dataplane.stop() == 0


def worker_thread(dataplane):
    tasks = f"/proc/{dataplane.process.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/comm", encoding="ascii") as name:
            if name.read().startswith(("lcore-worker", "rte-worker")):
                return int(task)
    raise AssertionError("no worker thread")


def test_a_worker_that_stands_still_is_named_and_keeps_nobody_from_answering(tmp_path, start):
    dataplane = start(configuration(tmp_path, {"name": "test", "vdev": "net_null0"}, WITH_MAC)).ready()
    libc = ctypes.CDLL(None, use_errno=True)
    attach, detach = 16, 17  # ptrace stops one thread, signals stop them all
    thread = worker_thread(dataplane)
    assert libc.ptrace(attach, thread, None, None) == 0
    os.waitpid(thread, 0x40000000)  # __WALL
    try:
        wait_for("the worker is named", lambda: "event=worker_stall worker=0" in dataplane.text())
        assert dataplane.get("/v1/heartbeat")["workers"][0]["age_ms"] > 1000
        status, answer = dataplane.put_health(("web", "b1", False))
        assert status == 503 and "not every worker" in answer["error"]
    finally:
        assert libc.ptrace(detach, thread, None, None) == 0
    wait_for("it is seen to go on", lambda: "event=worker_resumed worker=0" in dataplane.text())
    assert dataplane.put_health(("web", "b1", True))[0] == 200


def test_a_link_that_flaps_is_counted_and_traffic_comes_back(tmp_path, network, start):
    dataplane = start(configuration(tmp_path, PORT, SERVICES), prefix=network.within("lb")).ready()
    wait_for("next hops are resolved", lambda: all(b["resolved"] for b in dataplane.backend_states("tcp4").values()))

    def port():
        return dataplane.get("/v1/state")["ports"][0]
    for _ in range(3):
        network.ip("switch", "link", "set", "lb", "down")
        wait_for("it is down", lambda: port()["link"] == "down")
        network.ip("switch", "link", "set", "lb", "up")
        wait_for("it is up", lambda: port()["link"] == "up")
    wait_for("every change was seen", lambda: port()["link_changes"] >= 6)
    wait_for("traffic flows again", lambda: network.ask("tcp", VIP4))


def test_an_interface_that_vanishes_is_named_and_one_that_returns_ends_the_process(tmp_path, network, start):
    dataplane = start(configuration(tmp_path, PORT, SERVICES), prefix=network.within("lb")).ready()
    network.ip("lb", "link", "del", "eth0")
    wait_for("it is gone", lambda: dataplane.get("/v1/state")["ports"][0]["link"] == "gone")
    assert "event=link port=uplink device=eth0 link=gone" in dataplane.text()
    time.sleep(0.3)
    assert dataplane.process.poll() is None, "another port may still work"
    network.ip("lb", "link", "add", "eth0", "type", "veth", "peer", "name", "lb", "netns", network.space("switch"))
    assert dataplane.process.wait(30) == 1
    assert "the interface was removed, and is there again" in dataplane.text()


def rights(dataplane):
    """User and effective capabilities of each thread, by name."""
    found = {}
    tasks = f"/proc/{dataplane.process.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/status", encoding="ascii") as status:
            lines = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        found[int(task)] = (int(lines["Uid"].split()[1]), int(lines["CapEff"], 16))
    return found


def test_root_s_rights_are_given_up_and_forwarding_and_the_end_still_work(tmp_path, network, start):
    nobody = pwd.getpwnam("nobody").pw_uid
    config = configuration(tmp_path, PORT, SERVICES, user="nobody")
    os.chown(config["run_dir"], nobody, -1)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(folder, 0o755)
    dataplane = start(config, prefix=network.within("lb")).ready()
    net_admin, bpf = 1 << 12, 1 << 39
    found = rights(dataplane)
    assert found.pop(dataplane.process.pid) == (nobody, net_admin | bpf)
    assert set(found.values()) == {(nobody, 0)}, "workers keep nothing"

    wait_for("next hops are resolved", lambda: all(b["resolved"] for b in dataplane.backend_states("tcp4").values()))
    assert network.ask("tcp", VIP4) in ("b1", "b2")
    assert dataplane.stop() == 0
    assert network.xdp_program() is None
    assert os.listdir(config["run_dir"]) == ["takeover"]
    # Root made the flow tables, and the user who runs the next one can have them.
    assert {os.stat(tmp_path / "run/takeover" / name).st_uid
            for name in (".", *os.listdir(tmp_path / "run/takeover"))} == {nobody}


def test_exhausted_packet_buffers_are_seen_and_wedge_nothing(tmp_path, start):
    """The device keeps 1000 of 1024 buffers, less than a burst is left."""
    packets = [Ether(dst="02:70:63:61:70:00", src="02:00:00:00:00:99") / IP(src="203.0.113.1", dst=VIP4) /
               TCP(sport=1000 + n, dport=80) for n in range(1000)]
    wrpcap(str(tmp_path / "in.pcap"), packets)
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    dataplane = start(configuration(tmp_path, port, WITH_MAC, packet_buffers=1024)).ready()
    found = dataplane.get("/v1/state")["ports"][0]
    assert found["buffers"] - found["buffers_in_use"] < 64, found
    loops = dataplane.get("/v1/heartbeat")["workers"][0]["loops"]
    wait_for("the worker goes on", lambda: dataplane.get("/v1/heartbeat")["workers"][0]["loops"] > loops)
    assert dataplane.put_health(("web", "b1", False))[0] == 200
    assert dataplane.stop() == 0
