"""Draws small diagrams with a layout of their own: the examples that the rules are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

SIZES = {"Event": (36, 36), "Gateway": (50, 50)}
GAP = 60
EDGE = 18
NAMESPACES = {
    "bpmn": "http://www.omg.org/spec/BPMN/20100524/MODEL",
    "bpmndi": "http://www.omg.org/spec/BPMN/20100524/DI",
    "dc": "http://www.omg.org/spec/DD/20100524/DC",
    "di": "http://www.omg.org/spec/DD/20100524/DI",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "zeebe": "http://camunda.org/schema/zeebe/1.0",
    "modeler": "http://camunda.org/schema/modeler/1.0",
}
PLATFORM = (
    'exporter="Camunda Modeler" exporterVersion="5.28.0" '
    'modeler:executionPlatform="Camunda Cloud" modeler:executionPlatformVersion="8.6.0"'
)


@dataclass
class Shape:
    """One element, where it stands in its scope's grid, and where it comes to lie."""

    id: str
    tag: str
    column: int
    row: int
    attributes: str = ""
    extensions: list[str] = field(default_factory=list)
    inner: str = ""
    host: Shape | None = None
    inside: Scope | None = None
    x: int = 0
    y: int = 0
    hidden: bool = False

    @property
    def size(self) -> tuple[int, int]:
        if self.inside is not None:
            return self.inside.width, self.inside.height
        return next((size for end, size in SIZES.items() if self.tag.endswith(end)), (100, 80))

    @property
    def middle(self) -> tuple[int, int]:
        return self.x + self.size[0] // 2, self.y + self.size[1] // 2


@dataclass
class Scope:
    """A process or a sub-process: shapes in a grid, and the flows between them."""

    shapes: list[Shape] = field(default_factory=list)
    flows: list[tuple[str, str, str]] = field(default_factory=list)
    associations: list[tuple[str, str]] = field(default_factory=list)
    width: int = 0
    height: int = 0

    def place(self, left: int, top: int) -> None:
        """Give every shape its place, row by row and column by column."""
        own = [one for one in self.shapes if one.host is None]
        for one in own:
            if one.inside is not None:
                one.inside.place(0, 0)
        below = [one for one in own if "triggeredByEvent" in one.attributes]
        for one in below:
            one.x = left + GAP
        in_flow = [one for one in own if one not in below]
        x, y = _columns(in_flow, left + GAP), _rows(own, top + GAP)
        right = max([x, *(one.x + one.size[0] + GAP for one in below)])
        self.width, self.height = right - left, y - top
        for one in own:
            if one.inside is not None:
                one.inside.place(one.x, one.y)
        for one in self.shapes:
            self._put_on_edge(one)

    def _put_on_edge(self, one: Shape) -> None:
        if one.host is None:
            return
        others = [other for other in self.shapes if other.host is one.host]
        one.x = one.host.x + 10 + 45 * others.index(one)
        one.y = one.host.y + one.host.size[1] - EDGE


def _columns(shapes: list[Shape], x: int) -> int:
    for column in sorted({one.column for one in shapes}):
        here = [one for one in shapes if one.column == column]
        wide = max(one.size[0] for one in here)
        for one in here:
            one.x = x + (wide - one.size[0]) // 2
        x += wide + GAP
    return x


def _rows(shapes: list[Shape], y: int) -> int:
    for row in sorted({one.row for one in shapes}):
        here = [one for one in shapes if one.row == row]
        tall = max(one.size[1] for one in here)
        for one in here:
            one.y = y + (tall - one.size[1]) // 2
        y += tall + GAP
    return y


