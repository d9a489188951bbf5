"""The full broker as the fixture uses it: one for the session, with a clock that can be moved."""

from __future__ import annotations

import http.client
import json
import shutil
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sagaworks.engine import local
from sagaworks.errors import EngineError
from sagaworks.testing.broker.leftovers import Leftovers
from sagaworks.testing.broker.receiver import Receiver, exporter_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagaworks.settings import Settings
    from sagaworks.testing.feed import Feed

_CLOCK_SETTINGS: Final = {
    "zeebe.clock.controlled": "true",
    "management.endpoints.web.exposure.include": "*",
    "management.endpoint.clock.enabled": "true",
}
_CALL_SECONDS: Final = 10.0
_ASK_EVERY: Final = 0.02


class BrokerEngine:
    """See `sagaworks.testing.engines.EngineUnderTest`.

    Args:
        settings: of the engine's version and cache; its data is the session's own.
        note: told what a person may want to know, a line at a time.
    """

    name = "broker"
    moves_clock = True
    patience = 30.0
    quiet = 0.1

    def __init__(self, settings: Settings, note: Callable[[str], None]) -> None:
        """Start nothing yet."""
        self._settings = replace(settings, data=settings.data / "broker", zeebe_address=None)
        self._note = note
        self._receiver: Receiver | None = None
        self._leftovers: Leftovers | None = None
        self._monitoring = ""
        self._moved = 0
        self._streams: dict[tuple[str, int], str] = {}
        self.address = ""

    def begin(self, feed: Feed) -> str:
        """Start the broker if none runs yet; what earlier tests did isn't told to `feed`.

        Raises:
            ConfigurationError: no Java, or nothing to fetch the engine with.
            EngineError: it can't be fetched or started; says why.
        """
        if self._receiver is None:
            self._start()
        assert self._leftovers is not None  # noqa: S101  made by `_start`
        self._leftovers.begin(feed)
        return self.address

    def finish(self) -> None:
        """Cancel what the test has left running."""
        if self._leftovers:
            self._leftovers.finish()

    def now(self) -> int:
        """Return the broker's clock: this machine's, moved."""
        return time.time_ns() // 1_000_000 + self._moved

    def move_clock(self, millis: int) -> None:
        """Move it forward; it's never set back, since locks and timers would last for ever."""
        self._actuator("POST", "/actuator/clock/add", {"offsetMilli": millis})
        self._moved += millis

    def settle(self) -> None:
        """Wait until the records of all that has happened so far are here."""
        if self._leftovers:
            self._leftovers.catch_up()

    def openings(self, feed: Feed) -> Counter[str]:  # noqa: ARG002
        """Ask the broker which streams are open; those seen before count on."""
        for stream in json.loads(self._actuator("GET", "/actuator/jobstreams/client")):
            if stream["connectedTo"]:
                place = stream["id"]
                self._streams[place["serverStreamId"], place["localId"]] = stream["jobType"]
        return Counter(self._streams.values())

    def await_openings(
        self, feed: Feed, enough: Callable[[Counter[str]], bool], within: float
    ) -> bool:
        """Ask again and again: the broker doesn't tell by itself."""
        until = time.monotonic() + within
        while not enough(self.openings(feed)):
            if time.monotonic() > until:
                return False
            time.sleep(_ASK_EVERY)
        return True

    def why_silent(self) -> str | None:
        """Say nothing: its records come by themselves."""
        return None

    def close(self) -> None:
        """Stop the broker and forget its data."""
        if self._receiver:
            local.down(self._settings, train=True)
            self._receiver.close()
            shutil.rmtree(self._settings.data, ignore_errors=True)

    def _start(self) -> None:
        receiver = Receiver()
        more = {**exporter_settings(receiver.url), **_CLOCK_SETTINGS}
        engine = local.up(
            self._settings, on_note=self._note, attached=True, quick=True, more_settings=more
        )
        self.address, self._receiver = engine.address, receiver
        self._monitoring = (engine.monitoring or "").removeprefix("http://")
        self._leftovers = Leftovers(receiver, self._settings, engine.address)

    def _actuator(self, method: str, path: str, body: dict[str, int] | None = None) -> str:
        connection = http.client.HTTPConnection(self._monitoring, timeout=_CALL_SECONDS)
        headers = {"Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"the broker at {self._monitoring} is gone: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise EngineError(f"the broker refuses {path}: {response.status} {said[:200]}")
        return said
