"""The sheet that a diagram is drawn on, in its own layout."""

import re
from pathlib import Path
from typing import Final

from lxml.etree import Element, tostring
from lxml.etree import _Element as Node

from sagaworks.diagram import BPMN, read_xml, shown
from sagaworks.errors import ContractError
from sagaworks.picture.kinds import holds_others, is_named_beside
from sagaworks.picture.legend import Legend, draw_legend
from sagaworks.picture.lines import Line, draw_line
from sagaworks.picture.names import below, draw_badge, draw_label, draw_name, name_of
from sagaworks.picture.paint import PAINTS, PLAIN, Mark, Marks, Paint
from sagaworks.picture.shapes import draw_shape
from sagaworks.picture.svg import Box, Point, add

DI: Final = "{http://www.omg.org/spec/BPMN/20100524/DI}"
BOUNDS: Final = "{http://www.omg.org/spec/DD/20100524/DC}Bounds"
WAYPOINT: Final = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"
COLOURS: Final = {
    "fill": (
        "{http://www.omg.org/spec/BPMN/non-normative/color/1.0}background-color",
        "{http://bpmn.io/schema/bpmn/biocolor/1.0}fill",
    ),
    "line": (
        "{http://www.omg.org/spec/BPMN/non-normative/color/1.0}border-color",
        "{http://bpmn.io/schema/bpmn/biocolor/1.0}stroke",
    ),
}
"""Where people who colour a diagram have their colours kept: by the standard, by the Modeler."""

FONT: Final = "Arial, Helvetica, 'Liberation Sans', sans-serif"
MARGIN: Final = 24
"""Pixels around all that is drawn."""


def draw(
    diagram_path: Path,
    marks: Marks | None = None,
    *,
    content: bytes | None = None,
    legend: Legend | None = None,
) -> str:
    """Return the diagram as SVG.

    Args:
        diagram_path: a `.bpmn` file with a layout, as the Modeler saves it.
        marks: by element id, those of flows too; ids that aren't drawn are passed over.
        content: the file's, where it comes from elsewhere.
        legend: what is written below the drawing.

    Raises:
        ContractError: the file is no diagram, or its layout can't be read.
    """
    root = read_xml(diagram_path, content)
    # The second and later ones show what is in sub-processes that the first shows closed.
    plane = next(root.iter(f"{DI}BPMNPlane"), None)
    sheet = _Sheet(root, marks or {}, shown(diagram_path))
    if plane is not None:
        _draw_plane(sheet, plane)
    return sheet.finish(legend)


def _draw_plane(sheet: "_Sheet", plane: Node) -> None:
    shapes = list(plane.iter(f"{DI}BPMNShape"))
    around = [shape for shape in shapes if sheet.holds_others(shape)]
    for shape in sorted(around, key=sheet.area, reverse=True):
        sheet.draw_shape(shape)
    for edge in sorted(plane.iter(f"{DI}BPMNEdge"), key=sheet.is_marked):
        sheet.draw_edge(edge)
    for shape in sorted(shapes, key=sheet.stands_on_another):
        if not sheet.holds_others(shape):
            sheet.draw_shape(shape)


