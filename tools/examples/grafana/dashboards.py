#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Grafana's dashboards as a short description: fleet.json, pop.json, service.json and failover.json are made from it.

usage: tools/examples/grafana/dashboards.py            writes the four files beside it
       tools/examples/grafana/dashboards.py --check    exit code 1 if they are not what it would write

Import them in Grafana 9.5 or later (Dashboards, New, Import), or provision the folder. Each asks for the Prometheus that
has the job `anypop` of tools/examples/prometheus/alerts.yml.
"""
from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 38
COLUMNS = 24
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
ON_OFF = {0: ("no", RED), 1: ("yes", GREEN)}
LEVELS = {0: ("withdrawn", RED), 1: ("drained", YELLOW), 2: ("announced", GREEN)}


@dataclass
class Panel:
    """Queries as (PromQL, legend)."""

    title: str
    queries: list[tuple[str, str]]
    type: str = "timeseries"
    unit: str = "none"
    width: int = 8
    height: int = 8
    description: str = ""
    states: dict[int, tuple[str, str]] = field(default_factory=dict)  # value: word and colour
    stacked: bool = False
    max: float | None = None
    thresholds: list[tuple[float | None, str]] = field(default_factory=list)  # from this value on; None: from the least


@dataclass
class Dashboard:
    file: str
    title: str
    description: str
    variables: list[str]
    rows: list[tuple[str, list[Panel]]]
    refresh: str = "10s"
    begin: str = "now-1h"
    annotations: bool = True


# What the variables choose from.
VARIABLES = {
    "pop": "label_values(anypop_healthmon_start_time_seconds, pop)",
    "service": 'label_values(anypop_service_healthy_ratio{pop=~"$pop"}, service)',
    "announcement": "label_values(anypop_announcement_level, announcement)",
}
OF_POP = '{pop=~"$pop"}'
OF_SERVICE = '{pop=~"$pop",service=~"$service"}'
OF_ANNOUNCEMENT = '{announcement=~"$announcement"}'
WATERMARK = ("max by (pop, service) (anypop_service_drain_below_ratio" + OF_SERVICE +
             " or anypop_service_withdraw_below_ratio" + OF_SERVICE + ")")

FLEET = Dashboard(
    "fleet.json", "Anypop: fleet", "Which PoPs announce what, who is about to fail, and where packets die.", [], [
        ("Now", [
            Panel("Monitors that answer", [('sum(up{job="anypop"})', "")], "stat", width=4, height=5,
                  thresholds=[(None, RED), (1, GREEN)]),
            Panel("PoPs that announce",
                  [("count by (announcement) (max by (announcement, pop) (anypop_announcement_exported_sessions) > 0) "
                    "or 0 * count by (announcement) (anypop_announcement_level)", "{{announcement}}")],
                  "stat", width=6, height=5, thresholds=[(None, RED), (1, YELLOW), (2, GREEN)],
                  description="Exported to one BGP session or more. One PoP left is one fault from an outage."),
            Panel("Alerts that fire", [('count(ALERTS{alertname=~"Anypop.*",alertstate="firing"}) or vector(0)', "")],
                  "stat", width=4, height=5, thresholds=[(None, GREEN), (1, RED)]),
            Panel("Holds in force", [("count(anypop_announcement_hold == 1) or vector(0)", "")], "stat", width=4, height=5,
                  thresholds=[(None, GREEN), (1, YELLOW)], description="Operators' orders that outrank health."),
            Panel("Packets forwarded", [('sum(rate(anypop_packets_total{verdict=~"forward.*"}[1m]))', "")], "stat",
                  "pps", width=6, height=5, thresholds=[(None, BLUE)]),
        ]),
        ("Announcements", [
            Panel("Wanted, by PoP", [("anypop_announcement_level", "{{pop}} {{announcement}}")], "state-timeline",
                  width=12, states=LEVELS, description="What each monitor has decided. Its status page says why."),
            Panel("Wanted, but no session carries it",
                  [("(anypop_announcement_intended == 1) unless (anypop_announcement_exported_sessions > 0) "
                    "or 0 * anypop_announcement_intended", "{{pop}} {{announcement}}")],
                  "state-timeline", width=12, states={0: ("as wanted", GREEN), 1: ("not exported", RED)}),
        ]),
        ("Load and capacity", [
            Panel("Packets forwarded, by PoP", [('sum by (pop) (rate(anypop_packets_total{verdict=~"forward.*"}[1m]))',
                                                 "{{pop}}")], unit="pps", stacked=True),
            Panel("Healthy share of the worst service", [("min by (pop) (anypop_service_healthy_ratio)", "{{pop}}")],
                  unit="percentunit", max=1),
            Panel("Dropped, by PoP and reason",
                  [('sum by (pop, verdict) (rate(anypop_packets_total{verdict=~"drop.*"}[1m])) > 0',
                    "{{pop}} {{verdict}}")], unit="pps"),
        ]),
        ("Programs", [
            Panel("Versions", [("anypop_build_info", "{{pop}} {{program}} {{version}}")], "table", width=12),
            Panel("Monitor, dataplane, BIRD",
                  [('up{job="anypop"}', "{{pop}} monitor"), ("anypop_dataplane_up", "{{pop}} dataplane"),
                   ("anypop_bird_up", "{{pop}} BIRD")], "state-timeline", width=12, states=ON_OFF),
        ]),
    ])

POP = Dashboard(
    "pop.json", "Anypop: PoP", "One PoP: what it announces, what its dataplane does, how close to the limit it is.", ["pop"], [
        ("Announcements", [
            Panel("Wanted", [("anypop_announcement_level" + OF_POP, "{{announcement}}")], "state-timeline", states=LEVELS),
            Panel("In BIRD's table", [("anypop_announcement_in_table" + OF_POP, "{{announcement}}")], "state-timeline",
                  states=ON_OFF),
            Panel("Sessions that carry it", [("anypop_announcement_exported_sessions" + OF_POP, "{{announcement}}")]),
            Panel("Dataplane, BIRD, sessions",
                  [("anypop_dataplane_up" + OF_POP, "dataplane"), ("anypop_bird_up" + OF_POP, "BIRD"),
                   ("anypop_bird_session_up" + OF_POP, "{{session}}")], "state-timeline", width=12, states=ON_OFF),
            Panel("Hold-down left", [("anypop_announcement_hold_down_seconds" + OF_POP, "{{announcement}}")], unit="s",
                  width=6, description="After a fault an announcement returns when health has been good for this long."),
            Panel("Flap penalty", [("anypop_announcement_flap_penalty" + OF_POP, "{{announcement}}")], width=6,
                  description="1000 a withdrawal, halved by time; at `latch_penalty` the announcement stays out."),
            Panel("Guards", [("anypop_announcement_latched" + OF_POP, "{{announcement}} latched"),
                             ("anypop_announcement_kept_last" + OF_POP, "{{announcement}} kept: nobody else has it")],
                  "state-timeline", width=12, states={0: ("no", GREEN), 1: ("yes", RED)}),
            Panel("Differences repaired", [("increase(anypop_announcement_drift_total" + OF_POP + "[5m])",
                                            "{{announcement}}")], width=6,
                  description="Somebody else changed BIRD, and the monitor changed it back."),
        ]),
        ("Packets", [
            Panel("By verdict", [("sum by (verdict) (rate(anypop_packets_total" + OF_POP + "[1m])) > 0", "{{verdict}}")],
                  unit="pps", width=12, stacked=True),
            Panel("Dropped, by reason",
                  [('sum by (verdict) (rate(anypop_packets_total{pop=~"$pop",verdict=~"drop.*"}[1m])) > 0', "{{verdict}}")],
                  unit="pps", width=12),
            Panel("Ports", [("rate(anypop_port_receive_packets_total" + OF_POP + "[1m])", "{{port}} in"),
                            ("-rate(anypop_port_transmit_packets_total" + OF_POP + "[1m])", "{{port}} out")], unit="pps"),
            Panel("Lost at the ports",
                  [("rate(anypop_port_receive_missed_packets_total" + OF_POP + "[1m])", "{{port}} not taken in time"),
                   ("rate(anypop_port_transmit_dropped_packets_total" + OF_POP + "[1m])", "{{port}} could not send")],
                  unit="pps"),
            Panel("To the kernel, over the limit",
                  [('rate(anypop_punt_packets_total{pop=~"$pop",result!="sent"}[1m])', "{{port}} {{kind}} {{result}}")],
                  unit="pps", description="Only ports that DPDK owns have such traffic."),
        ]),
        ("Workers", [
            Panel("Packets, by worker", [("sum by (worker) (rate(anypop_worker_packets_total" + OF_POP + "[1m]))",
                                          "worker {{worker}}")], unit="pps"),
            Panel("Age of the last pass", [("anypop_dataplane_worker_age_seconds" + OF_POP, "worker {{worker}}")], unit="s"),
            Panel("A burst takes, 99th percentile",
                  [("histogram_quantile(0.99, sum by (le, worker) (rate(anypop_worker_burst_duration_seconds_bucket" +
                    OF_POP + "[1m])))", "worker {{worker}}")], unit="s"),
            Panel("Flow records", [("anypop_flow_records" + OF_POP, "{{state}}"),
                                   ("anypop_flow_records_limit" + OF_POP, "room")], width=12),
            Panel("Flow records pushed out", [("rate(anypop_flow_records_evicted_total" + OF_POP + "[1m])", "{{state}}")],
                  unit="ops", width=12, description="Of established flows: the tables are too small."),
        ]),
    ])

SERVICE = Dashboard(
    "service.json", "Anypop: service", "One service: its backends, their traffic, and what the probes say.",
    ["pop", "service"], [
        ("Capacity", [
            Panel("Healthy share of the weight",
                  [("anypop_service_healthy_ratio" + OF_SERVICE, "{{pop}} {{service}}"),
                   (WATERMARK, "{{pop}} {{service}} watermark")], unit="percentunit", max=1, width=12),
            Panel("Panic", [("anypop_service_panic" + OF_SERVICE, "{{pop}} {{service}}")], "state-timeline", width=12,
                  states={0: ("no", GREEN), 1: ("all are used", RED)},
                  description="So few backends are healthy that all of them are used."),
            Panel("Backends", [("anypop_backend_healthy" + OF_SERVICE, "{{pop}} {{service}}/{{backend}}")],
                  "state-timeline", width=12, height=10, states={0: ("sick", RED), 1: ("healthy", GREEN)}),
            Panel("Share of its weight that each gets",
                  [("anypop_backend_weight_ratio" + OF_SERVICE, "{{pop}} {{service}}/{{backend}}")], unit="percentunit",
                  max=1, width=12, height=10, description="Less during slow start, nothing while drained."),
        ]),
        ("Traffic", [
            Panel("Packets, by backend", [("rate(anypop_backend_packets_total" + OF_SERVICE + "[1m])",
                                           "{{pop}} {{service}}/{{backend}}")], unit="pps", width=12, stacked=True),
            Panel("Bits, by backend", [("8 * rate(anypop_backend_bytes_total" + OF_SERVICE + "[1m])",
                                        "{{pop}} {{service}}/{{backend}}")], unit="bps", width=12, stacked=True),
        ]),
        ("Probes", [
            Panel("99th percentile of all backends",
                  [("histogram_quantile(0.99, sum by (le, pop, service, probe) (rate(anypop_probe_duration_seconds_bucket" +
                    OF_SERVICE + "[5m])))", "{{pop}} {{service}} {{probe}}")], unit="s"),
            Panel("Last answer took", [("anypop_probe_latency_seconds" + OF_SERVICE,
                                        "{{pop}} {{service}}/{{backend}} {{probe}}")], unit="s"),
            Panel("Failed", [('sum by (pop, service, backend) (rate(anypop_probe_results_total{pop=~"$pop",'
                              'service=~"$service",result="failure"}[1m])) > 0', "{{pop}} {{service}}/{{backend}}")],
                  unit="ops"),
        ]),
    ])

FAILOVER = Dashboard(
    "failover.json", "Anypop: failover timeline",
    "A failover from left to right: backends, decision, BIRD, where the packets go. `anypop report` has it to the millisecond.",
    ["announcement"], [
        ("", [
            Panel("Healthy backends", [("sum by (pop, service) (anypop_backend_healthy)", "{{pop}} {{service}}")], width=24,
                  height=6),
            Panel("Wanted", [("anypop_announcement_level" + OF_ANNOUNCEMENT, "{{pop}} {{announcement}}")],
                  "state-timeline", width=24, height=5, states=LEVELS),
            Panel("In BIRD's table", [("anypop_announcement_in_table" + OF_ANNOUNCEMENT, "{{pop}} {{announcement}}")],
                  "state-timeline", width=24, height=5, states=ON_OFF),
            Panel("Exported", [("anypop_announcement_exported_sessions" + OF_ANNOUNCEMENT + " > bool 0",
                                "{{pop}} {{announcement}}")], "state-timeline", width=24, height=5, states=ON_OFF),
            Panel("Packets forwarded, by PoP", [('sum by (pop) (rate(anypop_packets_total{verdict=~"forward.*"}'
                                                 '[$__rate_interval]))', "{{pop}}")], unit="pps", width=24, height=6),
            Panel("Events", [("sum by (pop, event) (increase(anypop_events_total[$__rate_interval])) > 0",
                              "{{pop}} {{event}}")], width=12, height=6),
            Panel("Hold-down left", [("anypop_announcement_hold_down_seconds" + OF_ANNOUNCEMENT,
                                      "{{pop}} {{announcement}}")], unit="s", width=12, height=6),
        ]),
    ], refresh="5s", begin="now-15m")

DASHBOARDS = [FLEET, POP, SERVICE, FAILOVER]


def mappings(states: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    if not states:
        return []
    options = {str(value): {"text": word, "color": colour, "index": index}
               for index, (value, (word, colour)) in enumerate(states.items())}
    return [{"type": "value", "options": options}]


def field_config(panel: Panel) -> dict[str, Any]:
    steps = [{"color": colour, "value": value} for value, colour in panel.thresholds or [(None, GREEN)]]
    defaults: dict[str, Any] = {
        "unit": panel.unit, "mappings": mappings(panel.states), "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.type == "timeseries" else "thresholds"},
    }
    if panel.max is not None:
        defaults.update(min=0, max=panel.max)
    if panel.type == "timeseries":
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 20 if panel.stacked else 5, "showPoints": "never",
                              "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"}}
    return {"defaults": defaults, "overrides": []}


OPTIONS = {
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                   "tooltip": {"mode": "multi", "sort": "desc"}},
    "state-timeline": {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "alignValue": "left",
                       "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
                       "tooltip": {"mode": "single", "sort": "none"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "auto",
             "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto"},
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def panel_json(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    instant = panel.type == "table"
    targets = []
    for letter, (query, legend) in zip("ABCDEFGH", panel.queries):
        target = {"refId": letter, "datasource": DATASOURCE, "expr": query, "legendFormat": legend or "__auto",
                  "range": not instant, "instant": instant}
        if instant:
            target["format"] = "table"
        targets.append(target)
    return {
        "id": number, "type": panel.type, "title": panel.title, "description": panel.description,
        "datasource": DATASOURCE, "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": field_config(panel), "options": OPTIONS[panel.type], "targets": targets,
    }


def panels_json(rows: list[tuple[str, list[Panel]]]) -> list[dict[str, Any]]:
    """From left to right, and a new line where one is full."""
    panels, y = [], 0
    for title, row in rows:
        if title:
            panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                           "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}})
            y += 1
        x = height = 0
        for panel in row:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            panels.append(panel_json(len(panels) + 1, panel, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return panels


def variable_json(name: str) -> dict[str, Any]:
    return {"name": name, "type": "query", "datasource": DATASOURCE, "query": VARIABLES[name], "definition": VARIABLES[name],
            "refresh": 2, "sort": 1, "includeAll": True, "multi": True, "hide": 0,
            "current": {"text": "All", "value": "$__all"}}


def annotations_json() -> list[dict[str, Any]]:
    return [{"name": "Announced or not", "datasource": DATASOURCE, "enable": True, "iconColor": "orange",
             "expr": "changes(anypop_announcement_level[30s]) > 0", "step": "10s",
             "titleFormat": "{{pop}} {{announcement}}", "textFormat": "its level changed"}]


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": "anypop-" + dashboard.file.removesuffix(".json"), "title": dashboard.title,
        "description": dashboard.description, "tags": ["anypop"], "schemaVersion": SCHEMA_VERSION, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": dashboard.refresh, "timezone": "utc",
        "time": {"from": dashboard.begin, "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0},
                                *(variable_json(name) for name in dashboard.variables)]},
        "annotations": {"list": annotations_json() if dashboard.annotations else []},
        "links": [{"title": "Anypop", "type": "dashboards", "tags": ["anypop"], "icon": "external link", "tooltip": "",
                   "url": "", "asDropdown": False, "targetBlank": False, "includeVars": True, "keepTime": True}],
        "panels": panels_json(dashboard.rows),
    }


def text(dashboard: Dashboard) -> str:
    return json.dumps(dashboard_json(dashboard), indent=1) + "\n"


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for dashboard in DASHBOARDS:
        path = FOLDER / dashboard.file
        if sys.argv[1:]:
            stale += [] if path.is_file() and path.read_text() == text(dashboard) else [path.name]
        else:
            path.write_text(text(dashboard))
    if stale:
        print(f"{', '.join(stale)}: not what dashboards.py writes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
