"""Ctrl-C at any moment: the first stops everything in order, the second at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """What the demo does when it's told to stop.

    Args:
        kill: ends everything that was started, at once.
    """

    def __init__(self, kill: Callable[[], None]) -> None:
        """Listen from now on."""
        self.kill = kill
        self.stopping = False
        self.heard = 0
        self._in_loop = False
        self._cancel: Callable[[], object] | None = None
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do the work in an event loop of its own; a Ctrl-C cancels it.

        Breaking into a loop would leave it half set up or half closed, and may abort gRPC.

        Raises:
            KeyboardInterrupt: told to stop meanwhile; the loop is closed.
        """
        self._in_loop = True
        try:
            asyncio.run(self._until_told(work))
        finally:
            self._in_loop, self._cancel = False, None
            if self.stopping:
                raise KeyboardInterrupt

    async def _until_told(self, work: Coroutine[Any, Any, object]) -> None:
        loop, doing = asyncio.get_running_loop(), asyncio.ensure_future(work)
        self._cancel = lambda: loop.call_soon_threadsafe(doing.cancel)
        if self.stopping:
            doing.cancel()
        await doing

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.heard += 1
        if not self.stopping:
            self.stopping = True
            if not self._in_loop:
                raise KeyboardInterrupt
            if self._cancel:
                self._cancel()
            return
        if self.heard == 1:
            sys.stderr.write("\nstopping already; once more kills\n")
            return
        self.kill()
        os._exit(128 + number)
