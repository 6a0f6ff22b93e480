# SPDX-License-Identifier: Apache-2.0
"""A port that DPDK owns, with the kernel beside it: whatever is for no service goes to the kernel's interface and back.
The port takes every packet of lb's eth0 (AF_XDP with the driver's own program), so that the kernel sees up0 only."""
import collections
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from network import SERVER
from support import VIP4, VIP6, backend, configuration, run, service, wait_for

PORT = {"name": "uplink", "vdev": "net_af_xdp0,iface=eth0,start_queue=0,queue_count=1", "kernel": "up0"}
SERVICES = [service("tcp4", VIP4, "tcp", 80, [backend(1, 4), backend(2, 4)]),
            service("tcp6", VIP6, "tcp", 80, [backend(1, 6), backend(2, 6)])]

BIRD = """
router id 10.1.0.1;
protocol device {{ scan time 1; }}
protocol static {{ ipv4; route {vip}/32 unreachable; }}
protocol bgp frr {{
  local 10.1.0.1 as 64512;
  neighbor 10.1.0.2 as 64513; passive on;
  hold time 3; keepalive time 1; connect retry time 1; connect delay time 1; error wait time 1, 2;
  ipv4 {{ import all; export all; }};
}}
"""
FRR = """router bgp 64513
 bgp router-id 10.1.0.2
 no bgp ebgp-requires-policy
 timers bgp 1 3
 neighbor 10.1.0.1 remote-as 64512
 neighbor 10.1.0.1 timers connect 1
 neighbor 10.1.0.1 disable-connected-check
exit
"""


@pytest.fixture
def owned(tmp_path, network, start):
    """The dataplane on lb, with up0 in the place of eth0."""
    def start_one(**dataplane):
        for address in ("10.1.0.1/24", "2001:db8:a::1/64"):
            network.ip("lb", "addr", "del", address, "dev", "eth0")
        network.ip("lb", "link", "set", "eth0", "addrgenmode", "none")
        one = start(configuration(tmp_path, PORT, SERVICES, **dataplane), prefix=network.within("lb")).ready()
        network.ip("lb", "addr", "add", "10.1.0.1/24", "dev", "up0")
        network.ip("lb", "addr", "add", "2001:db8:a::1/64", "dev", "up0", "nodad")
        return one
    return start_one


def port(dataplane):
    return dataplane.get("/v1/state")["ports"][0]


def punted(dataplane, what="sent"):
    return {kind["kind"]: kind[what] for kind in port(dataplane)["punted"]}


def resolved(dataplane):
    return all(b["resolved"] for s in SERVICES for b in dataplane.backend_states(s["name"]).values())


def test_the_kernel_has_an_interface_and_clients_have_their_service(network, owned):
    dataplane = owned()
    link = json.loads(network.ip("lb", "-j", "link", "show", "up0"))[0]
    assert (link["address"], link["mtu"]) == (network.mac("lb"), 1500)
    wait_for("next hops are learned from up0", lambda: resolved(dataplane))
    for vip in (VIP4, VIP6):
        assert set(collections.Counter(network.ask("tcp", vip) for _ in range(12))) == {"b1", "b2"}
    for address in ("10.1.0.1", "2001:db8:a::1"):
        assert network.ping("client", address), address
    counts = punted(dataplane)
    assert counts["neighbours"] > 0 and counts["icmp"] >= 2, counts
    assert port(dataplane)["from_kernel"] > 0
    verdicts = dataplane.verdicts()
    assert verdicts["pass_not_vip"] == sum(sum(punted(dataplane, w).values()) for w in ("sent", "limited", "refused"))
    assert dataplane.stop() == 0
    assert "up0" not in network.ip("lb", "link"), "told to stop, it leaves no interface"


@pytest.fixture
def bgp(tmp_path, network, owned):
    """A session of BIRD on lb with FRR on client, through the dataplane."""
    running = []
    folder = tmp_path / "routing"
    folder.mkdir()

    def start_one(**dataplane):
        one = owned(**dataplane)
        (folder / "bird.conf").write_text(BIRD.format(vip=VIP4))
        (folder / "bgpd.conf").write_text(FRR)
        running.append(subprocess.Popen([*network.within("lb"), "bird", "-f", "-c", str(folder / "bird.conf"), "-s",
                                         str(folder / "bird.ctl"), "-P", str(folder / "bird.pid")]))
        running.append(subprocess.Popen([*network.within("client"), "/usr/lib/frr/bgpd", "-n", "-Z", "-S", "-P", "0",
                                         "-f", str(folder / "bgpd.conf"), "-i", str(folder / "bgpd.pid"),
                                         "--vty_socket", str(folder)], stderr=subprocess.DEVNULL))
        wait_for("the BGP session is up", lambda: "Established" in session())
        return one

    def session():
        return run("birdc", "-s", str(folder / "bird.ctl"), "show", "protocols", "frr", check=False).stdout
    start_one.session = session
    yield start_one
    for process in running:
        process.kill()
        process.wait()
        # FRR's log buffers outlive it.
        shutil.rmtree(f"/var/tmp/frr/bgpd.{process.pid}", ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir("/var/tmp/frr")


def since_s(session):
    hours, minutes, seconds = re.search(r"(\d+):(\d+):(\d+\.\d+)", session).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_a_flood_of_junk_does_not_flap_a_bgp_session(network, bgp):
    dataplane = bgp(punt={"other_per_second": 1000, "icmp_per_second": 100})
    wait_for("next hops are learned", lambda: resolved(dataplane))
    before = bgp.session()
    flood = subprocess.Popen([*network.within("client"), sys.executable, SERVER, "--flood", "10.1.0.1", "8"])
    pings = subprocess.Popen([*network.within("client"), "ping", "-f", "-q", "-w", "8", "10.1.0.1"],
                             stdout=subprocess.DEVNULL)
    seen = []
    while flood.poll() is None:
        seen.append(bgp.session())
    pings.wait()
    assert all("Established" in session for session in seen), "the session changed its state"
    # BIRD works the time of day out anew for each answer, so that it may differ by some milliseconds.
    assert all(abs(since_s(session) - since_s(before)) < 0.5 for session in seen), "the session was down in between"
    limited, sent = punted(dataplane, "limited"), punted(dataplane)
    print(f"limited {limited}, sent {sent}")
    assert limited["other"] > 10_000 and limited["routing"] == 0 and sent["routing"] > 8
    assert punted(dataplane, "refused")["routing"] == 0
    assert network.ask("tcp", VIP4) in ("b1", "b2")


def test_a_name_that_is_taken_is_refused(tmp_path, network, start):
    network.ip("lb", "link", "add", "up0", "type", "bridge")
    code, line = start(configuration(tmp_path, PORT, SERVICES), prefix=network.within("lb")).complaint()
    assert code == 1 and "dataplane.ports[0].vdev: cannot make the interface 'up0'" in line, line
    assert "TAP of ours" in line
