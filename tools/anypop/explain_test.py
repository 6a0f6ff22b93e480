# SPDX-License-Identifier: Apache-2.0
"""`anypop explain` without a dataplane. With one: tests/dpdk/test_explain.py."""
import json
import os
import subprocess

import pytest

ANYPOP = os.environ["ANYPOP"]


@pytest.fixture
def explain(tmp_path):
    pop = {
        "pop": "test", "run_dir": str(tmp_path),
        "dataplane": {"ports": [{"name": "up", "af_xdp": "eth1"}], "hash_key": "00" * 16},
        "services": [
            {"name": "web4", "vip": "198.51.100.1", "protocol": "tcp", "port": 80, "table_size": 251, "forwarding": "gue",
             "tunnel_source": ["172.16.0.0/16"], "probe": {"type": "tcp"},
             "backends": [{"name": f"b{i}", "address": f"10.0.0.{i}", "mac": f"02:00:00:00:00:0{i}"} for i in (1, 2)]}],
        "announcements": [{"name": "all", "prefixes": ["198.51.100.0/24"]}],
    }
    (tmp_path / "pop.yaml").write_text(json.dumps(pop))

    def run(*arguments, code=0):
        done = subprocess.run([ANYPOP, "explain", "--config", tmp_path / "pop.yaml", *arguments], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done
    return run


FLOW = ("--from", "203.0.113.7:4242", "--to", "198.51.100.1:80")


def test_by_the_configuration(explain):
    answer = json.loads(explain(*FLOW, "--offline", "--json").stdout)
    assert answer["source"] == "configuration" and answer["verdict"] == "forward" and answer["service"] == "web4"
    assert answer["owner"] == answer["backend"] and answer["next_hop"] == "02:00:00:00:00:0" + answer["backend"][1]
    assert answer["slots"] == 251 and 0 <= answer["slot"] < 251 and len(answer["outer_header"]) == 64
    other = {"b1": "b2", "b2": "b1"}[answer["backend"]]
    moved = json.loads(explain(*FLOW, "--down", "web4/" + answer["backend"], "--json").stdout)
    assert moved["backend"] == other and moved["slot"] == answer["slot"]
    page = explain(*FLOW, "--offline").stdout
    assert "gue 172.16." in page and f"{answer['slot']} of 251" in page and "every backend healthy" in page
    assert "stand-in" not in page
    assert json.loads(explain(*FLOW, "--offline", "--json", "--bytes", "1490").stdout)["verdict"] == "reply_too_big"


def test_without_a_dataplane_it_says_so(explain):
    done = explain(*FLOW)
    assert "dataplane.sock" in done.stderr and done.stderr.count("\n") == 1 and "verdict" in done.stdout
    assert "dataplane.sock" in explain(*FLOW, "--live", code=1).stderr


@pytest.mark.parametrize("arguments", [
    (), ("--from", "1.2.3.4:5"), ("--from", "x", "--to", "198.51.100.1:80"), (*FLOW, "--protocol", "icmp"),
    (*FLOW, "--live", "--offline"), (*FLOW, "--bytes", "9001")])
def test_wrong_arguments(explain, arguments):
    assert explain(*arguments, code=2).stderr


def test_what_the_configuration_cannot_answer(explain):
    assert "web4/b9" in explain(*FLOW, "--down", "web4/b9", code=1).stderr
    assert "one family" in explain("--from", "[::1]:1", "--to", "198.51.100.1:80", "--offline", code=1).stderr
    assert "hexadecimal" in explain(*FLOW, "--protocol", "udp", "--connection-id", "xy", "--offline", code=1).stderr
