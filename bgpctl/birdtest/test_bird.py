# SPDX-License-Identifier: Apache-2.0
"""bgpctl against real BIRDs. What counts is what the router on the other side sees."""
import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time

from fakes import Monitor
from lab import BGPCTL, BOTH, PREFIX4, PREFIX6, Lab, die_with_parent, wait_for


def withdraw(lab, **how):
    return lab.bgpctl("withdraw", "web", "--reason", "test", **how)


def test_nothing_is_announced_at_boot():
    lab = Lab()
    try:
        assert lab.routes_at_router() == []
        web = lab.status()["announcements"][0]
        assert (web["state_file"], web["in_table"], web["exported_to"]) == ("withdrawn", False, [])
        assert web["not_exported_to"] == ["router1"]
    finally:
        lab.close()


def test_withdraw_and_back(lab):
    done = withdraw(lab)
    assert "exported to none of 1 established sessions" in done.stdout
    lab.wait_routes([])
    web = lab.status()["announcements"][0]
    assert (web["intended"], web["intended_by"], web["state_file"]) == ("withdrawn", "hold", "withdrawn")
    assert web["differences"] == []
    done = lab.bgpctl("announce", "web")
    assert "nothing checks 'web'" in done.stderr
    lab.wait_routes(BOTH)
    assert lab.bgpctl("hold").stdout == "no holds\n"
    # Both are levels: again is the same.
    lab.bgpctl("announce", "web")
    withdraw(lab)
    withdraw(lab)
    lab.wait_routes([])


def test_a_configure_storm_does_not_bring_it_back(lab):
    withdraw(lab)
    lab.wait_routes([])
    before = lab.updates_at_router()
    for _ in range(100):
        answer = lab.pop.ask("configure")
        assert "Reconfigur" in answer, answer
    lab.pop.ask("configure soft")
    # A round trip that would follow any update: the router asks for everything anew, and gets only the end of it.
    lab.router.ask('reload in "pop1"')
    wait_for("the answer to the refresh", lambda: any("Got END-OF-RR" in line or "Got BEGIN-OF-RR" in line
                                                      for line in lab.router.log()))
    assert lab.routes_at_router() == []
    assert lab.updates_at_router() == before
    assert not lab.status()["announcements"][0]["differences"]


def test_a_broken_bird_conf_does_not_stop_a_withdrawal(lab):
    good = lab.pop.conf.read_text()
    try:
        lab.pop.conf.write_text(good + "\nnonsense;\n")
        assert "8002" in lab.pop.ask("configure")
        withdraw(lab)
        lab.wait_routes([])
        assert "bird.conf  ! " in lab.bgpctl("status", exit_code=1).stdout
        assert "syntax error" in lab.status()["bird"]["config_errors"][0]
    finally:
        lab.pop.conf.write_text(good)
    assert lab.status()["bird"]["config_errors"] == []


def test_looking_at_the_configuration_file_changes_nothing(lab):
    """Somebody's `configure timeout` goes on, also when the file is broken meanwhile, and can still be undone."""
    good = lab.pop.conf.read_text()
    try:
        lab.pop.ask("configure timeout 300")
        lab.pop.conf.write_text(good + "\nnonsense;\n")
        assert "bird.conf  ! " in lab.bgpctl("status", exit_code=1).stdout
        assert "undo in" in lab.pop.ask("configure status")
        assert "Undo requested" in lab.pop.ask("configure undo")
    finally:
        lab.pop.conf.write_text(good)
        lab.pop.ask("configure")


