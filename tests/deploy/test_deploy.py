# SPDX-License-Identifier: Apache-2.0
"""Three PoPs on machines with nothing on them, by Ansible over SSH: from nothing to serving, and everything after that."""
import threading

import inventory
from labkit.facts import wait_for

LBS = ("ams-lb1", "ams-lb2", "fra-lb1", "lon-lb1")


def test_from_nothing_to_serving(operator):
    operator.succeed("site.yml")
    operator.wait_serving("ams")
    for balancer in LBS:
        operator.wait_announced(balancer)
    for balancer in LBS:
        state = operator.bed.ssh(balancer, "systemctl is-active bird anypop-init anypop-dataplane anypop-healthmon").stdout.split()
        assert state == ["active"] * 4, f"{balancer}: {state}"


def test_a_second_run_changes_nothing(operator):
    assert set(operator.succeed("site.yml").changed.values()) == {0}
    assert set(operator.succeed("site.yml", "--check").changed.values()) == {0}


def test_only_our_prefixes_leave_bird(operator):
    """A route that somebody adds to the table of BIRD, in a static protocol of a name like ours or not, is not exported."""
    stray = "protocol static stray { ipv4; route 203.0.113.0/24 blackhole; }"
    own = "protocol static anypop_stray { ipv4; route 203.0.114.0/24 blackhole; }"
    operator.bed.ssh("ams-lb1", f"printf '%s\\n' '{stray}' '{own}' >>/etc/bird/bird.conf && birdc configure")
    routes = operator.bed.ssh("ams-lb1", "birdc show route export t1_v4").stdout
    assert "198.51.100.0/24" in routes and "203.0.11" not in routes, routes
    assert operator.succeed("site.yml", "--limit", "ams-lb1").changed["ams-lb1"] > 0
    assert "stray" not in operator.bed.ssh("ams-lb1", "birdc show protocols").stdout


def test_a_bad_configuration_is_applied_nowhere(operator):
    before = {name: operator.bed.ssh(name, "md5sum /etc/anypop/pop.yaml").stdout for name in LBS}
    played = operator.play("site.yml", anypop_services=inventory.services(forwarding="teleport"))
    assert played.code != 0
    assert "forwarding: found" in played.output and "Nothing has been changed" in played.output, played.output[-3000:]
    assert set(played.changed.values()) == {0}
    assert before == {name: operator.bed.ssh(name, "md5sum /etc/anypop/pop.yaml").stdout for name in LBS}
    operator.wait_serving("ams", deadline_s=5)


def test_preflight_names_host_variable_and_remedy(operator):
    for variables, said in (
        ({"anypop_hash_key": "short"}, "anypop_hash_key is not 32 hexadecimal digits"),
        ({"anypop_dataplane": {"ports": [{"name": "uplink", "af_xdp": "eth9"}]}}, "found no interface eth9, expected one of eth0"),
        ({"anypop_dataplane": {"ports": [{"name": "uplink", "af_xdp": "eth0"}], "memory_mb": 65536}}, "needs 32768 hugepages"),
    ):
        played = operator.play("preflight.yml", "--limit", "ams-lb1", **variables)
        assert played.code != 0 and said in " ".join(played.output.split()), played.output[-3000:]
        assert "ams-lb1" in played.output and set(played.changed.values()) == {0}


def test_a_bird_that_was_configured_by_hand_stops_the_rollout(operator):
    operator.bed.ssh("lon-lb1", "cp /etc/bird/bird.conf /root/ours; sed -i '1s/.*/# mine/' /etc/bird/bird.conf")
    try:
        played = operator.play("preflight.yml", "--limit", "lon-lb1")
        assert played.code != 0 and "was written by hand" in played.output, played.output[-3000:]
    finally:
        operator.bed.ssh("lon-lb1", "cat /root/ours >/etc/bird/bird.conf")


def test_a_rolling_upgrade_that_nobody_notices(operator, packages):
    operator.package = packages[1]
    with operator.load("upgrade") as load:
        operator.succeed("rolling_upgrade.yml")
    requests, failed = load.result()
    print(f"rolling upgrade of {len(LBS)} balancers: {requests} requests, {len(failed)} failed")
    assert requests > 1000 and failed == []
    assert {operator.version(name) for name in LBS} == {"0.1.0+2"}
    for balancer in LBS:
        operator.wait_announced(balancer)


def test_withdraw_and_announce_a_pop(operator):
    operator.succeed("withdraw.yml", "--limit", "ams", anypop_reason="a test")
    operator.wait_serving("fra", "lon", deadline_s=10)
    assert "a test" in operator.bed.ssh("ams-lb1", "bgpctl hold").stdout
    operator.succeed("announce.yml", "--limit", "ams")
    operator.wait_serving("ams")


def test_rollback(operator):
    with operator.load("rollback") as load:
        operator.succeed("rollback.yml", "--limit", "ams-lb2")
    requests, failed = load.result()
    assert requests > 100 and failed == []
    assert operator.version("ams-lb2") == "0.1.0+1" and operator.version("ams-lb1") == "0.1.0+2"


def test_a_server_reboots_and_is_back_without_a_hand(operator):
    bed = operator.bed
    for name in ("ams-lb1", "ams-b1"):
        bed.ssh(name, "systemctl reboot")
        wait_for(f"{name} has rebooted", lambda n=name: bed.machines[n].reboots() == 1, 60)
        operator.wait_serving("ams")
    operator.wait_announced("ams-lb1", 90)
    routes = bed.ssh("ams-lb1", "birdc show route export t1_v4").stdout
    assert "198.51.100.0/24" in routes, routes


def test_a_machine_lost_in_the_middle_of_an_upgrade_stops_the_play(operator, packages):
    operator.package = packages[0]
    process = operator.start("rolling_upgrade.yml")
    lines = []

    def follow():
        for line in process.stdout:
            lines.append(line)
            if "Bring the package" in line:
                operator.bed.machines["ams-lb1"].lose()

    follower = threading.Thread(target=follow)
    follower.start()
    assert process.wait(timeout=300) != 0
    follower.join()
    output = "".join(lines)
    assert "ams-lb1" in output and "UNREACHABLE" in output, output[-3000:]
    assert operator.version("ams-lb2") == "0.1.0+1" and operator.version("fra-lb1") == "0.1.0+2"  # nobody else was touched
    operator.wait_serving("ams")
    for balancer in ("ams-lb2", "fra-lb1", "lon-lb1"):
        operator.wait_announced(balancer)
