"""A job's turn: lock the saga row, decide by the table, and act under that lock."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from sagaworks.errors import Halt, Refusal, Retry
from sagaworks.ledger import statements
from sagaworks.ledger.answers import Answer, Outcome, Say, completed, thrown
from sagaworks.ledger.call import Delivery
from sagaworks.ledger.decide import (
    Ask,
    Consult,
    Execute,
    Fence,
    Late,
    Meant,
    Presence,
    Question,
    Repeated,
    Replay,
    StepDecision,
    Unaccounted,
    Undo,
    UndoDecision,
    Wait,
    Which,
    Withdraw,
    decide_step,
    decide_undo,
)
from sagaworks.ledger.firstclaim import lock_and_claim
from sagaworks.ledger.intent import Intent, intent_of
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import WITHDRAWN, Arrival, Entry, State
from sagaworks.ledger.statements import SagaRow
from sagaworks.ledger.store import Store
from sagaworks.ledger.witness import Witness
from sagaworks.saga import BY_HAND_VARIABLE, JobKey
from sagaworks.step import Compensation, Step

T = TypeVar("T")

Probe = Callable[[JobKey], Presence]
"""Asks the engine whether a job is still there."""

Held = Callable[[], bool]
"""Says whether the engine still counts the job as ours."""

Writing = Callable[[], AbstractContextManager[Connection]]
"""Gives a transaction, or a part of one, that is undone if the block ends by an error."""

Execution = Callable[[Connection, Delivery, int, int | None], T]
"""Executes a job as that round; the claim's row stands already where the last one isn't None."""

LATE = Answer(Outcome.LATE, Say.NOTHING)


class OwnershipLostError(Exception):
    """The engine has taken the job away while its step ran; everything is rolled back."""


class _WhichError(Exception):
    """History must say what is to be undone; the turn is rolled back."""


@dataclass(slots=True)
class _Found:
    """What was found out for a turn; it holds for the rows that it was asked about."""

    told: dict[Consult, bool] | None
    meant: Meant | Which | None
    presences: dict[JobKey, Presence] = field(default_factory=dict)
    closed_began: int | None = None
    seen: list[Entry] = field(default_factory=list)

    def about(self, entries: list[Entry]) -> list[Entry]:
        """Forget what the engine said of other rows than these.

        Rows that changed since may be this very job's, carried out by another delivery and over:
        docs/decisions/0032.
        """
        if entries != self.seen:
            self.presences.clear()
            self.seen = entries
            if self.told is not None:
                self.told.clear()
                self.meant = Which()
        return entries


class Turns:
    """Gives each job its turn in the service's database.

    Args:
        store: the service's database.
        probe: called with no lock held.
        writing: what a turn is taken in; a transaction of its own by default.
        witness: asks history, with no lock held; None where there is none.
    """

    def __init__(
        self,
        store: Store,
        probe: Probe,
        writing: Writing | None = None,
        witness: Witness | None = None,
    ) -> None:
        """Keep the database and the way to ask the engine."""
        self.store = store
        self.writing = writing or store.writing
        self._probe = probe
        self._witness = witness

    def decided(
        self,
        step: Step[..., Any],
        delivery: Delivery,
        execute: Execution[T],
        *,
        claims: bool = False,
    ) -> T | Answer | Intent:
        """Decide on a step's job; `execute` it in the same transaction where the table says so.

        Args:
            claims: a saga that is new here may be claimed with its row, see `Execution`.
        """
        found = self._nothing_yet()
        while True:
            reached(Point.BEGIN, delivery.arrival.job)
            with self.writing() as connection:
                row = _lock(connection, delivery, claims=claims)
                decision = _decide(connection, row, delivery, found)
                if isinstance(decision, Execute):
                    return execute(connection, delivery, decision.round, row.claimed)
                # The table executes whatever a new saga asks for.
                assert row.claimed is None, decision  # noqa: S101
                if isinstance(decision, Withdraw) and step.undo:
                    statements.begin_undo(connection, decision.entry.id, WITHDRAWN)
                elif not isinstance(decision, (Ask, Consult)):
                    return _settled(connection, step, delivery, decision)
                reached(Point.COMMIT, delivery.arrival.job)
            if isinstance(decision, Withdraw):
                raise Retry(_why_withdrawn(delivery.arrival, decision.entry))
            self._find_out(found, decision, delivery)

    def decided_undo(
        self,
        undo: Compensation[Any],
        delivery: Delivery,
        act: Callable[[Connection, Delivery, Undo], T],
    ) -> T | Answer:
        """Decide on a compensation's job; `act` in the same transaction if there is what to undo.

        Raises:
            Halt: no row tells of what is to be undone; the saga row isn't kept either, so that the
                next delivery is as loud as this one.
        """
        found = self._nothing_yet()
        while True:
            try:
                decision = self._turn_of_undo(undo, delivery, act, found)
            except _WhichError:
                found.meant = self._meant(undo, delivery)
                continue
            if not isinstance(decision, (Ask, Consult)):
                return decision
            self._find_out(found, decision, delivery)

    def _turn_of_undo(
        self,
        undo: Compensation[Any],
        delivery: Delivery,
        act: Callable[[Connection, Delivery, Undo], T],
        found: _Found,
    ) -> T | Answer | Ask | Consult:
        reached(Point.BEGIN, delivery.arrival.job)
        with self.writing() as connection:
            decision = _decide_on_undo(connection, delivery, found)
            if isinstance(decision, Undo):
                return act(connection, delivery, decision)
            if isinstance(decision, Answer) and not undo.remote:
                reached(Point.CLAIMED, delivery.arrival.job)
            reached(Point.COMMIT, delivery.arrival.job)
            return decision

    def _nothing_yet(self) -> _Found:
        return _Found({}, Which()) if self._witness else _Found(None, None)

    def _find_out(self, found: _Found, asked: Ask | Consult, delivery: Delivery) -> None:
        reached(Point.ASK, delivery.arrival.job)
        if isinstance(asked, Ask):
            found.presences[asked.job] = self._probe(asked.job)
        elif self._witness and found.told is not None:
            arrival, noted = delivery.arrival, found.closed_began
            found.told[asked] = self._witness.tells(asked, arrival, noted)

    def _meant(self, undo: Compensation[Any], delivery: Delivery) -> Meant | None:
        reached(Point.ASK, delivery.arrival.job)
        job_type = undo.step.job_type
        return self._witness.meant(delivery.arrival, job_type) if self._witness else None


def _decide_on_undo(
    connection: Connection, delivery: Delivery, found: _Found
) -> Undo | Answer | Ask | Consult:
    row = _lock(connection, delivery)
    owner = _owner(connection, row, delivery, found)
    decision = owner or _decide_undo(connection, row, delivery, found)
    if isinstance(decision, Which):
        # Nothing is kept: a saga that is new to this service is to be new when it's decided.
        raise _WhichError
    if isinstance(decision, (Undo, Answer, Ask, Consult)):
        return decision
    if isinstance(decision, Late):
        return LATE
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


def _lock(connection: Connection, delivery: Delivery, *, claims: bool = False) -> SagaRow:
    arrival = delivery.arrival
    if claims:
        return lock_and_claim(connection, arrival)
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


def _owner(
    connection: Connection, row: SagaRow, delivery: Delivery, found: _Found
) -> Answer | Consult | None:
    """Say what keeps the job's process instance from owning the saga, if anything does."""
    duplicate = _duplicate(row, delivery)
    if not duplicate:
        return None
    # A saga that has ended is ended for ever; one that was forgotten midway goes on as another.
    if found.told is None or row.process_instance is None or row.ended_in is not None:
        return duplicate
    asked = Consult(Question.FORGOTTEN, row.process_instance)
    if asked not in found.told:
        return asked
    if not found.told[asked]:
        return duplicate
    _pass(connection, delivery)
    return None


