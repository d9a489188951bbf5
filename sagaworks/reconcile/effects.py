"""The rows that aren't settled yet, read in portions; no job waits for these statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Row, bindparam, select, update

from sagaworks.errors import Halt
from sagaworks.ledger.rows import WITHDRAWN, Entry, State, entry_of
from sagaworks.ledger.tables import age_of, doubt, ledger, saga
from sagaworks.saga import SagaKey

_STILL_OPEN: Final = ledger.c.state.in_((State.OPEN, State.INTENT))


@dataclass(frozen=True, slots=True)
class Effect:
    """An open row, and what is noted of it.

    Attributes:
        counted: whether the engine was heard to accept it.
        age: seconds since it began, by the database's clock.
        listed: the kind of doubt it's listed under, or nothing.
        why: what the list says.
        tries: how often it couldn't be undone.
        rested: seconds since the last of those.
    """

    tenant: str
    saga_key: str
    entry: Entry
    element: str
    counted: bool
    age: float
    listed: str = ""
    why: str = ""
    tries: int = 0
    rested: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenSaga:
    """A saga with its open rows, newest first.

    Attributes:
        damaged: why one of them can't be read; nothing if all can.
    """

    key: str
    process_instance: SagaKey
    effects: Sequence[Effect]
    damaged: str = ""


_UNCOUNTED: Final = (
    select(ledger.c.id, ledger.c.saga_key)
    .where(
        ledger.c.counted_at.is_(None),
        _STILL_OPEN,
        ledger.c.tenant == bindparam("tenant"),
        ledger.c.id > bindparam("after"),
        age_of(ledger.c.created_at) > bindparam("seconds"),
    )
    .order_by(ledger.c.id)
    .limit(bindparam("portion"))
)

_RECORDED: Final = (
    select(ledger.c.saga_key)
    .select_from(doubt.join(ledger, doubt.c.execution == ledger.c.id))
    .where(ledger.c.undone_by == WITHDRAWN, _STILL_OPEN, ledger.c.tenant == bindparam("tenant"))
    .order_by(doubt.c.tried_at)
    .limit(bindparam("portion"))
)

_NOT_ENDED: Final = (
    select(saga.c.saga_key)
    .where(
        saga.c.ended_in.is_(None),
        saga.c.tenant == bindparam("tenant"),
        saga.c.saga_key > bindparam("after"),
        saga.c.process_instance.is_not(None),
        age_of(saga.c.created_at) > bindparam("seconds"),
    )
    .order_by(saga.c.saga_key)
    .limit(bindparam("portion"))
)

_ENDED_BEFORE: Final = (
    select(saga.c.saga_key, saga.c.process_instance)
    .where(
        saga.c.ended_in < bindparam("life"),
        saga.c.tenant == bindparam("tenant"),
    )
    .limit(bindparam("portion"))
)

_OWNERS: Final = select(saga.c.saga_key, saga.c.process_instance).where(
    saga.c.tenant == bindparam("tenant"),
    saga.c.saga_key.in_(bindparam("keys", expanding=True)),
    saga.c.process_instance.is_not(None),
)

_EFFECTS: Final = (
    select(
        ledger,
        age_of(ledger.c.created_at).label("age"),
        doubt.c.kind,
        doubt.c.why,
        doubt.c.tries,
        age_of(doubt.c.tried_at).label("rested"),
    )
    .select_from(ledger.outerjoin(doubt, doubt.c.execution == ledger.c.id))
    .where(
        ledger.c.tenant == bindparam("tenant"),
        ledger.c.saga_key.in_(bindparam("keys", expanding=True)),
        _STILL_OPEN,
    )
    .order_by(ledger.c.id.desc())
)

_END: Final = (
    update(saga)
    .where(
        saga.c.tenant == bindparam("of_tenant"),
        saga.c.saga_key.in_(bindparam("keys", expanding=True)),
    )
    .values(ended_in=bindparam("life"))
)


def uncounted(
    connection: Connection, tenant: str, after: int, seconds: float, portion: int
) -> list[tuple[int, str]]:
    """Return id and saga of rows that the engine wasn't heard to accept, older than `seconds`."""
    asked = {"tenant": tenant, "after": after, "seconds": seconds, "portion": portion}
    return [(row[0], row[1]) for row in connection.execute(_UNCOUNTED, asked)]


def recorded(connection: Connection, tenant: str, portion: int) -> list[str]:
    """Return the sagas of listed rows whose undo is recorded, the longest untried first."""
    asked = {"tenant": tenant, "portion": portion}
    return [*connection.execute(_RECORDED, asked).scalars()]


def not_ended(
    connection: Connection, tenant: str, after: str, seconds: float, portion: int
) -> list[str]:
    """Return sagas older than `seconds` that weren't seen to end; those after a key."""
    asked = {"tenant": tenant, "after": after, "seconds": seconds, "portion": portion}
    return [*connection.execute(_NOT_ENDED, asked).scalars()]


def ended_before(
    connection: Connection, tenant: str, life: int, portion: int
) -> list[tuple[str, SagaKey]]:
    """Return sagas that have ended in an earlier life of the engine."""
    asked = {"tenant": tenant, "life": life, "portion": portion}
    found = connection.execute(_ENDED_BEFORE, asked)
    return [(row[0], SagaKey(row[1])) for row in found]


def instances_in(sagas: Iterable[OpenSaga]) -> list[SagaKey]:
    """Return the process instances that own sagas, and those that rows are of, each once."""
    found: dict[SagaKey, None] = {}
    for one in sagas:
        rows = (effect.entry.process_instance for effect in one.effects)
        found |= dict.fromkeys([one.process_instance, *rows])
    return [*found]


def open_sagas(connection: Connection, tenant: str, keys: Sequence[str]) -> list[OpenSaga]:
    """Return sagas with their open rows; less those that have no process instance yet."""
    asked = {"tenant": tenant, "keys": keys}
    effects: dict[str, list[Effect]] = {key: [] for key in keys}
    damaged: dict[str, str] = {}
    for row in connection.execute(_EFFECTS, asked):
        try:
            effect = _effect(row)
        except Halt as halt:
            damaged[row._mapping["saga_key"]] = halt.why  # noqa: SLF001  as in `_effect`
        else:
            effects[effect.saga_key].append(effect)
    owners = {row[0]: SagaKey(row[1]) for row in connection.execute(_OWNERS, asked)}
    return [
        OpenSaga(key, owners[key], effects[key], damaged.get(key, ""))
        for key in keys
        if key in owners
    ]


def mark_ended(connection: Connection, tenant: str, keys: Sequence[str], life: int | None) -> None:
    """Note in which life of the engine sagas have ended, or None that they're alive again."""
    connection.execute(_END, {"of_tenant": tenant, "keys": keys, "life": life})


def _effect(row: Row[tuple[object, ...]]) -> Effect:
    found = row._mapping  # noqa: SLF001  SQLAlchemy's public way to a row by column names
    return Effect(
        tenant=found["tenant"],
        saga_key=found["saga_key"],
        entry=entry_of(row),
        element=found["element"],
        counted=found["counted_at"] is not None,
        age=float(found["age"]),
        listed=found["kind"] or "",
        why=found["why"] or "",
        tries=found["tries"] or 0,
        rested=float(found["rested"] or 0),
    )