class Sketch:
    """A diagram that grows from left to right; each element follows the one before it."""

    def __init__(self, process: str, properties: str = "") -> None:
        self.process = process
        self.properties = properties
        self.root = Scope()
        self.scope = self.root
        self.last = ""
        self.column = 0
        self.row = 0
        self.definitions: list[str] = []
        self.by_id: dict[str, Shape] = {}

    def add(  # what an element may say
        self,
        id_: str,
        tag: str,
        *,
        extensions: list[str] | None = None,
        attributes: str = "",
        inner: str = "",
        condition: str = "",
    ) -> Shape:
        """Draw an element behind the last one."""
        shape = Shape(id_, tag, self.column, self.row, attributes, extensions or [], inner)
        self.scope.shapes.append(shape)
        self.by_id[id_] = shape
        if self.last:
            self.scope.flows.append((self.last, id_, condition))
        self.last = id_
        self.column += 1
        return shape

    def start(self, id_: str = "begun", event: str = "", **more: str) -> None:
        self.add(id_, "startEvent", inner=self.definition(id_, event, **more))

    def end(self, id_: str = "ended", event: str = "", *, condition: str = "", **more: str) -> None:
        inner = self.definition(id_, event, **more)
        self.add(id_, "endEvent", inner=inner, condition=condition)
        self.last = ""

    def step(
        self,
        job: str,
        id_: str = "",
        *,
        kind: str = "",
        undo: str = "",
        retries: str = "5",
        more: str = "",
        loop: str = "",
        tag: str = "serviceTask",
        condition: str = "",
        **undoing: str,
    ) -> None:
        """Draw a service task, and what undoes it straight below."""
        id_ = id_ or job.partition(".")[2]
        said = [task(job, retries), *([prop("saga.kind", kind)] if kind else []), more]
        self.add(id_, tag, extensions=said, inner=loop, condition=condition)
        if undo:
            self.undone_by(id_, undo, **undoing)

    def undone_by(
        self,
        host: str,
        job: str,
        *,
        headers: str = "",
        marked: bool = True,
        more: str = "",
        retries: str = "10",
        id_: str = "",
    ) -> str:
        """Join a handler to a step."""
        event = f"{host}_undone"
        if event not in self.by_id:
            self.on_edge(host, event, "compensate")
        id_ = id_ or job.partition(".")[2]
        self.handler(id_, job, host, headers=headers, marked=marked, more=more, retries=retries)
        self.scope.associations.append((event, id_))
        return id_

    def handler(
        self,
        id_: str,
        job: str,
        below: str,
        *,
        headers: str = "",
        marked: bool = True,
        more: str = "",
        retries: str = "10",
    ) -> None:
        host = self.by_id[below]
        taken = [one for one in self.scope.shapes if one.column == host.column]
        row = host.row + 1 + sum(1 for one in taken if one.row == host.row + 1)
        mark = 'isForCompensation="true"' if marked else ""
        shape = Shape(
            id_, "serviceTask", host.column, row, mark, [task(job, retries), headers, more]
        )
        self.scope.shapes.append(shape)
        self.by_id[id_] = shape

    @contextmanager
    def handled_by(self, host: str, id_: str) -> Iterator[None]:
        """Draw a sub-process that undoes a step, and what is inside of it."""
        event = f"{host}_undone"
        self.on_edge(host, event, "compensate")
        before = (self.last, self.column, self.row)
        self.last, self.column, self.row = "", self.by_id[host].column, 2
        with self.inside(id_, attributes='isForCompensation="true"'):
            yield
        self.last, self.column, self.row = before
        self.scope.associations.append((event, id_))

    def on_edge(
        self, host: str, id_: str, event: str, *, attributes: str = "", **more: str
    ) -> Shape:
        """Draw a boundary event."""
        on = self.by_id[host]
        shape = Shape(id_, "boundaryEvent", on.column, on.row, host=on)
        shape.attributes = f'attachedToRef="{host}" {attributes}'
        shape.inner = self.definition(id_, event, **more)
        self.scope.shapes.append(shape)
        self.by_id[id_] = shape
        return shape

    def edge(self, host: str, id_: str, event: str, *, row: int = 3, **more: str) -> None:
        """Draw a boundary event, and go on from there in a lower row."""
        self.on_edge(host, id_, event, **more)
        self.at(id_, row=row)

    def at(self, id_: str, *, row: int = 0, column: int | None = None) -> None:
        """Go on from an element that is there."""
        self.last = id_
        self.row = row
        self.column = (self.by_id[id_].column + 1) if column is None else column

    def to(self, id_: str, condition: str = "") -> None:
        """Lead a flow to an element that is there."""
        self.scope.flows.append((self.last, id_, condition))
        self.last = ""

    def gateway(self, id_: str, kind: str = "exclusive", condition: str = "") -> None:
        self.add(id_, f"{kind}Gateway", condition=condition)

    def throw(self, id_: str, activity: str = "", condition: str = "") -> None:
        more = {"activityRef": activity} if activity else {}
        inner = self.definition(id_, "compensate", **more)
        self.add(id_, "intermediateThrowEvent", inner=inner, condition=condition)

    @contextmanager
    def inside(
        self,
        id_: str,
        *,
        attributes: str = "",
        extensions: list[str] | None = None,
        loop: str = "",
        tag: str = "subProcess",
    ) -> Iterator[None]:
        """Draw what is inside of a sub-process; then go on behind it."""
        shape = self.add(id_, tag, attributes=attributes, extensions=extensions, inner=loop)
        shape.inside = Scope()
        outer = (self.scope, self.last, self.column, self.row)
        self.scope, self.last, self.column, self.row = shape.inside, "", 0, 0
        yield
        self.scope, self.last, self.column, self.row = outer

    @contextmanager
    def on_event(
        self,
        id_: str,
        start: str,
        event: str = "error",
        *,
        row: int = 9,
        attributes: str = "",
        **more: str,
    ) -> Iterator[None]:
        """Draw an event sub-process below everything else."""
        before = (self.last, self.column, self.row)
        self.last, self.column, self.row = "", 0, row
        with self.inside(id_, attributes='triggeredByEvent="true"'):
            self.add(
                start,
                "startEvent",
                attributes=attributes,
                inner=self.definition(start, event, **more),
            )
            yield
        self.last, self.column, self.row = before

    def undo_all(self, *steps: str, **more: str) -> None:
        """Draw the undo event sub-process: one throw event a step, in this order."""
        with self.on_event("undo_saga", "refused", **more):
            for step in steps:
                self.throw(f"undo_{step}", step)
            self.end("undone")

    def definition(self, id_: str, event: str, **more: str) -> str:
        """Return an event's definition, and define what it refers to."""
        if not event:
            return ""
        attributes = ""
        content = ""
        if event == "error" and (code := more.pop("code", "")):
            attributes = f'errorRef="error_{code}"'
            self.define(f'<bpmn:error id="error_{code}" name="{code}" errorCode="{code}" />')
        if event == "message":
            message = self.message(more.pop("message", id_), more.pop("key", "=saga_key"))
            attributes = f'messageRef="{message}"'
        if event == "timer":
            duration = quoteattr(more.pop("after", "PT1H"))[1:-1]
            kind = 'xsi:type="bpmn:tFormalExpression"'
            content = f"<bpmn:timeDuration {kind}>{duration}</bpmn:timeDuration>"
        attributes += "".join(f" {name}={quoteattr(value)}" for name, value in more.items())
        opening = f'<bpmn:{event}EventDefinition id="{id_}_definition" {attributes}'.rstrip()
        return f"{opening}>{content}</bpmn:{event}EventDefinition>" if content else f"{opening} />"

    def message(self, name: str, key: str) -> str:
        subscription = f"<zeebe:subscription correlationKey={quoteattr(key)} />" if key else ""
        said = f"<bpmn:extensionElements>{subscription}</bpmn:extensionElements>" if key else ""
        self.define(f'<bpmn:message id="message_{name}" name="{name}">{said}</bpmn:message>')
        return f"message_{name}"

    def define(self, xml: str) -> None:
        if xml not in self.definitions:
            self.definitions.append(xml)

    def hide(self, id_: str) -> None:
        """Leave an element out of the picture."""
        self.by_id[id_].hidden = True

    def xml(self) -> str:
        """Return the file."""
        self.root.place(100, 40)
        names = " ".join(f'xmlns:{key}="{value}"' for key, value in NAMESPACES.items())
        said = f"<bpmn:extensionElements>{self.properties}</bpmn:extensionElements>"
        head = f'id="definitions" targetNamespace="http://bpmn.io/schema/bpmn" {PLATFORM}'
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f"<bpmn:definitions {names} {head}>",
            f'  <bpmn:process id="{self.process}" name="Example" isExecutable="true">',
            *([f"    {said}"] if self.properties else []),
            *self._elements(self.root, 4),
            "  </bpmn:process>",
            *(f"  {one}" for one in self.definitions),
            '  <bpmndi:BPMNDiagram id="diagram">',
            f'    <bpmndi:BPMNPlane id="plane" bpmnElement="{self.process}">',
            *self._picture(self.root),
            "    </bpmndi:BPMNPlane>",
            "  </bpmndi:BPMNDiagram>",
            "</bpmn:definitions>",
        ]
        return "\n".join(lines) + "\n"

    def _elements(self, scope: Scope, indent: int) -> Iterator[str]:
        space = " " * indent
        for one in scope.shapes:
            yield (
                f'{space}<bpmn:{one.tag} id="{one.id}"{name_of(one)} {one.attributes}'.rstrip()
                + ">"
            )
            yield from (f"{space}  {line}" for line in _content(one, scope))
            if one.inside is not None:
                yield from self._elements(one.inside, indent + 2)
            yield f"{space}</bpmn:{one.tag}>"
        for flow in scope.flows:
            yield f"{space}{_flow(*flow)}"
        for source, target in scope.associations:
            ends = f'associationDirection="One" sourceRef="{source}" targetRef="{target}"'
            yield f'{space}<bpmn:association id="{source}_by_{target}" {ends} />'

    def _picture(self, scope: Scope) -> Iterator[str]:
        for one in scope.shapes:
            if one.hidden:
                continue
            open_ = ' isExpanded="true"' if one.inside is not None else ""
            yield f'      <bpmndi:BPMNShape id="{one.id}_di" bpmnElement="{one.id}"{open_}>'
            wide, tall = one.size
            yield f'        <dc:Bounds x="{one.x}" y="{one.y}" width="{wide}" height="{tall}" />'
            yield "      </bpmndi:BPMNShape>"
            if one.inside is not None:
                yield from self._picture(one.inside)
        for source, target, _ in scope.flows:
            yield from self._line(f"{source}_to_{target}", source, target)
        for source, target in scope.associations:
            yield from self._line(f"{source}_by_{target}", source, target)

    def _line(self, id_: str, source: str, target: str) -> Iterator[str]:
        one, other = self.by_id[source], self.by_id[target]
        if one.hidden or other.hidden:
            return
        yield f'      <bpmndi:BPMNEdge id="{id_}_di" bpmnElement="{id_}">'
        for x, y in points(one, other):
            yield f'        <di:waypoint x="{x}" y="{y}" />'
        yield "      </bpmndi:BPMNEdge>"


