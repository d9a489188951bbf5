"""The history of one life of an engine, in memory: for tests, and as the port's shortest proof."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from sagaworks.history import records
from sagaworks.history.values import Element, Incident, Instance, Job, Undoing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagaworks.history.records import Record
    from sagaworks.saga import ElementKey, JobKey, SagaKey

Kept = TypeVar("Kept", Job, Element, Incident, Undoing)


class MemoryHistory:
    """Takes records and answers as `sagaworks.history.History`; from several threads too."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._positions: dict[int, int] = {}
        self._instances: dict[SagaKey, Instance] = {}
        self._business_keys: dict[SagaKey, str] = {}
        self._jobs: dict[int, Job] = {}
        self._elements: dict[int, Element] = {}
        self._incidents: dict[int, Incident] = {}
        self._undoings: dict[int, Undoing] = {}

    def take(self, record: Record) -> bool:
        """Take one record; False if it is a repeat, as exporters deliver at least once.

        Records of a partition come in the order of their positions. What isn't an event, or of a
        type that history doesn't keep, counts as seen and changes nothing.
        """
        with self._lock:
            partition, position = record["partitionId"], record["position"]
            if position <= self._positions.get(partition, -1):
                return False
            self._positions[partition] = position
            if record["recordType"] == "EVENT":
                self._keep(record)
            return True

    def job(self, key: JobKey) -> Job | None:
        """See `History`."""
        with self._lock:
            return self._jobs.get(key)

    def instance(self, key: SagaKey) -> Instance | None:
        """See `History`."""
        with self._lock:
            return self._named(self._instances.get(key))

    def instances(self, business_key: str) -> Sequence[Instance]:
        """See `History`."""
        with self._lock:
            keys = [key for key, named in self._business_keys.items() if named == business_key]
            found = [self._named(self._instances.get(key)) for key in keys]
        return sorted((one for one in found if one), key=lambda one: (one.began, one.key))

    def jobs(self, instance: SagaKey) -> Sequence[Job]:
        """See `History`."""
        return self._of(self._jobs, instance)

    def elements(self, instance: SagaKey) -> Sequence[Element]:
        """See `History`."""
        return sorted(self._of(self._elements, instance), key=lambda one: one.order)

    def incidents(self, instance: SagaKey) -> Sequence[Incident]:
        """See `History`."""
        return self._of(self._incidents, instance)

    def undoings(self, instance: SagaKey) -> Sequence[Undoing]:
        """See `History`."""
        return self._of(self._undoings, instance)

    def undone_by(self, handler_instance: ElementKey) -> Undoing | None:
        """See `History`."""
        with self._lock:
            found = [u for u in self._undoings.values() if u.handler_instance == handler_instance]
        return found[-1] if found else None

    def all_instances(self) -> Sequence[Instance]:
        """Return every process instance seen, first one first."""
        with self._lock:
            found = [self._named(one) for one in self._instances.values()]
        return [one for one in found if one]

    def _of(self, kept: Mapping[int, Kept], instance: SagaKey) -> list[Kept]:
        with self._lock:
            return [one for one in kept.values() if one.instance == instance]

    def _named(self, instance: Instance | None) -> Instance | None:
        """The key comes as a variable, a record before or after those of the instance."""
        if instance is None or instance.key not in self._business_keys:
            return instance
        return replace(instance, business_key=self._business_keys[instance.key])

    def _keep(self, record: Record) -> None:
        match record["valueType"]:
            case "JOB":
                self._jobs[record["key"]] = records.read_job(record)
            case "PROCESS_INSTANCE":
                self._keep_element(record)
            case "VARIABLE":
                if named := records.read_business_key(record):
                    self._business_keys.setdefault(*named)
            case "INCIDENT":
                self._incidents[record["key"]] = records.read_incident(record)
            case "COMPENSATION_SUBSCRIPTION":
                self._keep_undoing(records.read_undoing(record))

    def _keep_element(self, record: Record) -> None:
        key = record["key"]
        if record["value"]["bpmnElementType"] == "PROCESS":
            self._instances[key] = records.read_instance(record, self._instances.get(key))
        else:
            self._elements[key] = records.read_element(record, self._elements.get(key))

    def _keep_undoing(self, undoing: Undoing) -> None:
        """Records after the throw leave out who handles it."""
        before = self._undoings.get(undoing.key)
        if before and undoing.handler_instance is None:
            handler, thrown_by = before.handler_instance, before.thrown_by
            undoing = replace(undoing, handler_instance=handler, thrown_by=thrown_by)
        self._undoings[undoing.key] = undoing
