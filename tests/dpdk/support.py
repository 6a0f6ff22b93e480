# SPDX-License-Identifier: Apache-2.0
"""Drives the real anypop-dataplane: configuration, process, control socket, and networks in namespaces."""
import copy
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# ctest names the program of its build; by hand it is the dev preset's.
PROGRAM = os.environ.get("ANYPOP_DATAPLANE", f"{ROOT}/build/dev/bin/anypop-dataplane")
DEADLINE_S = 30

VIP4, VIP6 = "198.51.100.1", "2001:db8:53::1"


def wait_for(what, condition, deadline_s=DEADLINE_S):
    """The first true value of condition(), or a failure that says what was waited for."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


def run(*command, check=True, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, **options)
    assert not check or result.returncode == 0, f"{' '.join(command)}: {result.stdout}{result.stderr}"
    return result


def backend(number, family, mac=None):
    address = f"10.1.0.1{number}" if family == 4 else f"2001:db8:a::1{number}"
    return {"name": f"b{number}", "address": address} | ({"mac": mac} if mac else {})


def service(name, vip, protocol, port, backends):
    # The small table is for the sanitizers' sake; a test of Maglev's evenness is elsewhere.
    return {"name": name, "vip": vip, "protocol": protocol, "port": port, "backends": backends, "table_size": 1009,
            "probe": {"type": "tcp"}}


def configuration(folder, port, services, **dataplane):
    (folder / "run").mkdir(exist_ok=True)
    return {
        "pop": "test", "run_dir": str(folder / "run"), "state_dir": str(folder / "state"),
        "dataplane": {"ports": [port], "hugepages": False, "memory_mb": 64,
                      "hash_key": "000102030405060708090a0b0c0d0e0f"} | dataplane,
        "services": copy.deepcopy(services),
        "announcements": [{"name": "all", "prefixes": ["198.51.100.0/24", "2001:db8:53::/48"]}],
    }


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Dataplane:
    """One run of the program. `prefix` goes before its command line, such as ip netns exec."""

    def __init__(self, folder, config, prefix=(), name="pop"):
        self.config_path = folder / f"{name}.yaml"
        self.config_path.write_text(json.dumps(config))  # JSON is YAML
        self.socket_path = os.path.join(config["run_dir"], "dataplane.sock")
        self.log_path = folder / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*prefix, PROGRAM, "--config", str(self.config_path), "--verbose"],
                                            stdout=log, stderr=log)

    def request(self, method, path, body=None):
        connection = UnixConnection(self.socket_path)
        try:
            connection.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path):
        status, body = self.request("GET", path)
        assert status == 200, body
        return body

    def put_health(self, *changes):
        return self.request("PUT", "/v1/health", {"backends": [
            {"service": s, "backend": b, "healthy": healthy} for s, b, healthy in changes]})

    def ready(self):
        def answers():
            assert self.process.poll() is None, f"the dataplane died: {self.text()}"
            try:
                return self.get("/v1/state")
            except OSError:
                return None
        wait_for("the control socket answers", answers)
        return self

    def verdicts(self):
        return {entry["verdict"]: entry["packets"] for entry in self.get("/v1/stats")["verdicts"]}

    def backend_packets(self, name):
        stats = next(s for s in self.get("/v1/stats")["services"] if s["name"] == name)
        return {b["name"]: b["packets"] for b in stats["backends"]}

    def backend_states(self, name):
        state = next(s for s in self.get("/v1/state")["services"] if s["name"] == name)
        return {b["name"]: b for b in state["backends"]}

    def text(self):
        return self.log_path.read_text(errors="replace")

    def complaint(self):
        """The exit code of a start that must fail, and the line for the operator."""
        code = self.process.wait(DEADLINE_S)
        lines = [line for line in self.text().splitlines() if line.startswith("anypop-dataplane: ")]
        assert len(lines) == 1, self.text()
        return code, lines[0]

    def end_successors(self):
        """Those that this process started and that are still there; nobody's children."""
        for pid in map(int, re.findall(r"successor=(\d+)", self.text())):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as command:
                    if str(self.config_path) in command.read():
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def free_hugepages():
    with open("/proc/meminfo") as meminfo:
        return next(int(line.split()[1]) for line in meminfo if line.startswith("HugePages_Free"))


def add_hugepages(count):
    """Adds (or with a negative count takes back), because others on this machine have pages of their own."""
    with open("/proc/sys/vm/nr_hugepages", "r+") as control:
        wanted = max(0, int(control.read()) + count)
        control.seek(0)
        control.write(str(wanted))
