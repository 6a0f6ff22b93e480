# SPDX-License-Identifier: Apache-2.0
"""The dataplane and dpdk-testpmd, run alike and asked alike: how many packets, and how much time of their workers."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from traffic import write_configuration

START_S = 30
HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def wait_for(what, condition):
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            value = condition()
            if value:
                return value
        time.sleep(0.02)
    raise SystemExit(f"measure: not within {START_S} s: {what}")


@contextlib.contextmanager
def hugepages(megabytes):
    before = int(HUGEPAGES.read_text())
    HUGEPAGES.write_text(str(before + megabytes // 2))
    try:
        got = int(HUGEPAGES.read_text()) - before
        if got < megabytes // 2:
            raise SystemExit(f"measure: got {got} of {megabytes // 2} hugepages; free some memory and try again")
        yield
    finally:
        HUGEPAGES.write_text(str(before))


def core_lists(workers):
    """The last cores are the workers'; the first one is also everything else's."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[-workers:], cpus


class Program:
    """A running one. Its workers are the threads that DPDK calls so."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def alive(self):
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"measure: {self.process.args[0]} has ended: {tail}")
        return True

    def workers(self):
        threads = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # telemetry has a thread for each question
                if "worker" in (task / "comm").read_text():
                    threads.append(task)
        return threads

    def cpu_ns(self):
        """Of each worker."""
        return [int((task / "schedstat").read_text().split()[0]) for task in sorted(self.workers())]

    def measure(self, seconds):
        """ns of a worker's time for each packet, packets a second, and the least share of a core that a worker had."""
        began, packets, cpu = time.monotonic_ns(), self.packets(), self.cpu_ns()
        time.sleep(seconds)
        self.alive()
        wall = time.monotonic_ns() - began
        packets = self.packets() - packets
        used = [after - before for after, before in zip(self.cpu_ns(), cpu)]
        return {"ns_per_packet": sum(used) / packets, "mpps": packets / wall * 1e3, "share": min(used) / wall}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()


class Testpmd(Program):
    def __init__(self, folder, device, mode, *, workers=1, buffers=65536, memory_mb=512, burst=64):
        self.prefix = f"anypop-bench-{os.getpid()}"
        cores, cpus = core_lists(workers)
        lcores = ",".join([f"0@({','.join(map(str, cpus))})", *(f"{i}@{core}" for i, core in enumerate(cores, 1))])
        super().__init__([
            "dpdk-testpmd", "--lcores", lcores, "--main-lcore", "0", "--in-memory", "--file-prefix", self.prefix, "--no-pci",
            "--iova-mode", "va", "-m", str(memory_mb), "--vdev", device, "--", "--forward-mode", mode, "--nb-cores", str(workers),
            "--rxq", str(workers), "--txq", str(workers), "--rxd", "2048", "--txd", "2048", "--burst", str(burst),
            "--total-num-mbufs", str(buffers), "--mbcache", "256", "--stats-period", "60", "--no-lsc-interrupt",
        ], folder / "testpmd.log")
        wait_for("testpmd forwards", lambda: self.alive() and self.packets() > 0)

    def packets(self):
        """By DPDK's telemetry socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(2)
            client.connect(f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2")
            limit = json.loads(client.recv(4096))["max_output_len"]
            client.send(b"/ethdev/stats,0")
            return json.loads(client.recv(limit))["/ethdev/stats"]["ipackets"]

    def stop(self):
        super().stop()
        subprocess.run(["rm", "-rf", f"/var/run/dpdk/{self.prefix}"], check=False)


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Dataplane(Program):
    def __init__(self, bin_dir, folder, config, *, prefix=()):
        self.folder, self.config_path = folder, folder / "pop.yaml"
        write_configuration(self.config_path, config)
        super().__init__([*prefix, str(bin_dir / "anypop-dataplane"), "--config", str(self.config_path)], folder / "dataplane.log")
        wait_for("the dataplane answers", lambda: self.alive() and self.get("/v1/state"))

    def ask(self, method, path, body=None):
        connection = UnixHttp(self.folder / "dataplane.sock")
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200:
                raise SystemExit(f"measure: {method} {path}: {response.status} {answer}")
            return answer
        finally:
            connection.close()

    def get(self, path):
        return self.ask("GET", path)

    def packets(self):
        return sum(port["rx_packets"] for port in self.get("/v1/state")["ports"])

    def verdicts(self):
        return {entry["verdict"]: entry["packets"] for entry in self.get("/v1/stats")["verdicts"] if entry["packets"]}
