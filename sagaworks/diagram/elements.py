"""What a process is made of: elements, the tasks among them, and flows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_RETRIES: Final = 3
"""What the engine takes where a task names none."""

Mappings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Element:
    """Anything with an id in a process that a token can stand on.

    Attributes:
        kind: the BPMN tag: ``serviceTask``, ``startEvent``, ``subProcess``.
        scope: the id of the process or sub-process it is drawn in.
        line: where it begins in the file, 1-based.
        attached_to: for a boundary event, the id of its task.
        event: for an event, what it is about: ``error``, ``timer``, ``compensate``; else empty.
        inputs, outputs: the I/O mapping as pairs of target and FEEL source.
    """

    id: str
    name: str
    kind: str
    scope: str
    line: int
    attached_to: str | None = None
    event: str = ""
    inputs: Mappings = ()
    outputs: Mappings = ()


@dataclass(frozen=True, slots=True)
class Task(Element):
    """An element that a worker carries out.

    Attributes:
        job_type: as written; begins with ``=`` where it is a FEEL expression.
        retries: as a number, or as written where it is no number.
        is_compensation: drawn as a handler, outside the flow.
        handler: the id of what undoes it.
        undoes: the id of what it undoes.
        saga_kind: the property ``saga.kind``.
        multi_instance: it or what it is drawn in runs once for each item of a list.
    """

    job_type: str = ""
    retries: int | str = DEFAULT_RETRIES
    is_compensation: bool = False
    handler: str | None = None
    undoes: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    saga_kind: str | None = None
    multi_instance: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A sequence flow."""

    id: str
    source: str
    target: str
