# SPDX-License-Identifier: Apache-2.0
"""`anypop status` over several PoPs, some of which do not answer."""
import http.server
import json
import os
import socket
import subprocess
import threading

import pytest

from fake_pop import FakePop

ANYPOP = os.environ["ANYPOP"]


@pytest.fixture
def pops(tmp_path):
    made = [FakePop(tmp_path / name, name) for name in ("ams", "fra")]
    yield made
    for pop in made:
        pop.stop()


@pytest.fixture
def over_tcp():
    """A monitor on a TCP port of loopback."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            good = self.path == "/v1/state"
            self.send_response(200 if good else 404)
            self.end_headers()
            self.wfile.write(b'{"pop": "lon", "announcements": [{"name": "web", "announce": true}]}')

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def status(*arguments):
    return subprocess.run([ANYPOP, "status", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_every_kind_of_address(pops, over_tcp):
    done = status(pops[0].config, f"two={pops[1].folder}", over_tcp, pops[0].folder / "healthmon.sock")
    assert done.returncode == 0, done
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ams", "good"], ["two", "good"], ["lon", "good"], ["ams", "good"]]


def test_an_inventory_and_who_is_missing(pops, over_tcp, tmp_path):
    inventory = tmp_path / "pops"
    with socket.socket() as closed, socket.socket() as mute:
        closed.bind(("127.0.0.1", 0))
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        dead, silent = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (closed, mute))
        inventory.write_text(f"ams {pops[0].config}\nfra {pops[1].folder}  # here\ndead {dead}\nmute {silent}\nodd http://nowhere\n")
        pops[1].announce = False
        done = status("--inventory", inventory)
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 3 and "fra" in lines and "web is withdrawn: said so" in done.stdout
    assert "Connection refused" in lines["dead"] and "no answer within 2000 ms" in lines["mute"]
    assert "expected http://HOST:PORT" in lines["odd"] and "good" in lines["ams"]
    done = status("--json", pops[0].config, pops[1].config)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["good"] and [pop["good"] for pop in found["pops"]] == [True, False]


def test_wrong_arguments(tmp_path):
    assert status("--config", "x", "y").returncode == 2
    done = status("--inventory", tmp_path / "none")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "none" in done.stderr


def test_top_shows_the_fleet(pops, over_tcp, tmp_path):
    inventory = tmp_path / "pops"
    inventory.write_text(f"ams {pops[0].folder}\nlon {over_tcp}\nfra {tmp_path / 'nobody.sock'}\n")
    command = [ANYPOP, "top", "--once", "--interval", "100", "--inventory", str(inventory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done
    assert [line.split()[:3] for line in done.stdout.splitlines() if line] == [
        ["3", "PoPs"], *([name, *word] for name, word in (("ams", ["good", "1"]), ("lon", ["good", "1"]), ("fra", ["no", "answer"])))]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60)
    assert [pop["good"] for pop in json.loads(done.stdout)["pops"]] == [True, True, False]


def test_colours_on_a_terminal_only(pops):
    assert "\x1b" not in status(pops[0].config, pops[1].config).stdout
    for no_color, coloured in (("", True), ("1", False)):
        done = subprocess.run(["script", "-qec", f"{ANYPOP} status {pops[0].config} {pops[1].config}", "/dev/null"],
                              capture_output=True, text=True, timeout=60,
                              env={**os.environ, "TERM": "xterm", "NO_COLOR": no_color})
        assert ("\x1b[32m" in done.stdout) == coloured, done
