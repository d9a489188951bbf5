"""What a service's ledger tells of one saga, in plain data."""

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from sagaworks.ledger.rows import State, jobs_of
from sagaworks.ledger.tables import ledger, saga
from sagaworks.saga import JobKey

SETTLED_WITHIN: Final = timedelta(seconds=60)
"""An effect that the engine hasn't been seen to accept for so long is shown as in doubt."""

Told = dict[str, Any]


def read_trail(connection: Connection, tenant: str, saga_key: str) -> list[Told]:
    """Return what happened in this service for one saga, oldest first.

    Each entry: service is added by the caller; step, event (started, intended, executed, refused,
    undone, fenced), at (ISO 8601, UTC), round, each, element, process_instance, job, jobs, reports,
    code, message, counted, in_doubt, undone_by, remote.
    """
    ours = (ledger.c.tenant == tenant, ledger.c.saga_key == saga_key)
    rows = connection.execute(select(ledger).where(*ours).order_by(ledger.c.id)).mappings()
    told = [event for row in rows for event in _events(dict(row))]
    return [*_start(connection, tenant, saga_key), *sorted(told, key=lambda event: event["at"])]


def _start(connection: Connection, tenant: str, saga_key: str) -> Iterator[Told]:
    """Tell of the start, in the service that decided on it: a saga may halt at its first step."""
    ours = (saga.c.tenant == tenant, saga.c.saga_key == saga_key)
    # Only a starter leaves this mark, and only in the first step's service.
    reserved = saga.c.starting_at.is_not(None)
    for row in connection.execute(select(saga).where(*ours, reserved)).mappings():
        yield {
            "step": row["process_id"],
            "event": "started",
            "at": _iso(row["created_at"]),
            "round": 0,
            "each": "",
            "element": row["process_id"],
            "process_instance": row["process_instance"],
            "job": None,
            "jobs": [],
            "reports": 0,
            "counted": row["process_instance"] is not None,
            "in_doubt": False,
            "undone_by": None,
            "remote": False,
        }


def read_owner(connection: Connection, tenant: str, saga_key: str) -> int | None:
    """Return the process instance that owns the business key here, or None."""
    return read_owners(connection, tenant, [saga_key]).get(saga_key)


def read_owners(connection: Connection, tenant: str, saga_keys: Collection[str]) -> dict[str, int]:
    """Return the process instances that own the business keys here, for those that are owned."""
    ours = (saga.c.tenant == tenant, saga.c.saga_key.in_(saga_keys))
    found = connection.execute(select(saga.c.saga_key, saga.c.process_instance).where(*ours))
    return {row[0]: row[1] for row in found if row[1] is not None}


def read_known(connection: Connection, tenant: str, saga_keys: Collection[str]) -> set[str]:
    """Return those of the sagas that this service knows."""
    ours = (saga.c.tenant == tenant, saga.c.saga_key.in_(saga_keys))
    return {*connection.execute(select(saga.c.saga_key).where(*ours)).scalars()}


def _events(row: Told) -> Iterator[Told]:
    if row["request"] is not None:
        yield _event(row, "intended", row["created_at"], in_doubt=_waits(row, State.INTENT))
    if row["state"] == State.FENCE:
        yield _event(row, "fenced", row["created_at"])
    elif row["answered_at"] is not None:
        refused = row["state"] == State.REFUSED
        name = "refused" if refused else "executed"
        more = json.loads(row["answer"]) if refused else {}
        yield _event(row, name, row["answered_at"], in_doubt=_waits(row, State.OPEN), **more)
    if row["undone_at"] is not None:
        yield _event(row, "undone", row["undone_at"])


def _event(row: Told, name: str, at: datetime, **more: object) -> Told:
    jobs = _jobs(row["jobs"])
    return {
        "step": row["step"],
        "event": name,
        "at": _iso(at),
        "round": row["round"],
        "each": row["each"],
        "element": row["element"],
        "process_instance": row["process_instance"],
        "job": jobs[-1] if jobs else None,
        "jobs": jobs,
        "reports": row["reports"],
        "counted": row["counted_at"] is not None,
        "in_doubt": False,
        "undone_by": row["undone_by"],
        "remote": row["request"] is not None,
        **more,
    }


def _jobs(column: str) -> list[JobKey]:
    """Return the jobs that a row names; none where it is damaged: the rest is shown."""
    try:
        return [*jobs_of(column)]
    except ValueError:
        return []


def _iso(at: datetime) -> str:
    return at.replace(tzinfo=UTC).isoformat(timespec="milliseconds")


def _waits(row: Told, state: State) -> bool:
    if row["state"] != state or row["counted_at"] is not None:
        return False
    since: datetime = row["answered_at"] or row["created_at"]
    return datetime.now(UTC).replace(tzinfo=None) - since > SETTLED_WITHIN
