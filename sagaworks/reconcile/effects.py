"""The rows that aren't settled yet, read in portions; no job waits for these statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, Integer, Row, Select, and_, bindparam, select, update

from sagaworks.errors import Halt
from sagaworks.ledger.direct import Direct
from sagaworks.ledger.rows import WITHDRAWN, Entry, State, entry_of
from sagaworks.ledger.tables import age_of, doubt, ledger, saga
from sagaworks.saga import SagaKey

_STILL_OPEN: Final = ledger.c.state.in_((State.OPEN, State.INTENT))

# Said as a number, so that PostgreSQL plans for so few also where it plans for all values at once.
_PORTION: Final = bindparam("portion", type_=Integer, literal_execute=True)


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
    # As its index has them: by the id alone PostgreSQL may go through all that was ever counted.
    .order_by(ledger.c.counted_at, ledger.c.id)
    .limit(_PORTION)
)

_RECORDED: Final = (
    select(ledger.c.saga_key)
    .select_from(doubt.join(ledger, doubt.c.execution == ledger.c.id))
    .where(ledger.c.undone_by == WITHDRAWN, _STILL_OPEN, ledger.c.tenant == bindparam("tenant"))
    .order_by(doubt.c.tried_at)
    .limit(bindparam("portion"))
)

_SAGA: Final = select(saga.c.tenant, saga.c.saga_key, saga.c.process_instance)

_NOT_ENDED: Final = (
    _SAGA.where(
        saga.c.ended_in.is_(None),
        saga.c.tenant == bindparam("tenant"),
        saga.c.saga_key > bindparam("after"),
        saga.c.process_instance.is_not(None),
        age_of(saga.c.created_at) > bindparam("seconds"),
    )
    # As its index has them: by the key alone PostgreSQL goes through all that ended (measured).
    .order_by(saga.c.ended_in, saga.c.saga_key)
    .limit(_PORTION)
)

_ENDED_BEFORE: Final = (
    select(saga.c.saga_key, saga.c.process_instance)
    .where(
        saga.c.ended_in < bindparam("life"),
        saga.c.tenant == bindparam("tenant"),
    )
    .limit(bindparam("portion"))
)

_OF_KEYS: Final = _SAGA.where(
    saga.c.tenant == bindparam("tenant"),
    saga.c.saga_key.in_(bindparam("keys", expanding=True)),
    saga.c.process_instance.is_not(None),
)

_AT_ONCE: Final = 100
"""Sagas in one statement: always as many, so that driver and server know it already."""

_END: Final = Direct(
    update(saga)
    .where(
        saga.c.tenant == bindparam("of_tenant"),
        saga.c.saga_key.in_([bindparam(f"key_{n}") for n in range(_AT_ONCE)]),
    )
    .values(ended_in=bindparam("life"))
)


def _with_effects(sagas: Select[tuple[str, str, int | None]]) -> Select[tuple[object, ...]]:
    """Return the statement for sagas, each with its open rows, newest first, or with none."""
    one = sagas.subquery("one")
    own = and_(ledger.c.tenant == one.c.tenant, ledger.c.saga_key == one.c.saga_key, _STILL_OPEN)
    noted = doubt.c.execution == ledger.c.id
    return (
        select(
            one.c.saga_key.label("whose"),
            one.c.process_instance.label("owner"),
            ledger,
            age_of(ledger.c.created_at).label("age"),
            doubt.c.kind,
            doubt.c.why,
            doubt.c.tries,
            age_of(doubt.c.tried_at).label("rested"),
        )
        .select_from(one.outerjoin(ledger, own).outerjoin(doubt, noted))
        .order_by(one.c.saga_key, ledger.c.id.desc())
    )


_NOT_ENDED_SAGAS: Final = _with_effects(_NOT_ENDED)
_SAGAS_OF_KEYS: Final = _with_effects(_OF_KEYS)


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
) -> list[OpenSaga]:
    """Return sagas older than `seconds` that weren't seen to end; those after a key, in order."""
    asked = {"tenant": tenant, "after": after, "seconds": seconds, "portion": portion}
    return _open_sagas(connection.execute(_NOT_ENDED_SAGAS, asked).all())


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
    found = {one.key: one for one in _open_sagas(connection.execute(_SAGAS_OF_KEYS, asked).all())}
    return [found[key] for key in keys if key in found]


def mark_ended(connection: Connection, tenant: str, keys: Sequence[str], life: int | None) -> None:
    """Note in which life of the engine sagas have ended, or None that they're alive again."""
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        named = {f"key_{n}": some[min(n, len(some) - 1)] for n in range(_AT_ONCE)}
        _END.send(connection, {"of_tenant": tenant, "life": life, **named})


def _open_sagas(rows: Iterable[Row[tuple[object, ...]]]) -> list[OpenSaga]:
    found = []
    for (key, owner), group in groupby(rows, key=itemgetter(0, 1)):
        effects, damaged = [], ""
        for row in group:
            try:
                effects += [_effect(row)] if row.id is not None else []
            except Halt as halt:
                damaged = halt.why
        found.append(OpenSaga(key, SagaKey(owner), effects, damaged))
    return found


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
