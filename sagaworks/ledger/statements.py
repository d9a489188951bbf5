"""Every statement the ledger sends, in Core, each over the columns of `tables`.

They are built once, when the module is imported: building one costs more than sending it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    update,
)

from sagaworks.ledger.direct import Direct
from sagaworks.ledger.faults import LostRowError
from sagaworks.ledger.rows import Arrival, Entry, State, entry_of
from sagaworks.ledger.sagarow import LOCK, RESERVE
from sagaworks.ledger.tables import age_of, ledger, saga, utc_now
from sagaworks.saga import JobKey, SagaKey


@dataclass(frozen=True, slots=True)
class SagaRow:
    """The saga row as it stands under its lock."""

    process_instance: SagaKey | None
    start_digest: str | None
    is_new: bool
    closed_began: int | None = None
    """Set once it was cancelled and withdrawn: when that instance had begun."""
    ended_in: int | None = None
    """In which life of the engine it was seen to have ended."""
    claimed: int | None = None
    """The row of its first execution, where that was claimed with it."""


_ENTRIES: Final = (
    select(ledger)
    .where(
        ledger.c.tenant == bindparam("tenant"),
        ledger.c.saga_key == bindparam("saga_key"),
        ledger.c.step.in_(bindparam("steps", expanding=True)),
    )
    .order_by(ledger.c.id)
)

_ENTRY: Final = select(ledger).where(ledger.c.id == bindparam("row"))

_AGE: Final = select(age_of(ledger.c.created_at)).where(ledger.c.id == bindparam("row"))

_CLAIM: Final = (
    insert(ledger)
    .values(reports=0, throw_accepted=False, created_at=utc_now())
    .returning(ledger.c.id)
)

_FENCE: Final = _CLAIM.values(answered_at=utc_now(), counted_at=utc_now())

_GIVEN: Final = (
    "tenant",
    "saga_key",
    "step",
    "each",
    "round",
    "state",
    "process_instance",
    "element",
    "element_instance",
    "jobs",
    "loop_counter",
    "inputs",
    "request",
)
"""The columns of a claim that its job fills in."""

_DIRECT_CLAIM: Final = Direct(_CLAIM, _GIVEN)
_DIRECT_FENCE: Final = Direct(_FENCE, _GIVEN)

_CHANGE: Final = update(ledger).where(
    ledger.c.id == bindparam("row"), ledger.c.state == bindparam("was")
)

_ANSWER: Final = _CHANGE.values(
    state=bindparam("becomes"),
    answer=bindparam("encoded"),
    answered_at=utc_now(),
    reports=ledger.c.reports + 1,
    # A compensation that finished a refused intent has nothing to undo in this row.
    undone_by=case((bindparam("becomes") == State.REFUSED, None), else_=ledger.c.undone_by),
)

_UNDO: Final = _CHANGE.values(
    state=State.UNDONE,
    undone_by=func.coalesce(ledger.c.undone_by, bindparam("job")),
    undone_at=utc_now(),
)

_TOLD: Final = {change: Direct(change.returning(ledger.c.id)) for change in (_ANSWER, _UNDO)}
"""The same, telling which rows they hit."""

_UNTOLD: Final = {change: Direct(change) for change in (_ANSWER, _UNDO)}
"""For MariaDB, which has no UPDATE … RETURNING, and counts what it found: docs/decisions/0006."""

_SURELY: Final = {
    change: Direct(
        select(literal_column("1 / count(*)")).select_from(change.returning(ledger.c.id).cte()),
        hits_one=True,
    )
    for change in (_ANSWER, _UNDO)
}
"""For a line, on which nobody looks at what came back before the COMMIT."""

_BEGIN_UNDO: Final = (
    update(ledger)
    .where(ledger.c.id == bindparam("row"), ledger.c.undone_by.is_(None))
    .values(undone_by=bindparam("job"))
)

_REPORT: Final = (
    update(ledger)
    .where(ledger.c.id == bindparam("row"))
    .values(
        jobs=bindparam("all_jobs"),
        reports=ledger.c.reports + 1,
        process_instance=bindparam("instance"),
        element_instance=bindparam("of_element"),
    )
)

_PASS: Final = (
    update(saga)
    .where(saga.c.tenant == bindparam("of_tenant"), saga.c.saga_key == bindparam("key"))
    .values(process_instance=bindparam("instance"), closed_began=None, ended_in=None)
)

_COUNTED: Final = (
    update(ledger)
    .where(ledger.c.id.in_(bindparam("rows", expanding=True)))
    .values(counted_at=utc_now(), throw_accepted=ledger.c.state == State.REFUSED)
)

_IN_DOUBT: Final = (
    select(func.count())
    .select_from(ledger)
    .where(
        ledger.c.counted_at.is_(None),
        ledger.c.state.in_((State.OPEN, State.INTENT)),
        age_of(ledger.c.created_at) > bindparam("seconds"),
    )
)


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
    offered = {
        "tenant": tenant,
        "saga_key": saga_key,
        "process_instance": process_instance,
        "process_id": process_id,
        "start_digest": start_digest,
    }
    upserts = RESERVE if process_instance is None else LOCK
    (found,) = upserts[connection.dialect.name].send(connection, offered).rows
    return saga_row(*found)


def saga_row(  # noqa: PLR0913, PLR0917  a row's columns
    process_instance: int | None,
    start_digest: str | None,
    touched: int,
    closed_began: int | None,
    ended_in: int | None,
    claimed: int | None = None,
) -> SagaRow:
    """Return what `FOUND` has brought."""
    owner = None if process_instance is None else SagaKey(process_instance)
    return SagaRow(owner, start_digest, touched == 1, closed_began, ended_in, claimed)


def entries_of(connection: Connection, arrival: Arrival) -> list[Entry]:
    """Return the step's rows in this saga, oldest first."""
    ours = {"tenant": arrival.tenant, "saga_key": arrival.saga_key, "steps": arrival.names}
    return [entry_of(row) for row in connection.execute(_ENTRIES, ours)]


