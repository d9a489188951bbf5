"""What the drawing itself must be."""

from collections.abc import Iterator
from typing import Final

from sagaworks.check.case import Case
from sagaworks.check.rule import rule
from sagaworks.diagram import BPMN
from sagaworks.finding import Finding

UNSUPPORTED: Final = {
    "transaction": "a transaction",
    "cancelEventDefinition": "a cancel event",
    "complexGateway": "a complex gateway",
    "conditionalEventDefinition": "a conditional event",
    "standardLoopCharacteristics": "a loop marker",
    "multipleEventDefinition": "a multiple event",
    "choreographyTask": "a choreography",
}


@rule(
    "unsupported-element",
    "error",
    "An element that the engine doesn't carry out",
    remedy="draw it with what the engine has: sub-process, error event, gateway, multi-instance",
    source="measured on 8.6: refused, or passed over",
)
def unsupported_element(case: Case) -> Iterator[Finding]:
    """BPMN knows more than the engine: transactions and their cancel events above all."""
    for xml in case.root.iter(*(f"{BPMN}{tag}" for tag in UNSUPPORTED)):
        owner = xml.get("id", "")
        if owner not in case.graph.nodes:
            owner = xml.getparent().get("id", "")
        name = UNSUPPORTED[str(xml.tag).removeprefix(BPMN)]
        yield case.found_at("unsupported-element", xml.sourceline, owner, name)


@rule(
    "unreachable",
    "warning",
    "An element that no token comes to",
    remedy="connect it, or remove it",
    source="measured: it deploys, and never runs",
)
def unreachable(case: Case) -> Iterator[Finding]:
    """Drawn, but nothing leads there."""
    graph = case.graph
    for scope, nodes in graph.children.items():
        starts = graph.starts_of(scope)
        if scope in graph.nodes and graph.nodes[scope].kind == "adHocSubProcess":
            continue
        handlers = [one.id for one in nodes if one.is_handler]
        reached = {*starts, *graph.after(*starts, *handlers)}
        for one in nodes:
            outside = one.is_handler or one.id in graph.event_scopes or one.id in graph.undo_events
            if one.id not in reached and not outside:
                yield case.found("unreachable", one, "no way leads here")


@rule(
    "no-picture",
    "warning",
    "An element that isn't in the picture",
    remedy="open the file in the Modeler and draw it",
    source="what people can't see they can't check",
)
def no_picture(case: Case) -> Iterator[Finding]:
    """It's in the process, and the engine runs it, but the Modeler doesn't show it."""
    graph = case.graph
    if not graph.drawn:
        what = "has no picture at all"
        yield case.found_at("no-picture", case.diagram.line, graph.process, what)
        return
    for one in graph.nodes.values():
        if one.id not in graph.drawn:
            yield case.found("no-picture", one, "isn't in the picture")
    for flow in graph.flows:
        source = graph.nodes.get(flow.source)
        if flow.id not in graph.drawn and source is not None:
            yield case.found_at(
                "no-picture", source.element.line, flow.id, "a flow that isn't in the picture"
            )
