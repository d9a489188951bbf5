"""The embedded engine as the fixture uses it: a fresh one for each test, in one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sagaworks.engine.java import find_java
from sagaworks.testing.embedded.archive import ClassArchive
from sagaworks.testing.embedded.child import Child
from sagaworks.testing.embedded.jars import class_path

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    from sagaworks.testing.feed import Feed

_QUIET_MILLIS: Final = 10
_SETTLE_MILLIS: Final = 10_000


class EmbeddedEngine:
    """See `sagaworks.testing.engines.EngineUnderTest`.

    Args:
        cache: where the jars are kept.
        note: told what a person may want to know, a line at a time.
    """

    name = "embedded"
    moves_clock = True
    patience = 10.0
    quiet = 0.02

    def __init__(self, cache: Path, note: Callable[[str], None]) -> None:
        """Start nothing yet."""
        self._cache = cache
        self._note = note
        self._child: Child | None = None
        self._moved = 0

    @property
    def pid(self) -> int | None:
        """The number of the process, if it runs."""
        return self._child.pid if self._child else None

    def begin(self, feed: Feed) -> str:
        """Give a new, empty engine; a process that died is replaced.

        Raises:
            ConfigurationError: no Java, or nothing to fetch the engine with.
            EngineError: it can't be fetched or started; says why.
        """
        if self._child is None or not self._child.is_alive():
            self.close()
            java, path = find_java(self._cache), class_path(self._cache, self._note)
            self._child = Child(java, path, ClassArchive.of(self._cache, java, path))
        child, self._moved = self._child, 0
        return child.start(
            feed.take, feed.take_stream, on_end=lambda: feed.break_off(child.last_words)
        )

    def finish(self) -> None:
        """Stop the engine: nobody gets jobs any more. The process stays."""
        if self._child and self._child.is_alive():
            self._ask("stop")

    def now(self) -> int:
        """Return the engine's clock: this machine's, moved."""
        return time.time_ns() // 1_000_000 + self._moved

    def move_clock(self, millis: int) -> None:
        """Move it forward."""
        self._ask("advance", millis)
        self._moved += millis

    def settle(self) -> None:
        """Wait until each command is answered and nothing was written for an instant."""
        self._ask("settle", _QUIET_MILLIS, _SETTLE_MILLIS)

    def openings(self, feed: Feed) -> Counter[str]:
        """Return what the process has told of."""
        return feed.streams()

    def await_openings(
        self, feed: Feed, enough: Callable[[Counter[str]], bool], within: float
    ) -> bool:
        """Wait for what the process tells."""
        return feed.wait_for(lambda: enough(feed.streams()), within)

    def why_silent(self) -> str | None:
        """Say nothing: its records come by themselves."""
        return None

    def close(self) -> None:
        """End the process."""
        if self._child:
            self._child.close()
            self._child = None

    def _ask(self, *words: object) -> None:
        assert self._child is not None  # noqa: S101  begun
        self._child.ask(*words)