def claim(
    connection: Connection,
    arrival: Arrival,
    round_: int,
    state: State = State.CLAIM,
    request: bytes | None = None,
) -> int:
    """Insert the execution's row before its effect; return its id."""
    values = {**claimed_by(arrival), "round": round_, "state": state, "request": request}
    statement = _DIRECT_FENCE if state is State.FENCE else _DIRECT_CLAIM
    ((row,),) = statement.send(connection, values).rows
    return int(row)


def claimed_by(arrival: Arrival) -> dict[str, Any]:
    """Return what a claim tells of its job, by column."""
    return {
        "tenant": arrival.tenant,
        "saga_key": arrival.saga_key,
        "step": arrival.step,
        "each": arrival.each or "",
        "process_instance": arrival.process_instance,
        "element": arrival.element,
        "element_instance": arrival.element_instance,
        "jobs": f"[{arrival.job}]",
        "loop_counter": arrival.loop_counter,
        "inputs": arrival.inputs,
    }


def answer(  # noqa: PLR0913  a row's columns
    connection: Connection,
    row: int,
    was: State,
    becomes: State,
    encoded: bytes | None,
    *,
    last: bool = False,
) -> None:
    """Write the answer into the claimed row, and count the report that will follow the commit.

    Args:
        last: nothing follows in the transaction that asks for it; it may go with the COMMIT.

    Raises:
        LostRowError: the row isn't there in that state; with `last` the COMMIT may say so.
    """
    values = {"row": row, "was": was, "becomes": becomes, "encoded": encoded}
    _hit_one(connection, _ANSWER, values, last=last)


def begin_undo(connection: Connection, row: int, job: JobKey) -> None:
    """Bind an open row to the compensation job that undoes it by a call, unless one has it."""
    connection.execute(_BEGIN_UNDO, {"row": row, "job": job})


def undo(connection: Connection, row: int, job: JobKey, *, last: bool = False) -> None:
    """Mark an open row as undone, by this compensation job unless it's bound to another.

    Args:
        last: as in `answer`.

    Raises:
        LostRowError: the row isn't open; with `last` the COMMIT may say so.
    """
    _hit_one(connection, _UNDO, {"row": row, "was": State.OPEN, "job": job}, last=last)


def report_again(
    connection: Connection, entry: Entry, job: JobKey, arrival: Arrival | None = None
) -> None:
    """Count one more report, committed before it's sent; let an arriving job take the row.

    It takes the row with its process instance, by which the reconciler finds what becomes of it.
    """
    whose = arrival or entry
    values = {
        "row": entry.id,
        "all_jobs": json.dumps(entry.jobs if job in entry.jobs else (*entry.jobs, job)),
        "instance": whose.process_instance,
        "of_element": whose.element_instance,
    }
    connection.execute(_REPORT, values)


def pass_saga(connection: Connection, tenant: str, saga_key: str, instance: SagaKey) -> None:
    """Let another process instance own a saga, whose first one the engine has forgotten."""
    values = {"of_tenant": tenant, "key": saga_key, "instance": instance}
    connection.execute(_PASS, values)


def mark_counted(connection: Connection, rows: Iterable[int]) -> None:
    """Note that the engine has accepted these rows' answers."""
    connection.execute(_COUNTED, {"rows": list(rows)})


def entry_by_id(connection: Connection, row: int) -> Entry:
    """Return one row."""
    return entry_of(connection.execute(_ENTRY, {"row": row}).one())


def age_of_entry(connection: Connection, row: int) -> float:
    """Return how many seconds ago a row was inserted, by the database's clock."""
    return float(connection.execute(_AGE, {"row": row}).scalar_one())


def count_in_doubt(connection: Connection, older_than_seconds: float) -> int:
    """Return how many effects and intents the engine hasn't been seen to accept for that long."""
    return int(connection.execute(_IN_DOUBT, {"seconds": older_than_seconds}).scalar_one())


def _hit_one(connection: Connection, change: Update, values: dict[str, Any], *, last: bool) -> None:
    if last and _SURELY[change].waits(connection, values):
        return
    if _hits(connection, change, values) != 1:
        raise LostRowError


def _hits(connection: Connection, change: Update, values: dict[str, Any]) -> int:
    if connection.dialect.name == "mariadb":
        return _UNTOLD[change].send(connection, values).count
    # RETURNING, never rowcount: psycopg doesn't tell a miss by it (measured).
    return len(_TOLD[change].send(connection, values).rows)
