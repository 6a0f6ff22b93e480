# SPDX-License-Identifier: Apache-2.0
"""The one exception that the lab raises on purpose."""


class LabError(Exception):
    """One line for the operator: what was found, what was expected, the remedy."""
