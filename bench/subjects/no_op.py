"""The engine's ceiling: jobs are answered at once, with the same facts, and nothing is done.

It speaks to the engine over the bare stub, so that no client of ours can be what limits it. Jobs
come by streams, and by a poll now and then, as they come to Sagaworks.
"""

import asyncio
import json
from typing import Any, Final

import grpc
from pyzeebe import create_insecure_channel
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from bench.shop import STEPS

POLL_EVERY: Final = 10.0
LOCK_MS: Final = 15_000

FACTS: Final = {
    "hold_stock": "stock_held",
    "charge_card": "card_charged",
    "book_shipment": "shipment_booked",
}
"""The variable that each step completes with."""


def run(role: str, name: str, address: str) -> None:
    """Work until killed."""
    asyncio.run(_work(role, name, address))


async def _work(role: str, name: str, address: str) -> None:
    stub: Any = GatewayStub(create_insecure_channel(address))
    async with asyncio.TaskGroup() as tasks:
        for step in STEPS[role]:
            source = _Source(stub, f"{name}.{step}", step, tasks)
            tasks.create_task(source.keep_streaming())
            tasks.create_task(source.keep_polling())


class _Source:
    def __init__(self, stub: Any, job_type: str, step: str, tasks: asyncio.TaskGroup) -> None:  # noqa: ANN401  pyzeebe's stub
        self.stub = stub
        self.step = step
        self.tasks = tasks
        self.asked: dict[str, Any] = {
            "type": job_type,
            "worker": "no-op",
            "timeout": LOCK_MS,
            "fetchVariable": ["item", "doomed"],
        }

    async def keep_streaming(self) -> None:
        request = pb.StreamActivatedJobsRequest(**self.asked)
        while True:
            try:
                async for job in self.stub.StreamActivatedJobs(request):
                    self.tasks.create_task(self.answer(job))
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)

    async def keep_polling(self) -> None:
        request = pb.ActivateJobsRequest(maxJobsToActivate=100, requestTimeout=-1, **self.asked)
        while True:
            try:
                async for batch in self.stub.ActivateJobs(request):
                    for job in batch.jobs:
                        self.tasks.create_task(self.answer(job))
                await asyncio.sleep(POLL_EVERY)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)

    async def answer(self, job: Any) -> None:  # noqa: ANN401  pyzeebe's ActivatedJob
        pause = 0.005
        while True:
            try:
                await self.send(job, json.loads(job.variables))
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.25)
            else:
                return

    async def send(self, job: Any, variables: dict[str, Any]) -> None:  # noqa: ANN401
        if self.step == "book_shipment" and variables["doomed"]:
            await self.stub.ThrowError(pb.ThrowErrorRequest(jobKey=job.key, errorCode="NO_CARRIER"))
            return
        fact = FACTS.get(self.step)
        told = json.dumps({fact: {"item": variables["item"]}}) if fact else ""
        await self.stub.CompleteJob(pb.CompleteJobRequest(jobKey=job.key, variables=told))
