"""The ledger protocol: each effect once, undone once, whatever is delivered again.

One transaction an execution: lock the saga row, decide by the table, claim, effect, answer, commit.
Nothing is told to the engine before the commit. `decide` has the table, `statements` the SQL.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sagaworks.errors import Halt, Refusal
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, refusal_bytes, thrown
from sagaworks.ledger.call import (
    Delivery,
    call_compensation,
    call_step,
    open_session,
    read_fact,
    read_variables,
)
from sagaworks.ledger.decide import (
    Ask,
    Execute,
    Fence,
    Late,
    Presence,
    Repeated,
    Replay,
    StepDecision,
    Undo,
    UndoDecision,
    decide_step,
    decide_undo,
)
from sagaworks.ledger.faults import (
    DatabaseUnavailableError,
    is_broken_world,
    is_forbidden_write,
    reason_of,
)
from sagaworks.ledger.rows import Entry, State
from sagaworks.ledger.store import Store
from sagaworks.saga import JobKey
from sagaworks.step import Compensation, RemoteCompensation, RemoteStep, Step

T = TypeVar("T")

_LOCAL_PAUSES: Final = (0.02, 0.1, 0.5)
"""Seconds between tries when the database fails, before the job is handed back."""

_LATE: Final = Answer(Outcome.LATE, Say.NOTHING)


class OwnershipLostError(Exception):
    """The engine has taken the job away while its step ran; everything is rolled back."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A committed intent of a remote step, whose call isn't answered yet."""

    row: int
    round: int
    step: str
    each: str
    request: bytes
    adopted: bool = False

    def of_its_row(self, delivery: Delivery) -> Delivery:
        """Return the delivery as the row knows it: whoever makes the call makes the same call."""
        arrival = replace(delivery.arrival, step=self.step, each=self.each)
        return replace(delivery, arrival=arrival, variables=json.loads(self.request))


Probe = Callable[[JobKey], Presence]
Held = Callable[[], bool]


