"""The engine's ceiling: jobs are answered at once, with the same facts, and nothing is done.

It speaks to the engine over the bare stub, so that no client of ours can be what limits it. Jobs
come by streams, and by a poll now and then, as they come to Sagaworks.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import grpc
from pyzeebe import create_insecure_channel
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from bench.shop import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

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
    asyncio.run(work(role, name, address, Source))


async def work(role: str, name: str, address: str, source_of: "Callable[..., Source]") -> None:
    """Take the jobs of a role's steps, each by a source of its own, until killed."""
    stub: Any = GatewayStub(create_insecure_channel(address))
    async with asyncio.TaskGroup() as tasks:
        for step in STEPS[role]:
            source = source_of(stub, f"{name}.{step}", step, tasks)
            tasks.create_task(source.keep_streaming())
            tasks.create_task(source.keep_polling())


class Source:
    """Takes one step's jobs, and answers them.

    Attributes:
        fetched: the variables that come with a job.
    """

    fetched: tuple[str, ...] = ("item", "doomed")

    def __init__(self, stub: Any, job_type: str, step: str, tasks: asyncio.TaskGroup) -> None:  # noqa: ANN401  pyzeebe's stub
        """Take nothing yet."""
        self.stub = stub
        self.step = step
        self.tasks = tasks
        self.asked: dict[str, Any] = {
            "type": job_type,
            "worker": "no-op",
            "timeout": LOCK_MS,
            "fetchVariable": self.fetched,
        }

    async def keep_streaming(self) -> None:
        """Answer what is pushed, until cancelled."""
        request = pb.StreamActivatedJobsRequest(**self.asked)
        while True:
            try:
                async for job in self.stub.StreamActivatedJobs(request):
                    self.tasks.create_task(self.answer(job))
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)

    async def keep_polling(self) -> None:
        """Answer what a stream missed, until cancelled."""
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
        """Do what there is to do, and tell the engine until it has heard it."""
        variables = json.loads(job.variables)
        is_refused = await self.carry_out(variables)
        pause = 0.005
        while True:
            try:
                await self.send(job, variables, is_refused=is_refused)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.25)
            else:
                return

    async def carry_out(self, variables: dict[str, Any]) -> bool:
        """Do nothing; say whether the step refuses."""
        return self.step == "book_shipment" and bool(variables["doomed"])

    async def send(self, job: Any, variables: dict[str, Any], *, is_refused: bool) -> None:  # noqa: ANN401
        """Tell the engine, once."""
        if is_refused:
            await self.stub.ThrowError(pb.ThrowErrorRequest(jobKey=job.key, errorCode="NO_CARRIER"))
            return
        fact = FACTS.get(self.step)
        told = json.dumps({fact: {"item": variables["item"]}}) if fact else ""
        await self.stub.CompleteJob(pb.CompleteJobRequest(jobKey=job.key, variables=told))
