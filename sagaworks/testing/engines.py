"""The engines that tests can run on: what the fixture asks of each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from sagaworks.testing.feed import Feed


class EngineUnderTest(Protocol):
    """One engine, which lives as long as the session; each test begins on it anew.

    Attributes:
        name: as in ``--zeebe``.
        moves_clock: whether its clock can be moved.
        patience: seconds in which what is about to happen does happen.
        quiet: seconds without a record after which nothing more happens by itself.
    """

    name: str
    moves_clock: bool
    patience: float
    quiet: float

    def begin(self, feed: Feed) -> str:
        """Begin a test: records go to `feed` from now on; return the address, ``host:port``."""

    def finish(self) -> None:
        """End a test: what it has left running is of no interest any more."""

    def now(self) -> int:
        """Return the engine's clock, in milliseconds."""

    def move_clock(self, millis: int) -> None:
        """Move the engine's clock forward."""

    def settle(self) -> None:
        """Wait until the engine has nothing to do."""

    def openings(self, feed: Feed) -> Counter[str]:
        """Return how many streams workers have opened so far, by job type."""

    def await_openings(
        self, feed: Feed, enough: Callable[[Counter[str]], bool], within: float
    ) -> bool:
        """Wait until `enough` streams are open; at once where the engine doesn't tell."""

    def why_silent(self) -> str | None:
        """Say what to do if no record has ever come; None if records come."""

    def close(self) -> None:
        """End the session."""
