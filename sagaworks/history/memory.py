"""The history of an engine, in memory: for tests, and as the port's shortest proof."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from sagaworks.history import records
from sagaworks.history.account import Account
from sagaworks.history.known import Known, each_known
from sagaworks.history.lives import Lives, Mark, Meeting, meet
from sagaworks.saga import partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagaworks.history.records import Record
    from sagaworks.history.values import Element, Incident, Instance, Job, Undoing
    from sagaworks.saga import ElementKey, JobKey, SagaKey

Kept = TypeVar("Kept", "Job", "Element", "Incident", "Undoing")


@dataclass
class _Partition:
    lives: Lives = field(default_factory=Lives)
    last: int = -1
    newest: int = 0
    kept: dict[int, Record] = field(default_factory=dict)

    def meet(self, record: Record) -> Meeting:
        known = self.kept.get(record["position"])
        return meet(record, self.last, self.newest, Mark.of(known) if known else None)

    def go_back(self, position: int) -> None:
        self.lives.open(position)
        self.kept = {at: record for at, record in self.kept.items() if at < position}

    def pass_by(self, record: Record) -> None:
        self.last, self.newest = record["position"], max(self.newest, record["timestamp"])


class MemoryHistory:
    """Takes records and answers as `sagaworks.history.History`; from several threads too."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}
        self._account = Account()

    def take(self, record: Record) -> bool:
        """Take one record; False if it is a repeat, as exporters deliver at least once.

        Records of a partition come in the order of their positions; one that goes back in them
        and isn't a repeat opens a new life. What isn't an event, or of a type that history doesn't
        keep, counts as seen and changes nothing.
        """
        with self._lock:
            partition = self._partitions.setdefault(record["partitionId"], _Partition())
            meeting = partition.meet(record)
            if meeting is Meeting.REPEAT:
                return False
            if meeting is Meeting.NEW_LIFE:
                partition.go_back(record["position"])
                logs = (one.kept.values() for one in self._partitions.values())
                self._account = Account(record for log in logs for record in log)
            partition.pass_by(record)
            if kept := records.kept(record):
                partition.kept[record["position"]] = kept
                self._account.add(kept)
            return True

    def newest(self, count: int, *, before: SagaKey | None = None) -> Sequence[Known]:
        """See `BrowsableHistory`."""
        with self._lock:
            known = [*each_known(self._account)]
        found = [one for one in known if before is None or one.instance.key < before]
        return sorted(found, key=lambda one: one.instance.key, reverse=True)[:count]

    def life(self) -> int:
        """See `History`."""
        with self._lock:
            return max((one.lives.present for one in self._partitions.values()), default=1)

    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        with self._lock:
            return self._account.jobs.get(key)

    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        with self._lock:
            return self._account.instance(key)

    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        with self._lock:
            named = self._account.business_keys.items()
            found = [self._account.instance(key) for key, name in named if name == business_key]
        return sorted((one for one in found if one), key=lambda one: (one.began, one.key))

    def seen_until(self, key: SagaKey) -> int:
        """See `TellsHowFar`."""
        with self._lock:
            partition = self._partitions.get(partition_of(key))
            return partition.newest if partition else 0

    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        return self._of(self._account.jobs, instance)

    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        return sorted(self._of(self._account.elements, instance), key=lambda one: one.order)

    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        return self._of(self._account.incidents, instance)

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """See `History`."""
        return self._of(self._account.undoings, instance)

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """See `History`."""
        with self._lock:
            every = self._account.undoings.values()
            found = [one for one in every if one.handler_instance == handler_instance]
        return found[-1] if found else None

    def know(self, definition: int, diagram: bytes) -> None:
        """Know a process definition's diagram from elsewhere: an engine tells of each only once."""
        with self._lock:
            self._account.diagrams.setdefault(definition, diagram)

    def diagram(self, instance: SagaKey) -> bytes | None:
        """See `History`."""
        with self._lock:
            found = self._account.instances.get(instance)
            return self._account.diagrams.get(found.definition) if found else None

    def all_instances(self) -> Sequence[Instance]:
        """Return every process instance seen, first one first."""
        with self._lock:
            found = [self._account.instance(one.key) for one in self._account.instances.values()]
        return [one for one in found if one]

    def _of(self, kept: Mapping[int, Kept], instance: SagaKey) -> list[Kept]:
        with self._lock:
            return [one for one in kept.values() if one.instance == instance]
