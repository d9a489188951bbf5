"""What the engine's records show of each diagram, counted; adds up over tests and processes."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from sagaworks.diagram import Undo

Record = Mapping[str, Any]
"""One record of the engine, as its `Record.toJson()` gives it."""

THROWN_BY: Final = "throwEventId"


@dataclass(slots=True)
class Sighting:
    """What was seen of one text of one diagram: how often each element, flow and undo."""

    file: str
    process_id: str
    content: bytes
    elements: Counter[str] = field(default_factory=Counter)
    flows: Counter[str] = field(default_factory=Counter)
    undone: Counter[Undo] = field(default_factory=Counter)

    def add(self, other: Sighting) -> None:
        """Add what another process saw of the same text."""
        self.elements.update(other.elements)
        self.flows.update(other.flows)
        self.undone.update(other.undone)

    def note(self, record: Record) -> None:
        """Count one record of this diagram."""
        value, intent = record["value"], record["intent"]
        if record["valueType"] == "COMPENSATION_SUBSCRIPTION":
            if intent == "COMPLETED":
                self.undone[value[THROWN_BY], value["compensableActivityId"]] += 1
        elif intent == "SEQUENCE_FLOW_TAKEN":
            self.flows[value["elementId"]] += 1
        elif intent == _end_of(value["bpmnElementType"]):
            self.elements[value["elementId"]] += 1


class Sightings:
    """The sightings of all diagrams, one for each text that was deployed."""

    def __init__(self, found: Iterable[Sighting] = ()) -> None:
        """Begin with these."""
        self._found: dict[tuple[str, bytes], Sighting] = {}
        self._definitions: dict[int, Sighting] = {}
        for sighting in found:
            self._add(sighting)

    def __iter__(self) -> Iterator[Sighting]:
        """Give them in the order of their first deployment."""
        return iter(self._found.values())

    def see(self, records: Iterable[Record]) -> None:
        """Take in the records of one test.

        A test on an engine of its own has all of them. On an engine that tests share, a diagram may
        have been deployed for an earlier one; what is deployed under a known key is another engine.
        """
        for record in records:
            if record["recordType"] != "EVENT":
                continue
            if record["valueType"] == "PROCESS" and record["intent"] == "CREATED":
                self._definitions[_definition(record)] = self._add(_deployed(record))
            elif record["valueType"] in ("PROCESS_INSTANCE", "COMPENSATION_SUBSCRIPTION"):
                sighting = self._definitions.get(_definition(record))
                if sighting is not None:
                    sighting.note(record)

    def merge(self, other: Iterable[Sighting]) -> None:
        """Add what another process saw."""
        for sighting in other:
            self._add(sighting)

    def as_data(self) -> list[dict[str, Any]]:
        """Return them as plain values, to be sent to another process."""
        return [
            {
                "file": one.file,
                "process_id": one.process_id,
                "content": base64.b64encode(one.content).decode(),
                "elements": dict(one.elements),
                "flows": dict(one.flows),
                "undone": [[*undo, times] for undo, times in one.undone.items()],
            }
            for one in self
        ]

    @classmethod
    def of_data(cls, data: Iterable[Mapping[str, Any]]) -> Self:
        """Read what `as_data` gave."""
        return cls(
            Sighting(
                file=one["file"],
                process_id=one["process_id"],
                content=base64.b64decode(one["content"]),
                elements=Counter(one["elements"]),
                flows=Counter(one["flows"]),
                undone=Counter({(throw, undone): n for throw, undone, n in one["undone"]}),
            )
            for one in data
        )

    def _add(self, sighting: Sighting) -> Sighting:
        known = self._found.setdefault((sighting.process_id, sighting.content), sighting)
        if known is not sighting:
            known.add(sighting)
        return known


def _definition(record: Record) -> int:
    return int(record["value"]["processDefinitionKey"])


def _deployed(record: Record) -> Sighting:
    value = record["value"]
    content = base64.b64decode(value["resource"])
    return Sighting(value["resourceName"], value["bpmnProcessId"], content)


def _end_of(element_type: str) -> str:
    """Return the intent that makes an element covered."""
    if element_type == "MULTI_INSTANCE_BODY":
        return ""  # its runs have the same id, and an empty list has none
    # An end event that throws an error is terminated by it, and never completes (measured).
    return "ELEMENT_ACTIVATED" if element_type == "END_EVENT" else "ELEMENT_COMPLETED"
