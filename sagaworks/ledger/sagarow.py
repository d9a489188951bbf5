"""The saga row's upsert, in each database's own words: writing the row is its lock."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Insert, bindparam, case, func, null
from sqlalchemy.dialects.mysql import insert as mariadb_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from sagaworks.ledger.direct import Direct
from sagaworks.ledger.tables import saga, utc_now

Values = dict[str, Any]

FOUND: Final = (
    saga.c.process_instance,
    saga.c.start_digest,
    saga.c.touched,
    saga.c.closed_began,
    saga.c.ended_in,
)
"""The columns that whoever has locked the row is told."""

_KEY: Final = ["tenant", "saga_key"]

OFFERED: Final = (*_KEY, "process_instance", "process_id", "start_digest")
"""The columns that whoever asks for the row fills in."""


def _sqlite(values: Values) -> Insert:
    upsert = sqlite_insert(saga).values(values)
    return upsert.on_conflict_do_update(index_elements=_KEY, set_=_kept(upsert.excluded))


def _postgresql(values: Values) -> Insert:
    upsert = postgresql_insert(saga).values(values)
    return upsert.on_conflict_do_update(index_elements=_KEY, set_=_kept(upsert.excluded))


def _mariadb(values: Values) -> Insert:
    upsert = mariadb_insert(saga).values(values)
    # A list, for its order: MariaDB's assignments see those before them.
    return upsert.on_duplicate_key_update([*_kept(upsert.inserted).items()])


def _kept(offered: Any) -> dict[str, ColumnElement[Any]]:  # noqa: ANN401  columns by name
    return {
        # A saga that was started elsewhere, without one, doesn't get the digest of who asks for it.
        "start_digest": case(
            (
                saga.c.process_instance.is_(None),
                func.coalesce(saga.c.start_digest, offered.start_digest),
            ),
            else_=saga.c.start_digest,
        ),
        "process_instance": func.coalesce(saga.c.process_instance, offered.process_instance),
        "touched": saga.c.touched + 1,
        # A job of its own brings a saga back to life: the engine was restored, or it comes late.
        "ended_in": case(
            (saga.c.process_instance == offered.process_instance, null()), else_=saga.c.ended_in
        ),
    }


_DIALECTS: Final[dict[str, Callable[[Values], Insert]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
}


def _in_each(**more: Any) -> dict[str, Direct]:  # noqa: ANN401  SQL expressions
    values = {"touched": 1, "created_at": utc_now(), **more}
    return {
        name: Direct(upsert(values).returning(*FOUND), OFFERED)
        for name, upsert in _DIALECTS.items()
    }


LOCK: Final = _in_each()
"""By a job: the first process instance to come owns the key."""

RESERVE: Final = _in_each(starting_at=utc_now())
"""By a starter, which has no process instance yet."""

LOCK_IN_POSTGRESQL: Final = (
    _postgresql(
        {**{name: bindparam(name) for name in OFFERED}, "touched": 1, "created_at": utc_now()}
    )
    .returning(*saga.c)
    .cte("locked")
)
"""As LOCK, to be a part of a statement."""
