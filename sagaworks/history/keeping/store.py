"""History kept in a database: what came is committed before it's acknowledged."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from loguru import logger
from sqlalchemy import ColumnElement, Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from sagaworks.errors import ConfigurationError
from sagaworks.history import records
from sagaworks.history.account import Account
from sagaworks.history.keeping import due, partitions, tables
from sagaworks.history.keeping import unread as aside
from sagaworks.history.keeping.rows import READ, add, record_of, row_of
from sagaworks.history.keeping.unread import Unread
from sagaworks.history.known import each_known
from sagaworks.history.lives import FIRST, Meeting
from sagaworks.history.port import HistoryUnavailable
from sagaworks.ledger.faults import CommitUnknownError, DatabaseReplacedError, reason_of
from sagaworks.ledger.store import Store
from sagaworks.saga import SagaKey, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sagaworks.history.known import Known
    from sagaworks.history.lives import Lives
    from sagaworks.history.records import Record
    from sagaworks.history.values import DueJob, Element, Incident, Instance, Job, Undoing
    from sagaworks.saga import ElementKey, JobKey

Found = TypeVar("Found")

KINDS: Final = ("sqlite", "postgresql")
_WAIT: Final = timedelta(seconds=5)
_READERS: Final = 8
_PRUNED_AT_ONCE: Final = 200
"""Instances in one transaction: the exporter waits for it."""


class Taken(NamedTuple):
    """What became of a batch.

    Attributes:
        new, repeats: how many records were each.
        kept: how many of the new ones history keeps.
        unread: how many it couldn't read, and has kept aside.
    """

    new: int
    kept: int
    repeats: int
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition has come; `newest` is in the engine's milliseconds."""

    partition: int
    life: int
    last: int
    newest: int
    missing: int


