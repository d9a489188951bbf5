"""For the bench only: our runtime with the ledger left out, which tells what the ledger costs.

Each step runs in a plain transaction, under backlog in one with others, a savepoint each, as with
the ledger: no saga row, no claim, no replay, no mark. A duplicate delivery has its effect twice,
and a fact lives in this process' memory. No user can switch this on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, text

from sagaworks.errors import Refusal
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, refusal_bytes, thrown
from sagaworks.ledger.call import Delivery, call_compensation, call_step
from sagaworks.ledger.direct import Direct
from sagaworks.ledger.group import Job, run_group
from sagaworks.ledger.session import open_session
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import Held, Probe, Turns
from sagaworks.ledger.witness import Witness
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, Step

_HERE: Final = Direct(text("SELECT 1"))
"""Takes along the savepoint that waits, which elsewhere goes with the claim."""

Task = Step[..., Any] | Compensation[Any]

Writing = Callable[[], AbstractContextManager[Connection]]


class WithoutLedger:
    """Stands where `Ledger` stands, and keeps none.

    Args:
        store: the service's database.
    """

    def __init__(self, store: Store, _probe: Probe, *, witness: Witness | None = None) -> None:
        """Keep the database; nobody is asked about a job."""
        del witness
        self.store = store
        self._facts: dict[str, bytes | None] = {}

    def run(self, task: Task, delivery: Delivery, _held: Held = lambda: True) -> Answer:
        """Carry out one delivery of a job in a plain transaction."""
        return self._done(self.store.writing, task, delivery)

    def run_group(self, task: Task, jobs: Sequence[Job]) -> list[Answer | None]:
        """Carry out jobs of one task in one transaction, as the ledger groups them."""
        return run_group(self.store, self._in_group, task, jobs)

    def mark_counted(self, rows: list[int]) -> None:
        """Nothing is marked: no answer has a row."""

    def report_again(self, row: int, job: JobKey) -> None:
        """Nothing is counted: no answer has a row."""

    def _in_group(self, turns: Turns, task: Task, delivery: Delivery, _held: Held) -> Answer:
        return self._done(partial(_begun, turns), task, delivery)

    def _done(self, writing: Writing, task: Task, delivery: Delivery) -> Answer:
        saga = delivery.arrival.saga_key
        if isinstance(task, Compensation):
            with writing() as connection, open_session(connection) as session:
                call_compensation(task, delivery, 0, self._facts[saga], session)
            return Answer(Outcome.COMPENSATED, Say.COMPLETE)
        try:
            with writing() as connection, open_session(connection) as session:
                fact = call_step(task, delivery, 0, session)
        except Refusal as refusal:
            return thrown(Outcome.REFUSED, refusal_bytes(refusal), None)
        self._facts[saga] = fact
        return completed(Outcome.EXECUTED, task.fact_variable, fact, None)


@contextmanager
def _begun(turns: Turns) -> Iterator[Connection]:
    with turns.writing() as connection:
        _HERE.send(connection, {})
        yield connection
