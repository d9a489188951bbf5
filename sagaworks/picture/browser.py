"""Chromium without a window, spoken to through a pipe: it makes PNGs, and tests look at pages."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from sagaworks.errors import SagaworksError

PROGRAMS: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)

REMEDY: Final = (
    "install Chromium (on Debian: apt-get install chromium) so that `chromium` is in PATH,"
    " or write an .svg"
)

_SWITCHES: Final = (
    "--headless=new",
    "--remote-debugging-pipe",
    # In most containers its sandbox can't start. What it shows are pages that we wrote.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--mute-audio",
)

_READS, _WRITES = 3, 4
"""The file descriptors that Chromium expects its pipe at."""

_ABOVE: Final = 10
_PATIENCE_SECONDS: Final = 30.0
_END_SECONDS: Final = 5.0


class BrowserError(SagaworksError):
    """There is no Chromium, or it doesn't do what it's asked for."""


def find() -> Path:
    """Return the browser's program.

    Raises:
        BrowserError: there is none; says what to do.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise BrowserError(f"no Chromium on this machine: {REMEDY}")
    return Path(found)


@contextmanager
def opened(program: Path, environment: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Start the browser, give its one page, and end it.

    Raises:
        BrowserError: it doesn't start, or doesn't answer.
    """
    with tempfile.TemporaryDirectory(prefix="sagaworks-", ignore_cleanup_errors=True) as profile:
        browser = _Browser(program, Path(profile), environment or os.environ)
        try:
            yield Page.of(browser)
        finally:
            browser.end()


class Page:
    """A tab of the browser."""

    def __init__(self, browser: _Browser, session: str) -> None:
        """Speak of this session."""
        self._browser = browser
        self._session = session

    @classmethod
    def of(cls, browser: _Browser) -> Self:
        """Open an empty tab."""
        target = browser.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        asked = {"targetId": target, "flatten": True}
        page = cls(browser, browser.call("Target.attachToTarget", asked)["sessionId"])
        page.call("Page.enable")
        return page

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command of the DevTools protocol; return its answer.

        Raises:
            BrowserError: it's refused, or nothing comes back.
        """
        return self._browser.call(method, parameters, self._session)

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Be so large, in CSS pixels, each of `scale` pixels of a picture."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.call("Emulation.setDeviceMetricsOverride", mobile=False, **size)

    def show(self, url: str) -> None:
        """Load a page, and wait until it's there."""
        self._browser.forget("Page.loadEventFired")
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise BrowserError(f"{url}: {failed}")
        self._browser.wait_for("Page.loadEventFired")

    def write(self, html: str) -> None:
        """Put a document into the empty tab."""
        frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.call("Page.setDocumentContent", frameId=frame, html=html)

    def ask(self, script: str) -> Any:  # noqa: ANN401  whatever JSON can say
        """Return the value of a JavaScript expression; a promise's, too.

        Raises:
            BrowserError: the script throws.
        """
        how = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", **how)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            thrown = details.get("exception", {}).get("description") or details["text"]
            raise BrowserError(f"the page: {thrown}")
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


class _Browser:
    """A process and its pipe."""

    def __init__(self, program: Path, profile: Path, environment: Mapping[str, str]) -> None:
        self._program = program
        self._asked = 0
        self._left = b""
        self._seen: list[str] = []
        (its_in, self._in), (self._out, its_out) = _pipe(), _pipe()
        arguments = [str(program), *_SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        self._pid = _spawned(arguments, environment, its_in, its_out)

    def call(
        self, method: str, parameters: Mapping[str, object], session: str | None = None
    ) -> dict[str, Any]:
        self._asked += 1
        number = self._asked
        message = {"id": number, "method": method, "params": parameters}
        self._send(message | ({"sessionId": session} if session else {}))
        for answer in self._messages():
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise BrowserError(f"{self._program}: {method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def forget(self, event: str) -> None:
        self._seen = [seen for seen in self._seen if seen != event]

    def wait_for(self, event: str) -> None:
        if event in self._seen:
            return
        for message in self._messages():
            if message.get("method") == event:
                return

    def end(self) -> None:
        """Ask it to close, and wait; kill it with all its children if it won't."""
        with suppress(BrowserError):
            self._send({"id": 0, "method": "Browser.close"})
        deadline = time.monotonic() + _END_SECONDS
        while not self._is_over() and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        if not self._is_over():
            os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)

    def _is_over(self) -> bool:
        try:
            return os.waitpid(self._pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return True

    def _send(self, message: Mapping[str, object]) -> None:
        left = json.dumps(message).encode() + b"\0"
        try:
            while left:
                left = left[os.write(self._in, left) :]
        except BrokenPipeError:
            raise BrowserError(f"{self._program} has ended by itself: {REMEDY}") from None

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield what comes until the caller has what it wants."""
        while True:
            while b"\0" not in self._left:
                self._left += self._read()
            one, _, self._left = self._left.partition(b"\0")
            message: dict[str, Any] = json.loads(one)
            if "method" in message:
                self._seen.append(message["method"])
            yield message

    def _read(self) -> bytes:
        if not select.select([self._out], [], [], _PATIENCE_SECONDS)[0]:
            raise BrowserError(f"{self._program}: no answer within {_PATIENCE_SECONDS:g} s")
        found = os.read(self._out, 1 << 20)
        if not found:
            raise BrowserError(f"{self._program} doesn't start: {REMEDY}")
        return found


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, away from the numbers that the child needs."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def _spawned(arguments: list[str], environment: Mapping[str, str], reads: int, writes: int) -> int:
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pipe = [(os.POSIX_SPAWN_DUP2, reads, _READS), (os.POSIX_SPAWN_DUP2, writes, _WRITES)]
    try:
        return os.posix_spawn(
            arguments[0], arguments, environment, file_actions=[*quiet, *pipe], setpgroup=0
        )
    except OSError as error:
        raise BrowserError(f"{arguments[0]}: {error.strerror}: {REMEDY}") from None
    finally:
        os.close(reads)
        os.close(writes)
