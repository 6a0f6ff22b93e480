# SPDX-License-Identifier: Apache-2.0
"""A few rounds of chaos.py, with a new seed each time; CHAOS.md has the record of a longer run. ANYPOP_SEED repeats a run."""
import os
import random

import chaos

ROUNDS = 12


def test_random_deaths_of_every_process(lab):
    seed = int(os.environ.get("ANYPOP_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}")
    results = chaos.run(lab, seed, 0, ROUNDS, print)
    assert [result for result in results if result["problem"]] == [], f"ANYPOP_SEED={seed} repeats it"
    assert max(result["served_dead_monitor_s"] for result in results) > 0, "no round hurt the PoP: nothing was tested"


def test_the_same_seed_is_the_same_plan():
    processes = [("ams-lb1", "dataplane"), ("ams-lb1", "bird"), ("ams-b1", "nginx")]
    assert chaos.plan(7, 3, processes) == chaos.plan(7, 3, processes)
    assert chaos.plan(7, 3, processes) != chaos.plan(7, 4, processes)


def test_spans():
    assert chaos.both([(0, 2), (3, 5)], [(1, 4)]) == [(1, 2), (3, 4)]
    assert chaos.neither([(1, 2), (3, 9)], (0, 5)) == [(0, 1), (2, 3)]
    assert chaos._joined([(3, 4), (0, 2), (1, 2.5)]) == [(0, 2.5), (3, 4)]
