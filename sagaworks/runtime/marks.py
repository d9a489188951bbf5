"""Marks of answers that the engine has accepted, written lazily and in batches."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Final

from loguru import logger

from sagaworks.ledger.points import Point, reached

PAUSE: Final = 1.0
"""Seconds between two batches: a transaction for each, whose cost the sagas share."""

_LARGEST: Final = 500


class Marks:
    """Rows to be marked as counted.

    A mark that is lost costs nothing but certainty: the row stays listed as in doubt.
    """

    def __init__(self, write: Callable[[list[int]], None], pool: Executor) -> None:
        """Write batches by `write`, on a thread of `pool`."""
        self._write = write
        self._pool = pool
        self._rows: list[int] = []

    def add(self, row: int | None) -> None:
        """Mark this row with the next batch."""
        if row is not None:
            self._rows.append(row)

    async def keep_writing(self) -> None:
        """Write a batch every `PAUSE`, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            await self.flush()

    async def flush(self) -> None:
        """Write all marks; those the database doesn't take now are kept."""
        while self._rows:
            batch, self._rows = self._rows[:_LARGEST], self._rows[_LARGEST:]
            try:
                await self._on_a_thread(batch)
                reached(Point.MARKED)
            except Exception as error:  # noqa: BLE001  marks must not end a worker
                self._rows = batch + self._rows
                logger.warning("marks can't be written now: {}", type(error).__name__)
                return

    async def _on_a_thread(self, batch: list[int]) -> None:
        write = partial(copy_context().run, self._write, batch)
        await asyncio.get_running_loop().run_in_executor(self._pool, write)
