"""Jobs that come again by themselves: a back-off or an extended lock is the last that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, select

from sagaworks.history.keeping import partitions, tables
from sagaworks.history.values import DueJob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from sagaworks.history.values import Job

MOST: Final = 1000
"""Jobs that are told of in one answer."""

_c: Final = tables.record.c

Place = tuple[int, int]
"""Partition and position."""


def places(connection: Connection) -> Mapping[int, Place]:
    """Return where the last records of such jobs are, by the jobs' keys; those of any life."""
    later, life = tables.record.alias("later").c, tables.life.c
    is_dead = exists().where(
        life.partition == later.partition, life.life > later.life, life.began <= later.position
    )
    is_later = later.named == _c.named, later.type == "JOB", later.position > _c.position
    goes_on = exists().where(*is_later, ~is_dead)
    wanted = select(_c.named, _c.partition, _c.position)
    found = wanted.where(tables.is_to_come, _c.type == "JOB", ~goes_on)
    rows = connection.execute(found.order_by(_c.named).limit(MOST))
    return {key: (partition, position) for key, partition, position in rows}


def told(
    connection: Connection, places: Mapping[int, Place], jobs: Mapping[int, Job]
) -> list[DueJob]:
    """Return those of the jobs that come again, and for how long the engine has told of others."""
    lives, table = partitions.lives_of(connection), tables.partition
    seen = connection.execute(select(table.c.partition, table.c.newest))
    newest = {row.partition: row.newest for row in seen}
    found = []
    for key, place in places.items():
        job = jobs.get(key)
        due = job and (job.recurs or job.locked)
        if job and due:
            number, _ = place
            began = _first_after(connection, place, lives[number].present, due)
            since = 0 if began is None else max(0, newest[number] - began)
            found.append(DueJob(job, due, since))
    return found


def _first_after(connection: Connection, place: Place, life: int, due: int) -> int | None:
    """Return the time of the first record after a moment, and after that of the job itself.

    Not the moment itself: an engine that was away then is late with everything, once.
    """
    number, position = place
    first = (
        select(_c.at)
        .where(_c.partition == number, _c.position > position, _c.life == life, _c.at >= due)
        .order_by(_c.position)
        .limit(1)
    )
    return connection.execute(first).scalar()
