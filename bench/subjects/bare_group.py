"""The floor of a worker that groups, and keeps repeats apart: as `bare_step`, but in company.

Jobs of one step wait for each other as long as Sagaworks lets them under full load, and are taken
together by as few threads, up to as many: one statement for the inbox rows of all of them, a
session each, one commit. There is nothing else: no savepoint, no ledger, no log, no types. One that
fails would take the others along.
"""

import asyncio
from functools import partial
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, String, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from bench import shop
from bench.subjects.bare_step import Steps, do, keep_working
from bench.subjects.plain_pyzeebe import Inbox

GROUP: Final = 16
"""`SAGAWORKS_GROUP`, as installed."""

THREADS: Final = 2
"""As many as Sagaworks has at work with a database that is near: docs/decisions/0077."""

WAIT: Final = 0.025
"""Seconds from the first job's coming to a hand's beginning: docs/decisions/0080."""

_KEYS: Final = select(func.unnest(bindparam("keys", type_=ARRAY(String))))

_NEW: Final = (
    insert(Inbox).from_select(["key"], _KEYS).on_conflict_do_nothing().returning(col(Inbox.key))
)

Waiting = tuple[dict[str, Any], asyncio.Future[bool]]


def run(role: str, name: str, address: str, database: str) -> None:
    """Work until killed."""
    keep_working(_Groups, THREADS, role, name, address, database)


class _Groups(Steps):
    def __init__(self, *of_steps: Any) -> None:  # noqa: ANN401
        super().__init__(*of_steps)
        self.waiting: list[Waiting] = []
        self.at_work = 0
        self.is_waiting = False

    async def carry_out(self, variables: dict[str, Any]) -> bool:
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting.append((variables, over))
        self._wait()
        return await over

    def _wait(self) -> None:
        if self.waiting and not self.is_waiting:
            self.is_waiting = True
            asyncio.get_running_loop().call_later(WAIT, self._begin)

    def _begin(self) -> None:
        self.is_waiting = False
        loop = asyncio.get_running_loop()
        while self.waiting and self.at_work < THREADS:
            hand, self.waiting = self.waiting[:GROUP], self.waiting[GROUP:]
            self.at_work += 1
            doing = loop.run_in_executor(self.threads, self._together, hand)
            doing.add_done_callback(partial(self._over, hand))

    def _over(self, hand: list[Waiting], doing: asyncio.Future[list[bool]]) -> None:
        self.at_work -= 1
        for (_, over), is_refused in zip(hand, doing.result(), strict=True):
            over.set_result(is_refused)
        self._wait()

    def _together(self, hand: list[Waiting]) -> list[bool]:
        # By what is locked, so that no two groups wait for each other.
        order = sorted(range(len(hand)), key=lambda place: hand[place][0]["item"])
        refused = [False] * len(hand)
        keys = [f"{variables['saga_key']}/{self.step}" for variables, _ in hand]
        with self.engine.begin() as connection:
            new = {*connection.scalars(_NEW, {"keys": keys})}
            for place in order:
                if keys[place] in new:
                    refused[place] = self._step_of_group(connection, hand[place][0])
        return refused

    def _step_of_group(self, connection: Connection, variables: dict[str, Any]) -> bool:
        saga, item = variables["saga_key"], variables["item"]
        with Session(connection, join_transaction_mode="rollback_only") as session:
            try:
                do(self.step, session, saga, item, doomed=variables["doomed"])
                session.flush()
            except shop.NoCarrierError:
                return True
        return False
