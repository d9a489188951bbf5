"""A job's turn: lock the saga row, decide by the table, and act under that lock."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection

from sagaworks.errors import Halt, Refusal, Retry
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, thrown
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.decide import (
    Ask,
    Execute,
    Fence,
    Late,
    Presence,
    Repeated,
    Replay,
    StepDecision,
    Unaccounted,
    Undo,
    UndoDecision,
    Wait,
    decide_step,
    decide_undo,
)
from sagaworks.ledger.intent import Intent, intent_of
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import Arrival, Entry, State
from sagaworks.ledger.statements import SagaRow
from sagaworks.ledger.store import Store
from sagaworks.saga import BY_HAND_VARIABLE, JobKey
from sagaworks.step import Step

T = TypeVar("T")

Probe = Callable[[JobKey], Presence]
"""Asks the engine whether a job is still there."""

Held = Callable[[], bool]
"""Says whether the engine still counts the job as ours."""

Writing = Callable[[], AbstractContextManager[Connection]]
"""Gives a transaction, or a part of one, that is undone if the block ends by an error."""

LATE = Answer(Outcome.LATE, Say.NOTHING)


class OwnershipLostError(Exception):
    """The engine has taken the job away while its step ran; everything is rolled back."""


class Turns:
    """Gives each job its turn in the service's database.

    Args:
        store: the service's database.
        probe: called with no lock held.
        writing: what a turn is taken in; a transaction of its own by default.
    """

    def __init__(self, store: Store, probe: Probe, writing: Writing | None = None) -> None:
        """Keep the database and the way to ask the engine."""
        self.store = store
        self.writing = writing or store.writing
        self._probe = probe

    def decided(
        self,
        step: Step[..., Any],
        delivery: Delivery,
        execute: Callable[[Connection, Delivery, int], T],
    ) -> T | Answer | Intent:
        """Decide on a step's job; `execute` it in the same transaction where the table says so."""
        presences: dict[JobKey, Presence] = {}
        seen: list[Entry] = []
        while True:
            reached(Point.BEGIN, delivery.arrival.job)
            with self.writing() as connection:
                decision = _decide(connection, delivery, presences, seen)
                if isinstance(decision, Execute):
                    return execute(connection, delivery, decision.round)
                if not isinstance(decision, Ask):
                    return _settled(connection, step, delivery, decision)
                reached(Point.COMMIT, delivery.arrival.job)
            reached(Point.ASK, delivery.arrival.job)
            presences[decision.job] = self._probe(decision.job)


def decide_on_undo(connection: Connection, delivery: Delivery) -> Undo | Answer:
    """Decide on a compensation's job: what to undo, or what to answer if that is nothing.

    Raises:
        Halt: no row tells of what is to be undone; the saga row isn't kept either, so that the next
            delivery is as loud as this one.
    """
    row = _lock(connection, delivery)
    decision = _duplicate(row, delivery) or _decide_undo(connection, row, delivery)
    if isinstance(decision, (Undo, Answer)):
        return decision
    if isinstance(decision, Repeated):
        return Answer(Outcome.REPEATED, Say.HALT, message=decision.why)
    if isinstance(decision, Unaccounted):
        raise Halt(_why_unaccounted(delivery.arrival))
    if isinstance(decision, Fence):
        statements.claim(connection, delivery.arrival, decision.round, State.FENCE)
        return Answer(Outcome.NULL_COMPENSATION, Say.COMPLETE)
    return Answer(Outcome.REPLAYED, Say.COMPLETE)


def lock(connection: Connection, delivery: Delivery) -> Answer | None:
    """Lock the saga row; return the answer to a second process instance with this key."""
    return _duplicate(_lock(connection, delivery), delivery)


def stored(step: Step[..., Any], entry: Entry, outcome: Outcome) -> Answer:
    """Answer with what a row holds, unparsed."""
    if entry.state is State.REFUSED:
        refused = Outcome.REFUSED if outcome is Outcome.EXECUTED else outcome
        return thrown(refused, entry.answer or b"{}", entry.id)
    return completed(outcome, step.fact_variable, entry.answer, entry.id)


