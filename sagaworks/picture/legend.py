"""What the colours of a picture mean, written below it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml.etree import _Element as Node

from sagaworks.picture.paint import PAINTS, State
from sagaworks.picture.svg import Box, Point, add, fitted, stroke, width_of, wrapped, write

SIZE = 12
ROW = 22
GAP = 22
SWATCH = 16


@dataclass(frozen=True, slots=True)
class Legend:
    """What stands below a drawing.

    Attributes:
        title: a line about all of it; the picture's accessible name too.
        meanings: what each colour says, in the order of writing.
    """

    title: str
    meanings: Mapping[State, str] = field(default_factory=dict)


def draw_legend(words: Node, legend: Legend, at: Point, width: float) -> Box:
    """Append a title and the keys from `at` on; return the room it all takes."""
    left, y = at
    lines = fitted(wrapped(legend.title, max(width, 200), SIZE), 3 * ROW, SIZE)
    write(words, lines, (left, y + 12), SIZE, text_anchor="start")
    y += 12 + (len(lines) - 1) * SIZE * 1.2 + ROW
    x, widest = left, max((width_of(line, SIZE) for line in lines), default=0.0)
    for state, meaning in legend.meanings.items():
        wide = SWATCH + 6 + width_of(meaning, SIZE)
        if x > left and x + wide > left + width:
            x, y = left, y + ROW
        _draw_key(words, state, meaning, (x, y))
        widest = max(widest, x + wide - left)
        x += wide + GAP
    return Box(left, at[1], widest, y + 6 - at[1])


def _draw_key(words: Node, state: State, meaning: str, at: Point) -> None:
    paint, (x, y) = PAINTS[state], at
    swatch = {"width": SWATCH, "height": 14, "rx": 4, "fill": paint.fill, "stroke": paint.line}
    add(words, "rect", x=x, y=y - 12, **swatch, **stroke(2))
    write(words, [meaning], (x + SWATCH + 6, y), SIZE, text_anchor="start")
