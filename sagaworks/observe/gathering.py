"""A worker's log lines, written a few at a time: each write lets go of the interpreter's lock."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from loguru import Record

PAUSE: Final = 0.05
"""Seconds that a line may wait for others. A process that is killed loses those of so long."""

MOST: Final = 10_000
"""Lines that may wait; whoever writes one more waits until they are read."""

_URGENT: Final = 30
"""The level, WARNING, from which on a line waits for nobody."""


class Gathering:
    """A stream whose lines wait a moment for more; what is urgent takes along all before it."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, from a thread of its own."""
        self._stream = stream
        self._lines: deque[str] = deque()
        self._some = threading.Event()
        self._writing = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._keep_writing, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Keep a line; loguru's tell their level."""
        self._lines.append(line)
        record: Record | None = getattr(line, "record", None)
        is_urgent = record and record["level"].no >= _URGENT
        if is_urgent or self._closed.is_set() or len(self._lines) > MOST:
            self.flush_lines()
        elif not self._some.is_set():
            self._some.set()

    def flush_lines(self) -> None:
        """Write all lines that wait."""
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            # Whoever read them may have gone; a worker goes on without.
            with suppress(OSError, ValueError):
                self._stream.write("".join(lines))
                self._stream.flush()

    def isatty(self) -> bool:
        """Say whether a person reads along, and sees colours."""
        return self._stream.isatty()

    def close(self) -> None:
        """Write what waits, and from now on each line at once."""
        self._closed.set()
        self._some.set()
        self.flush_lines()

    def _keep_writing(self) -> None:
        while not self._closed.is_set():
            if not self._lines:
                self._some.clear()
                # What came just before that woke nobody. While lines keep coming none does: waking
                # a thread costs its writer more than the line.
                if not (self._lines or self._closed.is_set()):
                    self._some.wait()
            # Not `time.sleep`: it fails where the machine's clock is not its own (libfaketime).
            self._closed.wait(PAUSE)
            self.flush_lines()


@contextmanager
def gathered(stream: TextIO) -> Iterator[Gathering]:
    """Gather what is written to `stream` for as long as the block lasts."""
    gathering = Gathering(stream)
    try:
        yield gathering
    finally:
        gathering.close()
