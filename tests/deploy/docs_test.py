#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rollout's pages against what they speak of: every alert has its line in the runbook, every variable its explanation. And
the collection as it is handed out."""
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
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

    @unittest.skipUnless(shutil.which("ansible-galaxy"), "ansible is not installed")
    def test_the_collection_is_whole(self):
        command = re.search(r"^(cp -rL .* ansible-galaxy .*)$", (ROOT / "ansible/README.md").read_text(), re.MULTILINE)[1]
        with tempfile.TemporaryDirectory() as folder:
            command = command.replace("build/", f"{folder}/")
            subprocess.run(["bash", "-euc", command], cwd=ROOT, check=True, capture_output=True)
            with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as built:
                names = set(built.getnames())
        for role in sorted(path.name for path in (ROOT / "ansible/roles").iterdir()):
            self.assertIn(f"roles/{role}/meta/argument_specs.yml", names)
        self.assertLessEqual({"playbooks/site.yml", "playbooks/files/look", "roles/monitoring/files/prometheus/alerts.yml",
                              "roles/monitoring/files/grafana/pop.json"}, names)
        self.assertNotIn("inventory/example/hosts.yml", names)


if __name__ == "__main__":
    sys.exit(unittest.main())