def test_the_log_tells_who_did_what_and_goes_on_through_a_rotation(lab):
    follower = subprocess.Popen([BGPCTL, "--config", str(lab.config), "log", "web", "--follow", "--lines", "0"],
                                stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        time.sleep(0.3)  # until it stands at the end of the file, which says nothing
        withdraw(lab)
        os.rename(lab.events_file, str(lab.events_file) + ".1")
        lab.bgpctl("release", "web")
        seen = ""
        while " release " not in seen:
            line = follower.stdout.readline()
            assert line, seen
            seen += line
        assert " hold " in seen and "withdraw by root: test" in seen and "web: withdrawn, BIRD took" in seen
    finally:
        follower.kill()
        follower.wait(timeout=10)
        follower.stdout.close()
    text = lab.bgpctl("log", "--since", "1h").stdout
    assert text.index(" hold ") < text.index(" release "), "the rotated file is read, and first"
    assert len(lab.bgpctl("log", "-n", "2").stdout.splitlines()) == 2
    lines = [json.loads(line) for line in lab.bgpctl("log", "--since", "1h", "--json").stdout.splitlines()]
    command = [line for line in lines if line["event"] == "command"][-1]
    assert (command["cause"], command["who"]) == ("test", "root")
    assert "expected one of" in lab.bgpctl("log", "nope", exit_code=2).stderr
    assert "--since" in lab.bgpctl("log", "--since", "yesterday", exit_code=2).stderr


def test_a_killed_bird_comes_back_withdrawn(lab):
    lab.pop.kill()
    done = withdraw(lab, exit_code=1)
    assert "no BIRD at" in done.stderr and "it comes back withdrawn" in done.stderr
    lab.wait_routes([])
    before = len(lab.router.log())
    lab.pop.start()
    lab.wait_session()
    # The session's end-of-RIB is behind every route of the first exchange.
    wait_for("end of RIB", lambda: any("Got END-OF-RIB" in line or "Got UPDATE" in line
                                       for line in lab.router.log()[before:]))
    assert lab.routes_at_router() == []
    assert not any("> added" in line and "pop1.ipv" in line for line in lab.router.log()[before:])
    lab.bgpctl("announce", "web")
    lab.wait_routes(BOTH)


def test_a_killed_bird_keeps_an_announcement(lab):
    lab.pop.kill()
    lab.wait_routes([])
    lab.pop.start()
    lab.wait_routes(BOTH)


def test_a_hung_bird_is_reported_and_recovered(lab):
    lab.pop.kill(signal.SIGSTOP)
    try:
        # Often enough to fill the queue of connections that BIRD does not accept.
        for _ in range(10):
            start = time.monotonic()
            done = withdraw(lab, exit_code=1)
            assert "hangs" in done.stderr
            assert time.monotonic() - start < 5
        assert lab.bgpctl("status", exit_code=1).stdout.count("BIRD does not answer") == 2
    finally:
        lab.pop.kill(signal.SIGCONT)
    withdraw(lab)
    lab.wait_routes([])


def test_somebody_elses_hand_is_seen(lab):
    lab.pop.ask('disable "anypop_web_v4"')
    wait_for("flush", lambda: " up " not in lab.pop.ask('show protocols "anypop_web_v4"').replace("\n", " "))
    assert lab.status()["announcements"][0]["differences"] == ["only some of its protocols are up in BIRD"]
    lab.pop.ask('disable "anypop_web_v6"')
    wait_for("both out", lambda: not lab.status()["announcements"][0]["partly_in_table"])
    text = lab.bgpctl("status", exit_code=1).stdout
    assert "! the state file says announced, but BIRD has it not in the table" in text


def test_a_hold_forbids_announcing_until_it_ends(lab):
    withdraw(lab)
    lab.bgpctl("hold", "web", "--kind", "withdraw", "--reason", "ticket 7", "--for", "1h")
    assert "held withdrawn by" in lab.bgpctl("hold").stdout
    assert "\nweb: released; the monitor is not running" in lab.bgpctl("release", "web").stdout
    assert lab.routes_at_router() == []
    assert lab.bgpctl("release", "web").stdout == "web: there was no hold\n"
    lab.bgpctl("announce", "web", "--force", "--reason", "probe is wrong", "--for", "1s")
    lab.wait_routes(BOTH)
    wait_for("the hold to expire", lambda: lab.bgpctl("hold").stdout == "no holds\n")


def test_everything_is_in_the_event_log(lab):
    lab.bgpctl("withdraw", "web", "--reason", "logged", prefix=["env", "SUDO_USER=alice"])
    hold = lab.events("hold")[-1]
    assert (hold["by"], hold["kind"], hold["who"], hold["reason"]) == ("bgpctl", "withdraw", "alice", "logged")
    command = lab.events("command")[-1]
    assert command["ok"] and not command["announce"]
    assert command["commands"] == [f'disable "anypop_web_{name}"' for name in ("v4", "v6", "v4_drain", "v6_drain")]
    assert command["sent_unix_ns"] < command["replied_unix_ns"]
    lab.bgpctl("release", "web")
    assert lab.events("release")[-1]["announcement"] == "web"


def test_the_log_may_be_missing_but_the_order_is_carried_out(lab):
    lab.events_file.rename(lab.events_file.with_suffix(".old"))
    lab.events_file.mkdir()
    try:
        assert "the event log does not hold this" in withdraw(lab).stderr
        lab.wait_routes([])
    finally:
        lab.events_file.rmdir()


def test_dry_run_touches_nothing(lab):
    text = lab.bgpctl("withdraw", "--all", "--reason", "test", "--dry-run").stdout
    assert 'disable "anypop_web_v4"' in text and "define ANYPOP_WEB_OFF = 1;" in text and "web.json" in text
    assert 'enable "anypop_web_v6"' in lab.bgpctl("announce", "web", "--dry-run").stdout
    assert lab.bgpctl("hold").stdout == "no holds\n"
    assert lab.routes_at_router() == BOTH


def test_bad_input_is_one_line(lab):
    def refused(*arguments, exit_code, says, **how):
        error = lab.bgpctl(*arguments, exit_code=exit_code, **how).stderr
        assert says in error, error
        return error

    assert refused("withdraw", "nope", "--reason", "x", exit_code=2, says="expected one of").strip().endswith(": web")
    refused("withdraw", "web", exit_code=2, says="found no --reason")
    refused("withdraw", "--reason", "x", exit_code=2, says="expected a NAME or --all")
    refused("withdraw", "web", "--reason", "x", "--for", "soon", exit_code=2, says="--for: found 'soon'")
    refused("withdraw", "web", "--reason", "a\nb", exit_code=2, says="control characters")
    refused("hold", "web", "--reason", "x", exit_code=2, says="--kind")
    refused("hold", "web", "--kind", "sideways", "--reason", "x", exit_code=2, says="sideways")
    refused("frobnicate", exit_code=2, says="frobnicate")
    refused("announce", "web", "--reason", "x", exit_code=2, says="without --force")
    refused("withdrow", "web", exit_code=2, says="did you mean `withdraw`?")
    assert "did you mean" not in lab.bgpctl("frobnicate", exit_code=2).stderr
    refused("drain", "web", "--wait", "--reason", "x", "--deadline", "5", exit_code=2, says="--deadline: found '5'")
    refused("withdraw", "web", "--reason", "x", "--timeout", "5", exit_code=2, says="--timeout: found '5'")
    refused("log", "-n", "-1", exit_code=2, says="found '-1', expected a number of lines")
    refused("hold", "--for", "5m", exit_code=2, says="no announcement")
    assert lab.routes_at_router() == BOTH


def test_whose_hold_is_replaced_or_ended_is_said(lab):
    lab.bgpctl("withdraw", "web", "--reason", "alice's", prefix=["env", "SUDO_USER=alice"])
    assert "replaces" not in lab.bgpctl("withdraw", "web", "--reason", "alice's", prefix=["env", "SUDO_USER=alice"]).stdout
    told = withdraw(lab).stdout
    assert "web: replaces the hold of alice: held withdrawn by alice: alice's (until released)\n" in told
    assert "web: ends the hold of root: held withdrawn by root: test" in lab.bgpctl("announce", "web").stdout
    withdraw(lab)
    [note] = json.loads(lab.bgpctl("announce", "web", "--json").stdout)["notes"]
    assert note["name"] == "web" and note["message"].startswith("ends the hold of root")


def test_release_says_what_it_can_know(lab):
    withdraw(lab)
    path = lab.folder / "run" / "healthmon.sock"
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen(16)
        try:
            told = lab.bgpctl("release", "web").stdout
        finally:
            path.unlink()
    assert "released; whether anything changes is not known, because the monitor does not answer" in told


def test_what_is_announced_against_health_does_not_look_well(lab):
    with Monitor(lab.folder / "run" / "healthmon.sock") as monitor:
        monitor.wish |= {"level": "announced", "deserved": "withdrawn", "deserved_cause": "web4: 0 of 2 backends healthy",
                         "cause": "held in by root: probe is wrong"}
        told = lab.bgpctl("announce", "web", "--force", "--reason", "probe is wrong")
        assert "health says withdrawn: web4: 0 of 2 backends healthy" in told.stderr
        text = lab.bgpctl("status", exit_code=1).stdout
        assert "  health     withdrawn: web4: 0 of 2 backends healthy\n" in text
        assert "  ! announced, though health says withdrawn" in text
        monitor.wish |= {"deserved": "announced", "deserved_cause": "every condition is good"}
        assert "  health     announced: every condition is good\n" in lab.bgpctl("status").stdout


def test_not_permitted_names_the_group(lab):
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    lab.pop.socket.chmod(0o660)
    text = lab.bgpctl("status", exit_code=1, prefix=nobody).stdout
    assert "not permitted" in text and "group" in text
    # Without permission for anything, nothing changes and every step says so.
    lab.bgpctl("withdraw", "web", "--reason", "x", exit_code=1, prefix=nobody)
    assert lab.routes_at_router() == BOTH


def test_a_bird_without_our_protocols_names_the_remedy(lab):
    include = lab.folder / "anypop.conf"
    good = include.read_text()
    try:
        include.write_text("")
        lab.pop.ask("configure")
        lab.wait_routes([])
        assert "bgpctl render" in withdraw(lab, exit_code=1).stderr
        assert "bgpctl render" in lab.bgpctl("status", exit_code=1).stdout
    finally:
        include.write_text(good)
        lab.pop.ask("configure")
        wait_for("the protocols", lambda: "anypop_web_v4" in lab.pop.ask("show protocols"))


def test_no_session_is_said(lab):
    lab.router.kill()
    try:
        wait_for("the session to fall", lambda: "Established" not in lab.pop.ask('show protocols "router1"'))
        assert "exported to none of 0 established sessions" in withdraw(lab).stdout
        assert "no BGP session is established" in lab.bgpctl("announce", "web").stderr
        assert "to nobody: no session is established" in lab.bgpctl("status").stdout
    finally:
        lab.router.start()
        lab.wait_session()


def test_with_a_monitor_health_decides(lab):
    withdraw(lab)
    monitor = Monitor(lab.folder / "run" / "healthmon.sock")
    try:
        monitor.wish |= {"announce": False, "cause": "service web4: 0 of 2 backends healthy",
                         "hold_down_remaining_ms": 42000}
        done = lab.bgpctl("announce", "web", "--timeout", "1s", exit_code=1)
        assert "service web4: 0 of 2 backends healthy" in done.stderr
        assert lab.routes_at_router() == [], "bgpctl announced against the monitor"
        assert lab.bgpctl("hold").stdout == "no holds\n"
        text = lab.bgpctl("status").stdout
        assert "withdrawn by the monitor: service web4: 0 of 2" in text and "hold-down for another 42 s" in text

        # The monitor comes round while bgpctl waits, and sets BIRD itself.
        def come_round():
            lab.pop.ask('enable "anypop_web_v4"', 'enable "anypop_web_v6"')
            monitor.wish |= {"announce": True, "hold_down_remaining_ms": 0}

        timer = threading.Timer(0.3, come_round)
        timer.start()
        assert "announced: exported to 1 of 1" in lab.bgpctl("announce", "web").stdout
        timer.join()
        lab.bgpctl("hold", "web", "--kind", "announce", "--reason", "x")
        assert lab.bgpctl("release", "web").stdout.endswith("\nweb: released; health decides again\n")
    finally:
        monitor.close()


def test_an_operator_beats_a_monitor_that_announces_at_that_moment(lab):
    """Other processes announce all the time while one withdraws: the withdrawal is the last word."""
    for _ in range(5):
        lab.bgpctl("announce", "web")
        racers = [subprocess.Popen([os.environ["BGPCTL_RACER"], str(lab.config), "web"], text=True,
                                   stdout=subprocess.PIPE, preexec_fn=die_with_parent) for _ in range(2)]
        try:
            for racer in racers:
                assert racer.stdout.readline() == "announcing\n"
            withdraw(lab)
            for racer in racers:
                assert racer.communicate(timeout=30)[0] == "refused\n"
        finally:
            for racer in racers:
                racer.kill()
                racer.wait(timeout=30)
        web = lab.status()["announcements"][0]
        assert (web["exported_to"], web["state_file"]) == ([], "withdrawn")
        lab.wait_routes([])
        lab.bgpctl("release", "web")


def test_latency_of_a_withdrawal(lab):
    """Command sent → the router's own log says removed. Reported, and bounded generously."""
    took_ms = {PREFIX4: [], PREFIX6: []}
    whole_ms = []
    for _ in range(30):
        lab.bgpctl("announce", "web")
        lab.wait_routes(BOTH)
        result = json.loads(lab.bgpctl("withdraw", "web", "--reason", "latency", "--json").stdout)
        whole_ms.append(result["announcements"][0]["elapsed_ms"])
        sent_ns = lab.events("command")[-1]["sent_unix_ns"]
        for prefix, took in took_ms.items():
            at_ns = wait_for("the removal", lambda p=prefix: lab.removal_ns_at_router(p, sent_ns))
            took.append((at_ns - sent_ns) / 1e6)
    for name, values in (*took_ms.items(), ("bgpctl, read-back included", whole_ms)):
        print(f"withdraw, {name}: n={len(values)} min {min(values):.2f} median {statistics.median(values):.2f} "
              f"max {max(values):.2f} ms")
    assert statistics.median(took_ms[PREFIX4]) < 20
