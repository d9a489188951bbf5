"""Who catches an error, and which errors leave a sub-process."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.graph import Graph
from sagaworks.check.node import Node

Code = str | None
"""An error code; None stands for one that nobody knows."""


def catcher_of(graph: Graph, node: Node, code: Code, *, rethrown: bool = False) -> Node | None:
    """Return the event that catches what a node throws: the nearest, from inside to outside.

    An error that an interrupting event sub-process throws is caught neither beside it nor on the
    edge of the scope that it has interrupted (measured).

    Args:
        graph: what is searched.
        node: a task, a call activity, or an error end event.
        code: one that nobody knows is caught by every error event.
        rethrown: search as if the engine did catch it there.
    """
    at, ended = node.id, False
    while at in graph.nodes:
        if not ended:
            for boundary in graph.boundaries.get(at, ()):
                if catches(graph.nodes[boundary], code):
                    return graph.nodes[boundary]
        scope = graph.nodes[at].scope
        start = graph.event_scopes.get(at)
        ended = start is not None and start.interrupting and not rethrown
        if not ended:
            for one in graph.event_scopes_of(scope):
                if one.scope != at and catches(one, code):
                    return one
        at = scope
    return None


def catches(event: Node, code: Code) -> bool:
    """Whether a boundary or start event catches an error of this code."""
    return event.event == "error" and (code is None or event.ref in ("", code))


def codes_thrown(case: Case, node: Node) -> frozenset[Code]:
    """Return what a node can throw; a None in it stands for what nobody knows."""
    if node.kind == "endEvent" and node.event == "error":
        return frozenset({node.ref})
    if node.kind == "callActivity" or (node.task is not None and not case.is_undoing(node)):
        codes = case.codes(node)
        return frozenset({None}) if codes is None else frozenset(codes)
    return frozenset()


def throwers(case: Case, scope: str) -> Iterator[Node]:
    """Yield what can throw an error in a scope, at any depth."""
    for one in case.graph.within(scope):
        if codes_thrown(case, one):
            yield one
