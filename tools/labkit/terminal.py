# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own (tmux), and what it shows as HTML."""
from __future__ import annotations

import html
import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

from . import facts

STYLE = """
body { margin: 0; background: #fff; }
figure { margin: 0; padding: 14px 18px 16px; background: #14181f; color: #d7dde6; border-radius: 8px; width: max-content; }
figcaption { font: 13px system-ui, sans-serif; color: #8d99a8; padding-bottom: 10px; }
pre { margin: 0; font: 14px/1.35 "DejaVu Sans Mono", monospace; }
b { color: #fff; } .red { color: #ff8a80; } .green { color: #5fd39a; } .yellow { color: #f0bf5c; } .soft { color: #8d99a8; }
"""
COLOURS = {31: "red", 32: "green", 33: "yellow", 2: "soft", 90: "soft"}


def capture(command: Sequence[str], pattern: str, columns: int = 110, rows: int = 46, deadline_s: float = 20) -> str:
    """What the program shows, with its colours as escape sequences, once that has `pattern` in it. Then it is ended."""
    with tempfile.TemporaryDirectory(prefix="anypop-tmux-") as folder:
        tmux = ["tmux", "-f", "/dev/null", "-S", f"{folder}/socket"]
        subprocess.run([*tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows), shlex.join(command)], check=True)
        try:
            def shown() -> str:
                done = subprocess.run([*tmux, "capture-pane", "-p", "-e"], capture_output=True, text=True)
                return done.stdout if re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout), re.S) else ""

            return facts.wait_for(f"{Path(command[0]).name} shows {pattern}", shown, deadline_s)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def to_html(screen: str, caption: str) -> str:
    """A page with the screen as a picture would show it."""
    lines = screen.rstrip().split("\n")
    out, opened = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", "\n".join(line.rstrip() for line in lines)):
        if not part.startswith("\x1b["):
            out.append(html.escape(part))
            continue
        for code in (int(word or 0) for word in part[2:-1].split(";")):
            if code in (0, 39):
                out.append("</span>" * opened)
                opened = 0
            elif code == 1:
                out.append('<span style="font-weight:bold;color:#fff">')
                opened += 1
            elif code in COLOURS:
                out.append(f'<span class="{COLOURS[code]}">')
                opened += 1
    out.append("</span>" * opened)
    return (f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><figure><figcaption>{html.escape(caption)}'
            f'</figcaption><pre>{"".join(out)}</pre></figure>')
