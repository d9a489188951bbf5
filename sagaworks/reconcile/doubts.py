"""What the reconciler leaves to a person: the list, and what the person decides.

Plain functions over one service's own database. Each takes a connection in a transaction, and acts
under the saga row's lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from sagaworks.errors import SagaworksError
from sagaworks.ledger import statements
from sagaworks.ledger.rows import WITHDRAWN, State
from sagaworks.ledger.tables import age_of, doubt, ledger, saga, utc_now
from sagaworks.reconcile.effects import mark_ended
from sagaworks.reconcile.judge import Kind
from sagaworks.saga import JobKey, SagaKey


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row that waits for a person, or for the reconciler's next try.

    Attributes:
        execution: the ledger row's id; names the doubt.
        kind: see `sagaworks.reconcile.judge.Kind`.
        why: one line, without values.
        tries: how often its undo has failed.
        age: seconds since the effect began, by the database's clock.
        withdrawn: whether its undo is recorded, and tried again until it works.
    """

    execution: int
    kind: str
    why: str
    tries: int
    saga_key: str
    step: str
    each: str
    round: int
    state: str
    process_instance: SagaKey
    jobs: str
    age: float
    withdrawn: bool


_LISTED: Final = (
    select(
        doubt.c.execution,
        doubt.c.kind,
        doubt.c.why,
        doubt.c.tries,
        ledger.c.saga_key,
        ledger.c.step,
        ledger.c.each,
        ledger.c.round,
        ledger.c.state,
        ledger.c.process_instance,
        ledger.c.jobs,
        age_of(ledger.c.created_at).label("age"),
        (ledger.c.undone_by == WITHDRAWN).label("withdrawn"),
    )
    .select_from(doubt.join(ledger, doubt.c.execution == ledger.c.id))
    .where(
        ledger.c.tenant == bindparam("tenant"),
        ledger.c.state.in_((State.OPEN, State.INTENT)),
        doubt.c.kind != Kind.KEPT,
        doubt.c.execution > bindparam("after"),
    )
    .order_by(doubt.c.execution)
    .limit(bindparam("portion"))
)

_ONE: Final = select(doubt.c.kind, doubt.c.why).where(doubt.c.execution == bindparam("row"))

_DROP: Final = delete(doubt).where(doubt.c.execution == bindparam("row"))

_CLOSE: Final = (
    update(saga)
    .where(saga.c.tenant == bindparam("of_tenant"), saga.c.saga_key == bindparam("key"))
    .values(closed_began=bindparam("began"))
)

_WHOSE: Final = select(ledger.c.saga_key).where(
    ledger.c.id == bindparam("row"), ledger.c.tenant == bindparam("tenant")
)


def doubts_of(
    connection: Connection, tenant: str, *, after: int = 0, portion: int = 1000
) -> Sequence[Doubt]:
    """Return the service's listed rows, oldest first; those after a row's id, `portion` at most."""
    asked = {"tenant": tenant, "after": after, "portion": portion}
    found = connection.execute(_LISTED, asked).mappings()
    return [Doubt(**{**row, "withdrawn": bool(row["withdrawn"])}) for row in found]


def withdraw(connection: Connection, tenant: str, execution: int) -> bool:
    """Have a listed effect undone: record that; the service's worker does it, until it works.

    Returns False where it's undone, or about to be, already.

    Raises:
        SagaworksError: there is no such row.
    """
    key = _lock(connection, tenant, execution)
    entry = statements.entry_by_id(connection, execution)
    if not entry.is_free:
        return False
    statements.begin_undo(connection, execution, WITHDRAWN)
    # The sweep comes to it, ended or not, and with history or without.
    note(connection, execution, Kind.RECORDED, "it is to be undone, as a person decided")
    mark_ended(connection, tenant, [key], None)
    return True


def keep(connection: Connection, tenant: str, execution: int, why: str) -> bool:
    """Let a listed effect stand: a person has looked, and says why.

    Returns False where it's undone, or about to be, already.

    Raises:
        SagaworksError: there is no such row.
    """
    _lock(connection, tenant, execution)
    if not statements.entry_by_id(connection, execution).is_free:
        return False
    note(connection, execution, Kind.KEPT, why)
    return True


def adopt(connection: Connection, tenant: str, saga_key: str, instance: SagaKey) -> bool:
    """Let a process instance own a saga: the engine has forgotten the first, or it begins anew.

    Returns False where this service doesn't know the saga, or the instance owns it already and is
    not kept out.
    """
    ours = (saga.c.tenant == tenant, saga.c.saga_key == saga_key)
    found = connection.execute(
        select(saga.c.process_instance, saga.c.closed_began).where(*ours).with_for_update()
    ).first()
    if found is None or (found[0] == instance and found[1] is None):
        return False
    statements.pass_saga(connection, tenant, saga_key, instance)
    return True


def note(connection: Connection, execution: int, kind: Kind, why: str, tries: int = 0) -> bool:
    """List a row, or list it otherwise; return whether the list says something new then.

    The saga row's lock is held: nobody else writes here.
    """
    was = connection.execute(_ONE, {"row": execution}).first()
    if was is None:
        values = {"execution": execution, "kind": kind, "why": why, "tries": tries}
        connection.execute(insert(doubt).values(since=utc_now(), tried_at=utc_now(), **values))
        return True
    change = update(doubt).where(doubt.c.execution == execution)
    connection.execute(change.values(kind=kind, why=why, tries=tries, tried_at=utc_now()))
    return (was[0], was[1]) != (kind, why)


def drop(connection: Connection, execution: int) -> None:
    """Take a row off the list."""
    connection.execute(_DROP, {"row": execution})


def close(connection: Connection, tenant: str, saga_key: str, began: int) -> None:
    """Note that the saga's instance, which had begun then, was cancelled and withdrawn."""
    connection.execute(_CLOSE, {"of_tenant": tenant, "key": saga_key, "began": began})


def held_by(connection: Connection, execution: int, job: JobKey) -> bool:
    """Whether a row is open, about to be undone by nobody, and still has that job as its last."""
    entry = statements.entry_by_id(connection, execution)
    return entry.is_free and entry.job == job


def _lock(connection: Connection, tenant: str, execution: int) -> str:
    key: str | None = connection.execute(_WHOSE, {"row": execution, "tenant": tenant}).scalar()
    if key is None:
        raise SagaworksError(f"the ledger has no execution {execution}")
    statements.lock_saga(connection, tenant, key, process_id="")
    return key
