# SPDX-License-Identifier: Apache-2.0
"""What is done to PoPs that serve: changes, upgrades, failovers, accidents. In the order of the file, after test_site.py."""
import threading

from labkit.facts import wait_for

import checkout
import inventory
from test_site import LBS


def test_a_bad_configuration_is_applied_nowhere(operator):
    before = {name: operator.must(name, "md5sum /etc/anypop/pop.yaml") for name in LBS}
    with operator.load("bad configuration") as load:
        played = operator.play("site.yml", anypop_services=inventory.services(forwarding="teleport"))
    assert played.code != 0
    assert "forwarding: found" in played.output and "Nothing has been changed" in played.output, played.output[-3000:]
    assert set(played.changed.values()) == {0}
    assert before == {name: operator.must(name, "md5sum /etc/anypop/pop.yaml") for name in LBS}
    load.must_be_clean()


def test_a_change_of_configuration_under_load(operator):
    """IPv4 goes through a tunnel from now on, with segments that fit: backends first, so that nobody notices."""
    services = inventory.services(forwarding="ipip", tunnel_source=["172.16.0.0/16"])
    operator.write_inventory(anypop_services=services, anypop_backend_advmss=1380)
    with operator.load("reload") as load:
        operator.succeed("site.yml")
    load.must_be_clean()
    for name in LBS:
        assert "forwarding: ipip" in operator.must(name, "cat /etc/anypop/pop.yaml")
    operator.wait_serving("ams")
    routes = "ip route show default; ip -6 route show default"
    said = operator.must("ams-b1", f"anypop-backend status; {routes}")
    assert "ipip" in said and said.count("advmss 1380") == 2, said
    operator.succeed("site.yml", "--limit", "ams-b2", anypop_backend_advmss=0)
    assert "advmss" not in operator.must("ams-b2", routes)


def test_a_rolling_upgrade_that_nobody_notices(operator, packages):
    operator.provide(packages[1])
    with operator.load("upgrade") as load:
        operator.follow("Upgrade without anybody noticing")
    load.must_be_clean(at_least=1000)
    assert {operator.version(name) for name in LBS} == {checkout.version(packages[1]["anypop"])}
    for balancer in LBS:
        operator.wait_announced(balancer)


def test_withdraw_and_announce_a_pop(operator):
    operator.follow("Move a PoP's users away")
    operator.wait_serving("fra", "lon", deadline_s=10)
    assert "ticket 42" in operator.must("ams-lb1", "bgpctl hold")
    operator.follow("Bring them back")
    operator.wait_serving("ams")
    for balancer in ("ams-lb1", "ams-lb2"):
        operator.wait_announced(balancer)


def test_drain_and_undrain_a_pop(operator):
    with operator.load("drain of another PoP") as load:
        operator.follow("Empty a PoP before work on it")
    load.must_be_clean()
    operator.wait_announced("lon-lb1")


def test_rollback(operator, packages):
    with operator.load("rollback") as load:
        operator.follow("Go back")
    load.must_be_clean()
    previous, following = (checkout.version(one["anypop"]) for one in packages)
    assert operator.version("ams-lb2") == previous and operator.version("ams-lb1") == following
    operator.wait_announced("ams-lb2")


def test_the_last_one_that_serves_is_not_taken_out(operator):
    others = [name for name in LBS if name != "ams-lb1"]
    for name in others:
        operator.must(name, "bgpctl withdraw --all --reason 'all but one'")
    try:
        played = operator.play("rolling_upgrade.yml", "--limit", "ams-lb1")
        assert played.code != 0 and "no other balancer announces everything" in " ".join(played.output.split())
        operator.wait_serving("ams", deadline_s=5)
    finally:
        for name in others:
            operator.must(name, "bgpctl announce --all --timeout 60s", 90)


def test_a_server_reboots_and_is_back_without_a_hand(operator):
    for name in ("ams-lb1", "ams-b1"):
        _reboot(operator, name)
        operator.wait_serving("ams")
    operator.wait_announced("ams-lb1", 90)
    routes = operator.must("ams-lb1", "birdc show route export t1_v4")
    assert "198.51.100.0/24" in routes, routes
    assert operator.say("ams-b1", "anypop-backend status >/dev/null && echo in place").strip() == "in place"


def test_the_dataplane_has_its_core_for_itself_from_the_next_boot_on(operator):
    """`anypop_restarts`: the boot is the restart that the change of `cores` needs."""
    dataplane = {"ports": [{"name": "uplink", "af_xdp": "eth0"}], "cores": [1]}
    operator.succeed("site.yml", "--limit", "lon-lb1", anypop_host_other_cores="0", anypop_dataplane=dataplane, anypop_restarts=True)
    _reboot(operator, "lon-lb1")
    operator.wait_announced("lon-lb1", 90)
    for program in ("bird", "anypop-healthmon", "sshd"):
        assert operator.must("lon-lb1", f"taskset -cp $(pidof -s {program})").strip().endswith("list: 0"), program
    threads = operator.must("lon-lb1", "taskset -acp $(pidof anypop-dataplane)").splitlines()
    assert any(line.endswith("list: 1") for line in threads), threads
    operator.succeed("site.yml", "--limit", "lon-lb1", anypop_restarts=True)
    operator.must("lon-lb1", "! test -e /etc/systemd/system.conf.d/anypop-cores.conf")


def _reboot(operator, name: str) -> None:
    before = operator.bed.machines[name].reboots()
    operator.bed.ssh(name, "systemctl reboot")
    wait_for(f"{name} has rebooted", lambda: operator.bed.machines[name].reboots() == before + 1, 90)
    operator.bed.wait_ssh(name)


def test_a_machine_lost_in_the_middle_of_an_upgrade_stops_the_play(operator, packages):
    operator.provide(packages[0])
    versions = {name: operator.version(name) for name in LBS}
    process = operator.start("rolling_upgrade.yml")
    lines = []

    def follow():
        for line in process.stdout:
            lines.append(line)
            if "Bring the package" in line:
                operator.bed.machines["ams-lb1"].lose()

    follower = threading.Thread(target=follow)
    follower.start()
    assert process.wait(timeout=600) != 0
    follower.join()
    output = "".join(lines)
    assert "ams-lb1" in output and "UNREACHABLE" in output, output[-3000:]
    others = [name for name in LBS if name != "ams-lb1"]
    assert {name: operator.version(name) for name in others} == {name: versions[name] for name in others}
    operator.wait_serving("ams")
    for balancer in others:
        operator.wait_announced(balancer)


def test_the_lost_machine_comes_back_and_the_upgrade_goes_on(operator, packages):
    """Until then it keeps out by itself: its drain is on disk, and it booted withdrawn."""
    operator.bed.machines["ams-lb1"].start()
    operator.bed.wait_ssh("ams-lb1")
    operator.wait("ams-lb1", "systemctl is-active anypop-healthmon && bgpctl hold | grep 'rolling upgrade'")
    operator.wait("ams-lb1", "birdc show protocols t1_v4 | grep Established")
    assert "198.51.100.0/24" not in operator.must("ams-lb1", "birdc show route export t1_v4")
    with operator.load("after the loss") as load:
        operator.succeed("rolling_upgrade.yml", "--limit", "ams-lb1")
    load.must_be_clean()
    assert operator.version("ams-lb1") == checkout.version(packages[0]["anypop"])
    operator.wait_announced("ams-lb1")


def test_the_guide_was_followed_to_its_end(operator):
    assert operator.guide.left() == []
