#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the dataplane beside dpdk-testpmd and nftables, and writes what it found as JSON. See record."""
import argparse
import collections
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import veth
from programs import Dataplane, Testpmd, core_lists, hugepages
from traffic import configuration, write_capture, write_configuration

ROUNDS = 3
CURVE_ROUNDS = 5
WARM_S, WINDOW_S = 0.3, 1.2
FLOWS = 32_000
MODES = ("io", "macswap", "5tswap")
FORWARDINGS = ("l2", "ipip", "gue")
MEMORY_MB = 512


def device(captures):
    return "net_pcap0," + ",".join(f"rx_pcap={capture}" for capture in captures) + ",infinite_rx=1"


def port(captures):
    return {"name": "p", "vdev": device(captures), "queues": len(captures)}


class Bench:
    def __init__(self, bin_dir, folder):
        self.bin, self.folder = bin_dir, folder

    def capture(self, flows, services=1):
        path = self.folder / f"{flows}-{services}.pcap"
        if not path.exists():
            write_capture(path, flows, services)
        return path

    def dataplane(self, captures, **options):
        cores, _ = core_lists(len(captures))
        return Dataplane(self.bin, self.folder, configuration(self.folder, port(captures), cores=cores, **options))

    def window(self, program):
        with program:
            time.sleep(WARM_S)
            return program.measure(WINDOW_S)

    def copies(self, capture, count):
        """A capture of its own for each queue."""
        paths = [capture.with_suffix(f".{number}.pcap") for number in range(count)]
        for path in paths:
            if not path.exists():
                shutil.copy(capture, path)
        return paths

    def point(self, flows=FLOWS, workers=1, **options):
        captures = self.copies(self.capture(flows, options.get("services", 1)), workers)
        return self.window(self.dataplane(captures, **options))


def testpmd(bench):
    """Both programs in turn, so that whatever the machine does meets both."""
    found = {}
    for workers in (1, 2):
        captures = bench.copies(bench.capture(FLOWS), workers)
        runs = collections.defaultdict(list)
        for _ in range(ROUNDS):
            for mode in MODES:
                runs[f"testpmd {mode}"].append(bench.window(Testpmd(bench.folder, device(captures), mode, workers=workers)))
            for forwarding in FORWARDINGS:
                runs[f"anypop {forwarding}"].append(bench.window(bench.dataplane(captures, forwarding=forwarding)))
        found[str(workers)] = {
            name: {"ns_per_packet": statistics.median(run["ns_per_packet"] for run in several),
                   "mpps": statistics.median(run["mpps"] for run in several),
                   "share": min(run["share"] for run in several), "runs": several}
            for name, several in runs.items()}
        print(f"  {workers} worker(s): " + ", ".join(f"{n} {r['ns_per_packet']:.1f} ns" for n, r in found[str(workers)].items()))
    return found


# What a symbol belongs to, first match wins.
PLACES = (
    ("driver and buffers", r"librte_(net_pcap|mempool|mbuf|ethdev)|rte_(eth_(rx|tx)_burst|pktmbuf|mempool)|memcpy|memmove"),
    ("engine", r"l4lb|process_burst|parse|encapsulate|aes"),
    ("worker's loop", r"Worker::|dataplane::"),
)


def profile_of(program):
    """Shares of the worker's time by place."""
    thread = program.workers()[0].name
    data = program.log.with_suffix(".perf")
    subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-t", thread, "-o", str(data), "--", "sleep", "1.5"],
                   check=True, capture_output=True)
    report = subprocess.run(["perf", "report", "-i", str(data), "--no-children", "--sort", "dso,symbol", "--stdio", "-t", "|"],
                            capture_output=True, text=True, check=True).stdout
    shares, symbols = collections.Counter(), []
    for line in report.splitlines():
        match = re.match(r"\s*([\d.]+)%\s*\|(\S+)\s*\|(.*?)\s*\|", line)
        if not match:
            continue
        share, name = float(match[1]) / 100, f"{match[2]} {match[3]}"
        shares[next((place for place, words in PLACES if re.search(words, name)), "the rest")] += share
        symbols.append((share, name))
    return {"places": dict(shares), "symbols": symbols[:12]}