class Ledger:
    """Runs the steps of one service through the ledger in its database.

    Args:
        store: the service's database.
        probe: asks the engine whether a job is still there; called with no lock held.
    """

    def __init__(self, store: Store, probe: Probe) -> None:
        """Keep the database and the way to ask the engine."""
        self.store = store
        self.probe = probe

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
        """
        try:
            return self._steadily(partial(self._run, task, delivery, held))
        except OwnershipLostError:
            return _LATE

    def mark_counted(self, rows: list[int]) -> None:
        """Note rows whose answer the engine has accepted."""
        with self.store.writing() as connection:
            statements.mark_counted(connection, rows)

    def report_again(self, row: int, job: JobKey) -> None:
        """Count one more report before it's sent."""
        with self.store.writing() as connection:
            entry = statements.entry_by_id(connection, row)
            statements.report_again(connection, entry, job)

    def _run(
        self, task: Step[..., Any] | Compensation[Any], delivery: Delivery, held: Held
    ) -> Answer:
        if isinstance(task, RemoteCompensation):
            return self._undo_remote(task, delivery)
        if isinstance(task, Compensation):
            return self._undo_local(task, delivery, held)
        if task.kind == "read_only":
            return self._read(task, delivery)
        if isinstance(task, RemoteStep):
            return self._remote(task, delivery)
        return self._local(task, delivery, held)

    def _steadily(self, work: Callable[[], T]) -> T:
        for pause in (*_LOCAL_PAUSES, None):
            try:
                return work()
            except Exception as error:
                if not (is_broken_world(error) or isinstance(error, statements.LostRowError)):
                    raise
                if pause is None and isinstance(error, statements.LostRowError):
                    raise
                if pause is None:
                    raise DatabaseUnavailableError(reason_of(error)) from error
                time.sleep(pause)
        raise AssertionError

    # A step in the service's own database.

    def _local(self, step: Step[..., Any], delivery: Delivery, held: Held) -> Answer:
        try:
            answer = self._decided(step, delivery, partial(self._effect, step, held))
        except Refusal as refusal:
            # The effect is rolled back, the claim too; the refusal is written in a second
            # transaction that decides again: docs/decisions/0001.
            encoded = refusal_bytes(_allowed(step, refusal))
            answer = self._decided(step, delivery, partial(_refuse, encoded))
        return _no_intent(step, answer)

    def _effect(
        self,
        step: Step[..., Any],
        held: Held,
        connection: Connection,
        delivery: Delivery,
        round_: int,
    ) -> Answer:
        row = statements.claim(connection, delivery.arrival, round_)
        with open_session(connection) as session:
            fact = call_step(step, delivery, round_, session)
        if not held():
            raise OwnershipLostError
        statements.answer(connection, row, State.CLAIM, State.OPEN, fact)
        return completed(Outcome.EXECUTED, step.fact_variable, fact, row)

    def _read(self, step: Step[..., Any], delivery: Delivery) -> Answer:
        try:
            fact = self._look(step, delivery)
        except Refusal as refusal:
            return thrown(Outcome.REFUSED, refusal_bytes(refusal), None)
        except DBAPIError as error:
            if is_forbidden_write(error):
                raise Halt(f"{step.job_type} is read_only and may not write") from None
            raise
        return completed(Outcome.READ, step.fact_variable, fact, None)

    def _look(self, step: Step[..., Any], delivery: Delivery) -> bytes | None:
        if step.remote:
            return call_step(step, delivery, 0, None)
        with self.store.reading() as connection, open_session(connection) as session:
            return call_step(step, delivery, 0, session)

    # A step elsewhere: an intent first, then the call, then its answer.

    def _remote(self, step: RemoteStep[..., Any], delivery: Delivery) -> Answer:
        intent = self._decided(step, delivery, partial(_intend, step))
        if isinstance(intent, Answer):
            return intent
        recorded = self._finish(step, delivery, intent)
        with self.store.reading() as connection:
            entry = statements.entry_by_id(connection, intent.row)
        if entry.state is State.UNDONE:
            return _LATE
        done = Outcome.EXECUTED if recorded else Outcome.REPLAYED
        return _stored(step, entry, Outcome.ADOPTED if intent.adopted else done)

    def _finish(self, step: RemoteStep[..., Any], delivery: Delivery, intent: Intent) -> bool:
        """Make the intent's call, the same as before with the same key, and record its answer.

        Returns False where somebody else has recorded it meanwhile.
        """
        asked = intent.of_its_row(delivery)
        becomes, encoded = State.OPEN, None
        try:
            encoded = call_step(step, asked, intent.round, None)
        except Refusal as refusal:
            becomes, encoded = State.REFUSED, refusal_bytes(_allowed(step, refusal))
        with self.store.writing() as connection:
            _lock(connection, delivery)
            if statements.entry_by_id(connection, intent.row).state is not State.INTENT:
                return False
            if becomes is State.OPEN:
                _record(connection, step, encoded)
            statements.answer(connection, intent.row, State.INTENT, becomes, encoded)
            return True

    # Compensations.

    def _undo_local(self, undo: Compensation[Any], delivery: Delivery, held: Held) -> Answer:
        with self.store.writing() as connection:
            decision = _decide_undo(connection, delivery)
            if not isinstance(decision, Undo):
                return _nothing_undone(connection, decision, delivery)
            for entry in decision.entries:
                _refuse_intent(undo, entry)
                with open_session(connection) as session:
                    _undoing(undo, delivery, entry, session)
                statements.undo(connection, entry.id, delivery.arrival.job)
            if not held():
                raise OwnershipLostError
        return Answer(Outcome.COMPENSATED, Say.COMPLETE)

    def _undo_remote(self, undo: RemoteCompensation[Any], delivery: Delivery) -> Answer:
        with self.store.writing() as connection:
            decision = _decide_undo(connection, delivery)
            if not isinstance(decision, Undo):
                return _nothing_undone(connection, decision, delivery)
            for entry in decision.entries:
                # All handlers of a loop come at once: the next one must take another row.
                statements.begin_undo(connection, entry.id, delivery.arrival.job)
        job = delivery.arrival.job
        if job in [self._undo_call(undo, delivery, entry) for entry in decision.entries]:
            return Answer(Outcome.COMPENSATED, Say.COMPLETE)
        # Refused by the partner, or another job's to undo: what is left for this one?
        return self._undo_remote(undo, delivery)

    def _undo_call(
        self, undo: RemoteCompensation[Any], delivery: Delivery, entry: Entry
    ) -> JobKey | None:
        """Undo what a row stands for; return the compensation job that it counts for."""
        answered = self._answered(undo, delivery, entry)
        if answered.state is State.OPEN:
            _undoing(undo, delivery, answered, None)
        with self.store.writing() as connection:
            _lock(connection, delivery)
            if statements.entry_by_id(connection, entry.id).state is State.OPEN:
                _record_undo(connection, undo, answered.answer)
                statements.undo(connection, entry.id, delivery.arrival.job)
            return statements.entry_by_id(connection, entry.id).undone_by

    def _answered(self, undo: RemoteCompensation[Any], delivery: Delivery, entry: Entry) -> Entry:
        """Finish an intent before undoing it: a call with an unknown end is never cancelled."""
        if entry.state is not State.INTENT or not isinstance(undo.step, RemoteStep):
            return entry
        self._finish(undo.step, delivery, _intent_of(entry))
        with self.store.reading() as connection:
            return statements.entry_by_id(connection, entry.id)

    def _decided(
        self,
        step: Step[..., Any],
        delivery: Delivery,
        execute: Callable[[Connection, Delivery, int], T],
    ) -> T | Answer | Intent:
        """Decide under the saga row's lock, asking the engine without it as often as needed."""
        presences: dict[JobKey, Presence] = {}
        while True:
            with self.store.writing() as connection:
                decision = _decide(connection, delivery, presences)
                if isinstance(decision, Execute):
                    return execute(connection, delivery, decision.round)
                if isinstance(decision, Answer):
                    return decision
                if not isinstance(decision, Ask):
                    return _settled(connection, step, delivery, decision)
            presences[decision.job] = self.probe(decision.job)


