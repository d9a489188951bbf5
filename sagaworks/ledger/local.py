"""Steps and compensations in the service's own database: one transaction each."""

from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sagaworks.errors import Halt, Refusal
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, refusal_bytes, thrown
from sagaworks.ledger.call import Delivery, call_step, undo_entry
from sagaworks.ledger.decide import Undo
from sagaworks.ledger.faults import is_forbidden_write
from sagaworks.ledger.intent import Intent, unanswered
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import State
from sagaworks.ledger.session import open_session
from sagaworks.ledger.turns import (
    Held,
    OwnershipLostError,
    Turns,
    allowed,
)
from sagaworks.step import Compensation, Step


def run_step(turns: Turns, step: Step[..., Any], delivery: Delivery, held: Held) -> Answer:
    """Carry out a step: claim, effect and answer in one transaction."""
    try:
        answer = turns.decided(step, delivery, partial(_effect, step, held), claims=True)
    except Refusal as refusal:
        # The effect is rolled back, the claim too; the refusal is written in a second
        # transaction that decides again: docs/decisions/0001.
        encoded = refusal_bytes(allowed(step, refusal))
        answer = turns.decided(step, delivery, partial(_refuse, encoded), claims=True)
    if isinstance(answer, Intent):
        raise unanswered(step)
    return answer


def run_reader(turns: Turns, step: Step[..., Any], delivery: Delivery) -> Answer:
    """Carry out a read_only step, outside the ledger."""
    try:
        fact = _look(turns, step, delivery)
    except Refusal as refusal:
        return thrown(Outcome.REFUSED, refusal_bytes(refusal), None)
    except DBAPIError as error:
        if is_forbidden_write(error):
            raise Halt(f"{step.job_type} is read_only and may not write") from None
        raise
    return completed(Outcome.READ, step.fact_variable, fact, None)


def run_undo(turns: Turns, undo: Compensation[Any], delivery: Delivery, held: Held) -> Answer:
    """Carry out a compensation: the undone rows are marked in its own transaction."""
    return turns.decided_undo(undo, delivery, partial(_undone, undo, held))


def _undone(
    undo: Compensation[Any],
    held: Held,
    connection: Connection,
    delivery: Delivery,
    decision: Undo,
) -> Answer:
    job = delivery.arrival.job
    reached(Point.CLAIMED, job)
    for entry in decision.entries:
        if entry.state is State.INTENT:
            raise unanswered(undo.step)
        with open_session(connection) as session:
            undo_entry(undo, delivery, entry, session)
        reached(Point.EFFECT, job)
        statements.undo(connection, entry.id, job, last=entry is decision.entries[-1])
    if not held():
        raise OwnershipLostError
    reached(Point.COMMIT, job)
    return Answer(Outcome.COMPENSATED, Say.COMPLETE)


def _effect(  # noqa: PLR0913, PLR0917  what a turn gives its execution, and what is executed
    step: Step[..., Any],
    held: Held,
    connection: Connection,
    delivery: Delivery,
    round_: int,
    claimed: int | None,
) -> Answer:
    row = claimed or statements.claim(connection, delivery.arrival, round_)
    reached(Point.CLAIMED, delivery.arrival.job)
    with open_session(connection) as session:
        fact = call_step(step, delivery, round_, session)
    reached(Point.EFFECT, delivery.arrival.job)
    if not held():
        raise OwnershipLostError
    statements.answer(connection, row, State.CLAIM, State.OPEN, fact, last=True)
    reached(Point.COMMIT, delivery.arrival.job)
    return completed(Outcome.EXECUTED, step.fact_variable, fact, row)


def _refuse(
    encoded: bytes, connection: Connection, delivery: Delivery, round_: int, claimed: int | None
) -> Answer:
    row = claimed or statements.claim(connection, delivery.arrival, round_)
    reached(Point.CLAIMED, delivery.arrival.job)
    statements.answer(connection, row, State.CLAIM, State.REFUSED, encoded, last=True)
    reached(Point.COMMIT, delivery.arrival.job)
    return thrown(Outcome.REFUSED, encoded, row)


def _look(turns: Turns, step: Step[..., Any], delivery: Delivery) -> bytes | None:
    if step.remote:
        return call_step(step, delivery, 0, None)
    with turns.store.reading() as connection, open_session(connection) as session:
        return call_step(step, delivery, 0, session)
