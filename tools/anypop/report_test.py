# SPDX-License-Identifier: Apache-2.0
"""`anypop report` over event logs as a PoP writes them."""
import json
import os
import subprocess
import time

import pytest

ANYPOP = os.environ["ANYPOP"]
S = 1_000_000_000


def failover(begin_ns, cause):
    """A backend is out, the announcement goes, and returns five seconds later."""
    def command(at_ns, announce):
        return {"unix_ns": at_ns + 2_000_000, "event": "command", "announcement": "web", "announce": announce, "ok": True,
                "sent_unix_ns": at_ns, "replied_unix_ns": at_ns + 900_000}
    return [
        {"unix_ns": begin_ns, "event": "backend", "service": "web4", "backend": "b1", "healthy": False, "cause": cause},
        {"unix_ns": begin_ns + 30_000_000, "event": "verdict", "announcement": "web", "announce": False, "cause": cause},
        command(begin_ns + 31_000_000, False),
        {"unix_ns": begin_ns + 4 * S, "event": "backend", "service": "web4", "backend": "b1", "healthy": True},
        {"unix_ns": begin_ns + 5 * S, "event": "verdict", "announcement": "web", "announce": True, "cause": "good"},
        command(begin_ns + 5 * S, True),
    ]


@pytest.fixture
def log(tmp_path):
    now = time.time_ns()
    lines = failover(now - 2 * 86400 * S, "the day before yesterday") + failover(now - 600 * S, "ten minutes ago")
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def report(*arguments):
    return subprocess.run([ANYPOP, "report", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_since_leaves_out_what_is_older(log):
    everything = report("--events", f"ams={log}")
    assert everything.returncode == 0, everything
    assert "2 withdrawals, all over." in everything.stdout and "the day before yesterday" in everything.stdout
    recent = report("--events", f"ams={log}", "--since", "1h")
    assert "1 withdrawal, all over." in recent.stdout
    assert "ten minutes ago" in recent.stdout and "the day before yesterday" not in recent.stdout
    assert report("--events", f"ams={log}", "--since", "1m").stdout.count("No announcement was withdrawn") == 1
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    assert "1 withdrawal" in report("--events", f"ams={log}", "--since", moment).stdout


def test_a_page_with_clients_and_the_fault(log, tmp_path):
    sign = json.loads(log.read_text().splitlines()[6])["unix_ns"]
    requests = tmp_path / "requests.jsonl"
    rows = [(-50, "ams", None), (1, "", "refused"), (20, "", "refused"), (40, "fra", None), (60, "fra", None)]
    requests.write_text("".join(
        json.dumps({"target": "v4", "start_unix_ns": sign + ms * 1_000_000, "end_unix_ns": sign + (ms + 2) * 1_000_000,
                    "pop": pop, "error": error}) + "\n" for ms, pop, error in rows))
    page = tmp_path / "page.html"
    done = report("--events", f"ams={log}", "--since", "1h", "--requests", requests, "--mark", f"fault={sign - 10_000_000}",
                  "--out", page, "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    [incident] = found["withdrawals"]
    assert incident["failed_requests"] == 2
    assert incident["steps_ms"]["fault to first sign"] == 10
    assert incident["steps_ms"]["fault to the last recovered client"] == 10 + 40 + 2
    text = page.read_text()
    for words in ("Requests by PoP", "<td>fra</td><td class=\"n\">2</td>", "<td>ams</td><td class=\"n\">1</td>", "<svg",
                  "last client served again"):
        assert words in text, words
    assert "http" not in text and "<script" not in text


@pytest.mark.parametrize("arguments, complaint", [
    (["--since", "yesterday"], "--since: "), (["--events", "/nowhere/events.jsonl"], "/nowhere/events.jsonl"),
    (["--events", "/dev/null", "--mark", "fault"], "--mark: found 'fault'"),
])
def test_bad_input_is_one_line(arguments, complaint):
    done = report(*arguments)
    assert done.returncode == 1
    assert done.stdout == "" and complaint in done.stderr and done.stderr.count("\n") == 1
