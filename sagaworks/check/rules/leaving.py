"""Sub-processes and multi-instance bodies that end before their time."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of, codes_thrown, throwers
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding

ANY_TIME = ("timer", "message", "signal", "escalation", "conditional")


@rule(
    "leave-undeclared",
    "error",
    "A sub-process or multi-instance that can be left with steps done inside",
    remedy="say by its property `saga.leave` what then holds: `undo` or `keep`",
    source="measured: the engine forgets the handlers of what it terminates",
)
def leave_undeclared(case: Case) -> Iterator[Finding]:
    """An error, a timer or a sibling's refusal ends it; the undo of its completed steps is lost.

    The reconciler can undo them from the ledgers, but only the diagram can say whether it should.
    """
    for body in case.graph.nodes.values():
        if not _is_body(case, body) or _is_declared(case, body):
            continue
        for what in _ways_out(case, body):
            yield case.found("leave-undeclared", body, what)
            break


def _is_body(case: Case, node: Node) -> bool:
    if node.id in case.graph.event_scopes or node.is_handler:
        return False
    return node.is_sub_process or (node.loop is not None and case.kind(node) == "compensatable")


def _is_declared(case: Case, body: Node) -> bool:
    around = [body.id, *case.graph.scopes_around(body.id)]
    nodes = [case.graph.nodes[id_] for id_ in around if id_ in case.graph.nodes]
    return any("saga.leave" in one.properties for one in nodes)


def _ways_out(case: Case, body: Node) -> Iterator[str]:
    effects = _effects_in(case, body)
    if not effects:
        return
    for cause, event in _from_outside(case, body):
        done = [one for one in effects if _may_wait_after(case, body, one)]
        if done:
            yield f"{cause} `{event.id}` ends it, and nothing then undoes `{done[0]}`"
    for thrower, event in _from_inside(case, body):
        done = [one for one in effects if _is_done_at(case, body, one, thrower)]
        if done:
            what = f"`{event.id}` ends it when `{thrower.id}` refuses"
            yield f"{what}, and nothing then undoes `{done[0]}`"


def _effects_in(case: Case, body: Node) -> list[str]:
    found = [one.id for one in case.effects if case.graph.holds(body.id, one.id)]
    outside = {id_ for id_ in found if _is_in_event_scope(case, id_, body.id)}
    return [*([body.id] if body in case.effects else []), *(i for i in found if i not in outside)]


def _is_in_event_scope(case: Case, id_: str, body: str) -> bool:
    for scope in case.graph.scopes_around(id_):
        if scope == body:
            return False
        if scope in case.graph.event_scopes:
            return True
    return False


def _from_outside(case: Case, body: Node) -> Iterator[tuple[str, Node]]:
    """Yield the events that end it whatever happens inside."""
    graph = case.graph
    for id_ in graph.boundaries.get(body.id, ()):
        edge = graph.nodes[id_]
        if edge.interrupting and edge.event in ANY_TIME:
            yield f"the {edge.event} event", edge
    for start in graph.event_scopes_of(body.scope):
        if not start.interrupting:
            continue
        if start.event in ANY_TIME:
            yield f"the {start.event} event", start
        elif start.event == "error" and _a_sibling_refuses(case, body, start):
            yield "the refusal of a sibling, caught by", start


def _a_sibling_refuses(case: Case, body: Node, start: Node) -> bool:
    graph = case.graph
    for id_ in graph.beside(body.id):
        for one in (graph.nodes[id_], *throwers(case, id_)):
            for code in codes_thrown(case, one):
                if catcher_of(graph, one, code) is start:
                    return True
    return False


def _from_inside(case: Case, body: Node) -> Iterator[tuple[Node, Node]]:
    """Yield what inside of it throws an error that is caught outside, and by what."""
    graph = case.graph
    inside = [
        one for one in throwers(case, body.id) if not _is_in_event_scope(case, one.id, body.id)
    ]
    for one in [body] if body.task else inside:
        for code in codes_thrown(case, one):
            event = catcher_of(graph, one, code)
            scope = event.host if event is not None and event.is_boundary else ""
            if event is not None and not event.is_boundary:
                scope = event.scope
            if event is not None and not graph.holds(body.id, scope):
                yield one, event


def _may_wait_after(case: Case, body: Node, effect: str) -> bool:
    """Whether the body may still be active once the effect is there."""
    graph = case.graph
    if _is_repeated_in(case, body, effect):
        return True
    for here in _chain(case, body, effect):
        later = {*graph.after(here), *graph.beside(here)}
        if any(graph.nodes[id_].waits for id_ in later if id_ in graph.nodes):
            return True
    return False


def _is_done_at(case: Case, body: Node, effect: str, thrower: Node) -> bool:
    """Whether the effect may be there, and not undone on the way, when that is thrown."""
    graph = case.graph
    if _is_repeated_in(case, body, effect):
        return True
    for here in _chain(case, body, effect):
        there = graph.in_scope(thrower.id, graph.nodes[here].scope)
        if not there or there == here:
            continue
        if here in graph.beside(there) or here in graph.completed_before(there):
            return there in _not_undone(case, here, effect) or here in graph.beside(there)
    return False


def _not_undone(case: Case, here: str, effect: str) -> frozenset[str]:
    """Return where a token may come with the effect still there."""
    graph = case.graph

    def undoes(id_: str) -> bool:
        one = graph.nodes.get(id_)
        return one is not None and one.is_throw and effect in graph.visible(one)

    return graph.after(here, stop=undoes)


def _is_repeated_in(case: Case, body: Node, effect: str) -> bool:
    """Whether another run of the effect's step may be active in the body."""
    graph = case.graph
    around = [effect, *graph.scopes_around(effect)]
    inside = [graph.nodes[id_] for id_ in around if id_ in graph.nodes]
    inside = [one for one in inside if one is body or graph.holds(body.id, one.id)]
    several = any(one.loop is not None for one in inside)
    return several or any(graph.is_repeated(one.id) for one in inside if one is not body)


def _chain(case: Case, body: Node, effect: str) -> Iterator[str]:
    """Yield the effect, and the sub-processes around it within the body."""
    here = effect
    while case.graph.holds(body.id, here):
        yield here
        here = case.graph.nodes[here].scope
