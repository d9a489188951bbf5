"""Waiting for something to change in the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LOOK_AGAIN: Final = 0.02
"""Seconds between looks at a condition, which may depend on things outside the gateway."""


class Changes:
    """Wakes whoever awaits a change.

    Args:
        story: tells what happened, for a person whose condition never held.
    """

    def __init__(self, story: Callable[[], str]) -> None:
        self._story = story
        self._change = asyncio.Event()

    def note(self) -> None:
        """Wake whoever awaits a condition."""
        self._change.set()
        self._change = asyncio.Event()

    async def next(self, seconds: float) -> None:
        """Wait for the next change, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._change.wait()

    async def until(
        self,
        condition: Callable[[], object],
        *,
        timeout: float,  # noqa: ASYNC109  what is awaited is named in the error
        what: str,
    ) -> None:
        """Wait until `condition` holds; it's looked at after each change and each 20 ms.

        Raises:
            TimeoutError: naming `what`, with the story.
        """
        ends = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError(f"{what}: not within {timeout:g} s\n{self._story()}")
            await self.next(_LOOK_AGAIN)
