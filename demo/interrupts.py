"""Ctrl-C at any moment: the first stops everything in order, the second at once."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

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
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.heard += 1
        if not self.stopping:
            self.stopping = True
            raise KeyboardInterrupt
        if self.heard == 1:
            sys.stderr.write("\nstopping already; once more kills\n")
            return
        self.kill()
        os._exit(128 + number)
