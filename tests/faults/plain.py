"""A worker of plain pyzeebe that counts its effects and remembers nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pyzeebe import ZeebeWorker, create_insecure_channel


class PlainWorker:
    """Takes jobs of one type; every delivery has its effect.

    Attributes:
        effects: what each delivery did, oldest first.
    """

    def __init__(self, job_type: str, effects: list[str] | None = None) -> None:
        self.job_type = job_type
        self.effects: list[str] = [] if effects is None else effects

    @asynccontextmanager
    async def open(self, address: str, *, streams: bool = False) -> AsyncIterator[None]:
        """Run it for as long as the block lasts."""
        channel = create_insecure_channel(address)
        worker = ZeebeWorker(channel, poll_retry_delay=1, stream_enabled=streams)
        worker.task(task_type=self.job_type)(self._take)
        running = asyncio.create_task(worker.work())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await channel.close()

    async def _take(self, sku: str) -> dict[str, str]:
        self.effects.append(sku)
        await asyncio.sleep(0.02)
        return {"held": sku}
