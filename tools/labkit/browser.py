# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium by the DevTools protocol over a pipe: JSON messages that end in a zero byte. No other package."""
from __future__ import annotations

import base64
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Sequence

CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe")

# What a reader with poor sight, a keyboard or a narrow phone would stumble over.
AUDIT = r"""
(function () {
  var found = [];
  function luminance(rgb) {
    var c = rgb.map(function (v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  }
  function parse(colour) { return colour.match(/[\d.]+/g).map(Number); }
  function ground(element) {
    for (; element; element = element.parentElement) {
      var c = parse(getComputedStyle(element).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
    }
    return [255, 255, 255];
  }
  document.querySelectorAll('body *').forEach(function (element) {
    var own = Array.from(element.childNodes).some(function (n) { return n.nodeType === 3 && n.nodeValue.trim(); });
    if (!own || !element.offsetParent || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(element.nodeName)) return;
    var a = luminance(parse(getComputedStyle(element).color).slice(0, 3)), b = luminance(ground(element));
    var contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push('contrast ' + contrast.toFixed(2) + ': ' + element.textContent.trim().slice(0, 40));
  });
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push('wider than the window');
  if (!document.documentElement.lang) found.push('no language');
  if (document.querySelectorAll('h1').length !== 1 || !document.querySelector('main')) found.push('not one h1 and main');
  document.querySelectorAll('th').forEach(function (th) { if (!th.scope) found.push('th without scope'); });
  document.querySelectorAll('svg').forEach(function (svg) {
    if (!svg.getAttribute('aria-hidden') && !svg.getAttribute('role')) found.push('svg that is read aloud');
  });
  document.querySelectorAll('section').forEach(function (section) {
    if (!section.getAttribute('aria-label') && !document.getElementById(section.getAttribute('aria-labelledby')))
      found.push('section without a name: ' + section.id);
  });
  document.querySelectorAll('*').forEach(function (element) {
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === 'auto' &&
        element.tabIndex < 0) found.push('cannot be scrolled by keyboard: ' + element.className);
  });
  performance.getEntriesByType('resource').forEach(function (entry) {
    if (entry.name.indexOf('data:') !== 0 && new URL(entry.name).origin !== location.origin) found.push('from elsewhere: ' + entry.name);
  });
  return found;
})()
"""


class Browser:
    """`enter`: a command line that runs its arguments somewhere else, such as Lab.enter(). Use as a context."""

    def __init__(self, enter: Sequence[str] = ()):
        self._enter = list(enter)

    def __enter__(self) -> Browser:
        self._profile = tempfile.TemporaryDirectory(prefix="anypop-chromium-", ignore_cleanup_errors=True)
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()

        def give_descriptors():
            os.dup2(to_read, 20), os.dup2(to_write, 21)
            os.dup2(20, 3), os.dup2(21, 4)

        self._process = subprocess.Popen(
            [*self._enter, *CHROMIUM, f"--user-data-dir={self._profile.name}", "about:blank"],
            preexec_fn=give_descriptors, pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, close_fds=True)
        os.close(to_read), os.close(to_write)
        self._buffer, self._serial, self._events, self._session = b"", 0, [], None
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to_browser), os.close(self._from_browser)
        self._profile.cleanup()

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._from_browser], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self._from_browser, 1 << 20)
            if not chunk:
                raise EOFError("Chromium has ended")
            self._buffer += chunk
        text, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._serial += 1
        request = {"id": self._serial, "method": method, "params": params}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._serial:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, url: str, scripts: bool = True) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=url)

    def look(self, width: int, height: int, scheme: str = "light", scale: float = 1) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def text(self) -> str:
        return self.evaluate("document.body ? document.body.innerText : ''") or ""

    def wait_for(self, pattern: str, deadline_s: float = 60) -> None:
        """Until the page's text has it."""
        end = time.monotonic() + deadline_s
        while not re.search(pattern, self.text(), re.S):
            if time.monotonic() > end:
                raise TimeoutError(f"never seen: {pattern}\n{self.text()}")
            time.sleep(0.02)

    def screenshot(self, path: Path, height_max: int = 4000) -> None:
        """Of the whole page, or of its first `height_max` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height_max), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def audit(self) -> list[str]:
        return self.evaluate(AUDIT)

    def errors(self) -> list[str]:
        """Of the console."""
        found = []
        for event in self._events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(str(params["args"]))
        return found

    def bytes_received(self) -> int:
        """Of everything that was loaded, headers included."""
        return sum(event["params"]["encodedDataLength"] for event in self._events
                   if event.get("method") == "Network.loadingFinished")

    def forget(self) -> None:
        self._events.clear()
