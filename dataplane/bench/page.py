#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes dataplane/PERFORMANCE.md and dataplane/performance.png from dataplane/performance.json."""
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parents[1]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
PARTS = ("testpmd", "profile", "reload", "curves", "veth")
STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "white", "axes.grid": True,
    "grid.color": "#E6E6E6", "grid.linewidth": 0.6, "axes.axisbelow": True,
}

PAGE = """# The dataplane, measured

Written by `sudo dataplane/bench/record`; do not edit. On {cores} cores of {processor}, Linux {kernel}, `release` build. Load
average before each part: {loads}.

![ns/packet beside testpmd, where the time goes, curves, latency](performance.png)

## Beside dpdk-testpmd

Both programs take the same 32,000 flows of 60-byte TCP frames, in shuffled order, from DPDK's `net_pcap` with `infinite_rx`: the
driver copies each frame from memory into a fresh packet buffer, and the transmit side frees it. Bursts of 64, 65536 buffers in
hugepages, one service of 10 backends. They run in turn, {rounds} times each; the figures are medians of the worker's own time
on its core for each packet, so that what else the machine does matters little. There is no NIC in them: no PCIe, no descriptors,
no RSS. `io` is what receiving and sending costs here, and no program can be faster.

{testpmd}

{two_workers}

## Where the time goes

`perf record -e cpu-clock` of the worker, one worker, the same traffic; ns/packet. *Driver and buffers* is also all of testpmd's
`io` that is not its loop.

{profile}

## Reload at full rate

{reload}

## Curves

`ipip`; where nothing else is said one worker, 32,000 flows, one service, 10 backends. ns of a worker's time for each packet, the best
of five rounds over all points. Two workers share memory and caches, and on this machine the cores with everything else.

{curves}

## Restart
How long a restart, a crash and an upgrade leave the port alone, and what becomes of connections: [README.md](README.md#restart).

## Over veth, beside nftables

The client opens a new connection for each request, at a fixed rate, whether or not answers come; latency counts from the planned
instant. Client, balancer, switch and two nginx share the cores, so that high rates measure the machine. nftables chooses by `jhash`
and translates both ways; with anypop (`l2`, AF_XDP in copy mode, `polling: adaptive`) answers go straight to the client.

{veth}
"""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def testpmd_table(found):
    io = found["testpmd io"]["ns_per_packet"]
    return table(["", "ns/packet", "over `io`", "times `io`", "Mpps", "CPU"], [
        [name, f"{r['ns_per_packet']:.1f}", f"{r['ns_per_packet'] - io:+.1f}", f"{r['ns_per_packet'] / io:.2f}", f"{r['mpps']:.1f}",
         f"{r['share']:.0%}"] for name, r in found.items()])


def two_workers(found, cores):
    if "2" not in found:
        return ""
    return (f"Two workers, a capture each. This machine has {cores} cores, so that the workers share them with the control thread and "
            "everything else; more than two cannot be measured here.\n\n" + testpmd_table(found["2"]))


def profile_table(found):
    places = list(dict.fromkeys(place for r in found.values() for place in r["places"]))
    return table(["", "all", *places], [
        [name, f"{r['ns_per_packet']:.1f}", *(f"{r['ns_per_packet'] * r['places'].get(place, 0):.1f}" for place in places)]
        for name, r in found.items()])


def reload_text(r):
    lost = sum(r["lost"]["verdicts"].values()) + r["lost"]["rx_missed"] + r["lost"]["tx_dropped"]
    return (f"{r['reloads']} reloads of the file, each removing or adding one of 20 backends (65,537 slots), while {r['packets']:,} "
            f"packets were forwarded: **{lost} packets lost** (every packet has the verdict `forward`; none missed, none refused by the "
            f"port). A reload took {r['reload_ms_median']:.0f} ms, at most {r['reload_ms_max']:.0f} ms. Meanwhile "
            f"{r['ns_per_packet']:.1f} ns/packet, without reloads {r['steady_ns_per_packet']:.1f}: the windows of flow consistency are "
            "open, so that flows are looked up and recorded.")


