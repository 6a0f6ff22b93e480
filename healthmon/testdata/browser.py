#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real browser looks at the status page: loads it once in headless Chromium and waits until its text shows each of
the given things in turn, while the page keeps itself fresh. At each it is looked at in both colour schemes and on a
phone, and what a reader with poor sight, a keyboard or a screen reader would stumble over is an error.

usage: browser.py URL FOLDER TEXT...      FOLDER gets the screenshots

Prints "seen N" after each TEXT (a regular expression). Exit code 0: all were seen, and the console had no error.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True

from labkit.browser import Browser  # noqa: E402

LOOKS = {"light": (1100, 1000, "light"), "dark": (1100, 1000, "dark"), "phone": (390, 1400, "light"),
         "phone-dark": (390, 1400, "dark")}


def look_at(browser, folder: Path, name: str) -> list:
    problems = []
    for look, (width, height, scheme) in LOOKS.items():
        browser.look(width, height, scheme)
        browser.screenshot(folder / f"{name}-{look}.png")
        problems += [f"{name} {look}: {problem}" for problem in browser.audit()]
    return problems


def main() -> int:
    url, folder, texts = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    problems = []
    with Browser() as browser:
        browser.open(url, scripts=False)
        browser.wait_for(texts[0])
        if "as of" not in browser.text() or "Reload" not in browser.text():
            problems.append("without JavaScript: the page does not say how old it is")
        problems += look_at(browser, folder, "no-script")
        browser.forget()
        browser.open(url)
        # A node that the fresh page brings along too: it must stay the same one.
        browser.wait_for(texts[0])
        browser.evaluate("document.querySelector('#services .wide').focus(); window.kept = document.activeElement")
        for number, text in enumerate(texts, 1):
            browser.wait_for(text)
            print(f"seen {number}", flush=True)
            problems += look_at(browser, folder, str(number))
        if not browser.evaluate("document.activeElement === window.kept && window.kept.isConnected"):
            problems.append("the focus was lost when the page was brought up to date")
        if "withdrawn" not in " ".join(texts) or not browser.evaluate("document.getElementById('said').textContent"):
            problems.append("nothing was said to a screen reader")
        problems += [f"console: {error}" for error in browser.errors()]
    for problem in problems:
        print(problem, flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TimeoutError as error:
        print(error, flush=True)
        sys.exit(1)