class KeptHistory:
    """Takes batches of records and answers as `sagaworks.history.History`; from threads too.

    Args:
        url: of a database of its own, SQLite or PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        """Open nothing yet.

        Raises:
            ConfigurationError: the URL is malformed, or names another kind of database.
        """
        self._store = Store(url, pool_size=_READERS, wait=_WAIT)
        self.name = self._store.name
        kind = self._store.url.get_backend_name()
        if kind not in KINDS:
            raise ConfigurationError(f"{self.name}: history is kept in SQLite or PostgreSQL")
        # Batches of two partitions would wait for each other in SQLite, and time out.
        self._turn = threading.Lock()

    def prepare(self) -> None:
        """Make the tables where there are none.

        Raises:
            ConfigurationError: the database can't be opened, or is of another version.
        """
        try:
            with self._store.writing() as connection:
                tables.metadata.create_all(connection)
                for index in tables.later_indexes:
                    index.create(connection, checkfirst=True)
                found = connection.execute(select(tables.version.c.version)).scalar()
                if found is None:
                    row = insert(tables.version).values(version=tables.HISTORY_VERSION)
                    connection.execute(row)
        except _FAILURES as error:
            raise ConfigurationError(f"{self.name}: {reason_of(error)}") from None
        if found not in (None, tables.HISTORY_VERSION):
            asked = tables.HISTORY_VERSION
            why = f"the history is version {found}, this sagaworks knows {asked}"
            raise ConfigurationError(f"{self.name}: {why}; name another by HISTORY_DATABASE_URL")

    def take(self, batch: Sequence[Record | Unread]) -> Taken:
        """Keep a batch of records, all of it or nothing; what was there already changes nothing.

        What can't be read is kept aside: `unread` tells of whom nothing may be concluded then.

        Raises:
            HistoryUnavailable: the database can't take it now; it must come again.
        """
        done = Taken(0, 0, 0)
        try:
            with self._turn, self._store.writing() as connection:
                for number, group in groupby(batch, _partition_of):
                    done = _sum(done, _take(connection, number, [*group]))
        except _FAILURES as error:
            raise HistoryUnavailable(f"{self.name}: {reason_of(error)}") from None
        return done

    def prune(self, before: int, is_to_stop: Callable[[], bool] = lambda: False) -> int:
        """Forget what ended before a time of the engine's; what runs is kept, however old.

        Args:
            before: in the engine's milliseconds.
            is_to_stop: asked between two batches; what is left then is forgotten another time.

        Returns:
            How many records that were.

        Raises:
            HistoryUnavailable: the database can't do it now.
        """
        count = 0
        while not is_to_stop():
            gone = self._written(lambda connection: _prune(connection, before))
            if gone == 0:
                break
            count += gone
        return count

    def progress(self) -> Sequence[Progress]:
        """Return how far each partition has come."""

        def read(connection: Connection) -> list[Progress]:
            lives = partitions.lives_of(connection)
            rows = connection.execute(select(tables.partition)).mappings()
            return [
                Progress(
                    row["partition"],
                    lives[row["partition"]].present,
                    row["last"],
                    row["newest"],
                    row["missing"],
                )
                for row in rows
            ]

        return self._read(read)

    def life(self) -> int:
        """See `History`."""
        lives = self._read(partitions.lives_of)
        return max((one.present for one in lives.values()), default=FIRST)

    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        return self._account(_c.named == key, _c.type == "JOB").jobs.get(key)

    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        return self._account(_c.instance == key, tables.is_of_itself).instance(key)

    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        named = self._account(_c.business_key == business_key).business_keys
        found = [self.instance(key) for key in named]
        return sorted((one for one in found if one), key=lambda one: (one.began, one.key))

    def instances_of(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, Instance]:
        """See `AnswersMany`."""
        return self._read(
            lambda connection: _instances(connection, partitions.lives_of(connection), keys)
        )

    def unread(self, keys: Sequence[SagaKey]) -> Mapping[SagaKey, str]:
        """See `MissesRecords`."""
        return self._read(
            lambda connection: aside.reasons(connection, partitions.lives_of(connection), keys)
        )

    def told(
        self, keys: Sequence[SagaKey]
    ) -> tuple[Mapping[SagaKey, Instance], Mapping[SagaKey, str]]:
        """See `TellsAtOnce`."""

        def read(
            connection: Connection,
        ) -> tuple[Mapping[SagaKey, Instance], Mapping[SagaKey, str]]:
            lives = partitions.lives_of(connection)
            instances = _instances(connection, lives, keys)
            # After what may rest on it: what came in between is told then.
            return instances, aside.reasons(connection, lives, keys)

        return self._read(read)

    def seen_until(self, key: SagaKey) -> int:
        """See `TellsHowFar`."""
        found = (one.newest for one in self.progress() if one.partition == partition_of(key))
        return next(found, 0)

    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        return [*self._account(_c.instance == instance, _c.type == "JOB").jobs.values()]

    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        wanted = (_c.instance == instance, _c.type == "PROCESS_INSTANCE")
        return self._account(*wanted).elements_in_order()

    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        wanted = (_c.instance == instance, _c.type == "INCIDENT")
        return [*self._account(*wanted).incidents.values()]

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """See `History`."""
        wanted = (_c.instance == instance, _c.type == "COMPENSATION_SUBSCRIPTION")
        return [*self._account(*wanted).undoings.values()]

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """See `History`."""
        wanted = (_c.named == handler_instance, _c.type == "COMPENSATION_SUBSCRIPTION")
        thrown = [*self._account(*wanted).undoings.values()]
        if not thrown:
            return None
        # Its later records don't name the handler.
        every = {one.key: one for one in self.undoings(thrown[-1].instance)}
        return every.get(thrown[-1].key)

    def diagram(self, instance: SagaKey) -> bytes | None:
        """See `History`."""
        found = self.instance(instance)
        if found is None:
            return None
        wanted = (_c.named == found.definition, _c.type == "PROCESS")
        return self._account(*wanted).diagrams.get(found.definition)

    def newest(self, count: int, *, before: SagaKey | None = None) -> Sequence[Known]:
        """See `BrowsableHistory`."""

        def read(connection: Connection) -> list[Known]:
            found: list[Known] = []
            keys = _keys_below(connection, before, count)
            while keys and not found:
                account = Account(_present(connection, _c.instance.in_(keys)))
                found = sorted(each_known(account), key=lambda one: -one.instance.key)
                # All of them may be of a life that is over: then there may be more below.
                keys = _keys_below(connection, keys[-1], count)
            return found

        return self._read(read)

    def due_jobs(self) -> Sequence[DueJob]:
        """See `TellsWhatIsDue`."""

        def read(connection: Connection) -> list[DueJob]:
            places = due.places(connection)
            wanted = _c.named.in_([*places]), _c.type == "JOB"
            jobs = Account(_present(connection, *wanted)).jobs
            return due.told(connection, places, jobs)

        return self._read(read)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _account(self, *wanted: ColumnElement[bool]) -> Account:
        """Add up the records asked for, those of the present life only."""
        return self._read(lambda connection: Account(_present(connection, *wanted)))

    def _read(self, work: Callable[[Connection], Found]) -> Found:
        try:
            with self._store.reading() as connection:
                return work(connection)
        except _FAILURES as error:
            raise HistoryUnavailable(f"{self.name}: {reason_of(error)}") from None

    def _written(self, work: Callable[[Connection], Found]) -> Found:
        try:
            with self._turn, self._store.writing() as connection:
                return work(connection)
        except _FAILURES as error:
            raise HistoryUnavailable(f"{self.name}: {reason_of(error)}") from None


_c: Final = tables.record.c
_FAILURES: Final = (SQLAlchemyError, CommitUnknownError, DatabaseReplacedError)


def _sum(one: Taken, other: Taken) -> Taken:
    return Taken(*(mine + others for mine, others in zip(one, other, strict=True)))


def _partition_of(one: Record | Unread) -> int:
    return one.partition if isinstance(one, Unread) else int(one["partitionId"])


def _position_of(one: Record | Unread) -> int:
    return one.position if isinstance(one, Unread) else int(one["position"])


def _take(connection: Connection, number: int, batch: Sequence[Record | Unread]) -> Taken:
    partition = partitions.lock(connection, number)
    lowest = min(map(_position_of, batch))
    known = {}
    if lowest <= partition.last:
        known = {**partitions.marks_from(connection, partition, lowest)}
    rows, repeats, unread = [], 0, 0
    for record in batch:
        if isinstance(record, Unread):
            unread += 1
            _put_aside(connection, record, partition)
            continue
        meeting = partition.meet(record, known)
        if meeting is Meeting.REPEAT:
            repeats += 1
            continue
        if meeting is Meeting.NEW_LIFE:
            known = {at: mark for at, mark in known.items() if at < record["position"]}
            logger.warning(
                "partition {} begins life {} at position {}: the engine was restored or wiped",
                number,
                partition.lives.present,
                record["position"],
            )
        try:
            if kept := records.kept(record):
                rows.append(row_of(kept, partition.lives.present))
        except (LookupError, TypeError, ValueError) as error:
            unread += 1
            why = str(error) if type(error) is ValueError else type(error).__name__
            _put_aside(connection, aside.unread(record, why), partition)
    if rows:
        add(connection, rows)
    partitions.save(connection, partition)
    return Taken(len(batch) - repeats, len(rows), repeats, unread)


def _put_aside(connection: Connection, one: Unread, partition: partitions.Partition) -> None:
    if aside.put_aside(connection, one, partition.lives.present):
        logger.error(
            "partition {}, position {}: a record can't be read ({}): kept aside, and what it may"
            " tell of is left undecided",
            one.partition,
            one.position,
            one.why,
        )


def _keys_below(connection: Connection, key: SagaKey | None, count: int) -> list[SagaKey]:
    """Return so many instances' keys, the highest first; of whatever life."""
    below = _c.instance.is_not(None) if key is None else _c.instance < key
    found = select(_c.instance).where(below).order_by(_c.instance.desc()).distinct().limit(count)
    return [SagaKey(one) for one in connection.execute(found).scalars()]


