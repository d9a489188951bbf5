"""SVG elements, and words that fit into a width."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lxml.etree import SubElement
from lxml.etree import _Element as Node

from sagaworks.picture.paint import INK

NARROW: Final = frozenset("fijlrtI.,:;'|!()[] ")
WIDE: Final = frozenset("mwMW")

HALO: Final[dict[str, object]] = {
    "stroke": "#ffffff",
    "stroke_width": 3,
    "paint_order": "stroke",
    "stroke_linejoin": "round",
}
"""The style of words that lines of the drawing may run through."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the diagram's pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def corners(self) -> list[Point]:
        """The upper left and the lower right one."""
        return [(self.x, self.y), (self.x + self.width, self.y + self.height)]

    @property
    def sides(self) -> dict[str, float]:
        """As the attributes of a ``rect``."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}


def add(parent: Node, tag: str, **attributes: object) -> Node:
    """Append an element; the underscores in the attributes' names become hyphens."""
    written = {
        name.replace("_", "-"): f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in attributes.items()
    }
    return SubElement(parent, tag, written)


def stroke(pixels: float) -> dict[str, float]:
    """Return the attribute for the width of a line."""
    return {"stroke_width": pixels}


def write(parent: Node, lines: Iterable[str], at: Point, size: int, **style: object) -> None:
    """Append the lines of a text; `at` is the base line of the first, `size` in pixels."""
    usual: dict[str, object] = {"font_size": size, "text_anchor": "middle", "fill": INK}
    for number, line in enumerate(lines):
        down = at[1] + number * size * 1.2
        add(parent, "text", x=at[0], y=down, **usual | style).text = line


def wrapped(text: str, width: float, size: int) -> list[str]:
    """Break a text into lines of about `width` pixels; a longer word is broken too."""
    lines: list[str] = []
    for word in (part for one in text.split() for part in _parts(one, width, size)):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fitted(lines: list[str], height: float, size: int) -> list[str]:
    """Return as many of the lines as fit into `height` pixels, at least one; dots say it's cut."""
    most = max(1, int(height / (size * 1.2)))
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]}…"]


def width_of(text: str, size: int) -> float:
    """Estimate a line's width, for letters wider than Arial's: not each machine has that."""
    parts = sum(0.33 if one in NARROW else 0.92 if one in WIDE else 0.6 for one in text)
    return size * parts


def _parts(word: str, width: float, size: int) -> Iterator[str]:
    """Yield a word's parts that fit: an id is broken behind an underscore if it can be."""
    while width_of(word, size) > width and len(word) > 1:
        most = next(
            n for n in range(len(word), 0, -1) if n == 1 or width_of(word[:n], size) <= width
        )
        cut = max(word.rfind(mark, 1, most) + 1 for mark in "_-./") or most
        yield word[:cut]
        word = word[cut:]
    yield word
