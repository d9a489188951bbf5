"""From a file's XML to the graph that the rules look at."""

from collections.abc import Iterator, Mapping
from typing import Final

from lxml.etree import _Element as XML

from sagaworks.check.graph import Graph
from sagaworks.check.node import Loop, Node
from sagaworks.diagram import BPMN, ZEEBE, Diagram, Element

EXTENSIONS: Final = f"{BPMN}extensionElements"
IGNORE: Final = "saga.ignore"

REFERENCES: Final = {
    "sequenceFlow": ("sourceRef", "targetRef"),
    "association": ("sourceRef", "targetRef"),
    "boundaryEvent": ("attachedToRef",),
    "errorEventDefinition": ("errorRef",),
    "escalationEventDefinition": ("escalationRef",),
    "messageEventDefinition": ("messageRef",),
    "signalEventDefinition": ("signalRef",),
    "compensateEventDefinition": ("activityRef",),
    "receiveTask": ("messageRef",),
    "sendTask": ("messageRef",),
    "participant": ("processRef",),
    "exclusiveGateway": ("default",),
    "inclusiveGateway": ("default",),
}
"""Where one element names another by its id."""


def graph_of(root: XML, diagram: Diagram) -> Graph:
    """Return the graph of the executable process in a file that was read."""
    reader = _Reader(root, diagram)
    nodes = {one.id: one for one in reader.nodes()}
    ends = [(flow, {flow.source, flow.target}) for flow in diagram.flows]
    return Graph(
        diagram=diagram,
        nodes=nodes,
        flows=tuple(flow for flow, both in ends if both <= nodes.keys()),
        handlers=reader.joined,
        undo_events=reader.undo_events,
        drawn=frozenset(_drawn(root)),
        correlations=reader.correlations(),
        properties=_properties(reader.process),
    )


def dangling(root: XML) -> Iterator[tuple[int, str, str, str]]:
    """Yield line, element, attribute and id of each reference to something that isn't there."""
    known = {one.get("id") for one in root.iter("*")}
    for tag, attributes in REFERENCES.items():
        for one in root.iter(f"{BPMN}{tag}"):
            for attribute in attributes:
                # A name with a prefix is of another file.
                target = one.get(attribute)
                if target is not None and target not in known and ":" not in target:
                    yield one.sourceline, _nearest_id(one), attribute, target


def misled(root: XML, graph: Graph) -> Iterator[tuple[int, str, str, str]]:
    """Yield the same of each reference to something that is there, but of another sort."""
    drawn = {id_: graph.nodes[id_].is_activity for id_ in graph.nodes}
    for one in root.iter(f"{BPMN}sequenceFlow"):
        for attribute in ("sourceRef", "targetRef"):
            if one.get(attribute) not in drawn and _is_of(one, graph.process):
                yield one.sourceline, one.get("id", ""), attribute, one.get(attribute, "")
    for one in root.iter(f"{BPMN}boundaryEvent"):
        if not drawn.get(one.get("attachedToRef"), False) and _is_of(one, graph.process):
            yield one.sourceline, one.get("id", ""), "attachedToRef", one.get("attachedToRef", "")


def _is_of(xml: XML, process: str) -> bool:
    return any(one.get("id") == process for one in xml.iterancestors())


