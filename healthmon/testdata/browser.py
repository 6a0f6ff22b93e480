#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real browser looks at the status page: loads it once in headless Chromium and waits until its text shows each of
the given things in turn, while the page keeps itself fresh.

usage: browser.py URL FOLDER TEXT...      FOLDER gets the screenshots and Chromium's profile

Prints "seen N" after each TEXT (a regular expression). Exit code 0: all were seen, and the console had no error.
"""
import base64
import json
import os
import re
import select
import subprocess
import sys
import time

DEADLINE_S = 60


class Browser:
    """The DevTools protocol over Chromium's pipe: JSON messages that end in a zero byte."""

    def __init__(self, profile: str):
        to_read, self.to_browser = os.pipe()
        self.from_browser, to_write = os.pipe()

        def give_descriptors():
            os.dup2(to_read, 20), os.dup2(to_write, 21)
            os.dup2(20, 3), os.dup2(21, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=give_descriptors, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, close_fds=True)
        self.buffer, self.serial, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self, deadline: float):
        while b"\0" not in self.buffer:
            if not select.select([self.from_browser], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self.from_browser, 1 << 20)
            if not chunk:
                raise EOFError("Chromium has ended")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method: str, **params):
        self.serial += 1
        request = {"id": self.serial, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + 30
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.serial:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression: str):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, path: str, width: int, height: int, scheme: str):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def errors(self) -> list:
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(str(params["args"]))
        return found


def main() -> int:
    url, folder, texts = sys.argv[1], sys.argv[2], sys.argv[3:]
    browser = Browser(os.path.join(folder, "profile"))
    try:
        for domain in ("Page", "Runtime", "Log"):
            browser.call(f"{domain}.enable")
        browser.call("Page.navigate", url=url)
        for number, text in enumerate(texts, 1):
            deadline = time.monotonic() + DEADLINE_S
            while not re.search(text, browser.evaluate("document.body ? document.body.innerText : ''") or "", re.S):
                if time.monotonic() > deadline:
                    print(f"never seen: {text}\n{browser.evaluate('document.body.innerText')}", flush=True)
                    return 1
                time.sleep(0.02)
            print(f"seen {number}", flush=True)
            browser.screenshot(os.path.join(folder, f"{number}-light.png"), 1100, 1000, "light")
            browser.screenshot(os.path.join(folder, f"{number}-dark.png"), 1100, 1000, "dark")
            browser.screenshot(os.path.join(folder, f"{number}-phone.png"), 390, 1400, "light")
            wide = browser.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            if wide:
                print("the page is wider than a phone", flush=True)
                return 1
        if browser.errors():
            print(f"errors in the console: {browser.errors()}", flush=True)
            return 1
        return 0
    finally:
        os.killpg(browser.process.pid, 9)
        browser.process.wait()


if __name__ == "__main__":
    sys.exit(main())
