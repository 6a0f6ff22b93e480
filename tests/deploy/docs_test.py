#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rollout's pages against what they speak of: every alert has its line in the runbook, every variable its explanation."""
import re
import sys
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Docs(unittest.TestCase):
    def test_the_runbook_knows_every_alert_and_no_other(self):
        groups = yaml.safe_load((ROOT / "tools/examples/prometheus/alerts.yml").read_text())["groups"]
        rules = {(rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"] if "alert" in rule}
        known = set(re.findall(r"^\| `(Anypop\w+)` \((\w+)\) \|", (ROOT / "ansible/docs/RUNBOOK.md").read_text(), re.MULTILINE))
        self.assertEqual(rules, known)

    def test_every_variable_of_a_role_is_explained(self):
        for specs in sorted(ROOT.glob("ansible/roles/*/meta/argument_specs.yml")):
            defaults = specs.parents[1] / "defaults/main.yml"
            for variable in yaml.safe_load(specs.read_text())["argument_specs"]["main"]["options"]:
                self.assertIn(variable, defaults.read_text(), f"{defaults.relative_to(ROOT)} does not speak of it")


if __name__ == "__main__":
    sys.exit(unittest.main())
