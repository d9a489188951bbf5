"""A deployed diagram, as far as settling asks: pivots, how scopes are left, flows."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from lxml.etree import _Element as Node

from sagaworks.diagram.file import BPMN, read_xml

_ZEEBE: Final = "{http://camunda.org/schema/zeebe/1.0}"

_REPEATS: Final = f"{BPMN}multiInstanceLoopCharacteristics"

UNDO: Final = "undo"
KEEP: Final = "keep"


@dataclass(frozen=True)
class Deployed:
    """What a deployed diagram says.

    Attributes:
        pivots: the ids of elements whose property ``saga.kind`` is ``pivot``.
        leave: by element id, the property ``saga.leave``: what holds for completed steps inside,
            once it was terminated around them.
        nested: the ids of elements that are, or stand in, a multi-instance or a sub-process.
        flows: the ids of the flows that lead to an element, by its id.
    """

    pivots: frozenset[str]
    leave: dict[str, str]
    nested: frozenset[str]
    flows: dict[str, frozenset[str]]

    def incoming(self, element: str) -> frozenset[str]:
        """Return the ids of the flows that lead to an element."""
        return self.flows.get(element, frozenset())


@lru_cache(maxsize=64)
def read_deployed(xml: bytes) -> Deployed:
    """Read a diagram as the engine has it.

    Raises:
        ContractError: it isn't BPMN.
    """
    root = read_xml(Path("deployed.bpmn"), xml)
    kinds, leave = _properties(root, "saga.kind"), _properties(root, "saga.leave")
    flows: dict[str, set[str]] = {}
    for flow in root.iter(f"{BPMN}sequenceFlow"):
        flows.setdefault(flow.get("targetRef", ""), set()).add(flow.get("id", ""))
    return Deployed(
        pivots=frozenset(id_ for id_, kind in kinds.items() if kind == "pivot"),
        leave=leave,
        nested=frozenset(str(one.get("id")) for one in root.iter("*") if _is_nested(one)),
        flows={target: frozenset(ids) for target, ids in flows.items()},
    )


def _properties(root: Node, name: str) -> dict[str, str]:
    """Return a property of each element that has it; the engine's own extension holds them."""
    found = {}
    for one in root.iter(f"{_ZEEBE}property"):
        element = next(one.iterancestors(f"{BPMN}extensionElements"), None)
        owner = element.getparent() if element is not None else None
        if one.get("name") == name and owner is not None:
            found[str(owner.get("id"))] = one.get("value", "")
    return found


def _is_nested(node: Node) -> bool:
    if node.get("id") is None:
        return False
    if node.find(_REPEATS) is not None:
        return True
    return any(around.tag == f"{BPMN}subProcess" for around in node.iterancestors())
