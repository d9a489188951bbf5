"""Steps and compensations elsewhere: an intent first, then the call, then its answer."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from sagaworks.errors import Halt, Refusal
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer, Outcome, Say, refusal_bytes
from sagaworks.ledger.call import Delivery, call_step, read_fact, undo_entry
from sagaworks.ledger.decide import Undo
from sagaworks.ledger.intent import Intent, intend, intent_of
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import Entry, State
from sagaworks.ledger.session import open_session
from sagaworks.ledger.turns import LATE, Turns, allowed, lock, stored
from sagaworks.saga import JobKey
from sagaworks.step import RemoteCompensation, RemoteStep, Step


def run_step(turns: Turns, step: RemoteStep[..., Any], delivery: Delivery) -> Answer:
    """Carry out a remote step, or carry on where another delivery of it stopped."""
    intent = turns.decided(step, delivery, partial(intend, step))
    if isinstance(intent, Answer):
        return intent
    recorded = finish(turns, step, delivery, intent)
    entry = _entry(turns, intent.row)
    if entry.state is State.UNDONE:
        return LATE
    done = Outcome.EXECUTED if recorded else Outcome.REPLAYED
    return stored(step, entry, Outcome.ADOPTED if intent.adopted else done)


def run_undo(turns: Turns, undo: RemoteCompensation[Any], delivery: Delivery) -> Answer:
    """Carry out the call that undoes a remote step."""
    decision = turns.decided_undo(undo, delivery, _bound)
    if isinstance(decision, Answer):
        return decision
    calls = [undo_call(turns, undo, delivery, entry) for entry in decision.entries]
    if delivery.arrival.job in calls:
        return Answer(Outcome.COMPENSATED, Say.COMPLETE)
    # Refused by the partner, or another job's to undo: what is left for this one?
    return run_undo(turns, undo, delivery)


def _bound(connection: Connection, delivery: Delivery, decision: Undo) -> Undo:
    for entry in decision.entries:
        # All handlers of a loop come at once: the next one must take another row.
        statements.begin_undo(connection, entry.id, delivery.arrival.job)
    reached(Point.COMMIT, delivery.arrival.job)
    return decision


def finish(turns: Turns, step: RemoteStep[..., Any], delivery: Delivery, intent: Intent) -> bool:
    """Make the intent's call, the same as before with the same key, and record its answer.

    Returns False where somebody else has recorded it meanwhile.
    """
    _demand_memory(turns, step, intent.row)
    reached(Point.CALL, delivery.arrival.job)
    becomes, encoded = _call(step, delivery, intent)
    reached(Point.CALLED, delivery.arrival.job)
    with turns.writing() as connection:
        lock(connection, delivery)
        waits = statements.entry_by_id(connection, intent.row).state is State.INTENT
        if waits and becomes is State.OPEN:
            _record(connection, step, encoded)
        if waits:
            statements.answer(connection, intent.row, State.INTENT, becomes, encoded)
        reached(Point.COMMIT, delivery.arrival.job)
        return waits


def _demand_memory(turns: Turns, step: Step[..., Any], row: int) -> None:
    """Refuse to repeat a call that its partner may have forgotten.

    Raises:
        Halt: it's past the partner's declared memory of keys.
    """
    remembers = step.remembers if isinstance(step, RemoteStep) else None
    if remembers is None:
        return
    with turns.store.reading() as connection:
        age = statements.age_of_entry(connection, row)
    if age > remembers.total_seconds():
        raise Halt(
            f"the call of {step.job_type} isn't answered since {age:.0f} s, and its partner"
            f" remembers keys for {remembers.total_seconds():.0f} s: ask the partner, and settle it"
            " by hand"
        )


def _call(
    step: RemoteStep[..., Any], delivery: Delivery, intent: Intent
) -> tuple[State, bytes | None]:
    try:
        return State.OPEN, call_step(step, intent.of_its_row(delivery), intent.round, None)
    except Refusal as refusal:
        return State.REFUSED, refusal_bytes(allowed(step, refusal))


def undo_call(
    turns: Turns, undo: RemoteCompensation[Any], delivery: Delivery, entry: Entry
) -> JobKey | None:
    """Undo what a row stands for; return the compensation job that it counts for."""
    found = answered(turns, undo, delivery, entry)
    if found.state is State.OPEN:
        reached(Point.CALL, delivery.arrival.job)
        undo_entry(undo, delivery, found, None)
        reached(Point.CALLED, delivery.arrival.job)
    with turns.writing() as connection:
        lock(connection, delivery)
        if statements.entry_by_id(connection, entry.id).state is State.OPEN:
            _record_undo(connection, undo, found.answer)
            statements.undo(connection, entry.id, delivery.arrival.job)
        reached(Point.COMMIT, delivery.arrival.job)
        return statements.entry_by_id(connection, entry.id).undone_by


def answered(
    turns: Turns, undo: RemoteCompensation[Any], delivery: Delivery, entry: Entry
) -> Entry:
    """Finish an intent before undoing it: a call with an unknown end is never cancelled."""
    if entry.state is not State.INTENT or not isinstance(undo.step, RemoteStep):
        return entry
    finish(turns, undo.step, delivery, intent_of(entry))
    return _entry(turns, entry.id)


def _entry(turns: Turns, row: int) -> Entry:
    with turns.store.reading() as connection:
        return statements.entry_by_id(connection, row)


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
