"""Waiting, deadlines and messages; and the key of a called saga."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.feel import is_constant, plain_name
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding
from sagaworks.saga import KEY_VARIABLE


@rule(
    "no-deadline",
    "warning",
    "A message that is awaited without a deadline",
    remedy="draw a timer on its edge, or on the sub-process around it",
    source="a partner that never answers is a saga that never ends",
)
def no_deadline(case: Case) -> Iterator[Finding]:
    """What was done before stays half done for as long as nothing comes."""
    for one in case.graph.nodes.values():
        if _awaits(case, one) and not _has_deadline(case, one):
            yield case.found("no-deadline", one, "waits for a message, perhaps for ever")


def _awaits(case: Case, node: Node) -> bool:
    if node.kind == "intermediateCatchEvent":
        sources = [case.graph.nodes[id_] for id_ in case.graph.sources.get(node.id, ())]
        chosen = any(one.kind == "eventBasedGateway" for one in sources)
        return node.event in ("message", "signal") and not chosen
    return node.kind in ("receiveTask", "eventBasedGateway")


def _has_deadline(case: Case, node: Node) -> bool:
    graph = case.graph
    if node.kind == "eventBasedGateway":
        ways = [graph.nodes[id_] for id_ in graph.targets.get(node.id, ())]
        if any(one.event == "timer" for one in ways):
            return True
    for id_ in (node.id, *graph.scopes_around(node.id)):
        edges = [graph.nodes[edge] for edge in graph.boundaries.get(id_, ())]
        if any(one.event == "timer" for one in (*edges, *graph.event_scopes_of(id_))):
            return True
    return False


@rule(
    "message-key",
    "error",
    "A message without a correlation key of the saga's own",
    remedy="correlate by a variable that belongs to one saga, such as `=saga_key`",
    source="measured: without a key it isn't deployed; with a constant any saga gets the message",
)
def message_key(case: Case) -> Iterator[Finding]:
    """A message finds its saga by this key."""
    for one in case.graph.nodes.values():
        starts = one.kind == "startEvent" and one.scope == case.graph.process
        if one.kind != "receiveTask" and (one.event != "message" or starts or not _catches(one)):
            continue
        key = case.graph.correlations.get(one.ref)
        if not key:
            yield case.found("message-key", one, "its message has no correlation key")
        elif is_constant(key):
            yield case.found("message-key", one, f"its message is correlated by the constant {key}")


def _catches(node: Node) -> bool:
    return node.kind in ("intermediateCatchEvent", "boundaryEvent", "startEvent")


@rule(
    "interrupting-event",
    "info",
    "An interrupting event on a step with effects",
    remedy="nothing is to be done",
    source="measured: the step's effect may land after the token has left, without a handler",
)
def interrupting_event(case: Case) -> Iterator[Finding]:
    """Allowed, since the ledger knows the step's late effect; said, since it is undone late."""
    effects = {one.id for one in case.effects}
    for one in case.graph.nodes.values():
        if one.is_boundary and one.interrupting and one.event != "error" and one.host in effects:
            what = f"cuts off `{one.host}`; if its effect lands later, the library withdraws it"
            yield case.found("interrupting-event", one, what)


@rule(
    "no-child-key",
    "error",
    "A call activity without a key of its own for the called saga",
    remedy='map one in: `saga_key` from `=saga_key + "/…"`',
    source="one business key is one saga, for ever",
)
def no_child_key(case: Case) -> Iterator[Finding]:
    """The called saga would have its caller's key, and be refused as its duplicate."""
    for one in case.graph.nodes.values():
        if one.kind == "callActivity":
            key = dict(one.element.inputs).get(KEY_VARIABLE, "")
            if not key or plain_name(key) == KEY_VARIABLE:
                yield case.found("no-child-key", one, "the called saga has its caller's key")


@rule(
    "changing-input",
    "warning",
    "An input that is another one at each look",
    remedy="let the step take the time itself, or write the value into a variable before",
    source="a step that comes again is known by its inputs",
)
def changing_input(case: Case) -> Iterator[Finding]:
    """A repeated delivery with other inputs can't be told from another order."""
    for one in case.effects:
        for target, source in one.element.inputs:
            if any(word in source.replace(" ", "") for word in ("now()", "today()", "number()")):
                what = f"`{target}` is computed anew each time: {source}"
                yield case.found("changing-input", one, what)
