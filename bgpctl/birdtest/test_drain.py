# SPDX-License-Identifier: Apache-2.0
"""A drain, as the router on the other side sees it: one replacing update, later one withdrawal, never a gap."""
import contextlib
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from fakes import Dataplane, Monitor
from lab import BGPCTL, BOTH, PREFIX4, PREFIX6, die_with_parent, wait_for

PLAIN = (["64512"], [])
DRAINED = (["64512"] * 3, [("65535", "0")])


def wait_route(lab, route):
    for prefix in BOTH:
        wait_for(f"{prefix} as {route}", lambda p=prefix: lab.route_at_router(p) == route)


def changes_at_router(lab, start):
    """What the router's own log says happened to our prefixes. It calls a route that replaces another one "added", too."""
    found = []
    for line in lab.router.log()[start:]:
        match = re.search(r"pop1\.ipv[46] > (added|removed) (?:\[\S+\] )?(\S+)", line)
        if match and match[2] in BOTH:
            found.append((match[2], match[1]))
    return found


def drain(lab, *words, **how):
    return lab.bgpctl("drain", "web", "--reason", "test", *words, **how)


def test_a_drain_is_one_replacing_update_and_outlives_everybody(lab):
    start = len(lab.router.log())
    done = drain(lab)
    assert "drained and held: 1 established sessions" in done.stdout
    wait_route(lab, DRAINED)
    changes = changes_at_router(lab, start)
    assert sorted(changes) == [(PREFIX4, "added"), (PREFIX6, "added")], changes
    web = lab.status()["announcements"][0]
    assert (web["state_file"], web["table_level"], web["drained_to"]) == ("drained", "drained", ["router1"])
    assert web["differences"] == []
    assert "held drained by" in lab.bgpctl("hold").stdout

    before = lab.updates_at_router()
    for _ in range(50):
        assert "Reconfigur" in lab.pop.ask("configure")
    drain(lab)
    assert lab.route_at_router(PREFIX4) == DRAINED
    assert lab.updates_at_router() == before, "a configure or a second drain was seen by the router"

    lab.pop.kill()
    lab.wait_routes([])
    start = len(lab.router.log())
    lab.pop.start()
    wait_route(lab, DRAINED)
    assert {change for _, change in changes_at_router(lab, start)} == {"added"}, "it came back in full at first"

    start = len(lab.router.log())
    lab.bgpctl("announce", "web")
    wait_route(lab, PLAIN)
    assert sorted(changes_at_router(lab, start)) == [(PREFIX4, "added"), (PREFIX6, "added")]


def test_a_drain_waits_for_quiet_and_then_withdraws(lab):
    start = len(lab.router.log())
    with Dataplane(lab.folder / "run" / "dataplane.sock", pps=500) as dataplane:
        threading.Timer(1.5, dataplane.set_pps, [2]).start()
        done = json.loads(drain(lab, "--wait", "--deadline", "1m", "--quiet-for", "1s", "--json").stdout)
    result = done["announcements"][0]
    assert result["ok"] and result["ended"] == "quiet" and result["pps"] <= 10 and 2 < result["waited_s"] < 15
    lab.wait_routes([])
    for prefix in BOTH:
        assert [change for p, change in changes_at_router(lab, start) if p == prefix] == ["added", "removed"]
    assert lab.events("drain")[-1]["ended"] == "quiet"
    assert "held withdrawn by" in lab.bgpctl("hold").stdout
    assert "is out already" in drain(lab, "--wait").stdout, "again is the same"


def test_a_drain_ends_at_its_deadline(lab):
    with Dataplane(lab.folder / "run" / "dataplane.sock", pps=500):
        done = drain(lab, "--wait", "--deadline", "2s", "--quiet-for", "1s")
    assert re.search(r"deadline after [12]\.\d s, \d+\.\d packets/s at the end", done.stdout), done.stdout
    lab.wait_routes([])


