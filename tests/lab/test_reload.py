# SPDX-License-Identifier: Apache-2.0
"""`anypop reload`, which is what `systemctl reload` runs: who asks learns whether pop.yaml is in force."""
import json

import pytest
from labkit import facts, namespaces
from labkit.scenarios.scenario import balancer


class Editor:
    """pop.yaml of the preferred PoP's balancer, and the command."""

    def __init__(self, lab):
        self.lab, self.host = lab, balancer(lab).name
        self.file = lab.root(self.host) / "etc/anypop/pop.yaml"
        self.good = self.file.read_text()

    def write(self, change):
        config = json.loads(self.good)
        change(config)
        self.file.write_text(json.dumps(config, indent=2) + "\n")

    def reload(self, *words):
        done = self.lab.run(self.host, f"{namespaces.BIN_DIR}/anypop", "reload", *words)
        return done.returncode, done.stdout, done.stderr

    def state(self, daemon):
        return facts.daemon_get(self.lab.init(self.host), daemon, "/v1/state")


@pytest.fixture
def editor(lab):
    lab.wait_steady()
    found = Editor(lab)
    yield found
    found.file.write_text(found.good)
    assert found.reload()[0] == 0
    lab.wait_steady()


def weigh(config):
    config["services"][0]["backends"][0]["weight"] = 3


def test_both_take_it_and_say_so(editor):
    editor.write(weigh)
    code, out, err = editor.reload()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any(line.startswith("dataplane: backend web4/ams-b1 changed") for line in lines), out
    assert lines[-1] == "monitor: reloaded"
    assert editor.state("dataplane")["services"][0]["backends"][0]["weight"] == 3
    assert editor.state("healthmon")["last_reload"]["ok"]
    code, out, _ = editor.reload("--json")
    answer = json.loads(out)
    assert code == 0 and answer["dataplane"]["applied"] and answer["monitor"] == {"reloaded": "/etc/anypop/pop.yaml"}


def test_a_bad_file_is_refused_with_its_place_and_nobody_is_asked(editor):
    editor.write(lambda config: config["announcements"][0].update(min_healthy_percent=500))
    before = editor.state("healthmon")["last_reload"]
    code, out, err = editor.reload()
    assert code == 1 and out == ""
    assert "announcements[0].min_healthy_percent: found '500'" in err and "nothing was reloaded" in err
    assert editor.state("healthmon")["last_reload"] == before


def test_what_needs_a_restart_is_refused_and_the_monitor_keeps_what_it_has(editor):
    def other_memory(config):
        weigh(config)
        config["dataplane"]["memory_mb"] += 2
    editor.write(other_memory)
    before = editor.state("healthmon")["last_reload"]
    code, out, err = editor.reload()
    assert code == 1 and out == "" and "dataplane: needs a restart: dataplane.memory_mb" in err
    assert editor.state("dataplane")["services"][0]["backends"][0]["weight"] == 1
    assert editor.state("healthmon")["last_reload"] == before
    editor.write(lambda config: config["monitor"].update(http_listen="127.0.0.1:1"))
    code, _, err = editor.reload("monitor")
    assert code == 1 and err.startswith("monitor: refused: ") and "monitor.http_listen" in err
    assert not editor.state("healthmon")["last_reload"]["ok"]


def test_a_daemon_that_is_not_there_is_named(editor):
    editor.lab.kill(editor.host, "healthmon")
    code, out, err = editor.reload("monitor")
    assert code == 1 and out == "" and err.startswith("monitor: refused: /run/anypop/healthmon.sock")
    editor.lab.start(editor.host, "healthmon")
    editor.lab.wait_daemon(editor.host, "healthmon")
