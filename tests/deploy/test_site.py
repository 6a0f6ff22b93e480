# SPDX-License-Identifier: Apache-2.0
"""Three PoPs on machines with nothing on them, by the guide, word for word: from nothing to serving."""
import json

from labkit import facts

LBS = ("ams-lb1", "ams-lb2", "fra-lb1", "lon-lb1")
VALID, INVALID = "192.0.2.0/24", "203.0.113.0/24"  # by RPKI, in the end


def test_from_nothing_to_serving(operator):
    operator.must("fra-lb1", "apt-get install -y --no-install-recommends bird2", 120)  # with the package's bird.conf: no obstacle
    operator.follow("Write your inventory", edit=operator.write_inventory)
    operator.follow("Look first")
    assert operator.bed.ssh("ams-lb1", "test -e /etc/anypop || test -e /etc/bird").returncode != 0, "a look changed something"
    operator.must("lon-b1", "mkdir -p /etc/grafana/provisioning/dashboards")  # as Grafana's own package does
    operator.follow("Roll out", settle=lambda: [operator.wait_announced(balancer) for balancer in LBS])
    operator.wait_serving("ams")
    for balancer in LBS:
        assert operator.say(balancer, "systemctl is-active bird anypop-dataplane anypop-healthmon").split() == ["active"] * 3
        assert operator.say(balancer, "systemctl --failed --no-legend") == ""


def test_a_second_run_changes_nothing(operator):
    assert set(operator.follow("Run it again").changed.values()) == {0}
    assert set(operator.play("site.yml", "--check").changed.values()) == {0}


def test_sessions_are_guarded(operator):
    """BFD is up; TCP MD5 is what the routers insist on, so that an established session has it."""
    for balancer in LBS:
        sessions = operator.bed.topology.sessions(operator.bed.topology.hosts[balancer])
        for session in sessions:
            operator.wait(balancer, f"birdc show protocols {session.name} | grep Established")
            operator.wait(balancer, f"birdc show bfd sessions | grep '^{session.remote} .* Up '")
            operator.must(balancer, f"grep -A4 'protocol bgp {session.name} ' /etc/bird/bird.conf | grep 'password \"change-me\"'")


def test_only_our_prefixes_leave_bird(operator):
    """A route that somebody adds to the table of BIRD, in a static protocol of a name like ours or not, is not exported."""
    stray = "protocol static stray { ipv4; route 203.0.113.0/24 blackhole; }"
    own = "protocol static anypop_stray { ipv4; route 203.0.114.0/24 blackhole; }"
    operator.must("ams-lb1", f"printf '%s\\n' '{stray}' '{own}' >>/etc/bird/bird.conf && birdc configure")
    routes = operator.must("ams-lb1", "birdc show route export t1_v4")
    assert "198.51.100.0/24" in routes and "203.0.11" not in routes, routes
    assert operator.succeed("site.yml", "--limit", "ams-lb1").changed["ams-lb1"] > 0
    assert "stray" not in operator.must("ams-lb1", "birdc show protocols")


def test_what_comes_in_is_checked_by_rpki_and_limited(operator):
    """A router that sends routes: one becomes invalid while it is in use, and goes; more of them than allowed, and the session ends."""
    host = operator.bed.topology.hosts["fra-lb1"]
    sessions = [session.name for session in operator.bed.topology.sessions(host)]
    router = operator.bed.init("t2")
    _say_by_rpki(operator, {VALID: 65002})
    operator.must("lon-b1", "systemd-run -q --unit=rtr stayrtr -bind :8282 -cache /root/roas.json -refresh 1 -checktime=false "
                  "-metrics.addr=''")
    networks = "".join(f"network {prefix}\n" for prefix in (VALID, INVALID))
    facts.vtysh(router, f"configure terminal\nroute-map nothing permit 5\nrouter bgp 65002\naddress-family ipv4 unicast\n{networks}")
    wanted = {"anypop_bird_import": "all", "anypop_bird_import_limit": 1000,
              "anypop_bird_rpki_servers": [{"name": "rtr1", "address": "10.3.0.11", "port": 8282}]}
    try:
        operator.succeed("site.yml", "--limit", "fra-lb1", **wanted)
        operator.wait("fra-lb1", "birdc show protocols rtr1 | grep Established")
        operator.wait("fra-lb1", f"ip route | grep {VALID} && ip route | grep {INVALID}")
        _say_by_rpki(operator, {VALID: 65002, INVALID: 1})
        operator.wait("fra-lb1", f"ip route | grep {VALID} && ! ip route | grep {INVALID}")
        assert "dev eth0" in operator.must("fra-lb1", "ip -6 route get 2001:db8:2::11 | grep -v via"), "the link is no longer a link"
        operator.succeed("site.yml", "--limit", "fra-lb1", **wanted | {"anypop_bird_import_limit": 1})
        for session in sessions:
            operator.wait("fra-lb1", f"birdc show protocols {session} | grep 'down.*Route limit exceeded'")
    finally:
        facts.vtysh(router, "configure terminal\nno route-map nothing permit 5")
        operator.must("lon-b1", "systemctl stop rtr")
    operator.succeed("site.yml", "--limit", "fra-lb1")
    for session in sessions:
        operator.must("fra-lb1", f"birdc enable {session}")
    operator.wait_announced("fra-lb1")


def _say_by_rpki(operator, origins: dict[str, int]) -> None:
    roas = [{"asn": f"AS{asn}", "prefix": prefix, "maxLength": 24, "ta": "bed"} for prefix, asn in origins.items()]
    operator.write("lon-b1", "/root/roas.json", json.dumps({"metadata": {}, "roas": roas}))


def test_prometheus_asks_every_balancer(operator):
    operator.wait("lon-b1", "curl -s localhost:9090/api/v1/targets | python3 -c \"import json, sys; "
                  "t = json.load(sys.stdin)['data']['activeTargets']; sys.exit([x['health'] for x in t] != ['up'] * 4)\"")
    rules = json.loads(operator.must("lon-b1", "curl -s localhost:9090/api/v1/rules"))
    assert {rule["name"] for group in rules["data"]["groups"] for rule in group["rules"]} >= {"AnypopMonitorDown", "AnypopLastAnnouncer"}
    assert operator.must("lon-b1", "ls /var/lib/anypop-dashboards").split() == ["failover.json", "fleet.json", "pop.json", "service.json"]
    pops = json.loads(operator.must("lon-b1", "curl -s 'localhost:9090/api/v1/query?query=anypop_dataplane_up'"))["data"]["result"]
    assert {(one["metric"]["pop"], one["metric"]["server"]) for one in pops} == {(lb[:3], lb) for lb in LBS}