def _content(one: Shape, scope: Scope) -> Iterator[str]:
    if said := "".join(one.extensions):
        yield f"<bpmn:extensionElements>{merged(said)}</bpmn:extensionElements>"
    for source, target, _ in scope.flows:
        if target == one.id:
            yield f"<bpmn:incoming>{source}_to_{target}</bpmn:incoming>"
    for source, target, _ in scope.flows:
        if source == one.id:
            yield f"<bpmn:outgoing>{source}_to_{target}</bpmn:outgoing>"
    if one.inner:
        yield one.inner


def _flow(source: str, target: str, condition: str) -> str:
    ends = f'id="{source}_to_{target}" sourceRef="{source}" targetRef="{target}"'
    if not condition:
        return f"<bpmn:sequenceFlow {ends} />"
    text = quoteattr(condition)[1:-1]
    said = f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{text}'
    return f"<bpmn:sequenceFlow {ends}>{said}</bpmn:conditionExpression></bpmn:sequenceFlow>"


def points(one: Shape, other: Shape) -> list[tuple[int, int]]:
    """Return the corners of a line: straight where it can be, else first down, then right."""
    (x, y), (to_x, to_y) = one.middle, other.middle
    right, left = one.x + one.size[0], other.x
    if other.y >= one.y + one.size[1]:
        start = (x, one.y + one.size[1])
        if to_x > x + other.size[0] // 2:
            return [start, (x, to_y), (left, to_y)]
        return (
            [start, (to_x if to_x == x else x, other.y)]
            if abs(to_x - x) < 60
            else [
                start,
                (x, to_y),
                (other.x + other.size[0], to_y),
            ]
        )
    if y == to_y and left >= right:
        return [(right, y), (left, y)]
    if left >= right:
        return [(right, y), (to_x, y), (to_x, other.y + other.size[1])]
    bottom = max(one.y + one.size[1], other.y + other.size[1]) + 25
    return [(x, one.y + one.size[1]), (x, bottom), (to_x, bottom), (to_x, other.y + other.size[1])]


