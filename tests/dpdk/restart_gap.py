#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Restarts the dataplane under load, and measures: how long nothing is forwarded (datagrams at a fixed pace from a client
through the balancer to a backend and back), and how many of the client's open TCP connections break. Each restart falls
into an open window: the backends have changed a moment before. Needs root, a few hundred MB and about a minute.

    sudo tests/dpdk/restart_gap.py                                    # build/release, five times each
    sudo tests/dpdk/restart_gap.py --hugepages --runs 3 --json
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("ANYPOP_DATAPLANE", str(ROOT / "build/release/bin/anypop-dataplane"))
sys.dont_write_bytecode = True

from network import Network  # noqa: E402
from support import VIP4, VIP6, Dataplane, add_hugepages, backend, configuration, service, wait_for  # noqa: E402

LONG_LIVED = str(Path(__file__).with_name("long_lived.py"))
SERVICES = [service(f"{protocol}{family}", vip, protocol, 81, [backend(1, family), backend(2, family)]) |
            {"table_size": 65537} for protocol in ("tcp", "udp") for family, vip in ((4, VIP4), (6, VIP6))]
KINDS = {"successor (SIGUSR2)": signal.SIGUSR2, "restart (SIGUSR1)": signal.SIGUSR1,
         "stop and start (SIGTERM)": signal.SIGTERM, "crash (SIGKILL)": signal.SIGKILL}


class Bench:
    def __init__(self, network, folder, hugepages):
        self.network, self.folder = network, folder
        self.options = {"hugepages": True, "memory_mb": 64} if hugepages else {}
        self.starts = 0
        self.dataplane = None

    def start(self):
        self.starts += 1
        config = configuration(self.folder, {"name": "uplink", "af_xdp": "eth0"}, SERVICES, **self.options)
        self.dataplane = Dataplane(self.folder, config, prefix=self.network.within("lb"), name=f"pop{self.starts}").ready()

    def pid(self):
        try:
            return self.dataplane.get("/v1/state")["pid"]
        except OSError:
            return None

    def succeed(self):
        before = self.pid()
        os.kill(before, signal.SIGUSR2)
        wait_for("the next one answers", lambda: self.pid() not in (None, before))

    def stop(self, number):
        """Whichever process it is by now."""
        pid = self.pid()
        os.kill(pid, number)
        if pid == self.dataplane.process.pid:
            self.dataplane.process.wait(30)
        wait_for("it ends", lambda: not os.path.exists(f"/proc/{pid}"))

    def health(self, name, healthy):
        self.dataplane.put_health(*[(s["name"], name, healthy) for s in SERVICES])

    def client(self, *arguments):
        return subprocess.Popen([*self.network.within("client"), sys.executable, LONG_LIVED, *arguments],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, number):
        self.health("b2", False)
        held = [self.client("--hold", "100", VIP4, VIP6)]
        assert held[0].stdout.readline() == "ready\n"
        self.health("b2", True)
        held.append(self.client("--hold", "100", VIP4, VIP6))
        assert held[1].stdout.readline() == "ready\n"
        paced = self.client("--pace", "1000", VIP4)
        wait_for("datagrams pass", lambda: sum(self.dataplane.backend_packets("udp4").values()) > 500)
        if number == signal.SIGUSR2:
            self.succeed()
        else:
            self.stop(number)
            self.start()
        wait_for("datagrams pass again", lambda: sum(self.dataplane.backend_packets("udp4").values()) > 500)
        result = json.loads(paced.communicate("\n", timeout=60)[0])
        for process in held:
            found = json.loads(process.communicate("\n", timeout=60)[0])
            result["connections"] = result.get("connections", 0) + found["connections"]
            result["broken"] = result.get("broken", 0) + len(found["broken"]) + found["moved"]
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="restarts of each kind")
    parser.add_argument("--hugepages", action="store_true", help="64 MB of them for the dataplane")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # Twice: the kernel frees a killed process's pages a little late.
    pages = 64 if arguments.hugepages else 0
    results = {}
    servers = []
    network = Network()
    add_hugepages(pages)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        bench = Bench(network, Path(folder), arguments.hugepages)
        try:
            network.up()
            servers += [subprocess.Popen([*network.within(host), sys.executable, LONG_LIVED, "--serve", host, VIP4, VIP6])
                        for host in ("b1", "b2")]
            bench.start()
            wait_for("next hops are resolved", lambda: all(
                b["resolved"] for s in SERVICES for b in bench.dataplane.backend_states(s["name"]).values()))
            for kind, number in KINDS.items():
                results[kind] = [bench.measure(number) for _ in range(arguments.runs)]
        except BaseException:
            if bench.dataplane:
                print(bench.dataplane.text(), file=sys.stderr)
            raise
        finally:
            if bench.dataplane:
                bench.dataplane.stop(signal.SIGKILL)
                bench.dataplane.end_successors()
            for server in servers:
                server.kill()
                server.wait()
            network.down()
            add_hugepages(-pages)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'':26}{'gap, ms':>24}{'lost':>8}{'connections':>13}{'broken':>8}")
    for kind, runs in results.items():
        gaps = sorted(run["gap_ms"] for run in runs)
        shown = f"{statistics.median(gaps):.0f} ({gaps[0]:.0f} to {gaps[-1]:.0f})"
        print(f"{kind:26}{shown:>24}{round(statistics.mean(r['lost'] for r in runs)):>8}"
              f"{sum(r['connections'] for r in runs):>13}{sum(r['broken'] for r in runs):>8}")


if __name__ == "__main__":
    main()
