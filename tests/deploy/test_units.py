# SPDX-License-Identifier: Apache-2.0
"""What systemd does for a PoP: how locked up the daemons are, and what becomes of it when one of them dies, hangs or is replaced.
After test_site.py."""
import json

import pytest

from labkit import facts

LB = "lon-lb1"
SECURITY = {"anypop-healthmon": 3.0, "anypop-dataplane": 6.0, "anypop-backend": 6.0}  # systemd-analyze's exposure, at most


@pytest.mark.parametrize("unit, allowed", SECURITY.items())
def test_how_locked_up_the_services_are(operator, unit, allowed):
    host = "ams-b1" if unit == "anypop-backend" else "ams-lb1"
    last = operator.must(host, f"systemd-analyze security --no-pager {unit}.service").strip().splitlines()[-1]
    score = float(last.split(":")[1].split()[0])
    print(f"{unit}: {score}")
    assert score <= allowed, last


def test_a_monitor_that_dies_is_back_and_nothing_is_withdrawn(operator):
    began = _kill(operator, LB, "anypop-healthmon")
    operator.wait_announced(LB)
    assert _commands(operator, LB, began, announce=False) == []


def test_a_monitor_that_hangs_is_killed_by_the_watchdog_and_nothing_is_withdrawn(operator):
    began, pid = _now(operator, LB), _main_pid(operator, LB, "anypop-healthmon")
    operator.must(LB, f"kill -STOP {pid}")
    _wait_for_another(operator, LB, "anypop-healthmon", pid)
    assert "watchdog" in operator.must(LB, f"journalctl -u anypop-healthmon --since @{began // 10**9} -o cat").lower()
    operator.wait(LB, "bgpctl status | grep 'monitor *answers'")
    operator.wait_announced(LB)
    assert _commands(operator, LB, began, announce=False) == []


def test_a_dataplane_that_dies_is_withdrawn_at_once_and_comes_back(operator):
    began = _kill(operator, LB, "anypop-dataplane")
    [withdrawn] = facts.wait_for("withdrawn", lambda: _commands(operator, LB, began, announce=False))
    took_ms = (withdrawn["replied_unix_ns"] - began) / 1e6
    print(f"withdrawn {took_ms:.0f} ms after the kill: {withdrawn['cause']}")
    assert took_ms < 1000, "that was the heartbeat's timeout, not the closed socket"
    operator.wait_announced(LB)


def test_a_dataplane_that_hangs_is_withdrawn_and_killed_by_the_watchdog(operator):
    began, pid = _now(operator, LB), _main_pid(operator, LB, "anypop-dataplane")
    operator.must(LB, f"kill -STOP {pid}")
    facts.wait_for("withdrawn", lambda: _commands(operator, LB, began, announce=False))
    _wait_for_another(operator, LB, "anypop-dataplane", pid)
    assert "watchdog" in operator.must(LB, f"journalctl -u anypop-dataplane --since @{began // 10**9} -o cat").lower()
    operator.wait_announced(LB)


def test_a_monitor_that_cannot_be_brought_back_has_everything_withdrawn(operator):
    """And the runbook's way out of that."""
    operator.must(LB, "chmod -x /usr/sbin/anypop-healthmon")
    try:
        operator.must(LB, f"kill -KILL {_main_pid(operator, LB, 'anypop-healthmon')}")
        operator.wait(LB, "systemctl is-failed anypop-healthmon && bgpctl hold | grep monitor-lost")
        operator.wait(LB, "! birdc show route export t2_v4 | grep 198.51.100.0/24")
        operator.wait_serving("ams", deadline_s=10)
    finally:
        operator.must(LB, "chmod +x /usr/sbin/anypop-healthmon")
    operator.must(LB, "systemctl reset-failed anypop-healthmon && systemctl start anypop-healthmon")
    operator.wait(LB, "bgpctl status | grep 'monitor *answers'")
    assert operator.say(LB, "bgpctl hold").strip() != "no holds", "a monitor that is back must not end the hold by itself"
    operator.must(LB, "bgpctl announce --all --timeout 60s", 90)
    operator.wait_announced(LB)


@pytest.mark.parametrize("slip", ["sed -i '0,/^announcements:/s//nonsense: 500\\nannouncements:/' /etc/anypop/pop.yaml",
                                  "rm /etc/anypop/pop.yaml"], ids=["broken", "missing"])
