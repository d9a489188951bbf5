"""Telling the engine: committed answers until they arrive, everything else only while it's ours."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from grpc import StatusCode
from loguru import logger

from sagaworks.ledger.answers import Answer, Say
from sagaworks.ledger.faults import CommitUnknownError, DatabaseUnavailableError
from sagaworks.ledger.points import Point, reached
from sagaworks.runtime.backoff import Backoff
from sagaworks.runtime.commands import NOT_CARRIED_OUT, JobCommands, Reply
from sagaworks.runtime.gateway import TRANSIENT
from sagaworks.runtime.locks import HeldJob
from sagaworks.runtime.marks import Marks
from sagaworks.runtime.patience import Patience
from sagaworks.saga import JobKey

MARGIN: Final = 0.5
"""Seconds before a lock's end at which it no longer counts as surely held.

A zombie's fail with no retries left puts the rightful holder's job into an incident (measured).
"""

_CALL: Final = 5.0

_LOST_RACE: Final = frozenset({StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION})
"""Another delivery was first, or the engine has taken the job away."""

CountReport = Callable[[int, JobKey], Awaitable[None]]
"""Raises DatabaseUnavailableError or CommitUnknownError where that can't be done now."""


class Reports:
    """Sends what happened to a job, with jittered growing pauses, until its lock ends.

    Args:
        commands: the engine.
        marks: where accepted answers are noted.
        count_report: commits one more report of a row before it's sent again.
        in_doubt: told of an answer that the engine knows no job for any more.
        patience: told how long the engine took to accept a report.
    """

    def __init__(
        self,
        commands: JobCommands,
        marks: Marks,
        count_report: CountReport,
        in_doubt: Callable[[HeldJob, Answer], None] = lambda _held, _answer: None,
        patience: Patience | None = None,
    ) -> None:
        """Keep the ways out."""
        self._patience = patience or Patience()
        self._in_doubt = in_doubt
        self._commands = commands
        self._marks = marks
        self._count_report = count_report

    async def answer(self, held: HeldJob, answer: Answer) -> None:
        """Send a committed answer: complete or throw; a halt is a failure without retries."""
        if answer.say is Say.COMPLETE:
            reply = await self._complete(held, answer)
        elif answer.say is Say.THROW:
            reply = await self._throw(held, answer)
        else:
            if answer.say is Say.HALT:
                await self.fail(held, 0, answer.message)
            return
        if reply.code is StatusCode.OK:
            self._marks.add(answer.row)
        else:
            await self._refused(held, answer, reply)

    async def fail(
        self, held: HeldJob, retries: int, message: str, back_off: timedelta = timedelta()
    ) -> None:
        """Fail the job, while it's surely ours; 0 retries raise an incident."""

        def send(seconds: float) -> Awaitable[Reply]:
            pause = back_off.total_seconds()
            return self._commands.fail(held.key, retries, message, pause, seconds=seconds)

        await self._until_taken(held, send, "fail", margin=MARGIN)

    # Plain functions: what they return is awaited as it is, and each coroutine on a job's way is
    # gone through once more whenever the job goes on.

    def _complete(self, held: HeldJob, answer: Answer) -> Awaitable[Reply]:
        def send(seconds: float) -> Awaitable[Reply]:
            return self._commands.complete(held.key, answer.variables, seconds=seconds)

        return self._until_taken(held, send, "complete", row=answer.row)

    def _throw(self, held: HeldJob, answer: Answer) -> Awaitable[Reply]:
        def send(seconds: float) -> Awaitable[Reply]:
            return self._commands.throw(held.key, answer.code, answer.message, seconds=seconds)

        return self._until_taken(held, send, "throw", margin=MARGIN, row=answer.row)

    async def _refused(self, held: HeldJob, answer: Answer, reply: Reply) -> None:
        if reply.code is StatusCode.NOT_FOUND and answer.row is not None:
            # No proof of anything: another delivery may have been first. The reconciler finds out.
            self._in_doubt(held, answer)
        elif reply.code not in TRANSIENT | _LOST_RACE:
            # Too large, not allowed: the engine will never take it, so a person must see it.
            logger.warning("the engine refused the answer: {} {}", reply.code.name, reply.reason)
            await self.fail(held, 0, f"the engine refused the answer: {reply.reason}")

    async def _until_taken(
        self,
        held: HeldJob,
        send: Callable[[float], Awaitable[Reply]],
        name: str,
        *,
        margin: float = 0.0,
        row: int | None = None,
    ) -> Reply:
        pause = Backoff(0.01, 1.0)
        reply = Reply(StatusCode.DEADLINE_EXCEEDED, "the lock had run out")
        while not held.lost and (left := held.left) > margin:
            held.reported = True
            sent = time.monotonic()
            reply = await send(min(_CALL, left))
            reached(Point.REPORTED, held.key)
            if reply.code is StatusCode.OK:
                self._patience.heard(time.monotonic() - sent)
                return reply
            if reply.code not in TRANSIENT:
                break
            await asyncio.sleep(pause.next())
            if row is not None and reply.code not in NOT_CARRIED_OUT:
                if not await self._counted(held, row, margin, pause):
                    break
                reached(Point.COMMITTED, held.key)
        # A lost race isn't an error: the ledger has the answer, the next delivery replays it.
        logger.debug("{} not taken: {} {}", name, reply.code.name, reply.reason)
        return reply

    async def _counted(self, held: HeldJob, row: int, margin: float, pause: Backoff) -> bool:
        """Count one more report, as soon as the database can; False if the lock ends before."""
        while not held.lost and held.left > margin:
            try:
                await self._count_report(row, held.key)
            except (DatabaseUnavailableError, CommitUnknownError) as error:
                # Not counted, not sent: the next delivery replays the answer.
                logger.debug("one more report can't be counted now: {}", error)
                await asyncio.sleep(pause.next())
            else:
                return True
        return False
