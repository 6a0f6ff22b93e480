# SPDX-License-Identifier: Apache-2.0
"""When the monitor is dead for good: `bgpctl withdraw --all --monitor-lost`, as systemd runs it. And who else announces
a prefix, as BIRD knows it."""
import json
import threading

import pytest
import yaml

from fakes import Dataplane, Monitor
from lab import BOTH, PREFIX4, Bird, Lab, wait_for


def lost(lab, **how):
    return lab.bgpctl("withdraw", "--all", "--monitor-lost", **how)


@pytest.fixture
def with_keys(lab):
    """Announcement keys for one test."""
    before = lab.config.read_text()

    def change(**keys):
        config = yaml.safe_load(before)
        config["announcements"][0] |= keys
        lab.config.write_text(yaml.safe_dump(config))

    try:
        yield change
    finally:
        lab.config.write_text(before)


def test_a_dead_monitor_withdraws(lab):
    assert "exported to none" in lost(lab).stdout
    lab.wait_routes([])
    assert "monitor-lost" in lab.bgpctl("hold").stdout
    assert lab.events("hold")[-1]["reason"] == "monitor-lost"


def test_a_monitor_that_answers_is_not_lost(lab):
    (lab.folder / "run").mkdir(exist_ok=True)
    with Monitor(lab.folder / "run" / "healthmon.sock"):
        assert lost(lab).stdout == "web: left to the monitor, which answers\n"
    assert lab.routes_at_router() == BOTH
    assert lab.bgpctl("hold").stdout == "no holds\n"


def test_what_is_to_be_kept_stays(lab, with_keys):
    with_keys(if_monitor_lost="keep")
    assert lost(lab).stdout == "web: kept as it is: if_monitor_lost: keep\n"
    assert lab.routes_at_router() == BOTH


def test_an_operators_order_outranks_the_lease(lab):
    lab.bgpctl("announce", "web", "--force", "--reason", "probe is wrong")
    assert "web: kept as it is: held announced by" in lost(lab).stdout
    assert lab.routes_at_router() == BOTH


def test_an_operators_drain_waits_beneath_the_lease(lab):
    """The documented way out of a lost monitor ends what the machine ordered, and not what alice did."""
    lab.bgpctl("drain", "web", "--reason", "until monday", prefix=["env", "SUDO_USER=alice"])
    assert "web: goes above the hold of alice: held drained by alice: until monday" in lost(lab).stdout
    lab.wait_routes([])
    assert "monitor-lost" in lab.bgpctl("hold").stdout
    assert "kept as it is: held withdrawn" in lost(lab).stdout, "again is the same"

    told = lab.bgpctl("announce", "--all").stdout
    assert "ends the hold of root: held withdrawn by root: monitor-lost" in told
    assert "an older hold is in force again: held drained by alice: until monday" in told
    lab.wait_routes(BOTH)
    web = lab.status()["announcements"][0]
    assert (web["table_level"], web["hold"]["who"]) == ("drained", "alice")
    assert "ends the hold of alice" in lab.bgpctl("announce", "web").stdout
    assert lab.status()["announcements"][0]["table_level"] == "announced"
    assert lab.bgpctl("hold").stdout == "no holds\n"


def test_undrain_ends_both(lab):
    lab.bgpctl("drain", "web", "--reason", "until monday")
    lost(lab)
    lab.bgpctl("undrain", "web")
    assert lab.bgpctl("hold").stdout == "no holds\n"


@pytest.fixture
def broken_config(lab):
    """A slip in pop.yaml, after it has been good."""
    good = lab.config.read_text()
    lab.bgpctl("init")
    try:
        lab.config.write_text(good.replace("announcements:\n- ", "announcements:\n- min_healthy_percent: 500\n  ", 1))
        assert "500" in lab.config.read_text()
        yield lab
    finally:
        lab.config.write_text(good)


def test_a_broken_pop_yaml_does_not_stop_the_lease(broken_config):
    lab = broken_config
    done = lost(lab)
    assert "exported to none" in done.stdout
    assert done.stderr.startswith(f"bgpctl: ! {lab.config}:") and "500" in done.stderr, done.stderr
    assert f"going by the last good copy of it, {lab.folder}/state/pop.good.yaml" in done.stderr
    lab.wait_routes([])