@contextlib.contextmanager
def waiting_drain(lab, *words):
    """A drain that waits, beside what else is done meanwhile."""
    with Dataplane(lab.folder / "run" / "dataplane.sock", pps=500):
        process = subprocess.Popen([BGPCTL, "--config", str(lab.config), "drain", "web", "--wait", "--reason", "x", *words],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        try:
            wait_route(lab, DRAINED)
            yield process
        finally:
            process.kill()
            process.communicate(timeout=10)


def finish(process):
    out, error = process.communicate(timeout=20)
    return process.returncode, out, error


def test_a_drain_that_somebody_else_has_ended_does_not_come_back(lab):
    """The other operator's word stands, and the one who waited is told."""
    with waiting_drain(lab, "--deadline", "4s") as process:
        assert "ends the hold of root: held drained" in lab.bgpctl("announce", "web").stdout
        wait_route(lab, PLAIN)
        code, _, error = finish(process)
    assert code == 1 and "web: ended by somebody else: its hold is gone; nothing is changed" in error
    assert lab.route_at_router(PREFIX4) == PLAIN
    assert lab.bgpctl("hold").stdout == "no holds\n"
    assert lab.events("drain")[-1]["ended"] == "somebody else: its hold is gone"


def test_a_drain_that_somebody_else_has_taken_over_stays_theirs(lab):
    with waiting_drain(lab, "--deadline", "4s") as process:
        took = lab.bgpctl("drain", "web", "--reason", "mine now", prefix=["env", "SUDO_USER=bob"]).stdout
        assert "web: replaces the hold of root: held drained by root: x" in took
        code, _, error = finish(process)
    assert code == 1 and "ended by somebody else: held drained by bob: mine now" in error
    assert lab.route_at_router(PREFIX4) == DRAINED


def test_the_length_of_the_hold_counts_from_the_withdrawal(lab):
    with waiting_drain(lab, "--for", "1s", "--deadline", "4s") as process:
        changes = len(lab.router.log())
        hold = json.loads(lab.bgpctl("hold", "--json").stdout)["holds"]["web"]
        assert hold["expires_unix_ms"] - hold["placed_unix_ms"] >= 4000, "it would end before the drain does"
        assert finish(process)[0] == 0
    assert changes_at_router(lab, changes) == [(p, "removed") for p in (PREFIX4, PREFIX6)], "in full in between"
    wait_for("the hold to end", lambda: lab.bgpctl("hold").stdout == "no holds\n")


@pytest.mark.parametrize("held", [True, False], ids=["held", "not-held"])
def test_what_is_out_already_is_not_believed_while_bird_hangs(lab, held):
    lab.bgpctl("withdraw", "web", "--reason", "x")
    if not held:
        lab.bgpctl("release", "web")
    lab.pop.kill(signal.SIGSTOP)
    try:
        for words in ([], ["--wait"]):
            assert "hangs" in drain(lab, *words, exit_code=1).stderr
    finally:
        lab.pop.kill(signal.SIGCONT)
    assert "is out already" in drain(lab, "--wait").stdout


def test_what_should_be_out_already_and_is_not_is_taken_out(lab):
    lab.bgpctl("withdraw", "web", "--reason", "x")
    lab.pop.ask('enable "anypop_web_v4"', 'enable "anypop_web_v6"')
    lab.wait_routes(BOTH)
    assert "is out already" in drain(lab, "--wait").stdout
    lab.wait_routes([])


def test_a_drain_without_a_dataplane_has_nothing_to_wait_for(lab):
    assert "no dataplane after 0." in drain(lab, "--wait").stdout
    lab.wait_routes([])


def test_an_interrupted_drain_stays_drained_and_goes_on_when_given_again(lab):
    with Dataplane(lab.folder / "run" / "dataplane.sock", pps=500) as dataplane:
        process = subprocess.Popen([BGPCTL, "--config", str(lab.config), "drain", "web", "--wait", "--reason", "x"],
                                   stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        assert "waiting until its traffic has left" in process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        wait_route(lab, DRAINED)
        dataplane.set_pps(0)
        assert "quiet after" in drain(lab, "--wait", "--quiet-for", "1s").stdout
    lab.wait_routes([])


def test_a_drain_does_not_announce_what_is_out(lab):
    lab.bgpctl("withdraw", "web", "--reason", "x")
    lab.bgpctl("release", "web")
    assert "is out already" in drain(lab).stdout
    assert lab.routes_at_router() == []
    lab.bgpctl("release", "web")
    assert "now held out" in drain(lab, "--wait").stdout
    assert "held withdrawn" in lab.bgpctl("hold").stdout


def test_what_is_out_would_not_be_drained(lab):
    lab.bgpctl("withdraw", "web", "--reason", "x")
    text = drain(lab, "--wait", "--dry-run").stdout
    assert "is out already" in text and "enable" not in text and "would wait" not in text
    lab.bgpctl("release", "web")
    text = drain(lab, "--wait", "--dry-run").stdout
    assert '"kind":"withdraw"' in text and "enable" not in text


def test_without_a_hold_undrain_waits_no_longer_than_told(lab):
    with Monitor(lab.folder / "run" / "healthmon.sock") as monitor:
        monitor.wish |= {"announce": False, "cause": "BIRD's \"web\" is sick", "hold_down_remaining_ms": 1_680_000}
        start = time.monotonic()
        error = lab.bgpctl("undrain", "web", "--wait-healthy", "--deadline", "1s", exit_code=1).stderr
        assert time.monotonic() - start < 4
    assert "BIRD's \"web\" is sick (hold-down for another 28 min)" in error


def test_undrain_needs_a_monitor_to_say_that_it_is_healthy(lab):
    drain(lab)
    error = lab.bgpctl("undrain", "web", "--wait-healthy", exit_code=1).stderr
    assert "the monitor is not running" in error
    assert "held drained" in lab.bgpctl("hold").stdout
    assert "the monitor is not running" in lab.bgpctl("undrain", "web").stdout
    assert lab.bgpctl("hold").stdout == "no holds\n"


class ObedientMonitor(Monitor):
    """Announces what the holds allow, as the real one does, once it is healthy."""

    def __init__(self, lab):
        self.lab, self.healthy = lab, False
        super().__init__(lab.folder / "run" / "healthmon.sock")

    def body(self):
        hold = self.lab.folder / "state" / "holds" / "web.json"
        kind = json.loads(hold.read_text())["kind"] if hold.exists() else "announce"
        level = "withdrawn"
        if self.healthy and kind != "withdraw":
            level = "drained" if kind == "drain" else "announced"
            drains = [f'{"enable" if level == "drained" else "disable"} "anypop_web_{f}_drain"' for f in ("v4", "v6")]
            self.lab.pop.ask(*drains, 'enable "anypop_web_v4"', 'enable "anypop_web_v6"')
        self.wish |= {"announce": level != "withdrawn", "level": level, "cause": f"healthy: {self.healthy}"}
        return super().body()


def test_undrain_comes_back_de_preferred_first(lab):
    lab.bgpctl("withdraw", "web", "--reason", "kernel update")
    lab.wait_routes([])
    with ObedientMonitor(lab) as monitor:
        error = lab.bgpctl("undrain", "web", "--wait-healthy", "--deadline", "1s", exit_code=1).stderr
        assert "the hold is as before" in error and "healthy: False" in error
        assert "held withdrawn by" in lab.bgpctl("hold").stdout and lab.routes_at_router() == []
        start = len(lab.router.log())
        monitor.healthy = True
        done = lab.bgpctl("undrain", "web", "--wait-healthy", "--deadline", "20s")
        assert "1 sessions have it again, de-preferred" in done.stdout and "web: announced" in done.stdout
    wait_route(lab, PLAIN)
    for prefix in BOTH:
        assert [change for p, change in changes_at_router(lab, start) if p == prefix] == ["added", "added"]
    assert lab.bgpctl("hold").stdout == "no holds\n"


def test_a_drain_says_beforehand_what_it_would_do(lab):
    text = drain(lab, "--wait", "--dry-run").stdout
    assert 'enable "anypop_web_v4_drain"' in text and "would wait for at most 600 s" in text
    assert text.index("_drain") < text.index("would wait") < text.index('disable "anypop_web_v4"')
    assert lab.bgpctl("hold").stdout == "no holds\n" and lab.routes_at_router() == BOTH
    plan = json.loads(drain(lab, "--wait", "--dry-run", "--json").stdout)
    assert plan["dry_run"] and {"name": "web", "send": 'enable "anypop_web_v4_drain"',
                                "to": str(lab.pop.socket)} in plan["steps"]
    assert "only with it" in drain(lab, "--deadline", "1m", exit_code=2).stderr