def _closed(
    connection: Connection, row: SagaRow, delivery: Delivery, found: _Found
) -> Answer | Consult | None:
    """Say that a step comes for a saga that was cancelled and withdrawn: docs/decisions/0035."""
    if row.closed_began is None or row.process_instance != delivery.arrival.process_instance:
        return None
    if found.told is not None:
        found.closed_began = row.closed_began
        asked = Consult(Question.BORN_AGAIN, delivery.arrival.process_instance)
        if asked not in found.told:
            return asked
        if found.told[asked]:
            _pass(connection, delivery)
            return None
    return Answer(Outcome.CLOSED, Say.HALT, message=_why_closed(delivery.arrival))


def _pass(connection: Connection, delivery: Delivery) -> None:
    arrival = delivery.arrival
    statements.pass_saga(connection, arrival.tenant, arrival.saga_key, arrival.process_instance)


def _decide(
    connection: Connection, row: SagaRow, delivery: Delivery, found: _Found
) -> StepDecision | Answer:
    kept_out = _owner(connection, row, delivery, found) or _closed(connection, row, delivery, found)
    if kept_out:
        return kept_out
    entries = found.about(_entries(connection, row, delivery))
    return decide_step(delivery.arrival, entries, found.presences, found.told)


def _decide_undo(
    connection: Connection, row: SagaRow, delivery: Delivery, found: _Found
) -> UndoDecision:
    entries = found.about(_entries(connection, row, delivery))
    return decide_undo(
        delivery.arrival,
        entries,
        found.presences,
        saga_is_new=row.is_new,
        meant=found.meant,
    )


def _why_closed(arrival: Arrival) -> str:
    return (
        f"saga {arrival.saga_key!r} was cancelled, and its effects were withdrawn; its process"
        f" instance {arrival.process_instance} is here again: cancel it, or let it begin anew by"
        f" `sagaworks adopt {arrival.saga_key}`"
    )


def _why_withdrawn(arrival: Arrival, entry: Entry) -> str:
    return (
        f"{entry.step} of job {entry.job} was taken away and is undone first; job {arrival.job}"
        " has other inputs and comes after"
    )


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
    decision: Answer | Replay | Late | Wait | Withdraw | Repeated,
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
    decision: Answer | Replay | Late | Withdraw | Repeated,
) -> Answer | Intent:
    if isinstance(decision, Answer):
        return decision
    if isinstance(decision, Late):
        return LATE
    if isinstance(decision, Repeated):
        return Answer(Outcome.REPEATED, Say.HALT, message=decision.why)
    if isinstance(decision, Withdraw):
        why = _why_withdrawn(delivery.arrival, decision.entry)
        message = f"{why}; but {step.job_type} has no compensation: undo it by hand"
        return Answer(Outcome.REPEATED, Say.HALT, message=message)
    statements.report_again(connection, decision.entry, delivery.arrival.job, delivery.arrival)
    if decision.entry.state is State.INTENT:
        return intent_of(decision.entry, adopted=decision.adopted)
    outcome = Outcome.ADOPTED if decision.adopted else Outcome.REPLAYED
    return stored(step, decision.entry, outcome)
