# SPDX-License-Identifier: Apache-2.0
"""An operator's hold outranks health and survives the death and restart of everything."""
import signal
import time

from labkit import daemons, facts, observe
from labkit.scenarios.operator import bgpctl
from labkit.scenarios.scenario import balancer, traffic_moved


def monitor_has_looked(lab, where):
    """The monitor has probed everything since its start and told the dataplane."""
    facts.wait_for(f"{where}: monitor answers", lambda: lab.daemon_answers(where, "healthmon"))
    facts.wait_for(f"{where}: all in service", lambda: lab.forwarding_gaps(lab.topology.hosts[where]) == [])


def kill_and_start(lab, where, daemon):
    lab.kill(where, daemon, signal.SIGKILL)
    daemons.wait_gone(lab.init(where), daemon)
    lab.start(where, daemon)
    lab.wait_daemon(where, daemon)


def test_hold_survives_restarts_of_everything(lab, tmp_path):
    lab.wait_steady()
    where = balancer(lab)
    bgpctl(lab, "withdraw", "web", "--reason", "test of the hold")
    traffic_moved(lab)
    with observe.route_watch(lab, tmp_path / "routes.jsonl") as routes:
        for daemon in ("bird", "healthmon", "dataplane"):
            lab.restart(where.name, daemon)
            kill_and_start(lab, where.name, daemon)
        assert "Reconfigured" in facts.bird(lab.init(where.name), "configure")
        facts.wait_for("BGP sessions established again", lambda: lab.session_down(where) == [])
        monitor_has_looked(lab, where.name)
        # That nothing comes has no event to wait for: twice the hold-down and several rounds of probes.
        time.sleep(1.5)
        assert [line for line in routes.lines() if "unix_ns" in line] == [], "announced in spite of the hold"
        bgpctl(lab, "release", "web")
        lab.wait_route(lab.topology.client_transit, {lab.topology.preferred.name})
    lab.wait_steady()


def test_withdraw_works_with_every_process_dead(lab):
    """The monitor and the dataplane are dead, so nobody but bgpctl can withdraw; BIRD hears it."""
    lab.wait_steady()
    where = balancer(lab).name
    lab.kill(where, "healthmon")
    bgpctl(lab, "withdraw", "web", "--reason", "by hand")
    traffic_moved(lab)
    lab.start(where, "healthmon")
    monitor_has_looked(lab, where)
    bgpctl(lab, "announce", "web")
    lab.wait_steady()


def test_withdraw_while_bird_is_dead_holds_when_it_returns(lab, tmp_path):
    lab.wait_steady()
    where = balancer(lab)
    lab.kill(where.name, "bird")
    traffic_moved(lab)
    lab.run(where.name, f"{daemons.BIN}/bgpctl", "withdraw", "web", "--reason", "BIRD is away")
    with observe.route_watch(lab, tmp_path / "routes.jsonl") as routes:
        lab.start(where.name, "bird")
        facts.wait_for("BGP sessions established again", lambda: lab.session_down(where) == [])
        time.sleep(1.0)
        assert [line for line in routes.lines() if "unix_ns" in line] == []
    bgpctl(lab, "announce", "web")
    lab.wait_steady()
