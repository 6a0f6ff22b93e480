# SPDX-License-Identifier: Apache-2.0
"""What a lab could leave behind on the machine."""
import json
import os
import subprocess
from pathlib import Path

from labkit import namespaces
from labkit.state import hugepages

# Where the lab or one of its daemons would write, were it not private.
FOLDERS = ("/run/anypop-lab", "/run/anypop", "/run/bird", "/run/frr", "/run/lab", "/run/netns", "/dev/hugepages",
           "/etc/anypop", "/etc/bird", "/etc/frr", "/etc/nginx", "/var/lib/anypop", "/var/log/lab", "/var/tmp")


def census():
    namespaces_seen = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            for kind in ("net", "pid"):  # services of the machine come and go with mount namespaces of their own
                try:
                    namespaces_seen.add(os.readlink(f"/proc/{entry}/ns/{kind}"))
                except OSError:
                    pass
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout)
    return {
        "processes": sorted(namespaces.marked_processes().values()),
        "namespaces": sorted(namespaces_seen),
        "mounts": Path("/proc/self/mounts").read_text().splitlines(),
        "links": sorted(link["ifname"] for link in links),
        "hugepages": hugepages(),
        "files": sorted(str(path) for folder in FOLDERS for path in Path(folder).rglob("*")),
        "run": sorted(os.listdir("/run")),
    }


def left_behind(before, after):
    """What is there now and was not before, readable; empty if nothing is. What others removed is not ours."""
    found = {}
    for key, value in after.items():
        new = [item for item in value if item not in before[key]] if isinstance(value, list) else []
        if new or (isinstance(value, int) and value != before[key]):
            found[key] = new or {"before": before[key], "after": value}
    return found
