"""Several jobs of one task in one transaction: a savepoint each, one commit for all of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NoReturn

from loguru import logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sagaworks.codec import encode
from sagaworks.ledger.answers import Answer, Say
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.direct import Direct
from sagaworks.ledger.faults import CommitUnknownError, LostRowError
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import LATE, Held, OwnershipLostError, Turns
from sagaworks.ledger.witness import Witness
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, Step

_BEGIN: Final = Direct(text("SAVEPOINT sagaworks_group"))
_END: Final = Direct(text("RELEASE SAVEPOINT sagaworks_group"))
_SAVE: Final = Direct(text("SAVEPOINT sagaworks_job"))
_UNDO: Final = Direct(text("ROLLBACK TO SAVEPOINT sagaworks_job"))


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a group.

    Attributes:
        held: says whether the engine still counts the job as ours; asked before the commit.
        context: what the step runs in, so that each line it logs names its own saga.
    """

    delivery: Delivery
    held: Held = lambda: True
    context: Context = field(default_factory=copy_context)


CarryOut = Callable[[Turns, Step[..., Any] | Compensation[Any], Delivery, Held], Answer]


class BrokenGroupError(Exception):
    """The group's transaction is lost, or may not commit; nothing of it is left behind."""


class _AloneError(Exception):
    """The engine or its history must be asked about this job, which no transaction may wait for."""


def can_share(task: Step[..., Any] | Compensation[Any]) -> bool:
    """Say whether jobs of the task may be grouped: what only reads, awaits or calls may not."""
    return not (task.remote or task.is_async) and (
        isinstance(task, Compensation) or task.kind != "read_only"
    )


def run_group(
    store: Store,
    carry_out: CarryOut,
    task: Step[..., Any] | Compensation[Any],
    jobs: Sequence[Job],
    *,
    consults: bool = False,
) -> list[Answer | None]:
    """Carry out jobs of one task together; return their committed answers, in the jobs' order.

    None stands for a job that has left nothing behind and is to be run alone, where its error, if
    it is one, is met as ever. So is one of which history must be asked, where it `consults` it.

    Raises:
        BrokenGroupError: nothing is left behind; each job is to be run alone.
        CommitUnknownError: say nothing about any of them.
    """
    answers: dict[int, Answer | None] = {}
    reached(Point.BEGIN)
    try:
        with store.writing() as connection:
            _BEGIN.wait(connection, {})
            nobody = _NobodyToAsk() if consults else None
            turns = Turns(store, _no_probe, partial(_savepoint, connection), nobody)
            for place in sorted(range(len(jobs)), key=lambda at: _order(jobs[at])):
                answers[place] = _answer(connection, turns, carry_out, task, jobs[place])
            for place, answer in answers.items():
                _demand_held(jobs[place], answer)
            reached(Point.COMMIT)
            # Fails where the transaction that began here isn't the one that would commit: a step
            # may swallow a deadlock, after which MariaDB has undone all and begun anew.
            _END.wait(connection, {})
    except CommitUnknownError:
        raise
    except Exception as error:
        raise BrokenGroupError(type(error).__name__) from error
    return [answers[place] for place in range(len(jobs))]


def _order(job: Job) -> tuple[bytes, str, str]:
    """Groups meet the same rows in the same order: those the inputs name, then the sagas' own."""
    inputs = [*job.delivery.variables.values()]
    return encode(inputs), job.delivery.arrival.tenant, job.delivery.arrival.saga_key


def _answer(
    connection: Connection,
    turns: Turns,
    carry_out: CarryOut,
    task: Step[..., Any] | Compensation[Any],
    job: Job,
) -> Answer | None:
    try:
        return job.context.run(carry_out, turns, task, job.delivery, job.held)
    except OwnershipLostError:
        return LATE
    except (DBAPIError, LostRowError, BrokenGroupError):
        raise
    except Exception as error:  # noqa: BLE001  alone, it is met where errors are told
        logger.debug("{} of a group: alone, for {}", task.name, type(error).__name__)
        _roll_back(connection)
        return None


def _demand_held(job: Job, answer: Answer | None) -> None:
    """Refuse to commit what a job did that was taken away since: one can't be undone without all.

    Raises:
        BrokenGroupError: it was.
    """
    if answer and answer.say is not Say.NOTHING and not job.held():
        raise BrokenGroupError("a job was taken away")


@contextmanager
def _savepoint(connection: Connection) -> Iterator[Connection]:
    # Set anew for each job and never released: the commit ends them all, a statement fewer a job.
    _SAVE.wait(connection, {})
    try:
        yield connection
    except DBAPIError:
        raise
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: Connection) -> None:
    try:
        _UNDO.send(connection, {})
    except SQLAlchemyError as error:
        raise BrokenGroupError("the transaction was ended by a step") from error


def _no_probe(_job: JobKey) -> NoReturn:
    raise _AloneError


class _NobodyToAsk(Witness):
    """No transaction may wait for history either."""

    def __init__(self) -> None:
        """Ask nobody."""

    def tells(self, *_: object) -> NoReturn:
        """Have the job run alone."""
        raise _AloneError

    def meant(self, *_: object) -> NoReturn:
        """Have the job run alone."""
        raise _AloneError
