"""A worker of plain pyzeebe under everything that can break on its way to the engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pyzeebe import ZeebeWorker

from sagaworks.testing import Zeebe, whatever_breaks
from tests.faults.diagrams import ONE_STEP

pytestmark = [pytest.mark.engine, pytest.mark.anyio]


@asynccontextmanager
async def working(zeebe: Zeebe, worker: ZeebeWorker) -> AsyncIterator[None]:
    """Run the worker for as long as the block lasts."""
    running = asyncio.create_task(worker.work())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@whatever_breaks
async def test_a_stock_is_held_once(zeebe: Zeebe) -> None:
    held: dict[str, int] = {}
    channel = zeebe.channel()
    worker = ZeebeWorker(channel)

    @worker.task(task_type="shop.hold_stock")
    async def hold_stock(saga_key: str, quantity: int) -> None:
        held.setdefault(saga_key, quantity)

    zeebe.deploy(ONE_STEP)
    async with working(zeebe, worker):
        await zeebe.run("hold", quantity=2)
    await channel.close()

    assert sum(held.values()) == 2
