# SPDX-License-Identifier: Apache-2.0
"""The dashboards and the alert rules as files: whole, and about metrics that there are. Their queries are run in
tests/lab/test_prometheus.py, and by the monitor's own test."""
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True

import dashboards  # noqa: E402

ALERTS = FOLDER.parent / "prometheus/alerts.yml"
NAMES = [dashboard.file for dashboard in dashboards.DASHBOARDS]
FROM_PROMETHEUS = {"up", "ALERTS"}


def load(name: str) -> dict:
    return json.loads((FOLDER / name).read_text())


def exported_metrics() -> set:
    """Every family that the daemons' sources name, with what Prometheus makes of histograms."""
    found = set()
    for path in [*ROOT.glob("healthmon/*.cc"), *ROOT.glob("dataplane/**/*.cc")]:
        for kind, name in re.findall(r'\b(counter|gauge|histogram)\(\s*"(anypop_[a-z0-9_]+)"', path.read_text()):
            found |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


def metrics_in(query: str) -> set:
    return set(re.findall(r"\banypop_[a-z0-9_]+", query))


def rules() -> list:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def test_the_files_are_what_the_description_says():
    done = subprocess.run([sys.executable, "-B", FOLDER / "dashboards.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_is_a_dashboard_by_grafanas_schema(name):
    jsonschema.validate(load(name), json.loads((FOLDER / "schema.json").read_text()))


def test_the_schema_refuses_what_grafana_would_drop():
    schema = json.loads((FOLDER / "schema.json").read_text())
    for spoil in (lambda d: d["panels"][1].update(titel="x"), lambda d: d.pop("panels"),
                  lambda d: d["panels"][1]["gridPos"].update(w=25), lambda d: d["panels"][1].update(type="graf"),
                  lambda d: d["panels"][1]["targets"][0].update(expr="")):
        spoilt = load("fleet.json")
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt, schema)


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_covers_another(name):
    taken, ids = {}, set()
    for panel in load(name)["panels"]:
        assert panel["id"] not in ids
        ids.add(panel["id"])
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= dashboards.COLUMNS
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{panel['title']} covers {taken[cell]}"
            taken[cell] = panel["title"]


def test_queries_and_rules_ask_for_metrics_that_there_are():
    queries = [q for d in dashboards.DASHBOARDS for _, row in d.rows for p in row for q, _ in p.queries]
    queries += list(dashboards.VARIABLES.values()) + [rule["expr"] for rule in rules()]
    unknown = set().union(*map(metrics_in, queries)) - exported_metrics()
    assert not unknown


def test_every_alert_has_been_seen_firing_and_not_firing():
    tests = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    names = {rule["alert"] for rule in rules()}
    assert fired == names
    assert silent == names


def test_every_alert_says_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "action"}
