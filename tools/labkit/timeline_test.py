# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit import report  # noqa: E402
from labkit.timeline import Observations, result  # noqa: E402

MS = 1_000_000
FAULT, REPAIR = 10_000 * MS, 20_000 * MS


def request(at_ms, error="", kind="new", pop="ams", target="v4", connection=None, takes_ms=1):
    """at_ms: from the fault."""
    start = FAULT + int(at_ms * MS)
    return {
        "kind": kind, "target": target, "connection": start if connection is None else connection,
        "scheduled_unix_ns": start, "start_unix_ns": start, "end_unix_ns": start + takes_ms * MS,
        "pop": "" if error else pop, "backend": "" if error else f"{pop}-b1", "error": error,
    }


def change(at_ms, interface, family="v4"):
    return {"unix_ns": FAULT + int(at_ms * MS), "family": family, "action": "add", "interfaces": [interface]}


def event(at_ms, name, **fields):
    return {"unix_ns": FAULT + int(at_ms * MS), "event": name, **fields}


def found(requests, routes=(), events=()):
    return result(Observations("ams", FAULT, REPAIR, list(requests), list(routes), list(events)))


def test_outage_is_from_the_first_failed_start_to_the_first_start_after_which_all_is_good():
    requests = [request(-10), request(0, "timeout", takes_ms=500), request(10), request(20, "timeout", takes_ms=500),
                request(35, pop="fra"), request(40, pop="fra")]
    assert found(requests)["fault"]["outage_ms"] == 35.0


def test_no_failure_is_no_outage():
    assert found([request(at) for at in range(-50, 50, 5)])["fault"]["outage_ms"] == 0.0


def test_request_that_began_before_the_fault_and_died_of_it_counts():
    counted = found([request(-1, "reset", takes_ms=3), request(5)])["fault"]
    assert counted["new"]["failed"] == 1
    assert counted["outage_ms"] == 6.0


def test_failures_of_the_way_back_are_counted_there():
    requests = [request(0), request(10_100, "refused"), request(10_110)]
    done = found(requests)
    assert done["fault"]["new"]["failed"] == 0
    assert done["return"]["new"]["failed"] == 1 and done["return"]["outage_ms"] == 10.0


def test_reset_when_the_route_changed_is_moved():
    routes = [change(100, "t1t2")]
    requests = [request(99, "reset", takes_ms=3), request(120)]
    counted = found(requests, routes)["fault"]
    assert counted["new"] == {"total": 2, "failed": 0, "moved": 1}
    assert counted["outage_ms"] == 0.0


def test_long_lived_connection_is_moved_at_its_next_request():
    routes = [change(100, "t1t2")]
    requests = [request(50, kind="long", connection=1), request(150, "reset", kind="long", connection=1)]
    assert found(requests, routes)["fault"]["long"] == {"total": 2, "failed": 0, "moved": 1}


def test_what_was_in_trouble_before_the_route_changed_is_failed():
    routes = [change(300, "t1t2")]
    requests = [request(10, "reset", takes_ms=400), request(290, "timeout", takes_ms=500), request(301, "refused")]
    assert found(requests, routes)["fault"]["new"] == {"total": 3, "failed": 3, "moved": 0}


def test_change_of_the_other_family_moves_nothing():
    assert found([request(99, "reset", takes_ms=3)], [change(100, "t1t2", "v6")])["fault"]["new"]["failed"] == 1


def test_steps_take_the_later_family():
    done = found(
        [request(300, pop="fra", target="v4"), request(310, pop="fra", target="v6")],
        [change(250, "t1t2", "v4"), change(252, "t1t2", "v6")],
        [event(-5, "verdict", announce=False), event(200, "backend", healthy=False),
         event(230, "backend", healthy=False), event(231, "verdict", announce=False),
         event(232, "command", announce=False, sent_unix_ns=FAULT + 233 * MS)],
    )["fault"]["steps_ms"]
    assert done == {"backend": 230.0, "verdict": 231.0, "command": 233.0, "route": 252.0, "answer": 311.0}


def test_operators_hold_is_the_verdict():
    steps = found([], [], [event(3, "hold", kind="withdraw")])["fault"]["steps_ms"]
    assert steps["verdict"] == 3.0


def test_way_back():
    at = (REPAIR - FAULT) / MS
    steps = found(
        [request(at + 60, target="v4"), request(at + 70, target="v6")],
        [change(at + 50, "ams", "v4"), change(at + 55, "ams", "v6")], [event(at + 40, "verdict", announce=True)],
    )["return"]["steps_ms"]
    assert steps == {"backend": None, "verdict": 40.0, "command": None, "route": 55.0, "answer": 71.0}


def test_statistics():
    assert report.statistics([]) is None
    assert report.statistics([None]) is None
    assert report.statistics([3.0, 1.0, None, 2.0]) == {"runs": 3, "median": 2.0, "p95": 3.0, "max": 3.0}
    assert report.statistics(list(range(1, 21)))["p95"] == 19
