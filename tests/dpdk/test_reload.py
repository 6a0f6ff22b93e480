# SPDX-License-Identifier: Apache-2.0
"""A new configuration in a running dataplane: by signal and by request, all or nothing, and no packet is lost."""
import copy
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from network import SERVER
from support import PROGRAM, VIP4, VIP6, backend, configuration, run, service, wait_for

ANYPOP = os.path.join(os.path.dirname(PROGRAM), "anypop")
PORT_MAC = "02:70:63:61:70:00"
MACS = {number: f"02:00:00:00:01:{number:02x}" for number in range(1, 10)}


def web(*numbers, **options):
    return service("web4", VIP4, "tcp", 80, [backend(n, 4, MACS[n]) for n in numbers]) | options


@pytest.fixture
def endless(tmp_path, start):
    """The same 200 flows again and again, as fast as the worker takes them."""
    packets = [Ether(dst=PORT_MAC, src="02:00:00:00:00:99") / IP(src=f"203.0.113.{n + 1}", dst=VIP4) /
               TCP(sport=1000 + n, dport=80) for n in range(200)]
    wrpcap(str(tmp_path / "in.pcap"), packets)
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    config = configuration(tmp_path, port, [web(1, 2)])
    return Endless(start(config).ready(), config)


class Endless:
    def __init__(self, dataplane, config):
        self.dataplane = dataplane
        self.config = config

    def write(self, services=None, **dataplane):
        config = copy.deepcopy(self.config)
        config["services"] = copy.deepcopy(services or config["services"])
        config["dataplane"] |= dataplane
        self.dataplane.config_path.write_text(json.dumps(config))

    def reload(self, *services, **dataplane):
        self.write(list(services), **dataplane)
        return self.dataplane.request("POST", "/v1/reload")


def names(dataplane, service_name="web4"):
    return set(dataplane.backend_states(service_name))


def test_a_reload_says_what_it_changed_and_every_packet_is_accounted_for(endless):
    dataplane = endless.dataplane
    wait_for("packets flow", lambda: dataplane.verdicts()["forward"] > 1000)
    before = dataplane.backend_packets("web4")
    status, report = endless.reload(web(2, 3), service("dns4", VIP4, "udp", 53, [backend(1, 4, MACS[1])]))
    assert status == 200 and report["applied"] and report["generation"] == 2, report
    assert names(dataplane) == {"b2", "b3"} and names(dataplane, "dns4") == {"b1"}
    assert [(s["name"], s["change"]) for s in report["services"]] == [("web4", "changed"), ("dns4", "added")]
    changes = {(b["name"], b["change"]) for b in report["services"][0]["backends"]}
    assert changes == {("b3", "added"), ("b1", "removed")}
    assert 0 < report["services"][0]["slots_moved"] < report["services"][0]["slots"] == 1009

    wait_for("the new one gets packets", lambda: dataplane.backend_packets("web4")["b3"] > 1000)
    assert dataplane.backend_packets("web4")["b2"] > before["b2"], "a counter goes on by name"
    verdicts = dataplane.verdicts()
    assert {v for v, n in verdicts.items() if n} == {"forward"}, verdicts
    assert 'backend web4/b3 added' in dataplane.text()


def test_a_hundred_reloads_under_load_lose_nothing(endless):
    dataplane = endless.dataplane
    variants = [[web(1, 2)], [web(1, 2, 3)], [web(3, 1), service("dns4", VIP4, "udp", 53, [backend(1, 4, MACS[1])])]]
    for number in range(100):
        status, report = endless.reload(*variants[number % 3])
        assert status == 200, report
    port = dataplane.get("/v1/state")["ports"][0]
    verdicts = dataplane.verdicts()
    assert {v for v, n in verdicts.items() if n} == {"forward"}, verdicts
    assert (port["rx_missed"], port["tx_dropped"]) == (0, 0)
    assert dataplane.get("/v1/state")["generation"] == 101
    assert dataplane.stop() == 0


def test_sighup_reloads_too(endless):
    endless.write([web(1, 2, 3)])
    endless.dataplane.process.send_signal(signal.SIGHUP)
    wait_for("b3 is known", lambda: "b3" in names(endless.dataplane))
    assert "event=reload applied=true generation=2" in endless.dataplane.text()


def test_a_wrong_configuration_changes_nothing(endless):
    dataplane = endless.dataplane
    dataplane.config_path.write_text("pop: [")
    status, answer = dataplane.request("POST", "/v1/reload")
    assert status == 400 and "pop.yaml:1" in answer["error"], answer
    dataplane.process.send_signal(signal.SIGHUP)
    wait_for("it is in the log", lambda: dataplane.text().count("event=reload applied=false") == 2)
    status, answer = endless.reload(service("web4", VIP4, "tcp", 80, [backend(1, 4)]))
    assert status == 400 and "expected a MAC" in answer["error"], answer
    assert dataplane.get("/v1/state")["generation"] == 1
    assert names(dataplane) == {"b1", "b2"}


