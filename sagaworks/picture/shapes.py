"""How each kind of BPMN element looks: as in the Modeler, so that people know it again."""

import math
from collections.abc import Sequence
from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN
from sagaworks.picture.paint import INK, PAINTS, Mark, Paint
from sagaworks.picture.svg import Box, Point, add, stroke, wrapped, write

CIRCLE: Final = "m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z"

ICONS: Final = {
    "compensate": ["m-9 0l8 -6v12zm9 0l8 -6v12z"],
    "error": ["m-8 8l5 -15l6 7l5 -8l-5 16l-6 -8z"],
    "escalation": ["m-6 8l6 -16l6 16l-6 -7z"],
    "message": ["m-9 -6h18v12h-18z", "m-9 -6l9 7l9 -7"],
    "signal": ["m0 -9l9 15h-18z"],
    "terminate": [CIRCLE.format(r=9, d=18)],
    "timer": [CIRCLE.format(r=10, d=20), "m1 -7l-1 7l5 1"],
}
"""Paths from the icon's middle; the first is filled where the event throws."""

GATEWAYS: Final = {
    "exclusiveGateway": "m-7 -9l14 18m0 -18l-14 18",
    "parallelGateway": "m-11 0h22m-11 -11v22",
}

TITLED: Final = ("participant", "lane", "subProcess", "adHocSubProcess", "transaction")


def draw_shape(group: Node, element: Node, box: Box, paint: Paint) -> None:
    """Append the shape of `element`, without its name."""
    kind = kind_of(element)
    if kind.endswith("Event"):
        _draw_event(group, element, box, paint)
    elif kind.endswith("Gateway"):
        _draw_gateway(group, kind, box, paint)
    elif kind == "textAnnotation":
        bracket = f"M{box.x + 10:g} {box.y:g}h-10v{box.height:g}h10"
        add(group, "path", d=bracket, fill="none", stroke=INK, **stroke(1.5))
    elif kind in ("participant", "lane"):
        add(group, "rect", **box.sides, fill="none", stroke=INK, **stroke(1.5))
    else:
        _draw_activity(group, element, box, paint)


def draw_line(
    group: Node, element: Node, points: Sequence[Point], paint: Paint, *, marked: bool
) -> None:
    """Append a sequence flow with its arrow, or an association in dots."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    style: dict[str, Any] = {"fill": "none", "stroke": paint.line, **stroke(3 if marked else 2)}
    if kind_of(element) == "sequenceFlow":
        if paint.dashes:
            style["stroke_dasharray"] = paint.dashes
        add(group, "path", d=path, stroke_linejoin="round", **style)
        _draw_arrow(group, points, paint)
    else:
        add(group, "path", d=path, stroke_dasharray="0.5 5", stroke_linecap="round", **style)
        if element.get("associationDirection") == "One":
            _draw_arrow(group, points, paint, is_open=True)


def draw_name(group: Node, element: Node, box: Box) -> None:
    """Append the name of what is large enough to hold it."""
    kind, (x, y) = kind_of(element), box.middle
    if kind == "textAnnotation":
        text = element.findtext(f"{BPMN}text") or ""
        write(group, wrapped(text, box.width - 8, 12), (box.x + 6, box.y + 17), 12, "start")
        return
    lines = wrapped(element.get("name") or "", box.width - 10, 12)
    first = box.y + 18 if is_titled(element) else y + 4 - 7.2 * (len(lines) - 1)
    write(group, lines, (x, first), 12)


def draw_badge(group: Node, mark: Mark, box: Box) -> None:
    """Append a mark's label at the upper right corner."""
    if not mark.label:
        return
    width = max(20.0, len(mark.label) * 7.2 + 12)
    left, top, paint = box.x + box.width + 8 - width, box.y - 13, PAINTS[mark.state]
    add(group, "rect", x=left, y=top, width=width, height=20, rx=10, fill=paint.line)
    style = {"font_size": 11, "font_weight": "bold", "text_anchor": "middle", "fill": "#ffffff"}
    add(group, "text", x=left + width / 2, y=top + 14, **style).text = mark.label


def is_named_inside(element: Node) -> bool:
    """Whether the name stands in the shape; else it has a place of its own."""
    return not kind_of(element).endswith(("Event", "Gateway"))


def is_titled(element: Node) -> bool:
    """Whether it may hold others, and so has its name at the top."""
    return kind_of(element) in TITLED


def kind_of(element: Node) -> str:
    """Return the BPMN tag."""
    return str(element.tag).removeprefix(BPMN)


def _draw_activity(group: Node, element: Node, box: Box, paint: Paint) -> None:
    style: dict[str, Any] = {"fill": paint.fill, "stroke": paint.line, "rx": 10}
    if element.get("triggeredByEvent") == "true":
        style |= {"stroke_dasharray": "0.5 5", "stroke_linecap": "round"}
    thick = 4 if kind_of(element) == "callActivity" else 2
    add(group, "rect", **box.sides, **style, **stroke(thick))
    _draw_task_icon(group, element, (box.x + 17, box.y + 17), paint)
    _draw_markers(group, element, (box.middle[0], box.y + box.height - 13), paint)


