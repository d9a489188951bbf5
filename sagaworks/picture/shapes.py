"""How each kind of BPMN element looks: as in the Modeler, so that people know it again."""

from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.picture import icons
from sagaworks.picture.artifacts import draw_artifact, draw_pool
from sagaworks.picture.icons import draw_icon
from sagaworks.picture.kinds import ARTIFACTS, POOLS, is_expanded, kind_of, markers
from sagaworks.picture.lines import DOTS
from sagaworks.picture.paint import PLAIN, Paint
from sagaworks.picture.svg import Box, Point, add, stroke

INSET: Final = 4
"""Pixels between the two lines of an event in the middle of the way."""

DEFINITION: Final = "EventDefinition"


def draw_shape(group: Node, element: Node, shape: Node, box: Box, paint: Paint) -> None:
    """Append the shape of `element`, without its name."""
    kind = kind_of(element)
    if kind.endswith("Event"):
        _draw_event(group, element, box, paint)
    elif kind.endswith("Gateway"):
        _draw_gateway(group, kind, shape, box, paint)
    elif kind in POOLS:
        banded = kind == "participant" and element.get("processRef") is not None
        draw_pool(group, box, horizontal=shape.get("isHorizontal") != "false", banded=banded)
    elif kind in ARTIFACTS:
        draw_artifact(group, element, box, paint)
    else:
        _draw_activity(group, element, shape, box, paint)


def _draw_activity(group: Node, element: Node, shape: Node, box: Box, paint: Paint) -> None:
    kind, (x, y) = kind_of(element), (box.x + 17, box.y + 17)
    style: dict[str, Any] = {"fill": paint.fill, "stroke": paint.line}
    if element.get("triggeredByEvent") == "true":
        style |= DOTS
    if is_expanded(element, shape) and paint != PLAIN:
        style["fill_opacity"] = 0.35  # what is in it has colours of its own
    add(group, "rect", **box.sides, rx=10, **style, **stroke(4 if kind == "callActivity" else 2))
    if kind == "transaction":
        inner = Box(box.x + 3, box.y + 3, box.width - 6, box.height - 6)
        add(group, "rect", **inner.sides, rx=7, **style | {"fill": "none"}, **stroke(1.5))
    draw_icon(group, icons.TASKS.get(kind, []), (x, y), paint, filled=kind == "sendTask")
    _draw_markers(group, markers(element, shape), box, paint)


def _draw_markers(group: Node, names: list[str], box: Box, paint: Paint) -> None:
    left = box.middle[0] - 11 * (len(names) - 1)
    for number, name in enumerate(names):
        at = f"M{left + 22 * number:g} {box.y + box.height - 12:g}"
        style: dict[str, Any] = {"fill": "none", "stroke": paint.line, "stroke_linejoin": "round"}
        path = at + icons.MARKERS[name]
        add(group, "path", d=path, **style, **stroke(1.4 if name == "compensation" else 1.8))


def _draw_event(group: Node, element: Node, box: Box, paint: Paint) -> None:
    kind, (x, y) = kind_of(element), box.middle
    ring: dict[str, Any] = {"cx": x, "cy": y, "fill": paint.fill, "stroke": paint.line}
    if "false" in (element.get("cancelActivity"), element.get("isInterrupting")):
        ring["stroke_dasharray"] = "5 3"
    add(group, "circle", r=box.width / 2, **ring, **stroke(4 if kind == "endEvent" else 2))
    if kind not in ("startEvent", "endEvent"):
        add(group, "circle", r=box.width / 2 - INSET, **ring, **stroke(1.5))
    throws = kind in ("endEvent", "intermediateThrowEvent")
    draw_icon(group, icons.EVENTS.get(_about(element), []), (x, y), paint, filled=throws)


def _about(event: Node) -> str:
    """Return what an event is about; one that waits for several things has a sign of its own."""
    kinds = [kind_of(child) for child in event]
    found = [kind.removesuffix(DEFINITION) for kind in kinds if kind.endswith(DEFINITION)]
    if len(found) > 1:
        return "parallelMultiple" if event.get("parallelMultiple") == "true" else "multiple"
    return found[0] if found else ""


def _draw_gateway(group: Node, kind: str, shape: Node, box: Box, paint: Paint) -> None:
    (x, y), half = box.middle, box.width / 2
    diamond = f"M{x:g} {y - half:g}l{half:g} {half:g}l{-half:g} {half:g}l{-half:g} {-half:g}z"
    add(group, "path", d=diamond, fill=paint.fill, stroke=paint.line, **stroke(2))
    if kind == "eventBasedGateway":
        draw_icon(group, icons.EVENT_BASED, (x, y), paint)
    elif kind == "inclusiveGateway":
        _draw_sign(group, icons.INCLUSIVE, (x, y), paint, 2.5)
    elif shape.get("isMarkerVisible") != "false" and kind in icons.GATEWAYS:
        _draw_sign(group, icons.GATEWAYS[kind], (x, y), paint, 4)


def _draw_sign(group: Node, path: str, at: Point, paint: Paint, width: float) -> None:
    sign = f"M{at[0]:g} {at[1]:g}{path}"
    add(group, "path", d=sign, fill="none", stroke=paint.line, **stroke(width))
