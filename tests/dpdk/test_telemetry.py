# SPDX-License-Identifier: Apache-2.0
"""DPDK's own figures, and ours of the same things."""
import json
import os
import socket

import pytest

from support import VIP4, backend, configuration, service, wait_for

SOCKET = "/var/run/dpdk/anypop/dpdk_telemetry.v2"
SERVICES = [service("tcp4", VIP4, "tcp", 80, [backend(1, 4, "02:00:00:00:00:11")])]
PORT = {"name": "test", "vdev": "net_null0"}


def ask(question):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(5)
        client.connect(SOCKET)
        limit = json.loads(client.recv(4096))["max_output_len"]
        client.send(question.encode())
        return next(iter(json.loads(client.recv(limit)).values()))


def test_the_socket_answers_and_goes_with_the_process(tmp_path, start):
    dataplane = start(configuration(tmp_path, PORT, SERVICES, telemetry=True)).ready()
    pool = ask("/mempool/info,packets_0")
    port = dataplane.get("/v1/state")["ports"][0]
    assert pool["size"] == port["buffers"] == 8192
    assert 0 < port["buffers_in_use"] <= port["buffers"]
    packets = ask("/ethdev/stats,0")["ipackets"]
    wait_for("DPDK counts on", lambda: ask("/ethdev/stats,0")["ipackets"] > packets)
    assert dataplane.get("/v1/state")["ports"][0]["rx_packets"] > packets
    assert os.stat(SOCKET).st_mode & 0o002 == 0, "others may not connect"
    assert dataplane.stop() == 0
    assert not os.path.exists(SOCKET)


@pytest.mark.parametrize("telemetry", [False, None])
def test_without_it_there_is_no_socket(tmp_path, start, telemetry):
    options = {} if telemetry is None else {"telemetry": telemetry}
    start(configuration(tmp_path, PORT, SERVICES, **options)).ready()
    assert not os.path.exists(SOCKET)


def test_rings_are_shown_where_the_driver_knows(tmp_path, start):
    """net_vhost can count what waits in its ring; net_null cannot."""
    dataplane = start(configuration(tmp_path, {"name": "test", "vdev": f"net_vhost0,iface={tmp_path}/vhost.sock"}, SERVICES)).ready()
    port = dataplane.get("/v1/state")["ports"][0]
    assert port["rx_waiting"] == [0] and port["rx_ring"] > 0, port
    dataplane.stop()
    port = start(configuration(tmp_path, PORT, SERVICES)).ready().get("/v1/state")["ports"][0]
    assert port["rx_waiting"] == []