def _decide(
    connection: Connection, delivery: Delivery, presences: dict[JobKey, Presence]
) -> StepDecision | Answer:
    duplicate = _lock(connection, delivery)
    if duplicate:
        return duplicate
    entries = statements.entries_of(connection, delivery.arrival)
    return decide_step(delivery.arrival, entries, presences)


def _decide_undo(connection: Connection, delivery: Delivery) -> UndoDecision | Answer:
    duplicate = _lock(connection, delivery)
    if duplicate:
        return duplicate
    return decide_undo(delivery.arrival, statements.entries_of(connection, delivery.arrival))


def _lock(connection: Connection, delivery: Delivery) -> Answer | None:
    arrival = delivery.arrival
    row = statements.lock_saga(
        connection,
        arrival.tenant,
        arrival.saga_key,
        process_id=arrival.process_id,
        process_instance=arrival.process_instance,
        start_digest=arrival.start_digest,
    )
    if row.process_instance == arrival.process_instance:
        return None
    message = (
        f"saga_key {arrival.saga_key!r} belongs to process instance {row.process_instance}; this is"
        f" {arrival.process_instance}: cancel it, or start it with a key of its own"
    )
    return Answer(Outcome.DUPLICATE, Say.HALT, message=message)


def _settled(
    connection: Connection,
    step: Step[..., Any],
    delivery: Delivery,
    decision: Replay | Late | Repeated,
) -> Answer | Intent:
    if isinstance(decision, Late):
        return _LATE
    if isinstance(decision, Repeated):
        return Answer(Outcome.REPEATED, Say.HALT, message=decision.why)
    statements.report_again(connection, decision.entry, delivery.arrival.job)
    outcome = Outcome.ADOPTED if decision.adopted else Outcome.REPLAYED
    if decision.entry.state is State.INTENT:
        return _intent_of(decision.entry, adopted=decision.adopted)
    return _stored(step, decision.entry, outcome)


