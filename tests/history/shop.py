"""A shop on a real engine, spoken to over gRPC: one step a saga, done or left open."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.runtime.gateway import Gateway, connect
from sagaworks.saga import JobKey, SagaKey
from sagaworks.settings import Settings

DIAGRAM = Path(__file__).with_name("sell.bpmn")


class Shop:
    """What a person and a worker do, one call after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self) -> None:
        self._ask(lambda gateway: gateway.deploy([DIAGRAM]))

    def order(self, key: str) -> SagaKey:
        return self._ask(lambda gateway: gateway.create("sell", {"saga_key": key, "card": "4111"}))

    def sell(self) -> JobKey:
        """Complete one job, whosever it is."""
        return self._ask(_sell)

    def halt(self) -> JobKey:
        """Fail one job for good."""
        return self._ask(_halt)

    def _ask(self, what: Callable[[Gateway], Awaitable[Any]]) -> Any:
        async def ask() -> Any:
            async with connect(self._settings) as gateway:
                return await what(gateway)

        return asyncio.run(ask())


async def _sell(gateway: Gateway) -> JobKey:
    job = await _take(gateway)
    done = pb.CompleteJobRequest(jobKey=job.key, variables=json.dumps({"sold": True}))
    await gateway.stub.CompleteJob(done, timeout=10)
    return JobKey(job.key)


async def _halt(gateway: Gateway) -> JobKey:
    job = await _take(gateway)
    failed = pb.FailJobRequest(jobKey=job.key, retries=0, errorMessage="the till is broken")
    await gateway.stub.FailJob(failed, timeout=10)
    return JobKey(job.key)


async def _take(gateway: Gateway) -> Any:
    request = pb.ActivateJobsRequest(
        type="shop.sell", worker="shop", timeout=60_000, maxJobsToActivate=1, requestTimeout=10_000
    )
    async for answer in gateway.stub.ActivateJobs(request, timeout=20):
        for job in answer.jobs:
            return job
    raise AssertionError("no job came")
