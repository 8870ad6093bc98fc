"""A real browser for tests: headless Chromium, told what to do over its DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "There is no Chromium to test the page in: run .ci/install-browser (or install chromium)."
WAIT_S = 20
CHECKS = Path(__file__).parent.parent / "checks"
AXE = CHECKS / "node_modules" / "axe-core" / "axe.min.js"
NO_AXE = "axe-core is not installed: run `npm ci` in checks/, or .ci/install-browser."


class Tab:
    """A tab of the browser."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> Any:
        return self._browser.tell(method, params, self._session)

    def open(self, url: str) -> None:
        """Go there, and wait until it is all there."""
        error = self.tell("Page.navigate", url=url).get("errorText")
        assert not error, f"{url}: {error}"
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression; awaited if it is a promise."""
        answer = self.tell(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not self.run(condition):
            assert time.monotonic() < deadline, f"never: {condition}"
            time.sleep(0.02)

    def show_as(self, *, width: int, height: int = 900, scheme: str = "light") -> None:
        """On a screen of this size, with the device's colours so chosen."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=width < 600,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.tell("Emulation.setEmulatedMedia", features=[feature])

    def press(self, key: str, code: int) -> None:
        for type_ in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and type_ == "keyDown" else {}
            self.tell(
                "Input.dispatchKeyEvent",
                type=type_,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **text,
            )

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        shot = self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def requested(self) -> list[str]:
        """Every address that the browser has asked for so far."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]


class Browser:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def tell(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        number = next(self._numbers)
        said = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(said | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT_S))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def tab(self) -> Tab:
        target = self.tell("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.tell("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Tab(self, attached["sessionId"])

    def allow(self, origin: str, *permissions: str) -> None:
        self.tell("Browser.grantPermissions", {"origin": origin, "permissions": permissions})


@contextmanager
def open_browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program is not None, MISSING
    # Under root there is no sandbox; what is opened here is our own page.
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: S603 - found on the path
            [
                program,
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                *unboxed,
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), process), max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(10)


def _address(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    """Where the browser listens: it writes that down once it does."""
    file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + WAIT_S
    while not (file.exists() and file.read_text().count("\n")):
        assert process.poll() is None, f"Chromium ended by itself: {process.returncode}"
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.05)
    port, path = file.read_text().split("\n")[:2]
    return f"ws://127.0.0.1:{port}{path}"


def violations(tab: Tab) -> list[Any]:
    tab.run(AXE.read_text() + ";0")
    found = tab.run("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


def keep_picture(tab: Tab, name: str) -> None:
    """For people to look at: where TRACKLINKS_PICTURES says, if it does."""
    folder = os.environ.get("TRACKLINKS_PICTURES")
    if folder:
        Path(folder, f"{name}.png").write_bytes(tab.picture())
