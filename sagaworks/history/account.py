"""What records add up to: jobs, element instances, incidents as their last records have them."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING

from sagaworks.history import records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagaworks.history.records import Record
    from sagaworks.history.values import Element, Incident, Instance, Job, Undoing
    from sagaworks.saga import SagaKey


class Account:
    """Adds up kept records of one life, each partition's in the order of their positions."""

    def __init__(self, kept: Iterable[Record] = ()) -> None:
        """Begin with these records."""
        self.instances: dict[int, Instance] = {}
        self.business_keys: dict[SagaKey, str] = {}
        self.jobs: dict[int, Job] = {}
        self.elements: dict[int, Element] = {}
        self.incidents: dict[int, Incident] = {}
        self.undoings: dict[int, Undoing] = {}
        self.diagrams: dict[int, bytes] = {}
        for record in kept:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add one record of those that `records.kept` keeps."""
        match record["valueType"]:
            case "JOB":
                before = self.jobs.get(record["key"])
                self.jobs[record["key"]] = records.read_job(record, before)
            case "PROCESS_INSTANCE":
                self._add_element(record)
            case "VARIABLE":
                self._add_business_key(record)
            case "INCIDENT":
                self.incidents[record["key"]] = records.read_incident(record)
            case "COMPENSATION_SUBSCRIPTION":
                self._add_undoing(records.read_undoing(record))
            case "PROCESS":
                self.diagrams[record["key"]] = b64decode(record["value"]["resource"])

    def instance(self, key: SagaKey) -> Instance | None:
        """Return a process instance, with its business key.

        The key comes as a variable, in a record before or after those of the instance.
        """
        found = self.instances.get(key)
        if found is None or key not in self.business_keys:
            return found
        return replace(found, business_key=self.business_keys[key])

    def elements_in_order(self) -> list[Element]:
        """Return element instances and flows, in the order of their last records."""
        return sorted(self.elements.values(), key=lambda one: one.order)

    def _add_business_key(self, record: Record) -> None:
        """The key that an instance began with is its own, whatever the variable says later.

        An instance of the same number may begin in another life of the engine. What the former life
        wrote just before the first record of this one isn't known for what it is.
        """
        if named := records.read_business_key(record):
            instance, key = named
            if record["intent"] == "CREATED":
                self.business_keys[instance] = key
            self.business_keys.setdefault(instance, key)

    def _add_element(self, record: Record) -> None:
        key = record["key"]
        if record["value"]["bpmnElementType"] == "PROCESS":
            begins = record["intent"] == "ELEMENT_ACTIVATING"
            before = None if begins else self.instances.get(key)
            self.instances[key] = records.read_instance(record, before)
        else:
            self.elements[key] = records.read_element(record, self.elements.get(key))

    def _add_undoing(self, undoing: Undoing) -> None:
        """Records after the throw leave out who handles it."""
        before = self.undoings.get(undoing.key)
        if before and undoing.handler_instance is None:
            handler, thrown_by = before.handler_instance, before.thrown_by
            undoing = replace(undoing, handler_instance=handler, thrown_by=thrown_by)
        self.undoings[undoing.key] = undoing