def _stored(step: Step[..., Any], entry: Entry, outcome: Outcome) -> Answer:
    if entry.state is State.REFUSED:
        refused = Outcome.REFUSED if outcome is Outcome.EXECUTED else outcome
        return thrown(refused, entry.answer or b"{}", entry.id)
    return completed(outcome, step.fact_variable, entry.answer, entry.id)


def _refuse_intent(undo: Compensation[Any], entry: Entry) -> None:
    if entry.state is State.INTENT:
        raise _unanswered(undo.step)


def _no_intent(step: Step[..., Any], answer: Answer | Intent) -> Answer:
    if isinstance(answer, Intent):
        raise _unanswered(step)
    return answer


def _unanswered(step: Step[..., Any]) -> Halt:
    what = f"{step.job_type} was a remote_step, and its call isn't answered yet"
    return Halt(f"{what}: run the former version of the worker until it is")


def _refuse(encoded: bytes, connection: Connection, delivery: Delivery, round_: int) -> Answer:
    row = statements.claim(connection, delivery.arrival, round_)
    statements.answer(connection, row, State.CLAIM, State.REFUSED, encoded)
    return thrown(Outcome.REFUSED, encoded, row)


def _intend(
    step: RemoteStep[..., Any], connection: Connection, delivery: Delivery, round_: int
) -> Intent:
    # The intent binds every later call to these inputs, so they must be readable.
    read_variables(step, delivery.variables)
    arrival = delivery.arrival
    request = json.dumps(dict(delivery.variables)).encode()
    row = statements.claim(connection, arrival, round_, State.INTENT, request)
    return Intent(row, round_, arrival.step, arrival.each or "", request)


def _intent_of(entry: Entry, *, adopted: bool = False) -> Intent:
    request = entry.request or b"{}"
    return Intent(entry.id, entry.round, entry.step, entry.each, request, adopted)


def _nothing_undone(
    connection: Connection, decision: UndoDecision | Answer, delivery: Delivery
) -> Answer:
    if isinstance(decision, Answer):
        return decision
    if isinstance(decision, Repeated):
        return Answer(Outcome.REPEATED, Say.HALT, message=decision.why)
    if isinstance(decision, Fence):
        statements.claim(connection, delivery.arrival, decision.round, State.FENCE)
        return Answer(Outcome.NULL_COMPENSATION, Say.COMPLETE)
    return Answer(Outcome.REPLAYED, Say.COMPLETE)


def _undoing(
    undo: Compensation[Any],
    delivery: Delivery,
    entry: Entry,
    session: Any,  # noqa: ANN401
) -> None:
    of_its_row = replace(delivery.arrival, step=entry.step, each=entry.each)
    of_its_run = replace(delivery, arrival=of_its_row)
    try:
        call_compensation(undo, of_its_run, entry.round, entry.answer, session)
    except Refusal as refusal:
        raise Halt(f"{undo.job_type} may not refuse: {refusal.code} {refusal.why}") from None


def _record(connection: Connection, step: RemoteStep[..., Any], fact: bytes | None) -> None:
    if step.recorder:
        with open_session(connection) as session:
            step.recorder(session, read_fact(step, fact))
            session.flush()


def _record_undo(connection: Connection, undo: RemoteCompensation[Any], fact: bytes | None) -> None:
    if undo.recorder:
        with open_session(connection) as session:
            undo.recorder(session, read_fact(undo.step, fact))
            session.flush()


def _allowed(step: Step[..., Any], refusal: Refusal) -> Refusal:
    if step.kind == "retriable":
        raise Halt(f"{step.job_type} is retriable and may not refuse: {refusal.code} {refusal.why}")
    return refusal
