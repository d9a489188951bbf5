"""Acting on a verdict: look again under the saga row's lock, then count, withdraw, undo or list."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from loguru import logger
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from sagaworks.errors import Halt, Retry, SagaworksError
from sagaworks.ledger import remote, statements
from sagaworks.ledger.call import Delivery, undo_entry
from sagaworks.ledger.decide import Presence
from sagaworks.ledger.faults import CommitUnknownError, is_broken_world, reason_of
from sagaworks.ledger.intent import intent_of
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import WITHDRAWN, Arrival, State
from sagaworks.ledger.session import open_session
from sagaworks.ledger.store import Store
from sagaworks.ledger.turns import Turns
from sagaworks.reconcile import doubts
from sagaworks.reconcile.effects import Effect
from sagaworks.reconcile.judge import Act, Kind, Verdict
from sagaworks.saga import JobKey, Saga
from sagaworks.service import Service
from sagaworks.step import Compensation, RemoteCompensation, RemoteStep, Step

Tell = Callable[[str, str, str, str], None]
"""Told of an outcome: step, outcome, saga, and what happened in words."""

SETTLED: Final = frozenset({"counted", "withdrawn"})
"""Outcomes that nobody needs to look at."""

_LONGEST_PAUSE: Final = 300.0

_TIME: Final = timedelta(seconds=60)
"""What a compensation called by the reconciler reads as its deadline."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Where a task's work is done: its store, and how it's run there.

    `async def` tasks have a store of their own, used on the worker's event loop only.
    """

    store: Store
    run: Callable[[Callable[[], Any]], Any] = lambda work: work()


class Settling:
    """Acts on verdicts, for one service.

    Args:
        service: whose compensations are called.
        plain: for what is a plain function.
        awaiting: for what is an ``async def``; None where the service has none.
        tell: told of each outcome.
    """

    def __init__(self, service: Service, plain: Hands, awaiting: Hands | None, tell: Tell) -> None:
        """Do nothing yet."""
        self._steps = {name: step for step in service.steps.values() for name in step.names}
        self._job_types = job_types_of(service)
        self._plain = plain
        self._awaiting = awaiting
        self._tell = tell

    @property
    def job_types(self) -> dict[str, frozenset[str]]:
        """See `job_types_of`."""
        return self._job_types

    def settle(self, effect: Effect, verdict: Verdict) -> bool:
        """Do what the verdict says; return whether nothing is left to be done about the row.

        Raises:
            SQLAlchemyError, HistoryUnavailable: the next sweep tries again.
        """
        match verdict.act:
            case Act.NOTHING:
                self._off_the_list(effect)
                return False
            case Act.SETTLE:
                if effect.listed != Kind.KEPT:
                    self._off_the_list(effect)
                return True
            case Act.COUNT:
                return self._count(effect, verdict.why)
            case Act.WITHDRAW:
                return self._withdraw(effect, verdict)
            case Act.UNDO:
                return self._undo(effect)
            case Act.LIST:
                self.list(effect, verdict.kind, verdict.why)
                return False

    def list(self, effect: Effect, kind: Kind, why: str, tries: int = 0) -> None:
        """Put a row on the list, and say so where the list says something new then."""
        if (effect.listed, effect.why) == (kind, why) and not tries:
            return
        with self._plain.store.writing() as connection:
            self._lock(connection, effect)
            if not statements.entry_by_id(connection, effect.entry.id).is_open:
                return
            is_new = doubts.note(connection, effect.entry.id, kind, why, tries)
            reached(Point.COMMIT, effect.entry.job)
        if is_new:
            self._say(effect, kind, why)

    def _count(self, effect: Effect, why: str) -> bool:
        step = self._steps.get(effect.entry.step)
        if effect.entry.state is State.INTENT and isinstance(step, RemoteStep):
            # Its end is unknown, and an unknown call is never left so: the same call again.
            return self._carried_out(effect, step, partial(self._finish, effect, step))
        with self._plain.store.writing() as connection:
            self._lock(connection, effect)
            if not doubts.held_by(connection, effect.entry.id, effect.entry.job):
                return False
            statements.mark_counted(connection, [effect.entry.id])
            doubts.drop(connection, effect.entry.id)
            reached(Point.COMMIT, effect.entry.job)
        self._say(effect, "counted", why)
        return False

    def _withdraw(self, effect: Effect, verdict: Verdict) -> bool:
        step = self._steps.get(effect.entry.step)
        if step is None or step.undo is None:
            self.list(effect, Kind.STRANDED, f"{verdict.why}; {self._why_not(effect)}")
            return False
        with self._plain.store.writing() as connection:
            self._lock(connection, effect)
            if not doubts.held_by(connection, effect.entry.id, effect.entry.job):
                return False
            statements.begin_undo(connection, effect.entry.id, WITHDRAWN)
            if verdict.closes is not None:
                doubts.close(connection, effect.tenant, effect.saga_key, verdict.closes)
            reached(Point.COMMIT, effect.entry.job)
        logger.info("{}: its withdrawal is recorded", verdict.why)
        return self._undo(effect)

    def _undo(self, effect: Effect) -> bool:
        step = self._steps.get(effect.entry.step)
        if effect.tries and effect.rested < min(_LONGEST_PAUSE, 2.0**effect.tries):
            return False
        if step is None or step.undo is None:
            self.list(effect, Kind.STRANDED, self._why_not(effect))
            return False
        work = self._undo_call if isinstance(step.undo, RemoteCompensation) else self._undo_here
        return self._carried_out(effect, step, partial(work, effect, step.undo))

    def _carried_out(
        self, effect: Effect, step: Step[..., Any], work: Callable[[Store], str]
    ) -> bool:
        """Run a step's own code; what it raises is noted, and tried again later."""
        task: Step[..., Any] | Compensation[Any] = step.undo or step
        hands = self._awaiting if task.is_async and self._awaiting else self._plain
        try:
            outcome = hands.run(partial(work, hands.store))
        except (Halt, Retry) as error:
            why = error.why
        except (SQLAlchemyError, CommitUnknownError) as error:
            if isinstance(error, SQLAlchemyError) and not is_broken_world(error):
                why = f"{type(error).__name__} in {task.job_type}"
            else:
                logger.warning("{}: {}", effect.entry.step, reason_of(error))
                return False
        except Exception as error:  # noqa: BLE001  a compensation's bug must not end the sweep
            logger.opt(exception=error).error("{}", type(error).__name__)
            why = f"{type(error).__name__} in {task.job_type}"
        else:
            self._say(effect, outcome, "")
            self._off_the_list(effect)
            return True
        self.list(effect, Kind.STRANDED, why, effect.tries + 1)
        return False

    def _undo_here(self, effect: Effect, undo: Compensation[Any], store: Store) -> str:
        """Undo in the service's own database, and mark the row, in one transaction."""
        reached(Point.BEGIN, effect.entry.job)
        with store.writing() as connection:
            self._lock(connection, effect)
            entry = statements.entry_by_id(connection, effect.entry.id)
            if entry.is_open:
                if entry.state is State.INTENT:
                    raise Halt(
                        f"{undo.step.job_type} was a remote_step, and its call isn't answered"
                    )
                with open_session(connection) as session:
                    undo_entry(undo, _delivery(effect), entry, session)
                reached(Point.EFFECT, effect.entry.job)
                statements.undo(connection, entry.id, WITHDRAWN)
            reached(Point.COMMIT, effect.entry.job)
        return "withdrawn"

    def _undo_call(self, effect: Effect, undo: Compensation[Any], store: Store) -> str:
        """Finish an intent's call first, then make the call that undoes it, and record that."""
        assert isinstance(undo, RemoteCompensation)  # noqa: S101  looked at by `_undo`
        remote.undo_call(_turns(store), undo, _delivery(effect), effect.entry)
        return "withdrawn"

    def _finish(self, effect: Effect, step: RemoteStep[..., Any], store: Store) -> str:
        remote.finish(_turns(store), step, _delivery(effect), intent_of(effect.entry))
        with store.writing() as connection:
            self._lock(connection, effect)
            statements.mark_counted(connection, [effect.entry.id])
            reached(Point.COMMIT, effect.entry.job)
        return "counted"

    def _lock(self, connection: Connection, effect: Effect) -> None:
        statements.lock_saga(
            connection,
            effect.tenant,
            effect.saga_key,
            process_id="",
            process_instance=effect.entry.process_instance,
        )

    def _off_the_list(self, effect: Effect) -> None:
        if effect.listed:
            with self._plain.store.writing() as connection:
                self._lock(connection, effect)
                doubts.drop(connection, effect.entry.id)
                reached(Point.COMMIT, effect.entry.job)

    def _why_not(self, effect: Effect) -> str:
        name = effect.entry.step
        known = name in self._steps
        return f"{name} has no compensation" if known else f"this worker has no step {name}"

    def _say(self, effect: Effect, outcome: str, what: str) -> None:
        self._tell(effect.entry.step, outcome, effect.saga_key, what)


def job_types_of(service: Service) -> dict[str, frozenset[str]]:
    """Return which types of jobs carry out a step, by its names in the ledger."""
    found: dict[str, frozenset[str]] = {}
    for step in service.steps.values():
        types = frozenset(f"{service.name}.{one}" for one in step.names)
        found |= dict.fromkeys(step.names, types)
    return found


def _delivery(effect: Effect) -> Delivery:
    """Return what a compensation is called with, as the row knows it."""
    entry = effect.entry
    arrival = Arrival(
        tenant=effect.tenant,
        saga_key=effect.saga_key,
        process_instance=entry.process_instance,
        process_id="",
        step=entry.step,
        names=(entry.step,),
        job=WITHDRAWN,
        element=effect.element,
        element_instance=entry.element_instance,
        each=entry.each,
    )
    saga = Saga(
        key=entry.process_instance,
        business_key=effect.saga_key,
        attempt=effect.tries + 1,
        deadline=datetime.now(UTC) + _TIME,
        idempotency_key="",
    )
    return Delivery(arrival, saga, {})


def _turns(store: Store) -> Turns:
    return Turns(store, _nobody_asks)


def _nobody_asks(_job: JobKey) -> Presence:
    raise SagaworksError("the reconciler asks history, never the engine")
