"""A headless Chromium, driven over its debugging pipe with nothing but the standard library.

SPDX-License-Identifier: MIT
"""

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CODES = {"Escape": 27, "ArrowRight": 39}


def program():
    """The browser's path; None: there is none."""
    named = os.environ.get("SHOAL_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One process with one page."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(
            prefix="shoal-chromium-", ignore_cleanup_errors=True)
        there, self.out = os.pipe()
        self.into, back = os.pipe()
        # The pipe's ends have to be 3 and 4 in the child; dash knows no numbers above 9.
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec 3<&{there} 4>&{back} "$@"', "bash", program(),
             "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--hide-scrollbars", f"--user-data-dir={self.folder.name}", "about:blank"],
            pass_fds=(there, back), start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(back)
        self.numbers = itertools.count(1)
        self.buffer = b""
        self.session = None
        self.messages = []  # notifications of the page
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one for one in targets if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def receive(self, end):
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.into], [], [], left)[0]:
                return None
            data = os.read(self.into, 1 << 20)
            if not data:
                raise AssertionError("the browser has gone")
            self.buffer += data
        one, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(one)

    def call(self, method, timeout=30, **params):
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + timeout
        while message := self.receive(end):
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.messages.append(message)
        raise AssertionError(f"no answer to {method}")

    def evaluate(self, expression, gesture=False):
        """gesture: as if somebody had clicked, which may open a window."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True, userGesture=gesture)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def open(self, url):
        self.messages.clear()
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        self.evaluate("new Promise(r => document.readyState === 'complete' ? r()"
                      " : addEventListener('load', () => r()))")

    def resize(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)

    def prefer(self, **features):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def press(self, key):
        more = {"text": key} if len(key) == 1 else {"windowsVirtualKeyCode": CODES[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self):
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def complaints(self):
        """What went wrong in the page: exceptions, and what its policy forbade."""
        self.evaluate("0")
        found = []
        for m in self.messages:
            if m["method"] == "Runtime.exceptionThrown":
                details = m["params"]["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif m["method"] == "Log.entryAdded":
                entry = m["params"]["entry"]
                if entry["source"] in ("security", "violation"):
                    found.append(entry["text"])
        return found

    def requested(self):
        """The addresses the page has asked for."""
        return [m["params"]["request"]["url"] for m in self.messages
                if m["method"] == "Network.requestWillBeSent"]

    def close(self):
        """All its processes are of its own session."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself
        self.process.wait()
        try:
            while os.waitpid(-self.process.pid, 0):
                pass  # orphans of its own, where we are their reaper
        except ChildProcessError:
            pass  # all are gone
        os.close(self.out)
        os.close(self.into)
        self.folder.cleanup()
