"""A headless Chromium that tests use as a person would: it is spoken to over a pipe, in the DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
SECONDS = 60
KEYS = {
    "Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " "), "ArrowLeft": (37, ""), "ArrowUp": (38, ""),
    "ArrowRight": (39, ""), "ArrowDown": (40, ""),
}  # fmt: skip
"""Codes and texts of keys."""


def installed():
    """Path of a Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One browser; a tab a page. To be used as a context."""

    def __init__(self, profile):
        read, self._in = os.pipe()
        self._out, write = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (read, write)]  # not 3 or 4, where they go
        actions = [(os.POSIX_SPAWN_DUP2, end, place) for end, place in zip(ends, (3, 4), strict=True)]
        actions.append((os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0))
        command = [installed(), *FLAGS, f"--user-data-dir={profile}"]
        self.process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        for end in (read, write, *ends):
            os.close(end)
        self._number, self._rest, self.events = 0, b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._in)
        os.close(self._out)

    def call(self, method, session=None, **parameters):
        """Asks for something and waits for the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _next(self, end):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            self._rest += os.read(self._out, 1 << 20)
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url, width=1440, height=900, dark=False, reduced=True, before=""):
        """A page, once it is there and its script, if it has one, is ready; ``before`` is a script that runs first."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.call("Log.enable")
        page.call("Page.bringToFront")
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"},
        ]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.events.clear()
        page.begun = time.monotonic()
        page.call("Page.navigate", url=url)
        there = "document.URL !== 'about:blank' && document.readyState === 'complete'"
        page.until(f"{there} && (document.documentElement.dataset.ready === 'yes' || !document.scripts.length)")
        page.seconds = time.monotonic() - page.begun
        return page


class Page:
    """A tab."""

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def call(self, method, **parameters):
        """See ``Browser.call``."""
        return self.browser.call(method, self.session, **parameters)

    def get(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, expression):
        """Waits until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.get(f"Boolean({expression})"):
            assert time.monotonic() < end, (expression, self.complaints())
            time.sleep(0.02)

    def complaints(self):
        """What the console has of errors and of breaches of the page's policy."""
        self.get("0")
        of_page = [event for event in self.browser.events if event.get("sessionId") == self.session]
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in of_page if event["method"] in kinds]

    def place(self, selector):
        """The middle of an element, once it is scrolled to."""
        return self.get(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )

    def point(self, x, y, kind="mouseMoved", **more):
        """Moves the pointer."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def hover(self, selector):
        """Puts the pointer on an element."""
        self.point(*self.place(selector))

    def click(self, selector):
        """Clicks an element."""
        x, y = self.place(selector)
        self.point(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.point(x, y, kind, button="left", clickCount=1)

    def press(self, key, shift=False):
        """Presses a key."""
        code, text = KEYS.get(key, (ord(key.upper()[0]), key))
        options = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **options)
        self.call("Input.dispatchKeyEvent", type="keyUp", **options)

    def write(self, text):
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def choose(self, selector, value):
        """Chooses an option."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.get(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    def screenshot(self, path, whole=False):
        """Writes a picture of what is seen, or of the whole page."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    def close(self):
        """Closes the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)
