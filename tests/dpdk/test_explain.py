# SPDX-License-Identifier: Apache-2.0
"""POST /v1/explain and `anypop explain` against what the same dataplane did with packets of the same flows."""
import json
import os
import subprocess

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap, wrpcap

from support import VIP4, VIP6, backend, configuration, service, wait_for

ANYPOP = os.environ["ANYPOP"]
PORT_MAC = "02:70:63:61:70:00"  # net_pcap's own


def mac(number):
    return f"02:00:00:00:00:0{number}"


def flows():
    for number in range(60):
        yield f"203.0.113.{number + 1}", VIP4, 1024 + number, 80
        yield f"2001:db8:c::{number + 1:x}", VIP6, 1024 + number, 80


def frame(source, vip, port, to):
    ip = (IP if vip == VIP4 else IPv6)(src=source, dst=vip)
    return Ether(dst=PORT_MAC, src="02:00:00:00:00:99") / ip / TCP(sport=port, dport=to, flags="A")


def question(source, vip, port, to):
    return {"protocol": "tcp", "source": source, "source_port": port, "destination": vip, "destination_port": to}


def test_an_explanation_is_what_the_dataplane_does(tmp_path, start):
    wrpcap(str(tmp_path / "in.pcap"), [frame(*flow) for flow in flows()])
    services = [service("web4", VIP4, "tcp", 80, [backend(i, 4, mac(i)) for i in (1, 2, 3)]),
                service("web6", VIP6, "tcp", 80, [backend(i, 6, mac(i)) for i in (1, 2, 3)])]
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,tx_pcap={tmp_path}/out.pcap"}
    dataplane = start(configuration(tmp_path, port, services)).ready()
    wait_for("all packets have left", lambda: dataplane.verdicts()["forward"] == 120)
    before = dataplane.get("/v1/stats")
    answers = {}
    for flow in flows():
        status, answers[flow] = dataplane.request("POST", "/v1/explain", question(*flow))
        assert status == 200 and answers[flow]["verdict"] == "forward", answers[flow]
    assert dataplane.get("/v1/stats") == before, "a question is no packet"

    done = subprocess.run([ANYPOP, "explain", "--config", dataplane.config_path, "--live", "--json", "--from",
                           "203.0.113.1:1024", "--to", f"{VIP4}:80"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("source") == "dataplane" and told == answers["203.0.113.1", VIP4, 1024, 80]

    dataplane.put_health(("web4", told["backend"], False))
    _, moved = dataplane.request("POST", "/v1/explain", question("203.0.113.1", VIP4, 1024, 80))
    assert moved["backend"] != told["backend"] and moved["generation"] > told["generation"]
    assert dataplane.request("POST", "/v1/explain", question("203.0.113.1", VIP4, 1024, 81))[1]["verdict"] == "drop_no_service"
    for wrong in ("", "{}", json.dumps(question("x", VIP4, 1, 1)), json.dumps(question("::1", VIP4, 1, 1))):
        status, body = dataplane.request("POST", "/v1/explain", wrong)
        assert status == 400 and body["error"], wrong
    assert dataplane.stop() == 0
    sent = {(f[1].src, f[1].dst, f[TCP].sport, 80): f.dst for f in rdpcap(str(tmp_path / "out.pcap"))}
    assert sent == {flow: answer["next_hop"] for flow, answer in answers.items()}


def test_a_drained_backend_keeps_its_flows_and_the_explanation_says_why(tmp_path, start):
    """Flows whose packets come have a record; of the others the dataplane knows who had them before."""
    wrpcap(str(tmp_path / "in.pcap"), [frame(*flow) for flow in flows()])
    services = [service("web4", VIP4, "tcp", 80, [backend(i, 4, mac(i)) for i in (1, 2, 3)])]
    port = {"name": "test", "vdev": f"net_pcap0,rx_pcap={tmp_path}/in.pcap,infinite_rx=1"}
    dataplane = start(configuration(tmp_path, port, services)).ready()

    def ask(flow):
        status, answer = dataplane.request("POST", "/v1/explain", question(*flow))
        assert status == 200, answer
        return answer
    busy = [flow for flow in flows() if flow[1] == VIP4]
    silent = [(f"203.0.113.{i}", VIP4, 5000, 80) for i in range(100, 160)]
    of_b1 = {flow for flow in busy + silent if ask(flow)["backend"] == "b1"}
    assert of_b1 & set(busy) and of_b1 & set(silent)
    drained = {"service": "web4", "backend": "b1", "healthy": True, "weight_permille": 0}
    assert dataplane.request("PUT", "/v1/health", {"backends": [drained]})[0] == 200
    for flow in of_b1 & set(silent):
        answer = ask(flow)
        assert (answer["decision"], answer["backend"], answer["previous_owner"]) == ("previous_owner", "b1", "b1"), answer
        assert answer["window"] and answer["owner"] in ("b2", "b3") and not answer["records"]
    for flow in of_b1 & set(busy):
        answer = wait_for("a packet has made a record", lambda: ask(flow) if ask(flow)["records"] else None)
        assert (answer["decision"], answer["backend"]) == ("tracked", "b1"), answer
        assert answer["records"][0]["backend"] == "b1" and not answer["records"][0]["left_over"]
