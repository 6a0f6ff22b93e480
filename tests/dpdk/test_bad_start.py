# SPDX-License-Identifier: Apache-2.0
"""What a machine or a configuration lacks: one line for the operator, exit code 1, nothing half-started."""
import os
import signal

import pytest

from support import PROGRAM, VIP4, backend, configuration, run, service

SERVICES = [service("web", VIP4, "tcp", 80, [backend(1, 4, "02:00:00:00:00:11")])]
NULL_PORT = {"name": "test", "vdev": "net_null0"}
LOOPBACK = {"name": "uplink", "af_xdp": "lo"}


def without_mac():
    return [service("web", VIP4, "tcp", 80, [backend(1, 4)])]


CASES = {
    "no interface": (dict(port={"name": "uplink", "af_xdp": "eth9"}), "dataplane.ports[0].af_xdp: no interface 'eth9'"),
    "no hugepages": (dict(port=NULL_PORT, hugepages=True, memory_mb=1_000_000),
                     "dataplane.memory_mb: 1000000 MB of hugepages wanted"),
    "no such core": (dict(port=NULL_PORT, cores=[1000]), "dataplane.cores[0]: found 1000"),
    "more workers than queues": (dict(port=NULL_PORT, cores=[0, 1]), "dataplane.cores: found 2 workers"),
    "no MAC for a vdev": (dict(port=NULL_PORT, services=without_mac()), "services[0].backends[0].mac: found none"),
    "too little memory": (dict(port=NULL_PORT, packet_buffers=1_000_000), "dataplane.memory_mb: found 64"),
    "no such driver": (dict(port={"name": "x", "vdev": "net_nonsense0"}),
                       "dataplane.ports[0].vdev: found 'net_nonsense0', which DPDK cannot open"),
    "no such capture": (dict(port={"name": "x", "vdev": "net_pcap0,rx_pcap=/nonexistent.pcap"}),
                        "/nonexistent.pcap: No such file"),
    "not an Ethernet device": (dict(port={"name": "x", "vdev": "crypto_null0"}),
                               "dataplane.ports[0].vdev: found 'crypto_null0', expected a DPDK Ethernet device"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_says_what_is_missing(name, tmp_path, start):
    options, expected = CASES[name]
    options = dict(options)
    services = options.pop("services", SERVICES)
    code, line = start(configuration(tmp_path, options.pop("port"), services, **options)).complaint()
    assert code == 1
    assert expected in line and str(tmp_path / "pop.yaml") in line, line
    assert list((tmp_path / "run").iterdir()) == []


def test_the_second_of_two_ports_fails_and_the_first_is_undone(tmp_path, start):
    config = configuration(tmp_path, NULL_PORT, SERVICES)
    config["dataplane"]["ports"].append({"name": "bad", "vdev": "net_nonsense0"})
    code, line = start(config).complaint()
    assert code == 1 and "dataplane.ports[1].vdev: " in line, line
    assert list((tmp_path / "run").iterdir()) == []


def test_no_run_dir(tmp_path, start):
    config = configuration(tmp_path, NULL_PORT, SERVICES)
    config["run_dir"] = str(tmp_path / "nowhere")
    code, line = start(config).complaint()
    assert code == 1 and f"run_dir: no folder {tmp_path}/nowhere; remedy: install -d" in line, line


def test_a_second_instance_on_the_same_socket(tmp_path, start):
    config = configuration(tmp_path, NULL_PORT, SERVICES)
    first = start(config).ready()
    code, line = start(config, name="second").complaint()
    assert code == 1 and "dataplane.sock: another process is serving this socket" in line, line
    assert first.get("/v1/state")["pid"] == first.process.pid
    assert first.stop() == 0


def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path, start):
    config = configuration(tmp_path, NULL_PORT, SERVICES)
    start(config).ready().stop(signal.SIGKILL)
    assert sorted(entry.name for entry in (tmp_path / "run").iterdir()) == ["dataplane.sock", "takeover"]
    assert start(config, name="second").ready().stop() == 0


def test_missing_capabilities(tmp_path, start):
    code, line = start(configuration(tmp_path, LOOPBACK, SERVICES),
                       prefix=("setpriv", "--bounding-set=-net_admin,-bpf")).complaint()
    assert code == 1 and "dataplane.ports[0].af_xdp: this process lacks CAP_NET_ADMIN, CAP_BPF" in line, line


def test_usage_and_configuration_errors(tmp_path):
    usage = run(PROGRAM, "--nonsense", check=False)
    assert usage.returncode == 2
    missing = run(PROGRAM, "--config", str(tmp_path / "none.yaml"), check=False)
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1 and "none.yaml" in missing.stderr
    assert run(PROGRAM, "--version").stdout.strip()


def test_a_signal_during_the_start_is_a_clean_stop(tmp_path, start):
    dataplane = start(configuration(tmp_path, NULL_PORT, SERVICES))
    # The log's first line is written after the signals are caught and before EAL is up.
    while "event=eal_start" not in dataplane.text() and dataplane.process.poll() is None:
        pass
    os.kill(dataplane.process.pid, signal.SIGTERM)
    assert dataplane.process.wait(30) == 0, dataplane.text()
    assert {entry.name for entry in (tmp_path / "run").iterdir()} <= {"takeover"}
