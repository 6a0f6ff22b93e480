# SPDX-License-Identifier: Apache-2.0
"""The same client's load over veth through the dataplane, through nftables, and without a balancer.

    client ── switch ── lb        the dataplane (AF_XDP, l2, answers go straight to the client), or nftables (jhash DNAT,
                 └───── b1, b2    answers go back by lb)
"""
import contextlib
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from programs import Dataplane, wait_for
from traffic import configuration

HOSTS = {"client": 2, "lb": 1, "b1": 11, "b2": 12}
VIP = "198.51.100.1"
RATES = (500, 1000, 2000, 4000)  # new connections a second, a request on each
SECONDS = 4
ROUNDS = 2
OFFLOADS_OFF = ("tx", "off", "tso", "off", "gso", "off", "gro", "off")
NFT = """
table ip anypop_bench {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr %s tcp dport 80 dnat to jhash ip saddr . tcp sport mod 2 map { 0: 10.1.0.11, 1: 10.1.0.12 }
  }
}
""" % VIP
NGINX = """daemon off; master_process off; error_log stderr warn; pid %s;
events { worker_connections 8192; }
http { access_log off; server { listen 80 backlog=8192; location / { return 200 "pop=bench backend=b\n"; } } }
"""


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


class Network(contextlib.ExitStack):
    def __init__(self, folder):
        super().__init__()
        self.tag, self.folder = f"bench{os.getpid()}", folder

    def within(self, host, *command):
        return ("ip", "netns", "exec", f"{self.tag}-{host}", *command)

    def ip(self, host, *words):
        run("ip", "-n", f"{self.tag}-{host}", *words)

    def add(self, host):
        run("ip", "netns", "add", f"{self.tag}-{host}")
        self.callback(subprocess.run, ["ip", "netns", "del", f"{self.tag}-{host}"], check=False)
        self.ip(host, "link", "set", "lo", "up")

    def up(self):
        self.add("switch")
        self.ip("switch", "link", "add", "br0", "type", "bridge")
        self.ip("switch", "link", "set", "br0", "up")
        for host, number in HOSTS.items():
            self.add(host)
            self.ip(host, "link", "add", "eth0", "type", "veth", "peer", "name", host, "netns", f"{self.tag}-switch")
            self.ip("switch", "link", "set", host, "master", "br0", "up")
            for place, interface in ((host, "eth0"), ("switch", host)):
                run(*self.within(place, "ethtool", "-K", interface, *OFFLOADS_OFF))
            self.ip(host, "link", "set", "eth0", "up")
            self.ip(host, "addr", "add", f"10.1.0.{number}/24", "dev", "eth0")
        run(*self.within("client", "sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000", "net.ipv4.tcp_tw_reuse=1"))
        self.ip("client", "route", "add", VIP, "via", "10.1.0.1")
        for host in ("b1", "b2"):
            run(*self.within(host, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"))
            self.ip(host, "addr", "add", f"{VIP}/32", "dev", "lo")
            config = self.folder / f"{host}.conf"
            config.write_text(NGINX % (self.folder / f"{host}.pid"))
            server = subprocess.Popen(self.within(host, "nginx", "-c", str(config)), stderr=subprocess.DEVNULL)
            self.callback(server.wait)
            self.callback(server.kill)
        for host in ("b1", "b2"):
            wait_for(f"{host} serves", lambda h=host: subprocess.run(
                self.within("client", "curl", "-sf", "--max-time", "1", f"http://10.1.0.{HOSTS[h]}/"), capture_output=True).returncode == 0)
        return self


def load(network, bin_dir, rate):
    """Latency counts from the planned instant, so that a stalled balancer is not asked less."""
    out = network.folder / "requests.jsonl"
    subprocess.run(network.within("client", str(bin_dir / "anypop-loadgen"), "--target", f"v4={network.target}:80", "--rate",
                                  str(rate), "--duration-s", str(SECONDS), "--timeout-ms", "2000", "--output", str(out)),
                   check=True, capture_output=True)
    requests = [json.loads(line) for line in out.read_text().splitlines()]
    good = sorted(request["latency_us"] for request in requests if not request["error"])
    span = (max(r["end_unix_ns"] for r in requests) - min(r["start_unix_ns"] for r in requests)) / 1e9
    if not good:
        raise SystemExit(f"measure: {rate} requests a second by {network.target}: none of {len(requests)} was answered")
    return {"rate": rate, "requests_per_s": len(good) / span, "failed": len(requests) - len(good),
            "p50_us": good[len(good) // 2], "p99_us": good[len(good) * 99 // 100]}


@contextlib.contextmanager
def no_balancer(network, _bin_dir):
    network.target = "10.1.0.11"
    yield


@contextlib.contextmanager
def nftables(network, _bin_dir):
    network.target = VIP
    run(*network.within("lb", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0",
                        "net.ipv4.conf.eth0.send_redirects=0"))
    for host in ("b1", "b2"):  # the answers must come back to be translated
        network.ip(host, "route", "replace", "10.1.0.2/32", "via", "10.1.0.1")
    subprocess.run(network.within("lb", "nft", "-f", "-"), input=NFT, text=True, check=True, capture_output=True)
    try:
        yield
    finally:
        run(*network.within("lb", "nft", "delete", "table", "ip", "anypop_bench"))
        for host in ("b1", "b2"):
            network.ip(host, "route", "del", "10.1.0.2/32")


@contextlib.contextmanager
def anypop(network, bin_dir):
    network.target = VIP
    config = configuration(network.folder, {"name": "p", "af_xdp": "eth0"}, buffers=8192, memory_mb=64, polling="adaptive")
    config["services"][0] |= {"backends": [{"name": h, "address": f"10.1.0.{HOSTS[h]}"} for h in ("b1", "b2")]}
    with Dataplane(bin_dir, network.folder, config, prefix=network.within("lb")) as program:
        wait_for("next hops", lambda: all(b["resolved"] for b in program.get("/v1/state")["services"][0]["backends"]))
        yield


WAYS = {"no balancer": no_balancer, "nftables": nftables, "anypop": anypop}


def measure(bench):
    folder = Path(bench.folder) / "veth"
    folder.mkdir()
    runs = {}
    with Network(folder) as network:
        network.up()
        for _ in range(ROUNDS):
            for name, way in WAYS.items():
                with way(network, bench.bin):
                    for rate in RATES:
                        runs.setdefault(name, {}).setdefault(rate, []).append(load(network, bench.bin, rate))
                        time.sleep(0.2)
    found = {name: [{key: statistics.median(run[key] for run in several) if key != "failed" else sum(run[key] for run in several)
                     for key in several[0]} for several in by_rate.values()] for name, by_rate in runs.items()}
    for name, rows in found.items():
        print(f"  {name}: " + ", ".join(f"{r['rate']}/s p50 {r['p50_us']:.0f} p99 {r['p99_us']:.0f} us" for r in rows))
    return found
