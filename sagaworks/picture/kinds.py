"""What kind of thing an element of a diagram is, as far as its look goes."""

from collections.abc import Iterator
from typing import Final

from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN

POOLS: Final = ("participant", "lane")
SUB_PROCESSES: Final = ("subProcess", "adHocSubProcess", "transaction")
DATA: Final = ("dataObject", "dataObjectReference", "dataStoreReference", "dataInput", "dataOutput")
ARTIFACTS: Final = (*DATA, "group", "textAnnotation")


def kind_of(element: Node) -> str:
    """Return the BPMN tag."""
    return str(element.tag).removeprefix(BPMN)


def is_named_beside(element: Node) -> bool:
    """Whether its name has a place of its own; else it stands in the shape."""
    kind = kind_of(element)
    return kind.endswith(("Event", "Gateway")) or kind in DATA


def is_activity(element: Node) -> bool:
    """Whether it is a task or a sub-process."""
    return not kind_of(element).endswith(("Event", "Gateway"))


def has_icon(element: Node) -> bool:
    """Whether it has an icon in its upper left corner."""
    return kind_of(element).endswith("Task")


def is_expanded(element: Node, shape: Node) -> bool:
    """Whether it is a sub-process that shows what is in it.

    Only who says so; older tools leave the attribute out of a sub-process that is drawn large.
    """
    said = shape.get("isExpanded")
    return kind_of(element) in SUB_PROCESSES and said != "false"


def holds_others(element: Node, shape: Node) -> bool:
    """Whether others are drawn on it."""
    return kind_of(element) in (*POOLS, "group") or is_expanded(element, shape)


def markers(element: Node, shape: Node) -> list[str]:
    """Return what stands at an activity's lower edge, from left to right; see `icons.MARKERS`."""
    return [*_markers(element, shape)]


def _markers(element: Node, shape: Node) -> Iterator[str]:
    kind, several = kind_of(element), element.find(f"{BPMN}multiInstanceLoopCharacteristics")
    if element.find(f"{BPMN}standardLoopCharacteristics") is not None:
        yield "loop"
    if several is not None:
        yield "in_turn" if several.get("isSequential") == "true" else "parallel"
    if kind in SUB_PROCESSES and not is_expanded(element, shape):
        yield "collapsed"
    if element.get("isForCompensation") == "true":
        yield "compensation"
    if kind == "adHocSubProcess":
        yield "ad_hoc"
