"""How far a partition has come, and which of its lives is the present one."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select, update

from sagaworks.history.keeping import tables
from sagaworks.history.lives import FIRST, Lives, Mark, Meeting, meet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagaworks.history.records import Record

_COUNTED: Final = (1 << 51) - 1
"""The part of the exporter's `sequence` that counts; above it stands the partition."""

_FORGOTTEN_AT_ONCE: Final = 10_000
"""Records in one transaction: the exporter waits for it."""


@dataclass
class Partition:
    """One partition, within a transaction.

    Attributes:
        last: the highest position seen, kept or not; -1 before the first.
        newest: the latest time seen, in the engine's milliseconds.
        missing: records that the exporter has counted and never delivered.
        opened: positions at which a new life began, and when, in this transaction.
    """

    number: int
    lives: Lives
    last: int = -1
    newest: int = 0
    missing: int = 0
    sequences: dict[str, int] = field(default_factory=dict)
    opened: list[tuple[int, int]] = field(default_factory=list)

    def meet(self, record: Record, known: Mapping[int, Mark]) -> Meeting:
        """Decide what a record is, and go on to it unless it's a repeat."""
        position = record["position"]
        meeting = meet(record, self.last, self.newest, known.get(position))
        if meeting is Meeting.REPEAT:
            return meeting
        if meeting is Meeting.NEW_LIFE:
            self.lives.open(position)
            self.opened.append((position, record["timestamp"]))
            self.sequences.clear()
        self.last, self.newest = position, max(self.newest, record["timestamp"])
        self._count(record)
        return meeting

    def _count(self, record: Record) -> None:
        """Notice a gap: the exporter numbers the records of each type one by one."""
        if "sequence" not in record:
            return
        number, kind = record["sequence"] & _COUNTED, record["valueType"]
        before = self.sequences.get(kind)
        if before is not None and number > before + 1:
            self.missing += number - before - 1
        self.sequences[kind] = number


def lock(connection: Connection, number: int) -> Partition:
    """Return a partition that nobody else goes on with until the transaction ends."""
    table = tables.partition
    wanted = select(table).where(table.c.partition == number).with_for_update()
    row = connection.execute(wanted).mappings().first()
    if row is None:
        # Two receivers that see it first: one of them fails here, and its exporter tries again.
        empty = {"last": -1, "newest": 0, "sequences": "{}", "missing": 0}
        connection.execute(insert(table).values(partition=number, **empty))
        return Partition(number, Lives())
    return Partition(
        number,
        lives_of(connection)[number],
        row["last"],
        row["newest"],
        row["missing"],
        json.loads(row["sequences"]),
    )


def save(connection: Connection, partition: Partition) -> None:
    """Write how far it has come, and the lives it has opened."""
    table = tables.partition
    connection.execute(
        update(table)
        .where(table.c.partition == partition.number)
        .values(
            last=partition.last,
            newest=partition.newest,
            sequences=json.dumps(partition.sequences),
            missing=partition.missing,
        )
    )
    first = partition.lives.present - len(partition.opened) + 1
    for life, (began, at) in enumerate(partition.opened, first):
        row = {"partition": partition.number, "life": life, "began": began, "at": at}
        connection.execute(insert(tables.life).values(**row))


def lives_of(connection: Connection) -> Mapping[int, Lives]:
    """Return every partition's lives."""
    table = tables.life
    found: dict[int, list[int]] = defaultdict(lambda: [0])
    rows = connection.execute(select(table.c.partition, table.c.began).order_by(table.c.life))
    for number, began in rows:
        found[number].append(began)
    lives: defaultdict[int, Lives] = defaultdict(Lives)
    lives.update({number: Lives(began) for number, began in found.items()})
    return lives


def marks_from(connection: Connection, partition: Partition, low: int) -> Mapping[int, Mark]:
    """Return the marks of the present life's records from position `low` on."""
    c = tables.record.c
    wanted = select(c.life, c.position, c.key, c.intent, c.at).where(
        c.partition == partition.number, c.position >= low
    )
    return {
        position: Mark(*mark)
        for life, position, *mark in connection.execute(wanted)
        if partition.lives.has(life, position)
    }


def forget_dead(connection: Connection, number: int, lives: Lives, before: int) -> int:
    """Delete some of what only earlier lives did, before a time; return how many records."""
    c = tables.record.c
    for life in range(FIRST, lives.present):
        end = lives.end_of(life)
        dead = (c.partition == number, c.position >= end, c.life == life, c.at < before)
        some = select(c.position).where(*dead).limit(_FORGOTTEN_AT_ONCE)
        gone = delete(tables.record).where(*dead, c.position.in_(some))
        if count := connection.execute(gone).rowcount:
            return count
    return 0


def numbers(connection: Connection) -> Sequence[int]:
    """Return the partitions that were seen."""
    return connection.execute(select(tables.partition.c.partition)).scalars().all()
