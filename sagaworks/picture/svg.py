"""SVG elements, and words that fit into a width."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from lxml.etree import SubElement
from lxml.etree import _Element as Node

from sagaworks.picture.paint import INK

NARROW: Final = frozenset("fijlrtI.,:;'|!()[] ")
WIDE: Final = frozenset("mwMW")

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


def write(
    parent: Node,
    lines: Iterable[str],
    at: Point,
    size: int,
    anchor: Literal["start", "middle"] = "middle",
) -> None:
    """Append the lines of a text; `at` is the base line of the first, `size` in pixels."""
    style = {"font_size": size, "text_anchor": anchor, "fill": INK}
    for number, line in enumerate(lines):
        add(parent, "text", x=at[0], y=at[1] + number * size * 1.2, **style).text = line


def wrapped(text: str, width: float, size: int) -> list[str]:
    """Break a text into lines of about `width` pixels; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _width(text: str, size: int) -> float:
    """Estimate a line's width in Arial, to some five in a hundred."""
    parts = sum(0.29 if one in NARROW else 0.82 if one in WIDE else 0.55 for one in text)
    return size * parts