def _draw_task_icon(group: Node, element: Node, at: Point, paint: Paint) -> None:
    kind, (x, y) = kind_of(element), at
    style: dict[str, Any] = {"fill": "none", "stroke": paint.line, **stroke(1.2)}
    if kind == "serviceTask":
        add(group, "path", d=_gear(at), **style)
        add(group, "circle", cx=x, cy=y, r=3, **style)
    elif kind in ("receiveTask", "sendTask"):
        _draw_icon(group, "message", at, paint, filled=kind == "sendTask")
    elif kind == "userTask":
        add(group, "path", d=f"M{x - 8:g} {y + 9:g}v-4a8 7 0 0 1 16 0v4z", **style)
        add(group, "circle", cx=x, cy=y - 5, r=4.5, **style)


def _draw_markers(group: Node, element: Node, at: Point, paint: Paint) -> None:
    """Draw what stands at an activity's lower edge: it undoes, it runs for each item."""
    (x, y), loop = at, element.find(f"{BPMN}multiInstanceLoopCharacteristics")
    if element.get("isForCompensation") == "true":
        _draw_icon(group, "compensate", (x if loop is None else x - 12, y), paint)
        x += 10
    if loop is not None:
        in_turn = loop.get("isSequential") == "true"
        bars = "m-6 -5h12m-12 5h12m-12 5h12" if in_turn else "m-5 -6v12m5 -12v12m5 -12v12"
        path = f"M{x:g} {y:g}{bars}"
        add(group, "path", d=path, fill="none", stroke=paint.line, **stroke(2))


def _draw_event(group: Node, element: Node, box: Box, paint: Paint) -> None:
    kind, (x, y) = kind_of(element), box.middle
    ring: dict[str, Any] = {"cx": x, "cy": y, "fill": paint.fill, "stroke": paint.line}
    if "false" in (element.get("cancelActivity"), element.get("isInterrupting")):
        ring["stroke_dasharray"] = "5 3"
    add(group, "circle", r=box.width / 2, **ring, **stroke(4 if kind == "endEvent" else 2))
    if kind not in ("startEvent", "endEvent"):
        add(group, "circle", r=box.width / 2 - 4, **ring, **stroke(1.5))
    throws = kind in ("endEvent", "intermediateThrowEvent")
    for child in element:
        _draw_icon(group, _event_of(child), (x, y), paint, filled=throws)


def _event_of(definition: Node) -> str:
    return kind_of(definition).removesuffix("EventDefinition")


def _draw_gateway(group: Node, kind: str, box: Box, paint: Paint) -> None:
    (x, y), half = box.middle, box.width / 2
    diamond = f"M{x:g} {y - half:g}l{half:g} {half:g}l{-half:g} {half:g}l{-half:g} {-half:g}z"
    add(group, "path", d=diamond, fill=paint.fill, stroke=paint.line, **stroke(2))
    if kind in GATEWAYS:
        add(group, "path", d=f"M{x:g} {y:g}{GATEWAYS[kind]}", stroke=paint.line, **stroke(4))
    else:
        add(group, "circle", cx=x, cy=y, r=half / 2, fill="none", stroke=paint.line, **stroke(2.5))


def _draw_icon(group: Node, name: str, at: Point, paint: Paint, *, filled: bool = False) -> None:
    for number, path in enumerate(ICONS.get(name, [])):
        on_filled = filled and number > 0
        style: dict[str, Any] = {
            "fill": paint.line if filled and number == 0 else "none",
            "stroke": paint.fill if on_filled else paint.line,
            "stroke_linejoin": "round",
        }
        add(group, "path", d=f"M{at[0]:g} {at[1]:g}{path}", **style, **stroke(1.4))


def _draw_arrow(
    group: Node, points: Sequence[Point], paint: Paint, *, is_open: bool = False
) -> None:
    (x0, y0), (x, y) = points[-2:]
    turn = math.degrees(math.atan2(y - y0, x - x0))
    move = f"translate({x:g} {y:g}) rotate({turn:g})"
    if is_open:
        style = {"fill": "none", "stroke": paint.line, **stroke(1.5)}
        add(group, "path", d="M-9 -5L0 0L-9 5", transform=move, **style)
    else:
        add(group, "path", d="M1 0L-11 -5.5V5.5z", transform=move, fill=paint.line)


def _gear(at: Point) -> str:
    """Return the outline of a cogwheel with eight teeth."""
    corners = []
    for step in range(32):
        radius = 9.0 if step % 4 in (1, 2) else 6.5
        angle = math.tau * (step - 0.5) / 32
        corners.append((at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle)))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "z"
