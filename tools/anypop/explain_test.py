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
             "backends": [{"name": f"b{i}", "address": f"10.0.0.{i}", "mac": f"02:00:00:00:00:0{i}"} for i in (1, 2)]},
            {"name": "web3", "vip": "198.51.100.1", "protocol": "tcp", "port": 81, "table_size": 251, "forwarding": "gue",
             "tunnel_source": ["172.16.0.0/16"], "probe": {"type": "tcp"},
             "backends": [{"name": f"b{i}", "address": f"10.0.0.{i}"} for i in (1, 2, 3)]}],
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
    (*FLOW, "--live", "--offline"), (*FLOW, "--bytes", "9001"), (*FLOW, "--mtu", "1000"), (*FLOW, "--live", "--mtu", "1500")])
def test_wrong_arguments(explain, arguments):
    assert explain(*arguments, code=2).stderr


@pytest.mark.parametrize("option, found, expected", [
    (("--connection-id", "0500ff"), "--protocol tcp", "udp"), (("--protocol", "udp", "--syn"), "--protocol udp", "tcp"),
    (("--protocol", "udp", "--connection-id", "zz"), "'zz'", "hexadecimal"),
    (("--protocol", "udp", "--connection-id", "abc"), "'abc'", "hexadecimal"),
    (("--protocol", "udp", "--connection-id", ""), "''", "hexadecimal"),
    (("--protocol", "udp", "--connection-id", "00" * 21), "00'", "1 to 20 bytes")])
def test_options_that_make_no_sense_are_named(explain, option, found, expected):
    message = explain(*FLOW, *option, "--offline", code=2).stderr
    assert message.count("\n") == 1 and [o for o in option if o.startswith("--")][-1] + ": found" in message
    assert found in message and expected in message


def test_the_mtu_decides_what_fits(explain):
    def verdict(*arguments):
        return json.loads(explain(*FLOW, "--json", *arguments).stdout)["verdict"]
    assert verdict("--bytes", "1490", "--mtu", "1600") == "forward"
    assert verdict("--bytes", "1400", "--mtu", "1400") == "reply_too_big"


def test_a_backend_that_goes_down_leaves_previous_owners(explain):
    """What was there before is the configuration with every backend."""
    for port in range(4000, 4400):
        flow = ("--from", f"203.0.113.7:{port}", "--to", "198.51.100.1:81")
        healthy = json.loads(explain(*flow, "--offline", "--json").stdout)
        down = json.loads(explain(*flow, "--down", "web3/b1", "--json").stdout)
        assert not healthy["window"]
        if down["owner"] != healthy["owner"] != "b1":
            break
    else:
        pytest.fail("no slot has moved between living backends")
    assert down["window"] and down["previous_owner"] == healthy["owner"] == down["backend"]
    assert down["decision"] == "previous_owner"
    new = json.loads(explain(*flow, "--down", "web3/b1", "--syn", "--json").stdout)
    assert new["backend"] == new["owner"] and new["decision"] == "hashed"
    page = explain(*flow, "--down", "web3/b1").stdout
    assert f"previous owner {healthy['owner']}" in page and f"owner          {down['owner']}" in page


def test_a_stand_in_is_told_where_it_shows(explain):
    flow = ("--from", "203.0.113.7:4242", "--to", "198.51.100.1:81", "--offline")
    assert "stand-in" in explain(*flow).stdout
    page = explain(*flow, "--bytes", "1490").stdout
    assert "reply_too_big" in page and "next hop" not in page and "stand-in" not in page


def test_what_the_configuration_cannot_answer(explain):
    assert "web4/b9" in explain(*FLOW, "--down", "web4/b9", code=1).stderr
    assert "one family" in explain("--from", "[::1]:1", "--to", "198.51.100.1:80", "--offline", code=1).stderr