def allowed(step: Step[..., Any], refusal: Refusal) -> Refusal:
    """Return the refusal of a step that may refuse.

    Raises:
        Halt: the step is retriable.
    """
    if step.kind == "retriable":
        raise Halt(f"{step.job_type} is retriable and may not refuse: {refusal.code} {refusal.why}")
    return refusal


def _lock(connection: Connection, delivery: Delivery) -> SagaRow:
    arrival = delivery.arrival
    return statements.lock_saga(
        connection,
        arrival.tenant,
        arrival.saga_key,
        process_id=arrival.process_id,
        process_instance=arrival.process_instance,
        start_digest=arrival.start_digest,
    )


def _duplicate(row: SagaRow, delivery: Delivery) -> Answer | None:
    arrival = delivery.arrival
    if row.process_instance == arrival.process_instance:
        return None
    message = (
        f"saga_key {arrival.saga_key!r} belongs to process instance {row.process_instance}; this is"
        f" {arrival.process_instance}: cancel it, or start it with a key of its own"
    )
    return Answer(Outcome.DUPLICATE, Say.HALT, message=message)


def _decide(
    connection: Connection,
    delivery: Delivery,
    presences: dict[JobKey, Presence],
    seen: list[Entry],
) -> StepDecision | Answer:
    row = _lock(connection, delivery)
    duplicate = _duplicate(row, delivery)
    if duplicate:
        return duplicate
    entries = _entries(connection, row, delivery)
    if entries != seen:
        # What the engine said is about the rows it was asked for. Rows that changed since may be
        # this very job's, carried out by another delivery and over: docs/decisions/0032.
        presences.clear()
        seen[:] = entries
    return decide_step(delivery.arrival, entries, presences)


def _decide_undo(connection: Connection, row: SagaRow, delivery: Delivery) -> UndoDecision:
    entries = _entries(connection, row, delivery)
    return decide_undo(delivery.arrival, entries, saga_is_new=row.is_new)


def _why_unaccounted(arrival: Arrival) -> str:
    run = f" for {arrival.each!r}" if arrival.each else ""
    return (
        f"{arrival.step} was completed{run}, but this ledger has no row of it in saga"
        f" {arrival.saga_key!r}: it was carried out by other code, or on another database. Undo it"
        f' by hand, set the process variable `{BY_HAND_VARIABLE}` to "{arrival.step}", and'
        " retry the incident"
    )


def _entries(connection: Connection, row: SagaRow, delivery: Delivery) -> list[Entry]:
    # A saga that is new to this service has no rows here: a round trip less.
    return [] if row.is_new else statements.entries_of(connection, delivery.arrival)


def _settled(
    connection: Connection,
    step: Step[..., Any],
    delivery: Delivery,
    decision: Answer | Replay | Late | Wait | Repeated,
) -> Answer | Intent:
    if isinstance(decision, Wait):
        raise Retry(decision.why)
    answer = _given(connection, step, delivery, decision)
    reached(Point.COMMIT, delivery.arrival.job)
    return answer


def _given(
    connection: Connection,
    step: Step[..., Any],
    delivery: Delivery,
    decision: Answer | Replay | Late | Repeated,
) -> Answer | Intent:
    if isinstance(decision, Answer):
        return decision
    if isinstance(decision, Late):
        return LATE
    if isinstance(decision, Repeated):
        return Answer(Outcome.REPEATED, Say.HALT, message=decision.why)
    statements.report_again(connection, decision.entry, delivery.arrival.job)
    if decision.entry.state is State.INTENT:
        return intent_of(decision.entry, adopted=decision.adopted)
    outcome = Outcome.ADOPTED if decision.adopted else Outcome.REPLAYED
    return stored(step, decision.entry, outcome)
