# SPDX-License-Identifier: Apache-2.0
"""The packages by themselves, on a machine that systemd booted: install, upgrade, remove, purge. Leaves it as it was."""
import pytest

LB, BACKEND = "lon-lb1", "lon-b1"
POP_YAML = """
pop: lon
dataplane:
  ports: [{name: uplink, af_xdp: eth0}]
  hash_key: 8f0c1d2e3b4a59687786a5b4c3d2e1f0
services:
  - {name: web4, vip: 198.51.100.1, protocol: tcp, port: 80, backends: [{name: lon-b1, address: 10.3.0.11}],
     probe: {type: tcp, interval_ms: 250, timeout_ms: 200, rise: 2, fall: 3}}
announcements:
  - {name: web, prefixes: [198.51.100.0/24], min_healthy_percent: 50, hold_down_ms: 500}
"""
UNITS = "anypop-dataplane anypop-healthmon"


@pytest.fixture(scope="module")
def debs(operator, packages):
    """On both machines."""
    for host in (LB, BACKEND):
        for version in packages:
            for deb in version.values():
                operator.bring(host, deb)
    return [{name: f"/root/{deb.name}" for name, deb in version.items()} for version in packages]


def test_install_starts_nothing_that_is_not_configured(operator, debs):
    operator.must(LB, f"apt-get install -y --no-install-recommends {debs[0]['anypop']}", 120)
    assert operator.say(LB, f"systemctl is-active {UNITS}").split() == ["inactive"] * 2
    assert operator.say(LB, f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 2
    assert operator.say(LB, "systemctl --failed --no-legend") == ""
    operator.must(LB, "getent passwd anypop && test -d /var/lib/anypop && test -d /run/anypop")
    operator.must(LB, "anypop check-config /usr/share/doc/anypop/examples/pop.yaml")
    operator.must(LB, "test -s /usr/share/anypop/prometheus/alerts.yml")
    operator.must(LB, "for file in /usr/share/anypop/grafana/*.json; do python3 -m json.tool $file >/dev/null || exit; done")
    for page in ("anypop.1", "bgpctl.1", "anypop-dataplane.8", "anypop-healthmon.8"):
        text = operator.must(LB, f"zcat /usr/share/man/man{page[-1]}/{page}.gz")
        assert ".SH NAME" in text and ".SH OPTIONS" in text.replace('"', ""), page


@pytest.mark.parametrize("program, typed, offered", [
    ("bgpctl", "bgpctl wi", "withdraw"), ("bgpctl", "bgpctl withdraw --rea", "--reason"), ("anypop", "anypop check", "check-config"),
    ("anypop-dataplane", "anypop-dataplane --con", "--config"), ("anypop-healthmon", "anypop-healthmon --con", "--config"),
])
def test_shells_complete(operator, program, typed, offered):
    words = typed.split()
    bash = (f"source /usr/share/bash-completion/completions/{program}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; "
            f"_{program.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    assert offered in operator.must(LB, f"bash -c {_quoted(bash)}").split()
    # zsh's own matching is not ours to test: what is offered for the word is.
    zsh = (f"_describe() {{ print -l -- ${{(P)2}}; }}; _files() {{ :; }}; "
           f"complete() {{ source /usr/share/zsh/vendor-completions/_{program}; }}; "
           f"words=({' '.join(words[:-1])} ''); CURRENT={len(words)}; complete")
    assert any(line.startswith(f"{offered}:") for line in operator.must(LB, f"zsh -fc {_quoted(zsh)}").splitlines())


def test_it_runs(operator, debs):
    operator.write(LB, "/etc/anypop/pop.yaml", POP_YAML)
    operator.must(LB, f"chgrp anypop /etc/anypop/pop.yaml && bgpctl init && systemctl start {UNITS}", 90)
    operator.wait(LB, f"systemctl is-active {UNITS} | grep -c '^active' | grep -x 2")


def test_an_upgrade_leaves_the_dataplane_running(operator, debs):
    """Whoever upgrades drains first: rolling_upgrade.yml does. The monitor is restarted and adopts what is announced."""
    before = [operator.must(LB, f"systemctl show -P MainPID {unit}") for unit in UNITS.split()]
    operator.must(LB, f"apt-get install -y --no-install-recommends {debs[1]['anypop']}", 120)
    operator.wait(LB, "systemctl is-active anypop-healthmon")
    after = [operator.must(LB, f"systemctl show -P MainPID {unit}") for unit in UNITS.split()]
    assert after[0] == before[0] and after[1] != before[1]
    operator.must(LB, "curl -sf --unix-socket /run/anypop/dataplane.sock http://anypop/v1/heartbeat")


def test_remove_leaves_what_was_configured_and_purge_does_not(operator):
    operator.must(LB, "apt-get remove -y anypop", 120)
    assert operator.say(LB, f"systemctl is-active {UNITS}").split() == ["inactive"] * 2
    operator.must(LB, "test -s /etc/anypop/pop.yaml && test -d /var/lib/anypop && ! test -e /usr/bin/anypop")
    operator.must(LB, "apt-get purge -y anypop", 120)
    operator.must(LB, "! test -e /etc/anypop && ! test -e /var/lib/anypop && ! test -e /run/anypop")
    assert operator.say(LB, "dpkg-query --show --showformat '${db:Status-Status}' anypop 2>/dev/null || true") in ("", "not-installed")
    operator.must(LB, "apt-get autoremove --purge -y bird2; rm -rf /etc/bird", 120)
    assert operator.say(LB, "systemctl --failed --no-legend") == ""


def test_a_backend_from_install_to_purge(operator, debs):
    vip = "ip -brief address show dev lo | grep -q 198.51.100.1/32"
    operator.must(BACKEND, f"apt-get install -y --no-install-recommends {debs[0]['anypop-backend']}", 120)
    operator.must(BACKEND, f"! ({vip}) && zcat /usr/share/man/man8/anypop-backend.8.gz >/dev/null")
    operator.write(BACKEND, "/etc/default/anypop-backend",
                   'ANYPOP_BACKEND="--vip 198.51.100.1 --address 10.3.0.11 --encapsulation ipip --source 172.16.0.0/16"\n')
    operator.must(BACKEND, f"systemctl start anypop-backend && {vip} && anypop-backend status")
    began = operator.must(BACKEND, "systemctl show -P ActiveEnterTimestampMonotonic anypop-backend")
    operator.must(BACKEND, f"apt-get install -y --no-install-recommends {debs[1]['anypop-backend']}", 120)
    operator.must(BACKEND, f"{vip} && anypop-backend status")
    assert operator.must(BACKEND, "systemctl show -P ActiveEnterTimestampMonotonic anypop-backend") == began, "the VIP was away"
    operator.must(BACKEND, f"apt-get remove -y anypop-backend && ! ({vip}) && test -e /etc/default/anypop-backend", 120)
    assert operator.must(BACKEND, "cat /proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "0"
    operator.must(BACKEND, "apt-get purge -y anypop-backend && ! test -e /etc/default/anypop-backend", 120)


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
