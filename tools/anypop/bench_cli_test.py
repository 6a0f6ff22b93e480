# SPDX-License-Identifier: Apache-2.0
"""`anypop bench` as a program: what it prints, and to whom. How fast is no test's business."""
import json
import os
import subprocess

ANYPOP = os.environ["ANYPOP"]


def bench(*args):
    return subprocess.run([ANYPOP, "bench", "--ms", "1", *args], capture_output=True, text=True, timeout=60)


def test_json_says_what_was_measured_on_what():
    done = bench("--json", "--only", "flows / v4 1 flow")
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout)
    assert page["hash_engine"] in ("vaes", "aes-ni", "portable")
    assert page["record_bytes"] <= 10
    assert page["burst"] == 32 and page["processors"] >= 1
    result, = page["results"]
    assert (result["group"], result["name"], result["flows"], result["forwarding"]) == ("flows", "v4 1 flow", 1, "ipip")
    assert result["ns_per_packet"] > 0 and result["packets"] > 0 and 0 < result["cpu_share"] <= 1.1


def test_stages_are_parts_of_the_whole():
    page = json.loads(bench("--json", "--only", "stages / v4 ipip, always").stdout)
    result, = page["results"]
    assert list(result["stage_ns"]) == ["parse", "hash", "service and slot", "records", "forward"]
    assert all(ns > 0 for ns in result["stage_ns"].values())
    assert result["tracked"] > 0.99


def test_the_table_is_for_people():
    done = bench("--only", "flows / v4 1 flow")
    assert done.returncode == 0
    assert "ns/packet" in done.stdout and "v4 1 flow" in done.stdout and "hash by" in done.stdout
    assert done.stderr == "", "progress is for a terminal"


def test_what_is_not_there_is_named():
    done = bench("--only", "nonsense\n")
    assert done.returncode == 1
    assert done.stderr == "anypop bench: found no case whose name contains 'nonsense\\n'\n"
