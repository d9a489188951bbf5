"""Doing things after a time, on one thread."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Later:
    """Calls what is due; one thread, which ends with `close`."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="faults-later", daemon=True)
        self._thread.start()

    def call(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` after so many seconds; it mustn't block for long."""
        with self._changed:
            due = time.monotonic() + seconds
            heapq.heappush(self._due, (due, next(self._numbers), action))
            self._changed.notify()

    def close(self) -> None:
        """Forget what isn't done yet."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            action()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left)
            return None
