"""Every statement the ledger sends, in Core, each over the columns of `tables`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Update, case, func, insert, literal, null, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from sagaworks.errors import SagaworksError
from sagaworks.ledger.rows import Arrival, Entry, State, entry_of
from sagaworks.ledger.tables import ledger, saga, utc_now
from sagaworks.saga import JobKey, SagaKey


class LostRowError(SagaworksError):
    """Writing an answer hit no row: the claim was rolled back under the step.

    A deadlock that a step swallows does this on MariaDB (measured); everything is rolled back.
    """


@dataclass(frozen=True, slots=True)
class SagaRow:
    """The saga row as it stands under its lock."""

    process_instance: SagaKey | None
    start_digest: str | None
    is_new: bool
    starting_seconds: float | None


def lock_saga(  # noqa: PLR0913  a row's columns
    connection: Connection,
    tenant: str,
    saga_key: str,
    *,
    process_id: str,
    process_instance: int | None = None,
    start_digest: str | None = None,
) -> SagaRow:
    """Write the saga row, which is its lock, and return it; the first instance to come owns it."""
    values = {
        "tenant": tenant,
        "saga_key": saga_key,
        "process_instance": process_instance,
        "process_id": process_id,
        "start_digest": start_digest,
        "starting_at": utc_now() if process_instance is None else null(),
        "touched": 1,
        "created_at": utc_now(),
    }
    upsert = sqlite_insert(saga).values(values)
    digest = upsert.excluded.start_digest
    kept = {
        "touched": saga.c.touched + 1,
        "process_instance": func.coalesce(
            saga.c.process_instance, upsert.excluded.process_instance
        ),
        # A saga that was started elsewhere, without one, doesn't get the digest of who asks for it.
        "start_digest": case(
            (saga.c.process_instance.is_(None), func.coalesce(saga.c.start_digest, digest)),
            else_=saga.c.start_digest,
        ),
    }
    upsert = upsert.on_conflict_do_update(index_elements=["tenant", "saga_key"], set_=kept)
    age = (func.julianday(utc_now()) - func.julianday(saga.c.starting_at)) * literal(86400.0)
    columns = (saga.c.process_instance, saga.c.start_digest, saga.c.touched, age)
    found = connection.execute(upsert.returning(*columns)).one()
    return SagaRow(found[0], found[1], found[2] == 1, found[3])


def entries_of(connection: Connection, arrival: Arrival) -> list[Entry]:
    """Return the step's rows in this saga, oldest first."""
    ours = (
        ledger.c.tenant == arrival.tenant,
        ledger.c.saga_key == arrival.saga_key,
        ledger.c.step.in_(arrival.names),
    )
    rows = connection.execute(select(ledger).where(*ours).order_by(ledger.c.id))
    return [entry_of(row) for row in rows]


def claim(
    connection: Connection,
    arrival: Arrival,
    round_: int,
    state: State = State.CLAIM,
    request: bytes | None = None,
) -> int:
    """Insert the execution's row before its effect; return its id."""
    values = {
        "tenant": arrival.tenant,
        "saga_key": arrival.saga_key,
        "step": arrival.step,
        "each": arrival.each or "",
        "round": round_,
        "state": state,
        "process_instance": arrival.process_instance,
        "element": arrival.element,
        "element_instance": arrival.element_instance,
        "jobs": json.dumps([arrival.job]),
        "loop_counter": arrival.loop_counter,
        "inputs": arrival.inputs,
        "request": request,
        "reports": 0,
        "throw_accepted": False,
        "created_at": utc_now(),
        "answered_at": utc_now() if state is State.FENCE else null(),
        "counted_at": utc_now() if state is State.FENCE else null(),
    }
    return int(
        connection.execute(insert(ledger).values(values).returning(ledger.c.id)).scalar_one()
    )


def answer(
    connection: Connection, row: int, was: State, becomes: State, encoded: bytes | None
) -> None:
    """Write the answer into the claimed row, and count the report that will follow the commit.

    Raises:
        LostRowError: the row isn't there in that state.
    """
    values: dict[str, Any] = {"state": becomes, "answer": encoded, "answered_at": utc_now()}
    if becomes is State.REFUSED:
        # A compensation that finished the intent has nothing to undo in this row.
        values["undone_by"] = null()
    change = update(ledger).values(values | {"reports": ledger.c.reports + 1})
    _hit_one(connection, row, was, change)


def begin_undo(connection: Connection, row: int, job: JobKey) -> None:
    """Bind an open row to the compensation job that undoes it by a call, unless one has it."""
    unbound = (ledger.c.id == row, ledger.c.undone_by.is_(None))
    connection.execute(update(ledger).where(*unbound).values(undone_by=job))


def undo(connection: Connection, row: int, job: JobKey) -> None:
    """Mark an open row as undone, by this compensation job unless it's bound to another.

    Raises:
        LostRowError: the row isn't open.
    """
    by = func.coalesce(ledger.c.undone_by, job)
    values = {"state": State.UNDONE, "undone_by": by, "undone_at": utc_now()}
    _hit_one(connection, row, State.OPEN, update(ledger).values(values))


def report_again(connection: Connection, entry: Entry, job: JobKey) -> None:
    """Count one more report, committed before it's sent; let an adopting job take the row."""
    jobs = entry.jobs if job in entry.jobs else (*entry.jobs, job)
    values = {"jobs": json.dumps(jobs), "reports": ledger.c.reports + 1}
    connection.execute(update(ledger).where(ledger.c.id == entry.id).values(values))


def mark_counted(connection: Connection, rows: Iterable[int]) -> None:
    """Note that the engine has accepted these rows' answers."""
    accepted = {"counted_at": utc_now(), "throw_accepted": ledger.c.state == State.REFUSED}
    connection.execute(update(ledger).where(ledger.c.id.in_(list(rows))).values(accepted))


def entry_by_id(connection: Connection, row: int) -> Entry:
    """Return one row."""
    return entry_of(connection.execute(select(ledger).where(ledger.c.id == row)).one())


def count_in_doubt(connection: Connection, older_than_seconds: float) -> int:
    """Return how many effects and intents the engine hasn't been seen to accept for that long."""
    age = (func.julianday(utc_now()) - func.julianday(ledger.c.created_at)) * literal(86400.0)
    undecided = (ledger.c.counted_at.is_(None), ledger.c.state.in_((State.OPEN, State.INTENT)))
    found = select(func.count()).select_from(ledger).where(*undecided, age > older_than_seconds)
    return int(connection.execute(found).scalar_one())


def _hit_one(connection: Connection, row: int, was: State, change: Update) -> None:
    mine = (ledger.c.id == row, ledger.c.state == was)
    # RETURNING, never rowcount: psycopg doesn't tell a miss by it (measured).
    hit = connection.execute(change.where(*mine).returning(ledger.c.id)).all()
    if len(hit) != 1:
        raise LostRowError("the ledger's row is gone; everything was rolled back")
