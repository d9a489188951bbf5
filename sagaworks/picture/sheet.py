"""The sheet that a diagram is drawn on, in its own layout."""

from pathlib import Path
from typing import Final

from lxml.etree import Element, tostring
from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN, read_xml
from sagaworks.picture.paint import PAINTS, PLAIN, Mark, Marks, Paint
from sagaworks.picture.shapes import (
    draw_badge,
    draw_line,
    draw_name,
    draw_shape,
    is_named_inside,
    is_titled,
)
from sagaworks.picture.svg import Box, Point, add, wrapped, write

DI: Final = "{http://www.omg.org/spec/BPMN/20100524/DI}"
BOUNDS: Final = "{http://www.omg.org/spec/DD/20100524/DC}Bounds"
WAYPOINT: Final = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"

FONT: Final = "Arial, Helvetica, sans-serif"
MARGIN: Final = 24
"""Pixels around all that is drawn."""

LABEL_WIDTH: Final = 90
"""Pixels after which the Modeler breaks a label that stands beside its shape."""


def draw(diagram_path: Path, marks: Marks | None = None, *, content: bytes | None = None) -> str:
    """Return the diagram as SVG.

    Args:
        diagram_path: a `.bpmn` file with a layout, as the Modeler saves it.
        marks: by element id, those of flows too; ids that aren't drawn are passed over.
        content: the file's, where it comes from elsewhere.

    Raises:
        ContractError: the file is no diagram.
    """
    root = read_xml(diagram_path, content)
    sheet = _Sheet(root, marks or {})
    shapes = list(root.iter(f"{DI}BPMNShape"))
    for shape in shapes:
        if sheet.holds_others(shape):
            sheet.draw_shape(shape)
    for edge in sorted(root.iter(f"{DI}BPMNEdge"), key=sheet.is_marked):
        sheet.draw_edge(edge)
    for shape in sorted(shapes, key=sheet.stands_on_another):
        if not sheet.holds_others(shape):
            sheet.draw_shape(shape)
    return sheet.finish()


class _Sheet:
    """Shapes below, words and badges above them, and how far it all reaches."""

    def __init__(self, root: Node, marks: Marks) -> None:
        self.elements = {node.get("id"): node for node in root.iter() if node.get("id")}
        self.marks = marks
        self.compensation_events = _compensation_events(root)
        self.title = next((one.get("name", "") for one in root.iter(f"{BPMN}process")), "")
        self.shapes = Element("g")
        self.words = Element("g")
        self.corners: list[Point] = []

    def draw_edge(self, edge: Node) -> None:
        element = self.elements.get(edge.get("bpmnElement"))
        points = [(float(one.get("x")), float(one.get("y"))) for one in edge.iter(WAYPOINT)]
        if element is not None and points:
            self.corners += points
            draw_line(self.shapes, element, points, self.paint(edge), marked=self.is_marked(edge))
            self.draw_label(element, edge)

    def draw_shape(self, shape: Node) -> None:
        element, box = self.elements.get(shape.get("bpmnElement")), _box(shape.find(BOUNDS))
        if element is None or box is None:
            return
        self.corners += box.corners
        group = add(self.shapes, "g")
        draw_shape(group, element, box, self.paint(shape))
        if is_named_inside(element):
            draw_name(group, element, box)
        else:
            self.draw_label(element, shape)
        if mark := self.marks.get(element.get("id")):
            draw_badge(self.words, mark, box)

    def draw_label(self, element: Node, drawn: Node) -> None:
        box = _box(drawn.find(f"{DI}BPMNLabel/{BOUNDS}"))
        if box is not None:
            self.corners += box.corners
            lines = wrapped(element.get("name", ""), max(box.width, LABEL_WIDTH), 11)
            write(self.words, lines, (box.middle[0], box.y + 11), 11)

    def finish(self) -> str:
        across, down = zip(*(self.corners or [(0.0, 0.0)]), strict=True)
        left, top = min(across) - MARGIN, min(down) - MARGIN
        size = {"width": max(across) + MARGIN - left, "height": max(down) + MARGIN - top}
        svg = Element("svg", xmlns="http://www.w3.org/2000/svg")
        svg.set("viewBox", f"{left:g} {top:g} {size['width']:g} {size['height']:g}")
        svg.set("width", f"{size['width']:g}")
        svg.set("height", f"{size['height']:g}")
        svg.set("font-family", FONT)
        svg.set("role", "img")
        add(svg, "title").text = self.title
        add(svg, "rect", x=left, y=top, **size, rx=12, fill=PLAIN.fill)
        svg.extend([self.shapes, self.words])
        return str(tostring(svg, encoding="unicode", pretty_print=True))

    def holds_others(self, shape: Node) -> bool:
        element = self.elements.get(shape.get("bpmnElement"))
        return element is not None and is_titled(element) and shape.get("isExpanded") != "false"

    def stands_on_another(self, shape: Node) -> bool:
        element = self.elements.get(shape.get("bpmnElement"))
        return element is not None and element.get("attachedToRef") is not None

    def paint(self, drawn: Node) -> Paint:
        mark = self.mark(drawn)
        return PAINTS[mark.state] if mark else PLAIN

    def is_marked(self, drawn: Node) -> bool:
        return self.mark(drawn) is not None

    def mark(self, drawn: Node) -> Mark | None:
        id_ = drawn.get("bpmnElement")
        return self.marks.get(id_) or self.marks.get(self.compensation_events.get(id_, ""))


def _compensation_events(root: Node) -> dict[str, str]:
    """Return by id each association that leads to a handler, with the event it begins at."""
    events = {one.get("id") for one in root.iter(f"{BPMN}boundaryEvent")}
    associations = root.iter(f"{BPMN}association")
    return {
        one.get("id"): one.get("sourceRef")
        for one in associations
        if one.get("sourceRef") in events
    }


def _box(bounds: Node | None) -> Box | None:
    if bounds is None:
        return None
    return Box(*(float(bounds.get(name)) for name in ("x", "y", "width", "height")))