def test_a_missing_pop_yaml_does_not_stop_the_lease(lab):
    lab.bgpctl("init")
    away = lab.config.with_suffix(".away")
    lab.config.rename(away)
    try:
        nowhere = lost(lab, exit_code=1).stderr
        assert str(lab.config) in nowhere and "no last good copy of it in /var/lib/anypop" in nowhere
        assert "exported to none" in lost(lab, options=["--state-dir", str(lab.folder / "state")]).stdout
        lab.wait_routes([])
    finally:
        away.rename(lab.config)


def test_a_broken_pop_yaml_does_not_stop_an_operator(broken_config):
    lab = broken_config
    for command in (["withdraw", "web", "--reason", "x"], ["release", "web"], ["announce", "web"],
                    ["drain", "web", "--reason", "x"], ["hold"], ["undrain", "web"], ["log"], ["init"]):
        assert "bgpctl: ! " in lab.bgpctl(*command).stderr, command
    text = lab.bgpctl("status", exit_code=1).stdout
    assert "  pop.yaml   ! " in text and "min_healthy_percent" in text
    assert "min_healthy_percent" in lab.status()["config_error"]
    told = json.loads(lab.bgpctl("announce", "web", "--json").stdout)
    assert any("min_healthy_percent" in warning for warning in told["warnings"])
    # What BIRD is configured by must be the file itself.
    assert lab.bgpctl("render", exit_code=1).stdout == ""


class OtherPop(Lab):
    """The router has routes of another PoP, which are off at first: `plain`, and `drained` with GRACEFUL_SHUTDOWN."""
    POP_BODY = Lab.POP_BODY.replace("import none", "import all")
    ROUTER_BODY = """\
protocol static plain4 {{ disabled; ipv4; route 198.51.100.0/24 blackhole; }}
protocol static plain6 {{ disabled; ipv6; route 2001:db8:53::/48 blackhole; }}
protocol static drained4 {{ disabled; ipv4 {{ import filter {{ bgp_community.add((65535,0)); accept; }}; }};
  route 198.51.100.0/24 blackhole; }}
protocol static drained6 {{ disabled; ipv6 {{ import filter {{ bgp_community.add((65535,0)); accept; }}; }};
  route 2001:db8:53::/48 blackhole; }}
protocol bgp pop1 {{
  local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512; {timers}
  ipv4 {{ import all; export where source = RTS_STATIC; }};
  ipv6 {{ import all; export where source = RTS_STATIC; next hop address 2001:db8:ffff::2; }};
}}
"""

    def announce_and_keep_the_last(self):
        config = yaml.safe_load(self.config.read_text())
        config["announcements"][0]["keep_last"] = True
        self.config.write_text(yaml.safe_dump(config))
        self.bgpctl("announce", "web")

    def known_at_pop(self):
        return [prefix for prefix in BOTH if "router1" in self.pop.ask(f"show route {prefix} all")]


def test_the_last_announcer_is_kept_until_somebody_undrained_is_there():
    lab = OtherPop()
    try:
        lab.announce_and_keep_the_last()
        alone = "web: kept as it is: keep_last, and BIRD knows nobody else who announces it\n"
        assert lost(lab).stdout == alone
        lab.router.ask('enable "drained*"')
        wait_for("the drained routes", lambda: lab.known_at_pop() == BOTH)
        assert lost(lab).stdout == alone
        lab.router.ask('disable "drained*"', 'enable "plain4"')
        wait_for("one family", lambda: lab.known_at_pop() == [PREFIX4])
        assert lost(lab).stdout == alone
        lab.router.ask('enable "plain6"')
        wait_for("both", lambda: lab.known_at_pop() == BOTH)
        assert "exported to none of 1 established sessions" in lost(lab).stdout
    finally:
        lab.close()


def go_while_drained(lab):
    """The other PoP goes while this one waits for its traffic to leave."""
    wait_for("a drain", lambda: lab.status()["announcements"][0]["table_level"] == "drained")
    lab.router.ask('disable "plain*"')