def name_of(one: Shape) -> str:
    if one.tag.endswith("Gateway") and "exclusive" not in one.tag:
        return ""
    if one.id.endswith("_undone"):
        return ""
    return f' name="{one.id.replace("_", " ").capitalize()}"'


def task(job: str, retries: str = "5") -> str:
    return f'<zeebe:taskDefinition type="{job}" retries="{retries}" />' if job else ""


def prop(name: str, value: str) -> str:
    one = f"<zeebe:property name={quoteattr(name)} value={quoteattr(value)} />"
    return f"<zeebe:properties>{one}</zeebe:properties>"


def merged(extensions: str) -> str:
    """Put all properties into one element, as the Modeler does."""
    between = "</zeebe:properties><zeebe:properties>"
    return extensions.replace(between, "")


def header(name: str, value: str) -> str:
    one = f'<zeebe:header key="{name}" value="{value}" />'
    return f"<zeebe:taskHeaders>{one}</zeebe:taskHeaders>"


def mapping(*, inputs: str = "", outputs: str = "") -> str:
    """Return an I/O mapping from lines such as ``sku: =item.sku``."""
    written = [*_mappings("input", inputs), *_mappings("output", outputs)]
    return f"<zeebe:ioMapping>{''.join(written)}</zeebe:ioMapping>"


def _mappings(direction: str, said: str) -> Iterator[str]:
    for one in filter(None, said.split(";")):
        target, _, source = one.strip().partition(": ")
        yield f'<zeebe:{direction} source={quoteattr(source)} target="{target}" />'


def for_each(collection: str, item: str, *, into: str = "", element: str = "") -> str:
    """Return the marker of a multi-instance activity."""
    results = f' outputCollection="{into}" outputElement={quoteattr(element)}' if into else ""
    said = (
        f"<zeebe:loopCharacteristics inputCollection={quoteattr(collection)} "
        f'inputElement="{item}"{results} />'
    )
    return (
        "<bpmn:multiInstanceLoopCharacteristics><bpmn:extensionElements>"
        f"{said}</bpmn:extensionElements></bpmn:multiInstanceLoopCharacteristics>"
    )