def _instances(
    connection: Connection, lives: Mapping[int, Lives], keys: Sequence[SagaKey]
) -> Mapping[SagaKey, Instance]:
    wanted = (_c.instance.in_(keys), tables.is_of_itself)
    account = Account(_of_lives(connection, lives, *wanted))
    found = {key: account.instance(key) for key in keys}
    return {key: one for key, one in found.items() if one is not None}


def _present(connection: Connection, *wanted: ColumnElement[bool]) -> Iterator[Record]:
    return _of_lives(connection, partitions.lives_of(connection), *wanted)


def _of_lives(
    connection: Connection, lives: Mapping[int, Lives], *wanted: ColumnElement[bool]
) -> Iterator[Record]:
    """Yield the records asked for, those that hold in the present life only."""
    rows = connection.execute(
        # Each instance's in their order; this is how an index has them.
        select(*READ).where(*wanted).order_by(_c.instance, _c.partition, _c.position)
    )
    # Those of the process itself all say the same.
    parse = cache(json.loads)
    for row in rows.all():
        life, partition, position = row[:3]
        if lives[partition].has(life, position):
            yield record_of(row, parse)


def _prune(connection: Connection, before: int) -> int:
    """Forget some of what earlier lives left, or of what ended where nothing of that is left.

    An end of an earlier life, of a key that is another saga's by now, is gone with the first.
    """
    lives = partitions.lives_of(connection)
    for number in partitions.numbers(connection):
        if count := partitions.forget_dead(connection, number, lives[number], before):
            return count
    ended = select(_c.instance).where(_c.ends.is_not(None), _c.at < before).limit(_PRUNED_AT_ONCE)
    keys = connection.execute(ended).scalars().all()
    if not keys:
        return 0
    aside.forget(connection, keys)
    return connection.execute(delete(tables.record).where(_c.instance.in_(keys))).rowcount