class _Sheet:
    """Shapes below, words and badges above them, and how far it all reaches."""

    def __init__(self, root: Node, marks: Marks, file: str) -> None:
        self.elements = {node.get("id"): node for node in root.iter() if node.get("id")}
        self.marks = marks
        self.file = file
        self.compensation_events = _compensation_events(root)
        self.title = next((one.get("name", "") for one in root.iter(f"{BPMN}process")), "")
        self.shapes = Element("g")
        self.words = Element("g")
        self.corners: list[Point] = []

    def draw_edge(self, edge: Node) -> None:
        element = self.elements.get(edge.get("bpmnElement"))
        points = [self.point(one) for one in edge.iter(WAYPOINT)]
        if element is None or not points:
            return
        self.corners += points
        group = add(self.shapes, "g", data_element_id=element.get("id"))
        source = self.elements.get(element.get("sourceRef"))
        line = Line(element, source, points)
        draw_line(group, line, self.paint(edge), marked=self.is_marked(edge))
        if (box := self.box(edge.find(f"{DI}BPMNLabel/{BOUNDS}"))) is not None:
            self.corners += draw_label(self.words, element, box).corners

    def draw_shape(self, shape: Node) -> None:
        element, box = self.elements.get(shape.get("bpmnElement")), self.bounds(shape)
        if element is None or box is None:
            return
        self.corners += box.corners
        group = add(self.shapes, "g", data_element_id=element.get("id"))
        draw_shape(group, element, shape, box, self.paint(shape))
        if not is_named_beside(element):
            draw_name(group, element, shape, box)
        elif name_of(element):
            place = self.box(shape.find(f"{DI}BPMNLabel/{BOUNDS}")) or below(box)
            self.corners += draw_label(self.words, element, place).corners
        if mark := self.marks.get(element.get("id")):
            draw_badge(self.words, mark, box)

    def finish(self, legend: Legend | None) -> str:
        across, down = zip(*(self.corners or [(0.0, 0.0)]), strict=True)
        left, top = min(across) - MARGIN, min(down) - MARGIN
        width, height = max(across) + MARGIN - left, max(down) + MARGIN - top
        if legend:
            room = draw_legend(
                self.words, legend, (left + MARGIN, top + height), width - 2 * MARGIN
            )
            width, height = max(width, room.width + 2 * MARGIN), height + room.height + MARGIN / 2
        svg = Element("svg", xmlns="http://www.w3.org/2000/svg")
        svg.set("viewBox", f"{left:g} {top:g} {width:g} {height:g}")
        svg.set("width", f"{width:g}")
        svg.set("height", f"{height:g}")
        svg.set("font-family", FONT)
        svg.set("role", "img")
        add(svg, "title").text = legend.title if legend else self.title
        add(svg, "rect", x=left, y=top, width=width, height=height, rx=12, fill=PLAIN.fill)
        svg.extend([self.shapes, self.words])
        return str(tostring(svg, encoding="unicode", pretty_print=True))

    def holds_others(self, shape: Node) -> bool:
        element = self.elements.get(shape.get("bpmnElement"))
        return element is not None and holds_others(element, shape)

    def stands_on_another(self, shape: Node) -> bool:
        element = self.elements.get(shape.get("bpmnElement"))
        return element is not None and element.get("attachedToRef") is not None

    def area(self, shape: Node) -> float:
        box = self.bounds(shape)
        return box.width * box.height if box else 0.0

    def paint(self, drawn: Node) -> Paint:
        mark = self.mark(drawn)
        return PAINTS[mark.state] if mark else _own_paint(drawn)

    def is_marked(self, drawn: Node) -> bool:
        return self.mark(drawn) is not None

    def mark(self, drawn: Node) -> Mark | None:
        id_ = drawn.get("bpmnElement")
        return self.marks.get(id_) or self.marks.get(self.compensation_events.get(id_, ""))

    def bounds(self, shape: Node) -> Box | None:
        return self.box(shape.find(BOUNDS))

    def box(self, bounds: Node | None) -> Box | None:
        if bounds is None:
            return None
        return Box(*self.numbers(bounds, "x", "y", "width", "height"))

    def point(self, waypoint: Node) -> Point:
        x, y = self.numbers(waypoint, "x", "y")
        return x, y

    def numbers(self, node: Node, *names: str) -> tuple[float, ...]:
        try:
            found = tuple(float(node.get(name)) for name in names)
        except (TypeError, ValueError):
            found = (float("nan"),)
        if not all(abs(one) <= _FARTHEST for one in found):
            where, asked = f"{self.file}:{node.sourceline}", ", ".join(names)
            message = f"its layout has no such place: {asked} must be numbers of pixels"
            raise ContractError(f"{where}: {message}")
        return found


_FARTHEST: Final = 1_000_000
"""Pixels from the origin; no drawing is larger."""

_HEX: Final = re.compile(r"#[0-9a-fA-F]{3,8}", re.ASCII)


def _own_paint(drawn: Node) -> Paint:
    """Return the colours that the diagram itself gives, else the plain ones."""
    found = {
        part: next((drawn.get(name) for name in names if drawn.get(name)), None)
        for part, names in COLOURS.items()
    }
    if not any(found.values()):
        return PLAIN
    fill, line = (
        colour if colour and _HEX.fullmatch(colour) else usual
        for colour, usual in ((found["fill"], PLAIN.fill), (found["line"], PLAIN.line))
    )
    return Paint(fill, line)


def _compensation_events(root: Node) -> dict[str, str]:
    """Return by id each association that leads to a handler, with the event it begins at."""
    events = {one.get("id") for one in root.iter(f"{BPMN}boundaryEvent")}
    associations = root.iter(f"{BPMN}association")
    return {
        one.get("id"): one.get("sourceRef")
        for one in associations
        if one.get("sourceRef") in events
    }
