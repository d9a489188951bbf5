"""A job of a saga that is new to this service: its saga row and its claim in one statement.

The claim is inserted only where the saga row was, and so decides nothing that the table of
decisions would decide otherwise: a new saga has no rows, and its first job executes as round 1.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    bindparam,
    cast,
    false,
    insert,
    literal,
    select,
    true,
)

from sagaworks.ledger.direct import Direct
from sagaworks.ledger.rows import Arrival, State
from sagaworks.ledger.sagarow import FOUND
from sagaworks.ledger.sagarow import LOCK_IN_POSTGRESQL as LOCKED
from sagaworks.ledger.statements import SagaRow, claimed_by, lock_saga, saga_row
from sagaworks.ledger.tables import ledger, utc_now

_TEXTS: Final = ("step", "each", "element", "jobs", "inputs")

_CLAIM: Final[dict[str, ColumnElement[Any]]] = {
    **{name: LOCKED.c[name] for name in ("tenant", "saga_key", "process_instance")},
    # Without a length: a cast to one would cut what is too long, where an INSERT refuses it.
    **{name: cast(bindparam(name), String) for name in _TEXTS},
    "element_instance": cast(bindparam("element_instance"), BigInteger),
    "loop_counter": cast(bindparam("loop_counter"), Integer),
    "round": literal(1),
    "state": literal(State.CLAIM.value),
    "reports": literal(0),
    "throw_accepted": false(),
    "created_at": utc_now(),
}

_CLAIMED: Final = (
    insert(ledger)
    .from_select([*_CLAIM], select(*_CLAIM.values()).where(LOCKED.c.touched == 1))
    .returning(ledger.c.id)
    .cte("claimed")
)

_LOCK_AND_CLAIM: Final = Direct(
    select(*(LOCKED.c[column.name] for column in FOUND), _CLAIMED.c.id)
    # Where nothing was claimed the saga row is told all the same.
    .select_from(LOCKED.outerjoin(_CLAIMED, true()))
)


def lock_and_claim(connection: Connection, arrival: Arrival) -> SagaRow:
    """Write the saga row, as `lock_saga` does; where it's new, claim the first execution with it.

    Only PostgreSQL writes two tables in one statement; elsewhere nothing is claimed yet.
    """
    offered: dict[str, Any] = {
        "process_id": arrival.process_id,
        "process_instance": arrival.process_instance,
        "start_digest": arrival.start_digest,
    }
    rows = _LOCK_AND_CLAIM.sent_on_line(connection, {**claimed_by(arrival), **offered})
    if rows is None:
        return lock_saga(connection, arrival.tenant, arrival.saga_key, **offered)
    (found,) = rows
    return saga_row(*found)