class _Reader:
    def __init__(self, root: XML, diagram: Diagram) -> None:
        self.diagram = diagram
        self.root = root
        self.process = next(
            one for one in root.iter(f"{BPMN}process") if one.get("id") == diagram.process_id
        )
        self.codes = {one.get("id"): one.get("errorCode", "") for one in root.iter(f"{BPMN}error")}
        self.undo_events = {
            str(one.getparent().get("id")): str(one.getparent().get("attachedToRef"))
            for one in self.process.iter(f"{BPMN}compensateEventDefinition")
            if one.getparent().tag == f"{BPMN}boundaryEvent"
        }
        self.conditions = _conditions(self.process)
        self.joined = self._joined()
        self.undoing = {id_ for handlers in self.joined.values() for id_ in handlers}

    def nodes(self) -> Iterator[Node]:
        for xml in self.process.iter("*"):
            element = self.diagram.elements.get(xml.get("id", ""))
            if element is not None and str(xml.tag) == f"{BPMN}{element.kind}":
                yield self.node(xml, element)

    def node(self, xml: XML, element: Element) -> Node:
        properties = [(one.get("name", ""), one.get("value", "")) for one in _property_nodes(xml)]
        return Node(
            element=element,
            properties=dict(reversed(properties)),
            ignores=tuple(value for name, value in properties if name == IGNORE),
            interrupting=_interrupts(xml),
            ref=self.ref(xml),
            loop=_loop(xml),
            called=_first(xml, "calledElement", "processId"),
            reads=(*_feel(xml), *self.conditions.get(element.id, ())),
            writes=tuple(_results(xml)),
            default=xml.get("default", ""),
            is_handler=xml.get("isForCompensation") == "true" or element.id in self.undoing,
        )

    def ref(self, xml: XML) -> str:
        for one in xml:
            if one.tag == f"{BPMN}errorEventDefinition":
                return str(self.codes.get(one.get("errorRef"), ""))
            if one.tag == f"{BPMN}compensateEventDefinition":
                return str(one.get("activityRef", ""))
            if one.tag == f"{BPMN}messageEventDefinition":
                return str(one.get("messageRef", ""))
        return str(xml.get("messageRef", ""))

    def _joined(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for one in self.process.iter(f"{BPMN}association"):
            host = self.undo_events.get(one.get("sourceRef", ""))
            if host is not None:
                found[host] = (*found.get(host, ()), one.get("targetRef", ""))
        return found

    def correlations(self) -> dict[str, str | None]:
        return {
            str(one.get("id")): _first(one, "subscription", "correlationKey") or None
            for one in self.root.iter(f"{BPMN}message")
        }


def _nearest_id(xml: XML) -> str:
    around = [xml, *xml.iterancestors()]
    drawn = [one for one in around if not str(one.tag).endswith("EventDefinition")]
    return next((one.get("id") for one in drawn if one.get("id")), "")


def _drawn(root: XML) -> Iterator[str]:
    for one in root.iter("*"):
        if (of := one.get("bpmnElement")) is not None:
            yield of


def _extensions(xml: XML, path: str) -> Iterator[XML]:
    found = list(xml.iterchildren(EXTENSIONS))
    for step in path.split("/"):
        found = [child for one in found for child in one.iterchildren(f"{ZEEBE}{step}")]
    return iter(found)


def _first(xml: XML, tag: str, attribute: str) -> str:
    return next((one.get(attribute, "") for one in _extensions(xml, tag)), "")


def _property_nodes(xml: XML) -> Iterator[XML]:
    return _extensions(xml, "properties/property")


def _properties(xml: XML) -> dict[str, str]:
    return {one.get("name", ""): one.get("value", "") for one in _property_nodes(xml)}


def _interrupts(xml: XML) -> bool:
    return "false" not in (xml.get("cancelActivity"), xml.get("isInterrupting"))


def _loop(xml: XML) -> Loop | None:
    found = next(xml.iterchildren(f"{BPMN}multiInstanceLoopCharacteristics"), None)
    if found is None:
        return None
    one = next(_extensions(found, "loopCharacteristics"), None)
    if one is None:
        return Loop()
    names = ("inputCollection", "inputElement", "outputCollection", "outputElement")
    return Loop(*(one.get(name, "") for name in names))


def _feel(xml: XML) -> Iterator[str]:
    """Yield the expressions of an event's definition."""
    for definition in xml:
        if str(definition.tag).endswith("EventDefinition"):
            for one in definition:
                text = (one.text or "").strip()
                if text.startswith("="):
                    yield text


def _results(xml: XML) -> Iterator[str]:
    for tag in ("script", "calledDecision"):
        if name := _first(xml, tag, "resultVariable"):
            yield name


def _conditions(process: XML) -> Mapping[str, tuple[str, ...]]:
    """Return what decides at each gateway."""
    found: dict[str, tuple[str, ...]] = {}
    for one in process.iter(f"{BPMN}conditionExpression"):
        source = str(one.getparent().get("sourceRef"))
        found[source] = (*found.get(source, ()), (one.text or "").strip())
    return found
