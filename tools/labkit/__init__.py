# SPDX-License-Identifier: Apache-2.0
"""Brings up, breaks, measures and takes down the lab. Start with topology.py, lab.py and scenarios/."""
