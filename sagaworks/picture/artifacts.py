"""What a token never stands on: pools, lanes, groups, notes and data."""

from typing import Any, Final

from lxml.etree import _Element as Node

from sagaworks.picture.kinds import kind_of
from sagaworks.picture.paint import INK, Paint
from sagaworks.picture.svg import Box, add, stroke

BAND: Final = 30
"""Pixels at the side of a pool or a lane for its name."""

FOLD: Final = 12
"""Pixels of a page's folded corner."""

LID: Final = 8
"""Pixels from the top of a drum to where its lid is widest."""


def draw_artifact(group: Node, element: Node, box: Box, paint: Paint) -> None:
    """Append the shape of what isn't in the flow, without its name."""
    style: dict[str, Any] = {"fill": paint.fill, "stroke": paint.line, **stroke(2)}
    kind = kind_of(element)
    if kind == "textAnnotation":
        bracket = f"M{box.x + 10:g} {box.y:g}h-10v{box.height:g}h10"
        add(group, "path", d=bracket, fill="none", stroke=INK, **stroke(1.5))
    elif kind == "group":
        dashes = {"stroke_dasharray": "8 4 1 4", "rx": 10}
        add(group, "rect", **box.sides, **style | {"fill": "none"}, **dashes)
    elif kind == "dataStoreReference":
        _draw_drum(group, box, style)
    else:
        _draw_page(group, element, box, style)


def draw_pool(group: Node, box: Box, *, horizontal: bool, banded: bool) -> None:
    """Append a pool or a lane; a pool with something in it has its name in a band."""
    style: dict[str, Any] = {"fill": "none", "stroke": INK, **stroke(1.5)}
    add(group, "rect", **box.sides, **style)
    if banded and horizontal:
        add(group, "path", d=f"M{box.x + BAND:g} {box.y:g}v{box.height:g}", **style)
    elif banded:
        add(group, "path", d=f"M{box.x:g} {box.y + BAND:g}h{box.width:g}", **style)


def _draw_page(group: Node, element: Node, box: Box, style: dict[str, Any]) -> None:
    right, down = box.width - FOLD, box.height - FOLD
    page = f"M{box.x:g} {box.y:g}h{right:g}l{FOLD} {FOLD}v{down:g}h{-box.width:g}z"
    add(group, "path", d=page, stroke_linejoin="round", **style)
    fold = f"M{box.x + right:g} {box.y:g}v{FOLD}h{FOLD}"
    add(group, "path", d=fold, stroke_linejoin="round", **style | {"fill": "none"})
    if element.get("isCollection") == "true":
        bars = f"M{box.middle[0] - 5:g} {box.y + box.height - 13:g}v9m5 -9v9m5 -9v9"
        add(group, "path", d=bars, **style)


def _draw_drum(group: Node, box: Box, style: dict[str, Any]) -> None:
    half, down = box.width / 2, box.height - 2 * LID
    lid = f"a{half:g} {LID} 0 0 0 {box.width:g} 0"
    drum = (
        f"M{box.x:g} {box.y + LID:g}v{down:g}{lid}v{-down:g}a{half:g} {LID} 0 0 0 {-box.width:g} 0z"
    )
    add(group, "path", d=drum, **style)
    rim = f"M{box.x:g} {box.y + LID:g}{lid}m{-box.width:g} 6{lid}"
    add(group, "path", d=rim, **style | {"fill": "none"})
