# SPDX-License-Identifier: Apache-2.0
"""A lab leaves nothing, however it ends: processes, namespaces, mounts, links, hugepages, files."""
import os
import signal
import subprocess
import time

import pytest
from census import census, left_behind
from conftest import ROOT
from labkit import facts
from labkit import state as lab_state


def lab_command(*words, **options):
    return subprocess.run([ROOT / "tools/lab", *words], capture_output=True, text=True, timeout=120, **options)


def start_up(build):
    return subprocess.Popen([ROOT / "tools/lab", "up", "--build", build], stderr=subprocess.PIPE, text=True)


def read_until(process, words):
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"'{words}' did not come; the lab ended with {process.wait()}")


@pytest.fixture
def nothing_left():
    before = census()
    assert before["processes"] == [], "a lab is up already"
    yield before
    try:
        # The kernel takes namespaces and hugepages apart a little after the last process.
        facts.wait_for("the machine is as before", lambda: not left_behind(before, census()), 30)
    except Exception:
        lab_command("down")
        pytest.fail(f"left behind: {left_behind(before, census())}")


def test_up_and_down_twice(build, nothing_left):
    for _ in range(2):
        done = lab_command("up", "--build", build)
        assert done.returncode == 0, done.stderr
        assert lab_command("status").returncode == 0
        second = lab_command("up", "--build", build)
        assert second.returncode == 1 and "tools/lab down" in second.stderr
        assert lab_command("exec", "client", "--", "sh", "-c", "exit 7").returncode == 7
        assert lab_command("down").returncode == 0
        assert census()["processes"] == []


def test_faults_by_hand(build, nothing_left):
    """What the README invites a stranger to do."""
    def told(*words, code=0):
        done = lab_command(*words)
        assert done.returncode == code, (words, done.stderr)
        return done.stderr

    assert "tools/lab up" in told("kill", "ams-lb1", "bird", code=1)
    assert lab_command("up", "--build", build).returncode == 0
    try:
        ams = ("ams-lb1", "dataplane")
        assert "found 'ams-lb9', expected one of" in told("kill", "ams-lb9", "dataplane", code=1)
        assert "found daemon 'nginx', expected one of bird, dataplane, healthmon" in told("kill", "ams-lb1", "nginx", code=1)
        assert "runs already" in told("start", *ams, code=1)
        assert "tools/lab start ams-lb1 dataplane" in told("kill", *ams)
        assert "does not run" in told("stop", *ams, code=1)
        facts.wait_for("the client at fra", lambda: "fra" in answer())
        told("start", *ams)
        told("stop", "ams-lb1", "bird")
        hung = lab_command("exec", "ams-lb1", "--", "bgpctl", "status")
        assert hung.returncode == 1 and "hangs" in hung.stdout
        told("cont", "ams-lb1", "bird")
        facts.wait_for("the client at ams again", lambda: "ams" in answer(), 60)
    finally:
        assert lab_command("down").returncode == 0


def answer():
    return lab_command("exec", "client", "--", "curl", "-s", "-m", "1", "http://198.51.100.1/").stdout


@pytest.mark.parametrize("words", ["hugepages", "network:", "ams-lb1: bird up"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_coming_up(build, nothing_left, words, number):
    process = start_up(build)
    read_until(process, words)
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    process.stderr.close()


@pytest.mark.parametrize("words", ["hugepages", "network:"])
def test_killed_while_coming_up(build, nothing_left, words):
    process = start_up(build)
    read_until(process, words)
    process.kill()
    process.wait()
    process.stderr.close()
    assert lab_command("down").returncode == 0


def test_outer_init_killed(build, nothing_left):
    assert lab_command("up", "--build", build).returncode == 0
    os.kill(lab_state.load().init_pid, signal.SIGKILL)
    facts.wait_for("every process of the lab gone", lambda: census()["processes"] == [])
    status = lab_command("status")
    assert status.returncode == 1 and "no lab is up" in status.stderr
    # The next one heals what the killed one held, and works.
    assert lab_command("up", "--build", build).returncode == 0
    assert lab_command("down").returncode == 0


def test_run_interrupted_takes_its_lab_down(build, nothing_left, tmp_path):
    command = [ROOT / "tools/lab", "run", "baseline", "--runs", "100", "--build", build, "--out", tmp_path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    read_until(process, "baseline 1/100")
    time.sleep(0.5)  # into the middle of a run
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process.stderr.close()


def test_missing_programs_are_named(nothing_left, tmp_path):
    done = lab_command("up", "--build", tmp_path)
    assert done.returncode == 1
    assert "anypop-dataplane" in done.stderr and "--build" in done.stderr and len(done.stderr.splitlines()) == 1
