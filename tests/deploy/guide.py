# SPDX-License-Identifier: Apache-2.0
"""The guide's commands, so that the tests follow it to the letter: each fenced block marked `sh`, by the heading above it."""
from __future__ import annotations

import re
from pathlib import Path

_HEADING = re.compile(r"^#+ (.*)$")


class Guide:
    def __init__(self, path: Path):
        self.sections: dict[str, list[str]] = {}
        self.followed: list[str] = []
        heading, kind, block = "", None, []
        for line in path.read_text().splitlines():
            if line.startswith("```"):
                if kind == "sh":
                    self.sections.setdefault(heading, []).append("\n".join(block))
                kind, block = (line[3:] if kind is None else None), []
            elif kind is not None:
                block.append(line)
            elif found := _HEADING.match(line):
                heading = found[1]

    def blocks(self, section: str) -> list[str]:
        """What a reader types in this section."""
        self.followed.append(section)
        return self.sections[section]

    def left(self) -> list[str]:
        return [section for section in self.sections if section not in self.followed]
