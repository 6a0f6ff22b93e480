# SPDX-License-Identifier: Apache-2.0
"""anypop capture and anypop trace, against the running dataplane."""
import os
import subprocess

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap, wrpcap

from support import PROGRAM, VIP4, backend, configuration, run, service, wait_for

ANYPOP = os.path.join(os.path.dirname(PROGRAM), "anypop")
SERVICES = [service("web4", VIP4, "tcp", 80, [backend(1, 4, "02:00:00:00:01:01")])]


def endless(tmp_path, start, packets):
    wrpcap(str(tmp_path / "in.pcap"), packets)
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    return start(configuration(tmp_path, port, SERVICES)).ready()


def frame(**tcp):
    return Ether(dst="02:70:63:61:70:00", src="02:00:00:00:00:99") / IP(src="203.0.113.1", dst=VIP4) / TCP(**tcp)


def comments(path):
    """Of every packet of a pcapng file, as our own reading of the format has it."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        kind, length = (int.from_bytes(data[at + n:at + n + 4], "little") for n in (0, 4))
        if kind == 6:
            body = data[at + 8:at + length - 4]
            option = 20 + (int.from_bytes(body[12:16], "little") + 3) // 4 * 4
            assert int.from_bytes(body[option:option + 2], "little") == 1
            found.append(body[option + 4:option + 4 + int.from_bytes(body[option + 2:option + 4], "little")].decode())
        at += length
    return found


def test_a_capture_has_the_packets_as_they_came_and_their_verdicts(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(sport=1000, dport=80), frame(sport=1001, dport=81)])
    out = tmp_path / "out.pcapng"
    run(ANYPOP, "capture", "--config", str(dataplane.config_path), "-w", str(out), "-c", "20")
    packets = rdpcap(str(out))
    assert len(packets) == 20
    for packet, comment in zip(packets, comments(out)):
        assert packet.dst == "02:70:63:61:70:00", "as it came, not as it left"
        assert comment == {80: "forward service web4 backend b1", 81: "drop_no_service"}[packet[TCP].dport]

    run(ANYPOP, "capture", "--config", str(dataplane.config_path), "-w", str(out), "-c", "5", "--verdict",
        "drop_no_service")
    assert comments(out) == ["drop_no_service"] * 5
    run(ANYPOP, "capture", "--config", str(dataplane.config_path), "-w", str(out), "-c", "5", "--filter",
        "tcp src port 1000")
    assert {packet[TCP].sport for packet in rdpcap(str(out))} == {1000}


def test_a_trace_is_text(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(sport=1000, dport=80, flags="S")])
    done = run(ANYPOP, "trace", "--config", str(dataplane.config_path), "-c", "3")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("test 54 bytes  203.0.113.1:1000 > 198.51.100.1:80 tcp S  -> forward service web4 backend b1" in line
               for line in lines), lines


def test_what_is_wrong_with_a_request_is_said(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(dport=80)])
    for arguments, problem in [(("--filter", "nonsense here"), "expected a filter as of tcpdump"),
                               (("--verdict", "nonsense"), "expected the name of a verdict")]:
        done = run(ANYPOP, "trace", "--config", str(dataplane.config_path), *arguments, check=False)
        assert done.returncode == 1 and problem in done.stderr and done.stderr.count("\n") == 1, done
    assert dataplane.request("GET", "/v1/capture")[0] == 404


def test_a_capture_is_bounded_alone_and_over_when_its_client_is_gone(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(dport=80)])
    assert dataplane.request("POST", "/v1/capture", {"packets": 10**9, "per_second": 100})[0] == 200
    assert dataplane.request("POST", "/v1/capture", {})[0] == 409
    forwarded = dataplane.verdicts()["forward"]
    answer = wait_for("the rate is limited", lambda: (a := dataplane.get("/v1/capture"))["missed"] > 0 and a)
    assert len(answer["packets"]) <= 200 and not answer["done"]
    wait_for("forwarding goes on", lambda: dataplane.verdicts()["forward"] > forwarded + 10_000)
    # Nobody fetches any more.
    wait_for("the capture is over", lambda: "event=capture state=ended" in dataplane.text())
    assert dataplane.request("GET", "/v1/capture")[0] == 404
    assert dataplane.request("POST", "/v1/capture", {})[0] == 200
    assert dataplane.stop() == 0


def test_ctrl_c_ends_it(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(dport=80)])
    tracing = subprocess.Popen([ANYPOP, "trace", "--config", str(dataplane.config_path), "--filter", "udp"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("it runs", lambda: "event=capture state=started" in dataplane.text())
    tracing.send_signal(2)
    out, errors = tracing.communicate(timeout=30)
    assert tracing.returncode == 0 and out == "" and errors.startswith("0 packets"), (out, errors)
    assert "event=capture state=ended" in dataplane.text()


def test_statistics_have_workers_and_latency(tmp_path, start):
    dataplane = endless(tmp_path, start, [frame(dport=80)])
    wait_for("bursts were timed", lambda: sum(dataplane.get("/v1/stats")["workers"][0]["latency"]) > 10)
    stats = dataplane.get("/v1/stats")
    worker = {v["verdict"]: v["packets"] for v in stats["workers"][0]["verdicts"]}
    total = {v["verdict"]: v["packets"] for v in stats["verdicts"]}
    assert worker == total and worker["forward"] > 0
    port = dataplane.get("/v1/state")["ports"][0]
    assert port["buffers"] == 8192 and 0 <= port["buffers_in_use"] <= 8192
