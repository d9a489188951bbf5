"""Starts sagas and awaits their ends: 100 at any time, or so many a second on schedule.

The end is the engine's own: a saga is started by `CreateProcessInstanceWithResult`, which is
answered once its last job is completed and accepted. So every subject is timed by the same clock,
and has nothing to do for it.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from grpc import StatusCode
from pyzeebe.proto import gateway_pb2 as pb

from bench.errors import BenchError
from bench.shop import ITEMS

RESULT_WITHIN: Final = 120.0
"""Seconds that the engine keeps a result for us: more than any load lasts."""

ONE_IN: Final = 10
"""One saga of so many is refused at its third step."""

AGAIN: Final = frozenset({StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE})
"""Answers after which nothing was started, and the same start is tried again."""

LOST: Final = frozenset({StatusCode.ABORTED, StatusCode.DEADLINE_EXCEEDED})
"""Answers that leave open what happened: the gateway has lost its broker, which a starved machine
has been seen to do. The saga counts as one that doesn't end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One saga from when it was due to its end, by the monotonic clock."""

    due: float
    at: float

    @property
    def latency(self) -> float:
        """Seconds from when it was due."""
        return self.at - self.due


@dataclass
class Tally:
    """What became of the sagas.

    Attributes:
        lost: starts of which nobody can say whether they took place.
        under_way: when each saga was due that hasn't ended, by its number.
        refused_starts: what the engine answered to starts that were tried again.
    """

    started: int = 0
    doomed: int = 0
    lost: int = 0
    ended: list[Ended] = field(default_factory=list)
    under_way: dict[int, float] = field(default_factory=dict)
    refused_starts: Counter[str] = field(default_factory=Counter)


class Customers:
    """Start sagas of one process, and wait for each.

    Args:
        stub: pyzeebe's stub.
        process_id: whose sagas.
        prefix: of their business keys; also the seed of the items they choose.
    """

    def __init__(self, stub: Any, process_id: str, prefix: str) -> None:  # noqa: ANN401
        """Start nothing yet."""
        self.stub = stub
        self.process_id = process_id
        self.prefix = prefix
        self.chance = random.Random(prefix)  # noqa: S311  the same mix each time is the point
        self.tally = Tally()
        self.enough = asyncio.Event()

    async def keep_in_flight(self, count: int) -> None:
        """Have so many sagas under way until told that it's enough; return once all have ended."""
        async with asyncio.TaskGroup() as customers:
            for _ in range(count):
                customers.create_task(self._one_after_another())

    async def arrive(self, rate: float) -> None:
        """Start `rate` sagas a second on schedule, until told that it's enough; as above."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as customers:
            number = 0
            while not self.enough.is_set():
                due = begun + number / rate
                number += 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                customers.create_task(self.one(due))

    async def one(self, due: float) -> None:
        """Start one saga that is due now, or was, and return once it has ended."""
        number = self._begin(due)
        doomed = number % ONE_IN == ONE_IN - 1
        variables = {
            "saga_key": f"{self.prefix}-{number}",
            "item": self.chance.randrange(ITEMS),
            "doomed": doomed,
        }
        if await self._until_ended(variables):
            del self.tally.under_way[number]
            self.tally.doomed += doomed
            self.tally.ended.append(Ended(due, time.monotonic()))

    async def _one_after_another(self) -> None:
        while not self.enough.is_set():
            await self.one(time.monotonic())

    def _begin(self, due: float) -> int:
        number = self.tally.started
        self.tally.started += 1
        self.tally.under_way[number] = due
        return number

    async def _until_ended(self, variables: dict[str, object]) -> bool:
        """Return once the saga has ended; False where nobody can say whether it was started."""
        start = pb.CreateProcessInstanceRequest(
            bpmnProcessId=self.process_id, version=-1, variables=json.dumps(variables)
        )
        request = pb.CreateProcessInstanceWithResultRequest(
            request=start, requestTimeout=int(RESULT_WITHIN * 1000), fetchVariables=["item"]
        )
        pause = 0.005
        while True:
            try:
                await self.stub.CreateProcessInstanceWithResult(request, timeout=RESULT_WITHIN)
            except grpc.aio.AioRpcError as error:
                self.tally.refused_starts[error.code().name] += 1
                if error.code() in LOST:
                    self.tally.lost += 1
                    return False
                if error.code() not in AGAIN:
                    what = f"{error.code().name}: {error.details()}"
                    raise BenchError(f"a saga's start: {what}") from None
                await asyncio.sleep(pause * self.chance.uniform(0.5, 1.5))
                pause = min(2 * pause, 0.25)
            else:
                return True
