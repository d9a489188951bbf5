"""How each kind of connection looks, with what is at its ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN
from sagaworks.picture.kinds import is_activity, kind_of
from sagaworks.picture.paint import PLAIN, Paint
from sagaworks.picture.svg import Point, add, stroke

DOTS: Final[dict[str, Any]] = {"stroke_dasharray": "0.5 5", "stroke_linecap": "round"}

ARROW: Final = "M1 0L-11 -5.5V5.5z"
OPEN_ARROW: Final = "M-9 -5L0 0L-9 5"
DIAMOND: Final = "M0 0L8 -5L16 0L8 5z"
SLASH: Final = "M7 5.5L13 -5.5"


@dataclass(frozen=True, slots=True)
class Line:
    """A connection: a flow, a message's way, an association.

    Attributes:
        source: what it begins at, if that is an element.
        points: its corners, both ends with them.
    """

    element: Node
    source: Node | None
    points: Sequence[Point]


def draw_line(group: Node, line: Line, paint: Paint, *, marked: bool) -> None:
    """Append the line with what is at its ends."""
    kind, points = kind_of(line.element), line.points
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    style: dict[str, Any] = {"fill": "none", "stroke": paint.line, **stroke(3 if marked else 2)}
    if kind == "sequenceFlow":
        if paint.dashes:
            style["stroke_dasharray"] = paint.dashes
        add(group, "path", d=path, stroke_linejoin="round", **style)
        _draw_begin(group, line, paint)
        add(group, "path", d=ARROW, transform=_at_end(points), fill=paint.line)
    elif kind == "messageFlow":
        add(group, "path", d=path, stroke_dasharray="8 5", **style | stroke(1.5))
        open_end: dict[str, Any] = {"fill": PLAIN.fill, "stroke": paint.line, **stroke(1.5)}
        add(group, "circle", cx=points[0][0], cy=points[0][1], r=4, **open_end)
        add(group, "path", d=ARROW, transform=_at_end(points), **open_end)
    else:
        add(group, "path", d=path, **DOTS, **style)
        if kind != "association" or line.element.get("associationDirection") in ("One", "Both"):
            tip = {"fill": "none", "stroke": paint.line, **stroke(1.5)}
            add(group, "path", d=OPEN_ARROW, transform=_at_end(points), **tip)


def _draw_begin(group: Node, line: Line, paint: Paint) -> None:
    """Draw what a flow begins with: a slash if it's the default, a diamond if conditional."""
    flow, source = line.element, line.source
    if source is None:
        return
    style: dict[str, Any] = {"stroke": paint.line, **stroke(1.5)}
    where = _at_end(line.points[1::-1], outward=True)
    if source.get("default") == flow.get("id"):
        add(group, "path", d=SLASH, transform=where, fill="none", **style)
    elif flow.find(f"{BPMN}conditionExpression") is not None and is_activity(source):
        add(group, "path", d=DIAMOND, transform=where, fill=PLAIN.fill, **style)


def _at_end(points: Sequence[Point], *, outward: bool = False) -> str:
    """Return the transformation to the last point, along the last piece of the way."""
    (x0, y0), (x, y) = points[-2] if len(points) > 1 else points[-1], points[-1]
    turn = math.degrees(math.atan2(y - y0, x - x0)) + (180 if outward else 0)
    return f"translate({x:g} {y:g}) rotate({turn:g})"