def curve_tables(found):
    return "\n\n".join(table([name, *(f"{r['at']:,}" for r in rows)], [["ns/packet", *(f"{r['ns_per_packet']:.1f}" for r in rows)]])
                       for name, rows in found.items() if isinstance(rows, list))


def veth_table(found):
    rows = []
    for name, several in found.items():
        if isinstance(several, list):
            rows += [[name, r["rate"], f"{r['requests_per_s']:.0f}", f"{r['p50_us']:.0f}", f"{r['p99_us']:.0f}", r["failed"]]
                     for r in several]
    return table(["", "asked/s", "answered/s", "p50 us", "p99 us", "failed"], rows)


def bars(axes, found):
    names = list(found)[::-1]
    values = [found[name]["ns_per_packet"] for name in names]
    axes.barh(names, values, height=0.65, color=[COLOURS[0] if n.startswith("anypop") else COLOURS[6] for n in names])
    for i, value in enumerate(values):
        axes.annotate(f"{value:.1f}", (value, i), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set(xlabel="ns/packet, one worker")
    axes.set_title("beside testpmd", loc="left", fontsize=10, fontweight="bold")


def stacks(axes, found):
    names = list(found)[::-1]
    left = [0.0] * len(names)
    for colour, place in zip(COLOURS, dict.fromkeys(p for r in found.values() for p in r["places"])):
        widths = [found[n]["ns_per_packet"] * found[n]["places"].get(place, 0) for n in names]
        axes.barh(names, widths, left=left, height=0.65, color=colour, label=place)
        left = [a + b for a, b in zip(left, widths)]
    axes.set(xlabel="ns/packet")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("where the time goes", loc="left", fontsize=10, fontweight="bold")


def lines(axes, found):
    for colour, (name, rows) in zip(COLOURS, ((n, r) for n, r in found.items() if isinstance(r, list))):
        axes.plot([r["at"] for r in rows], [r["ns_per_packet"] for r in rows], marker="o", markersize=4, label=name, color=colour)
    axes.set(xscale="log", ylim=(0, None), xlabel="how many", ylabel="ns/packet")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("curves", loc="left", fontsize=10, fontweight="bold")


def latencies(axes, found):
    for colour, (name, rows) in zip(COLOURS, ((n, r) for n, r in found.items() if isinstance(r, list))):
        axes.plot([r["rate"] for r in rows], [r["p50_us"] for r in rows], marker="o", markersize=4, color=colour, label=f"{name}, p50")
        axes.plot([r["rate"] for r in rows], [r["p99_us"] for r in rows], marker="o", markersize=4, color=colour, linestyle=":",
                  label=f"{name}, p99")
    axes.set(xscale="log", yscale="log", xlabel="new connections a second", ylabel="us")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("over veth", loc="left", fontsize=10, fontweight="bold")


def main():
    found = json.loads((HERE / "performance.json").read_text())
    missing = [part for part in PARTS if part not in found]
    if missing:
        raise SystemExit(f"page: performance.json has no {', '.join(missing)}; measure: sudo dataplane/bench/record {' '.join(missing)}")
    plain = {part: {k: v for k, v in found[part].items() if k != "load_before"} for part in PARTS}
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
        bars(axes[0][0], plain["testpmd"]["1"])
        stacks(axes[0][1], plain["profile"])
        lines(axes[1][0], plain["curves"])
        latencies(axes[1][1], plain["veth"])
        figure.savefig(HERE / "performance.png", dpi=110, metadata={"Software": None})
    (HERE / "PERFORMANCE.md").write_text(PAGE.format(
        **found["machine"], rounds=len(plain["testpmd"]["1"]["testpmd io"]["runs"]),
        loads=", ".join(f"{part} {found[part]['load_before']}" for part in plain),
        testpmd=testpmd_table(plain["testpmd"]["1"]), two_workers=two_workers(plain["testpmd"], found["machine"]["cores"]),
        profile=profile_table(plain["profile"]), reload=reload_text(plain["reload"]), curves=curve_tables(plain["curves"]),
        veth=veth_table(plain["veth"])))


if __name__ == "__main__":
    main()