def test_what_cannot_change_while_running_is_refused_as_a_whole(endless):
    status, report = endless.reload(web(1, 2, 3), cores=[0], hash_key="f" * 32, memory_mb=65)
    assert status == 409 and not report["applied"]
    assert report["refused"] == [
        "dataplane.cores: found 0, expected none as before", "dataplane.memory_mb: found 65, expected 64 as before",
        "dataplane.hash_key: found another one, expected it as before"]
    assert names(endless.dataplane) == {"b1", "b2"}


def test_health_outlives_a_reload_and_a_new_backend_waits_for_the_monitor(endless):
    dataplane = endless.dataplane
    dataplane.put_health(("web4", "b1", False))
    assert endless.reload(web(1, 2, 3))[0] == 200
    states = dataplane.backend_states("web4")
    assert {n: b["healthy"] for n, b in states.items()} == {"b1": False, "b2": True, "b3": False}
    status, answer = dataplane.put_health(("web4", "b3", True), ("web4", "b9", True))
    assert status == 200 and answer["unknown"] == ["web4/b9"]
    assert dataplane.backend_states("web4")["b3"]["healthy"]


def test_a_dry_run_predicts_and_changes_nothing(endless):
    dataplane = endless.dataplane
    new = dataplane.config_path.with_name("new.yaml")
    endless.write([web(1, 2, 3)], cores=[0])
    new.write_text(dataplane.config_path.read_text())
    live = run(ANYPOP, "check-config", str(new), "--diff", check=False)
    assert live.returncode == 1 and "needs a restart: dataplane.cores" in live.stdout, live
    assert "service web4 changed: " in live.stdout and "backend web4/b3 added" in live.stdout, live.stdout
    endless.write([web(1, 2)])
    offline = run(ANYPOP, "check-config", str(new), "--diff", str(dataplane.config_path), "--json", check=False)
    assert json.loads(offline.stdout)["services"][0]["backends"][0]["name"] == "b3"
    same = run(ANYPOP, "check-config", str(dataplane.config_path), "--diff")
    assert "would change nothing" in same.stdout
    assert dataplane.get("/v1/state")["generation"] == 1


def test_heartbeats_are_answered_while_many_tables_are_built(tmp_path, start):
    def services(count, number):
        return [service(f"s{port}", VIP4, "tcp", port, [backend(1, 4, MACS[1]), backend(number, 4, MACS[number])])
                | {"table_size": 65537} for port in range(1000, 1000 + count)]
    config = configuration(tmp_path, {"name": "test", "vdev": "net_null0"}, services(2, 2))
    endless = Endless(start(config).ready(), config)
    endless.write(services(150, 3))
    asking = subprocess.Popen([sys.executable, "-c", RELOAD_CLIENT, endless.dataplane.socket_path],
                              stdout=subprocess.PIPE, text=True)
    slowest = 0
    while asking.poll() is None:
        began = time.monotonic()
        endless.dataplane.get("/v1/heartbeat")
        slowest = max(slowest, time.monotonic() - began)
    out = json.loads(asking.stdout.read())
    assert out["applied"], out
    print(f"slowest heartbeat {slowest * 1e3:.1f} ms")
    assert slowest < 0.2, "the monitor would have withdrawn"


RELOAD_CLIENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"POST /v1/reload HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n")
data = b""
while chunk := s.recv(65536): data += chunk
print(data.split(b"\\r\\n\\r\\n", 1)[1].decode())
"""


def test_af_xdp_learns_new_vips_and_backends_and_forgets_old_ones(tmp_path, network, start):
    def on_link(name, family, vip, protocol="tcp"):
        return service(name, vip, protocol, 80, [backend(1, family), backend(2, family)])
    config = configuration(tmp_path, {"name": "uplink", "af_xdp": "eth0"}, [on_link("tcp4", 4, VIP4)])
    dataplane = start(config, prefix=network.within("lb")).ready()
    endless = Endless(dataplane, config)

    def resolved(name):
        return all(b["resolved"] for b in dataplane.backend_states(name).values())
    wait_for("next hops are resolved", lambda: resolved("tcp4"))
    assert network.ask("tcp", VIP6, 0.3) is None
    assert endless.reload(on_link("tcp4", 4, VIP4), on_link("tcp6", 6, VIP6))[0] == 200
    wait_for("next hops of the new service are resolved", lambda: resolved("tcp6"))
    assert network.ask("tcp", VIP6) in ("b1", "b2")
    assert network.ask("tcp", VIP4) in ("b1", "b2")

    # A client that asks all the time while the configuration changes under it.
    client = subprocess.Popen([*network.within("client"), sys.executable, SERVER, "--ask-often", VIP4, "400"],
                              stdout=subprocess.PIPE, text=True)
    for number in range(20):
        assert endless.reload(*[on_link("tcp4", 4, VIP4), on_link("tcp6", 6, VIP6)][:1 + number % 2])[0] == 200
    answered, asked = map(int, client.communicate(timeout=60)[0].split())
    assert answered == asked == 400

    assert endless.reload(on_link("tcp6", 6, VIP6))[0] == 200
    packets = dataplane.get("/v1/state")["ports"][0]["rx_packets"]
    assert network.ask("tcp", VIP4, 0.3) is None
    assert dataplane.get("/v1/state")["ports"][0]["rx_packets"] == packets, "a former VIP is the kernel's"
    assert {v for v, n in dataplane.verdicts().items() if n} == {"forward"}