def test_a_rollout_does_not_drain_the_last_one_away():
    lab = OtherPop()
    try:
        lab.announce_and_keep_the_last()
        drain = ("drain", "web", "--wait", "--deadline", "3s", "--reason", "rollout")
        refused = lab.bgpctl(*drain, exit_code=1)
        assert "web: not drained: keep_last, and BIRD knows nobody else who announces it" in refused.stderr
        assert lab.status()["announcements"][0]["table_level"] == "announced"
        assert lab.bgpctl("hold").stdout == "no holds\n"

        lab.router.ask('enable "plain*"')
        wait_for("the other PoP", lambda: lab.known_at_pop() == BOTH)
        with Dataplane(lab.folder / "run" / "dataplane.sock", pps=500):
            gone = threading.Thread(target=go_while_drained, args=[lab])
            gone.start()
            kept = lab.bgpctl(*drain, exit_code=1)
            gone.join()
        assert "web: drained and held, but not withdrawn: keep_last" in kept.stderr
        assert lab.status()["announcements"][0]["table_level"] == "drained"

        lab.router.ask('enable "plain*"')
        wait_for("the other PoP", lambda: lab.known_at_pop() == BOTH)
        assert "drained and withdrawn" in lab.bgpctl(*drain).stdout
        lab.bgpctl("announce", "web")
        lab.router.ask('disable "plain*"')
        wait_for("nobody else", lambda: lab.known_at_pop() == [])
        assert "exported to none" in lab.bgpctl("withdraw", "web", "--reason", "told so").stdout
    finally:
        lab.close()


class TwoBirds(Lab):
    """A BIRD for each family in the PoP."""
    POP_BODY = """\
include "{include}";
protocol bgp router1 {{
  local 192.0.2.1 as 64512; neighbor 192.0.2.2 as 64513; {timers}
  ipv4 {{ import none; export where proto ~ "anypop_*"; }};
}}
"""
    POP6_BODY = """\
include "{include}";
protocol bgp router1 {{
  local 2001:db8:ffff::1 as 64512; neighbor 2001:db8:ffff::2 as 64513; {timers}
  ipv6 {{ import none; export where proto ~ "anypop_*"; }};
}}
"""
    ROUTER_BODY = """\
protocol bgp pop1 {{
  local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512; {timers}
  ipv4 {{ import all; export none; }};
}}
protocol bgp pop6 {{
  local 2001:db8:ffff::2 as 64513; neighbor 2001:db8:ffff::1 as 64512; {timers}
  ipv6 {{ import all; export none; }};
}}
"""

    def configure(self, config):
        self.pop6 = Bird(self.folder, "pop6", "192.0.2.1",
                         self.POP6_BODY.format(include=self.folder / "anypop6.conf", timers=Bird.TIMERS),
                         holder=self.pop.holder)
        self.birds.append(self.pop6)
        del config["bird"]
        config["birds"] = [{"socket": str(self.pop.socket), "families": ["ipv4"], "local_as": 64512},
                           {"socket": str(self.pop6.socket), "families": ["ipv6"], "local_as": 64512}]

    def render(self):
        assert "expected ipv4 or ipv6" in self.bgpctl("render", exit_code=2).stderr
        for family, name in (("ipv4", "anypop.conf"), ("ipv6", "anypop6.conf")):
            (self.folder / name).write_text(self.bgpctl("render", "--family", family).stdout)


def test_a_bird_for_each_family():
    lab = TwoBirds()
    try:
        wait_for("the session of IPv6", lambda: "Established" in lab.router.ask('show protocols "pop6"'))
        lab.bgpctl("announce", "web")
        lab.wait_routes(BOTH)
        web = lab.status()["announcements"][0]
        assert web["exported_to"] == ["v4/router1", "v6/router1"] and not web["differences"]
        # One of them dead: the other one's routes go, and the state file waits for the dead one.
        lab.pop.kill()
        done = lab.bgpctl("withdraw", "web", "--reason", "test", exit_code=1)
        assert "no BIRD at" in done.stderr and "it comes back withdrawn" in done.stderr
        lab.wait_routes([])
        assert "BIRD       !" in lab.bgpctl("status", exit_code=1).stdout
        lab.pop.start()
        lab.wait_session()
        assert lab.routes_at_router() == []
        lab.bgpctl("announce", "web")
        lab.wait_routes(BOTH)
    finally:
        lab.close()
