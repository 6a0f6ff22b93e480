# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes both PoPs over the routers while they fail and return; then it is asked what happened. All
queries of the dashboards, all alert rules, and the logs."""
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from labkit import configs, daemons, facts, prometheus, scenarios
from labkit.run import run_once
from labkit.scenarios.operator import bgpctl
from labkit.scenarios.scenario import balancer

DASHBOARDS = Path(__file__).resolve().parents[2] / "tools/examples/grafana"
VARIABLES = {"$pop": ".*", "$service": ".*", "$announcement": ".*", "$__rate_interval": "5s"}
# What a good PoP has nothing of.
MAY_BE_EMPTY = ("drop", "failure", "anypop_punt", "ALERTS")
WINDOW = "[3m]"


@pytest.fixture(scope="module")
def metrics(lab, tmp_path_factory):
    with prometheus.running(lab, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def ranged(metrics, what, query):
    return metrics.value(f"{what}_over_time({query}{WINDOW})")


def test_queries_tell_what_the_scenario_did(lab, metrics, tmp_path):
    before = {pop: metrics.value(f'anypop_events_total{{pop="{pop}",event="verdict"}}') for pop in ("ams", "fra")}
    done = run_once(lab, scenarios.ALL["all-backends-die"], tmp_path)
    assert done["fault"]["steps_ms"]["route"] is not None, "the scenario did nothing"
    for pop, least in (("ams", 0), ("fra", 2)):
        level = f'anypop_announcement_level{{pop="{pop}"}}'
        metrics.wait(level, 2)
        assert ranged(metrics, "min", level) == least, f"{pop}: {level}"
        assert ranged(metrics, "min", f'anypop_announcement_in_table{{pop="{pop}"}}') == (least > 0)
        assert ranged(metrics, "min", f'anypop_announcement_exported_sessions{{pop="{pop}"}}') == least
    for service in ("web4", "web6"):
        assert ranged(metrics, "min", f'anypop_service_healthy_ratio{{pop="ams",service="{service}"}}') == 0
        assert ranged(metrics, "min", f'anypop_service_healthy_ratio{{pop="fra",service="{service}"}}') == 1
    # The decision to go and the one to return, and none in fra.
    metrics.wait('anypop_events_total{pop="ams",event="verdict"}', before["ams"] + 2)
    assert metrics.value('anypop_events_total{pop="fra",event="verdict"}') == before["fra"]
    # Packets went where the clients' answers came from.
    for pop in ("ams", "fra"):
        packets = metrics.value(f'sum(increase(anypop_packets_total{{pop="{pop}",verdict=~"forward.*"}}{WINDOW}))')
        assert packets > done["by_pop"][pop], "a request is several packets"


def test_every_query_of_the_dashboards_has_an_answer(lab, metrics, tmp_path):
    run_once(lab, scenarios.ALL["backend-dies"], tmp_path)  # so that every rate is one
    asked = 0
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(file.read_text())
        if "panels" not in dashboard:
            continue  # schema.json
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"]
                for name, value in VARIABLES.items():
                    query = query.replace(name, value)
                found = metrics.series(query)
                asked += 1
                assert found or any(word in query for word in MAY_BE_EMPTY), f"{file.name}: {panel['title']}: {query}"
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                name, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["query"]).groups()
                assert {labels[label] for labels, _ in metrics.series(name)}, variable["query"]
        for annotation in dashboard["annotations"]["list"]:
            metrics.series(annotation["expr"])
    assert asked > 40


def test_alerts_fire_and_end(lab, metrics):
    rules = [rule for group in metrics.api("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 15
    victims = [host.name for host in lab.topology.backends(lab.topology.preferred)]
    for name in victims:
        lab.kill(name, "nginx", signal.SIGKILL)
    fires = 'count(ALERTS{alertname="AnypopCapacityBelowWatermark",alertstate="firing",pop="ams"})'
    metrics.wait(fires, 2, 40)  # web4 and web6
    assert metrics.series('ALERTS{alertstate="firing",pop="fra"}') == []
    for name in victims:
        lab.start(name, "nginx")
    facts.wait_for("the alert ends", lambda: metrics.value(fires) is None, 20)
    lab.wait_steady()
    rules = [rule for group in metrics.api("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


@pytest.mark.parametrize("daemon", ["healthmon", "dataplane"])
def test_promtool_has_nothing_to_say(lab, daemon):
    where = balancer(lab).name
    page = lab.run(where, "curl", "-s", "--unix-socket", f"/run/anypop/{daemon}.sock", "http://anypop/metrics").stdout
    assert f'program="anypop-{daemon}"' in page
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_logs_are_lines_of_logfmt_with_an_event(lab):
    bgpctl(lab, "withdraw", "web", "--reason", "a look at the logs", "--for", "10m")
    bgpctl(lab, "announce", "web")
    lab.wait_steady()
    where = balancer(lab).name
    for daemon in ("healthmon", "dataplane"):
        lines = daemons.log_path(lab.init(where), daemon).read_text().splitlines()
        assert lines
        for line in lines:
            assert re.match(r"time=\S+Z level=(info|warning|error) event=[a-z_-]+( [a-z0-9_]+=(\"([^\"\\]|\\.)*\"|[^\s\"=]+))*$",
                            line), f"{daemon}: {line}"
    warned = [line for line in daemons.log_path(lab.init(where), "healthmon").read_text().splitlines()
              if "level=warning" in line]
    assert any("event=verdict" in line for line in warned), "a withdrawal is bad news"


def test_no_secret_anywhere(lab):
    """The hash key lets whoever knows it aim at one backend."""
    where = balancer(lab).name
    root = lab.root(where)
    for socket, path in (("healthmon", "/"), ("healthmon", "/v1/state"), ("healthmon", "/metrics"), ("dataplane", "/metrics"),
                         ("dataplane", "/v1/state"), ("dataplane", "/v1/stats")):
        page = lab.run(where, "curl", "-s", "--unix-socket", f"/run/anypop/{socket}.sock", f"http://anypop{path}").stdout
        assert len(page) > 100
        assert configs.HASH_KEY not in page.lower(), path
    files = [*(root / "var/log/lab").glob("*.log"), *(root / "var/lib/anypop").rglob("*"), *(root / "run/anypop").rglob("*")]
    texts = [file.read_text(errors="replace") for file in files if file.is_file()]
    assert len(texts) > 5
    assert not any(configs.HASH_KEY in text.lower() for text in texts)
    # A refused reload names the key, not its value.
    config = root / "etc/anypop/pop.yaml"
    kept = config.read_text()
    other = configs.HASH_KEY.replace("8f", "7e")
    config.write_text(kept.replace(configs.HASH_KEY, other))
    try:
        answer = lab.run(where, "curl", "-s", "--unix-socket", "/run/anypop/dataplane.sock", "-X", "POST",
                         "http://anypop/v1/reload").stdout
    finally:
        config.write_text(kept)
    assert "hash_key" in answer
    log = daemons.log_path(lab.init(where), "dataplane").read_text()
    assert other not in answer.lower() + log.lower()
