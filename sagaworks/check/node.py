"""One thing that a token can stand on, with all that a rule asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sagaworks.diagram import Element, Task

WAITS: Final = frozenset(
    {
        *("task", "serviceTask", "sendTask", "receiveTask", "userTask", "manualTask"),
        *("businessRuleTask", "scriptTask", "callActivity", "subProcess", "transaction"),
        *("adHocSubProcess", "intermediateCatchEvent", "eventBasedGateway"),
    }
)
"""Where a token stays for a while; elsewhere it passes through within the engine."""


@dataclass(frozen=True, slots=True)
class Loop:
    """What a multi-instance activity says of itself.

    Attributes:
        collection, element: FEEL of the list, and the variable that an item is given as.
        output_collection, output_element: the variable of the results, and FEEL of one.
    """

    collection: str = ""
    element: str = ""
    output_collection: str = ""
    output_element: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """An element of a process, its extensions and what it refers to.

    Attributes:
        element: what the library's own reading knows of it.
        properties: its extension properties by name, the first of a name.
        ignores: the values of all its properties `saga.ignore`.
        interrupting: for a boundary or start event: it ends what it stands on.
        ref: an error's code, a compensation throw's activity, a message's id; empty if none.
        called: for a call activity, the id of the process; a FEEL expression as written.
        reads: FEEL that it evaluates beside its mappings: timers, correlation keys, conditions.
        writes: variables that it sets beside its mappings: results of scripts and decisions.
        default: the id of the flow that is taken where no condition holds.
        is_handler: drawn to undo something, outside the flow.
    """

    element: Element
    properties: Mapping[str, str] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    interrupting: bool = True
    ref: str = ""
    loop: Loop | None = None
    called: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    default: str = ""
    is_handler: bool = False

    @property
    def id(self) -> str:
        """The element's id."""
        return self.element.id

    @property
    def kind(self) -> str:
        """The BPMN tag."""
        return self.element.kind

    @property
    def scope(self) -> str:
        """The id of the process or sub-process that it is drawn in."""
        return self.element.scope

    @property
    def event(self) -> str:
        """For an event, what it is about."""
        return self.element.event

    @property
    def host(self) -> str:
        """For a boundary event, the id of what it stands on."""
        return self.element.attached_to or ""

    @property
    def task(self) -> Task | None:
        """What a worker carries out, if it is that."""
        return self.element if isinstance(self.element, Task) else None

    @property
    def is_boundary(self) -> bool:
        """A boundary event that a token can leave its host by."""
        return bool(self.host) and self.event != "compensate"

    @property
    def is_throw(self) -> bool:
        """A compensation throw or end event."""
        thrown = self.kind in ("intermediateThrowEvent", "endEvent")
        return thrown and self.event == "compensate"

    @property
    def is_sub_process(self) -> bool:
        """An embedded or event sub-process."""
        return self.kind in ("subProcess", "adHocSubProcess", "transaction")

    @property
    def is_activity(self) -> bool:
        """Whether events can stand on its edge: a task, a call activity or a sub-process."""
        return self.waits and not self.kind.endswith(("Event", "Gateway"))

    @property
    def waits(self) -> bool:
        """Whether a token stays here for a while."""
        return self.kind in WAITS
