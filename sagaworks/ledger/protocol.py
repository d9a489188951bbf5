"""The ledger protocol: each effect once, undone once, whatever is delivered again.

One transaction an execution: lock the saga row, decide by the table, claim, effect, answer, commit.
Nothing is told to the engine before the commit. `decide` has the table, `turns` the lock,
`local` and `remote` the two kinds of steps, `group` shares a transaction, `statements` the SQL.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from sagaworks.ledger import local, remote, statements
from sagaworks.ledger.answers import Answer
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.faults import (
    DatabaseUnavailableError,
    LostRowError,
    is_aftermath,
    is_broken_world,
    reason_of,
)
from sagaworks.ledger.group import Job, run_group
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import LATE, Held, OwnershipLostError, Probe, Turns
from sagaworks.ledger.witness import Witness
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, RemoteCompensation, RemoteStep, Step

T = TypeVar("T")

_LOCAL_PAUSES: Final = (0.02, 0.1, 0.5)
"""Seconds between tries when the database fails, before the job is handed back."""


class Ledger:
    """Runs the steps of one service through the ledger in its database.

    Args:
        store: the service's database.
        probe: asks the engine whether a job is still there; called with no lock held.
        pause: waits so many seconds.
        witness: asks the engine's history where the rows leave a doubt; None where there is none.
    """

    def __init__(
        self,
        store: Store,
        probe: Probe,
        pause: Callable[[float], None] = time.sleep,
        witness: Witness | None = None,
    ) -> None:
        """Keep the database and the way to ask the engine."""
        self.store = store
        self._pause = pause
        self._turns = Turns(store, probe, witness=witness)
        self._consults = witness is not None

    def run(
        self,
        task: Step[..., Any] | Compensation[Any],
        delivery: Delivery,
        held: Held = lambda: True,
    ) -> Answer:
        """Carry out one delivery of a job; return the committed answer.

        Args:
            task: what the job asks for.
            delivery: the job.
            held: says whether the engine still counts the job as ours; asked before the commit.

        Raises:
            Retry, Halt: as the step raises them; nothing is left behind.
            DatabaseUnavailableError: several tries failed; nothing is left behind.
            CommitUnknownError: say nothing; the next delivery sees what happened.
            HistoryUnavailable: history must decide, and can't be asked now; nothing is left behind.
        """
        try:
            return self._steadily(partial(_carry_out, self._turns, task, delivery, held))
        except OwnershipLostError:
            return LATE

    def run_group(
        self, task: Step[..., Any] | Compensation[Any], jobs: Sequence[Job]
    ) -> list[Answer | None]:
        """Carry out jobs of one task in one transaction; return their committed answers.

        None stands for a job that is to be run alone, see `sagaworks.ledger.group`.

        Raises:
            BrokenGroupError: each job is to be run alone; nothing is left behind.
            CommitUnknownError: say nothing about any of them.
        """
        return run_group(self.store, _carry_out, task, jobs, consults=self._consults)

    def mark_counted(self, rows: list[int]) -> None:
        """Note rows whose answer the engine has accepted."""
        with self.store.writing() as connection:
            statements.mark_counted(connection, rows)
            reached(Point.MARK)

    def report_again(self, row: int, job: JobKey) -> None:
        """Count one more report before it's sent.

        Raises:
            DatabaseUnavailableError, CommitUnknownError: it can't be counted now; don't send it.
        """
        self._steadily(partial(self._report_again, row, job))

    def _report_again(self, row: int, job: JobKey) -> None:
        with self.store.writing() as connection:
            entry = statements.entry_by_id(connection, row)
            statements.report_again(connection, entry, job)
            reached(Point.COMMIT, job)

    def _steadily(self, work: Callable[[], T]) -> T:
        for pause in (*_LOCAL_PAUSES, None):
            try:
                return work()
            except Exception as error:
                swallowed = isinstance(error, LostRowError) or is_aftermath(error)
                if not (swallowed or is_broken_world(error)):
                    raise
                if pause is None and swallowed:
                    raise
                if pause is None:
                    raise DatabaseUnavailableError(reason_of(error)) from error
                self._pause(pause)
        raise AssertionError


def _carry_out(
    turns: Turns, task: Step[..., Any] | Compensation[Any], delivery: Delivery, held: Held
) -> Answer:
    if isinstance(task, RemoteCompensation):
        return remote.run_undo(turns, task, delivery)
    if isinstance(task, Compensation):
        return local.run_undo(turns, task, delivery, held)
    if task.kind == "read_only":
        return local.run_reader(turns, task, delivery)
    if isinstance(task, RemoteStep):
        return remote.run_step(turns, task, delivery)
    return local.run_step(turns, task, delivery, held)
