"""The ways of being cancelled that a diagram draws.

One is an event sub-process at the root that a message begins, and after which all is undone: it
interrupts and compensates itself, or it ends in an error whose event sub-process does. The second
form may ask first, without interrupting, whether it's too late: docs/decisions/0065.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sagaworks.diagram.file import BPMN, ZEEBE, read_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Node

_THROWS: Final = (f"{BPMN}endEvent", f"{BPMN}intermediateThrowEvent")


@dataclass(frozen=True, slots=True)
class CancelWay:
    """A way of being cancelled.

    Attributes:
        sub_process: the event sub-process's id.
        message: the name of the message that begins it.
        correlated_by: the FEEL expression of its correlation key, without the ``=``.
        interrupts: whether the saga stops at once, without being asked whether it's too late.
    """

    sub_process: str
    message: str
    correlated_by: str
    interrupts: bool


def cancel_ways(xml: bytes, process_id: str) -> list[CancelWay]:
    """Return the ways that a deployed diagram draws for a process.

    Raises:
        ContractError: it isn't BPMN.
    """
    root = read_xml(Path("deployed.bpmn"), xml)
    for process in root.iter(f"{BPMN}process"):
        if process.get("id") == process_id:
            return [*_ways(root, process)]
    return []


def _ways(root: Node, process: Node) -> Iterator[CancelWay]:
    handlers = [
        one
        for one in process.iterfind(f"{BPMN}subProcess")
        if one.get("triggeredByEvent") == "true"
    ]
    undone_after = [*_codes_that_undo(root, handlers)]
    for handler in handlers:
        start = handler.find(f"{BPMN}startEvent")
        begins = None if start is None else start.find(f"{BPMN}messageEventDefinition")
        if start is None or begins is None:
            continue
        interrupts = start.get("isInterrupting") != "false"
        throws = {code for code in _codes(root, handler, f"{BPMN}endEvent") if code}
        is_caught = None in undone_after or not throws.isdisjoint(undone_after)
        if (interrupts and _compensates(handler)) or (throws and is_caught):
            message = _by_id(root, "message", begins.get("messageRef"))
            yield CancelWay(
                sub_process=handler.get("id", ""),
                message="" if message is None else message.get("name", ""),
                correlated_by=_correlated_by(message),
                interrupts=interrupts,
            )


def _codes_that_undo(root: Node, handlers: list[Node]) -> Iterator[str | None]:
    """Yield the error codes after which an event sub-process compensates; None stands for all."""
    for handler in handlers:
        if _compensates(handler):
            yield from _codes(root, handler, f"{BPMN}startEvent")


def _codes(root: Node, handler: Node, event: str) -> Iterator[str | None]:
    for definition in handler.iterfind(f"{event}/{BPMN}errorEventDefinition"):
        error = _by_id(root, "error", definition.get("errorRef"))
        yield None if error is None else error.get("errorCode")


def _compensates(handler: Node) -> bool:
    throws = (one for kind in _THROWS for one in handler.iter(kind))
    return any(one.find(f"{BPMN}compensateEventDefinition") is not None for one in throws)


def _by_id(root: Node, kind: str, id_: str | None) -> Node | None:
    return next((one for one in root.iter(f"{BPMN}{kind}") if one.get("id") == id_), None)


def _correlated_by(message: Node | None) -> str:
    found = None if message is None else next(message.iter(f"{ZEEBE}subscription"), None)
    return "" if found is None else found.get("correlationKey", "").removeprefix("=").strip()