def profile(bench):
    """Where the worker's time goes."""
    captures = [bench.capture(FLOWS)]
    found = {}
    programs = {"testpmd io": lambda: Testpmd(bench.folder, device(captures), "io")} | {
        f"anypop {forwarding}": lambda f=forwarding: bench.dataplane(captures, forwarding=f) for forwarding in FORWARDINGS}
    for name, start in programs.items():
        with start() as program:
            time.sleep(WARM_S)
            found[name] = program.measure(WINDOW_S) | profile_of(program)
    return found


def reload(bench):
    """Backends come and go at full rate, by reloads of the file: what is lost, and what it costs."""
    captures = [bench.capture(FLOWS)]
    with bench.dataplane(captures, backends=20) as program:
        steady = program.measure(WINDOW_S)
        configs = [configuration(bench.folder, port(captures), cores=core_lists(1)[0], backends=n) for n in (19, 20)]
        began, packets, cpu, times = time.monotonic_ns(), program.packets(), program.cpu_ns(), []
        for number in range(40):
            write_configuration(program.config_path, configs[number % 2])
            start = time.monotonic_ns()
            program.ask("POST", "/v1/reload")
            times.append((time.monotonic_ns() - start) / 1e6)
        wall, packets = time.monotonic_ns() - began, program.packets() - packets
        used = program.cpu_ns()[0] - cpu[0]
        state, verdicts = program.get("/v1/state")["ports"][0], program.verdicts()
        return {
            "reloads": len(times), "reload_ms_median": statistics.median(times), "reload_ms_max": max(times),
            "packets": packets, "steady_ns_per_packet": steady["ns_per_packet"], "ns_per_packet": used / packets,
            "mpps": packets / wall * 1e3, "steady_mpps": steady["mpps"],
            "lost": {"verdicts": {name: count for name, count in verdicts.items() if name != "forward"},
                     "rx_missed": state["rx_missed"], "tx_dropped": state["tx_dropped"]},
        }


def curves(bench):
    """One thing changes, all others stay: one worker, 32,000 flows, one service, 10 backends, ipip."""
    plans = {
        "flows": [1, 1000, 32_000, 128_000],
        "services": [1, 10, 100, 1000],
        "backends": [1, 10, 100, 1000],
        "workers": list(range(1, len(os.sched_getaffinity(0)) + 1)),
    }
    found = {name: [{"at": value, "ns_per_packet": float("inf")} for value in values] for name, values in plans.items()}
    for number in range(1, CURVE_ROUNDS + 1):  # over all, so that a busy minute of the machine is not one curve's
        print(f"  round {number} of {CURVE_ROUNDS}")
        for name, points in found.items():
            big = {"buffers": 262_144, "memory_mb": 1024} if name == "flows" else {}
            for point in points:
                result = bench.point(forwarding="ipip", **big, **{name: point["at"]})
                if result["ns_per_packet"] < point["ns_per_packet"]:
                    point |= result
    for name, points in found.items():
        print(f"  {name}: " + ", ".join(f"{point['at']}: {point['ns_per_packet']:.1f} ns" for point in points))
    return found


PARTS = {"testpmd": testpmd, "profile": profile, "reload": reload, "curves": curves, "veth": veth.measure}


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"processor": cpu[1] if cpu else "unknown", "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release.split("-")[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the programs")
    parser.add_argument("--out", type=Path, required=True, help="JSON; parts that are not measured stay as they were")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"found {', '.join(unknown)}, expected parts of {', '.join(PARTS)}")
    if os.geteuid() != 0:
        parser.error("hugepages and network namespaces need root")
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    found["machine"] = machine()
    with tempfile.TemporaryDirectory(prefix="anypop-bench-") as folder, hugepages(1100):
        bench = Bench(arguments.bin.resolve(), Path(folder))
        for name in arguments.parts or PARTS:
            print(f"measure: {name}", flush=True)
            load = os.getloadavg()[0]
            found[name] = PARTS[name](bench) | {"load_before": round(load, 2)}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