def test_a_monitor_that_dies_over_a_bad_pop_yaml_has_everything_withdrawn(operator, slip):
    """It cannot come back, and what withdraws in its place must not stumble over the same file."""
    operator.must(LB, "test -s /var/lib/anypop/pop.good.yaml && cp -p /etc/anypop/pop.yaml /root/pop.yaml.good")
    try:
        operator.must(LB, slip)
        operator.must(LB, "! anypop check-config /etc/anypop/pop.yaml")
        operator.must(LB, f"kill -KILL {_main_pid(operator, LB, 'anypop-healthmon')}")
        operator.wait(LB, "systemctl is-failed anypop-healthmon && bgpctl hold | grep monitor-lost")
        operator.wait(LB, "! birdc show route export t2_v4 | grep 198.51.100.0/24")
        operator.wait_serving("ams", deadline_s=10)
        marked = [line for line in operator.say(LB, "bgpctl status").splitlines() if line.startswith("  pop.yaml   ! ")]
        assert len(marked) == 1 and "/etc/anypop/pop.yaml" in marked[0] and "pop.good.yaml" in marked[0]
    finally:
        operator.must(LB, "mv /root/pop.yaml.good /etc/anypop/pop.yaml")
    operator.must(LB, "systemctl reset-failed anypop-healthmon && systemctl start anypop-healthmon")
    operator.wait(LB, "bgpctl status | grep 'monitor *answers'")
    operator.must(LB, "bgpctl announce --all --timeout 60s", 90)
    operator.wait_announced(LB)


@pytest.mark.parametrize("unit", ["anypop-dataplane", "anypop-healthmon"])
def test_a_reload_that_is_refused_fails_and_says_why(operator, unit):
    """systemctl's exit code is what a play or a person goes by."""
    operator.must(LB, "cp -p /etc/anypop/pop.yaml /root/pop.yaml.good")
    try:
        operator.must(LB, f"systemctl reload {unit}")
        operator.must(LB, "sed -i '0,/^announcements:/s//nonsense: 500\\nannouncements:/' /etc/anypop/pop.yaml")
        began = _now(operator, LB)
        operator.must(LB, f"! systemctl reload {unit}")
        said = operator.must(LB, f"journalctl -u {unit} --since @{began // 10**9} -o cat")
        assert "nonsense" in said and "nothing was reloaded" in said, said
    finally:
        operator.must(LB, "mv /root/pop.yaml.good /etc/anypop/pop.yaml")
    operator.must(LB, f"systemctl is-active {unit} && systemctl reload {unit}")


def test_a_new_dataplane_takes_over_from_the_running_one(operator):
    """SIGUSR2: systemd follows to the new main process, the unit was never down, and no client notices."""
    host, unit = "ams-lb1", "anypop-dataplane"
    began, pid, before = _now(operator, host), _main_pid(operator, host, unit), _life(operator, host, unit)
    with operator.load("hand-over") as load:
        operator.must(host, f"systemctl kill --kill-whom=main --signal=USR2 {unit}")
        _wait_for_another(operator, host, unit, pid)
        operator.wait(host, f"! test -e /proc/{pid}")
        operator.wait_announced(host)
    load.must_be_clean()
    assert _life(operator, host, unit) == before
    assert _commands(operator, host, began, announce=False) == []
    _kill(operator, host, unit)  # the new one is systemd's, too
    operator.wait_announced(host)


def _life(operator, host: str, unit: str) -> str:
    """Since when it is up, and how often it had to be started again."""
    return operator.must(host, f"systemctl show -P ActiveEnterTimestampMonotonic -P NRestarts {unit}")


def _main_pid(operator, host: str, unit: str) -> str:
    return operator.must(host, f"systemctl show -P MainPID {unit}").strip()


def _kill(operator, host: str, unit: str) -> int:
    """Dead at once, and started again by systemd. Returns when it was killed."""
    pid = _main_pid(operator, host, unit)
    when = int(operator.must(host, f"date +%s%N; kill -KILL {pid}"))
    _wait_for_another(operator, host, unit, pid)
    return when


def _wait_for_another(operator, host: str, unit: str, pid: str) -> None:
    operator.wait(host, f"systemctl is-active {unit} && ! systemctl show -P MainPID {unit} | grep -xE '{pid}|0'")


def _now(operator, host: str) -> int:
    return int(operator.must(host, "date +%s%N"))


def _commands(operator, host: str, since_ns: int, announce: bool) -> list[dict]:
    """What the monitor told BIRD since then."""
    events = [json.loads(line) for line in operator.must(host, "bgpctl log --json --lines 100").splitlines()]
    return [event for event in events if event["event"] == "command" and event["announce"] == announce
            and event["unix_ns"] >= since_ns]
