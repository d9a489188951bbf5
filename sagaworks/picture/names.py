"""Names in and beside their shapes, and the badges at their corners."""

import math
from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN
from sagaworks.picture.artifacts import BAND
from sagaworks.picture.kinds import POOLS, has_icon, is_expanded, kind_of, markers
from sagaworks.picture.paint import INK, PAINTS, Mark
from sagaworks.picture.svg import HALO, Box, add, fitted, width_of, wrapped, write

SIZE, SMALL = 12, 11
SIZES: Final = (SIZE, SMALL, 9)
"""Pixels of the letters in a shape: the largest that fits."""

LABEL_WIDTH: Final = 90
"""Pixels after which the Modeler breaks a label that stands beside its shape."""


def name_of(element: Node) -> str:
    """Return what is written at an element; a group's is its category's value."""
    kind = kind_of(element)
    if kind == "textAnnotation":
        return element.findtext(f"{BPMN}text") or ""
    if kind == "group":
        asked = element.get("categoryValueRef", "").rpartition(":")[2]
        values = element.getroottree().iter(f"{BPMN}categoryValue")
        return next((one.get("value", "") for one in values if one.get("id") == asked), "")
    return element.get("name") or ""


def draw_name(group: Node, element: Node, shape: Node, box: Box) -> None:
    """Append the name of what is large enough to hold it."""
    kind, name = kind_of(element), name_of(element)
    if kind == "participant" and element.get("processRef") is None:
        write(group, wrapped(name, box.width - 10, SIZE), (box.middle[0], box.middle[1] + 4), SIZE)
    elif kind in POOLS:
        _draw_side_name(group, name, box, horizontal=shape.get("isHorizontal") != "false")
    elif kind == "textAnnotation":
        lines = fitted(wrapped(name, box.width + 8, SIZE), box.height, SIZE)
        write(group, lines, (box.x + 6, box.y + 17), SIZE, text_anchor="start")
    elif kind == "group":
        write(group, [name], (box.middle[0], box.y - 6), SIZE, **HALO)
    elif is_expanded(element, shape):
        lines = fitted(wrapped(name, box.width - 20, SIZE), box.height / 2, SIZE)
        write(group, lines, (box.middle[0], box.y + 18), SIZE)
    else:
        above, below = 27 if has_icon(element) else 5, 21 if markers(element, shape) else 5
        _draw_inner_name(group, name, box, above=above, below=below)


def draw_label(group: Node, element: Node, box: Box) -> Box:
    """Append the name that stands beside a shape or a line; return what it takes of the sheet."""
    lines = wrapped(name_of(element), max(box.width, LABEL_WIDTH), SMALL)
    write(group, lines, (box.middle[0], box.y + 11), SMALL, **HALO)
    width = max((width_of(line, SMALL) for line in lines), default=0.0)
    left, right = box.middle[0] - width / 2, box.middle[0] + width / 2
    height = math.ceil(max(1, len(lines)) * SMALL * 1.2 + 2)
    return Box(math.floor(left), box.y, math.ceil(right) - math.floor(left), height)


def below(box: Box) -> Box:
    """Return where a label stands that the file gives no place: below its shape."""
    return Box(box.middle[0] - LABEL_WIDTH / 2, box.y + box.height + 6, LABEL_WIDTH, 14)


def draw_badge(group: Node, mark: Mark, box: Box) -> None:
    """Append a mark's label at the upper right corner."""
    if not mark.label:
        return
    width = math.ceil(max(20.0, width_of(mark.label, SMALL) * 1.12 + 14))
    left, paint = box.x + box.width + 8 - width, PAINTS[mark.state]
    top = box.y - (13 if width <= box.width / 2 + 22 else 21)  # a long one would hide the icon
    add(group, "rect", x=left, y=top, width=width, height=20, rx=10, fill=paint.line)
    style = {"font_size": 11, "font_weight": "bold", "text_anchor": "middle", "fill": "#ffffff"}
    add(group, "text", x=left + width / 2, y=top + 14, **style).text = mark.label


def _draw_inner_name(group: Node, name: str, box: Box, *, above: float, below: float) -> None:
    """Write a name into the middle, away from the icon above and the signs below if it's long."""
    room = box.height - above - below
    size = next((one for one in SIZES if _height(name, box, one) <= room), SIZES[-1])
    lines = fitted(wrapped(name, box.width - 8, size), room, size)
    height = len(lines) * size * 1.2
    top = min(box.middle[1] - height / 2, box.y + box.height - below - height)
    write(group, lines, (box.middle[0], max(top, box.y + above) + size * 0.96), size)


def _height(name: str, box: Box, size: int) -> float:
    return len(wrapped(name, box.width - 8, size)) * size * 1.2


def _draw_side_name(group: Node, name: str, box: Box, *, horizontal: bool) -> None:
    """Write a pool's name in its band, upwards; across it where nothing else is in the pool."""
    if not horizontal:
        write(group, wrapped(name, box.width - 10, SIZE), (box.middle[0], box.y + 19), SIZE)
        return
    lines = fitted(wrapped(name, box.height - 10, SIZE), BAND, SIZE)
    x, y = box.x + BAND / 2 + 4 - 7.2 * (len(lines) - 1), box.middle[1]
    style: dict[str, Any] = {"font_size": SIZE, "text_anchor": "middle", "fill": INK}
    for number, line in enumerate(lines):
        turned = f"translate({x + number * SIZE * 1.2:g} {y:g}) rotate(-90)"
        add(group, "text", transform=turned, **style).text = line
