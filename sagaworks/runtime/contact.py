"""Whether the engine answers: told once when it stops, once when it's back."""

import asyncio
import time
from typing import Any, Final

import grpc
from loguru import logger
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.gateway import reason_of

SILENT_FOR: Final = 30.0
"""Seconds without an answer after which a worker counts as cut off."""

_EVERY: Final = 10.0


class Contact:
    """Asks for the topology now and then, and is told of every other answer."""

    def __init__(self, stub: Any, address: str, metrics: WorkerMetrics) -> None:  # noqa: ANN401
        """Watch the engine at `address`."""
        self._stub = stub
        self._address = address
        self._metrics = metrics
        self._last = time.monotonic()
        self._last_on_the_wall = 0.0
        metrics.last_contact.set_function(lambda: self._last_on_the_wall)
        self._connected: bool | None = None
        self._reason = f"no answer yet from the engine at {address}"

    def made(self) -> None:
        """Note that the engine has answered."""
        self._last = time.monotonic()
        self._last_on_the_wall = time.time()
        if self._connected:
            return
        self._connected = True
        self._metrics.engine_connected.set(1)
        logger.info("connected to the engine at {}", self._address)

    def missed(self, reason: str) -> None:
        """Note that a call got no answer; said once an outage."""
        self._reason = f"no engine answers at {self._address}: {reason}"
        if self._connected is False:
            return
        self._connected = False
        self._metrics.engine_connected.set(0)
        logger.warning("{}; trying on", self._reason)

    def reasons(self) -> list[str]:
        """Say why the worker can't be ready, as far as the engine goes."""
        if not self._connected:
            return [self._reason]
        if time.monotonic() - self._last > SILENT_FOR:
            return [f"the engine at {self._address} has been silent for {SILENT_FOR:.0f} s"]
        return []

    async def keep_asking(self) -> None:
        """Ask every ten seconds, sooner while nobody answers; until cancelled."""
        pause = Backoff(0.1, 2.0)
        while True:
            if await self._ask():
                pause.reset()
                await asyncio.sleep(_EVERY)
            else:
                await asyncio.sleep(pause.next())

    async def _ask(self) -> bool:
        try:
            await self._stub.Topology(pb.TopologyRequest(), timeout=5.0)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                self.made()
                return True
            self.missed(reason_of(error))
            return False
        self.made()
        return True
