"""The point of no return."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of, codes_thrown
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding

ANY_TIME = ("timer", "message", "signal", "escalation", "conditional")
"""Events that don't wait for a step to fail."""


@rule(
    "compensatable-after-pivot",
    "error",
    "A compensatable step after the pivot",
    remedy="only retriable and read-only steps follow a pivot; move it, or declare it so",
    source="Garcia-Molina and Salem 1987; Mehrotra and others 1992: the pivot",
)
def compensatable_after_pivot(case: Case) -> Iterator[Finding]:
    """After the pivot the saga only goes forward, so this step's undo would never run."""
    for pivot in case.pivots:
        ahead = case.graph.forward(pivot.id)
        for one in case.effects:
            if one.id in ahead and not case.graph.is_undo_path(one.id):
                what = f"compensatable, but it follows the pivot `{pivot.id}`"
                yield case.found("compensatable-after-pivot", one, what)


@rule(
    "two-pivots",
    "error",
    "A pivot after the pivot",
    remedy="keep the first; declare the later one retriable",
    source="a saga has one point of no return on each way",
)
def two_pivots(case: Case) -> Iterator[Finding]:
    """The later one may refuse, and by then nothing can be undone any more."""
    for pivot in case.pivots:
        ahead = case.graph.forward(pivot.id)
        for other in case.pivots:
            if other is not pivot and other.id in ahead:
                yield case.found("two-pivots", other, f"a pivot after the pivot `{pivot.id}`")


@rule(
    "retriable-refuses",
    "error",
    "A retriable step that can refuse",
    remedy="a retriable step gets through in the end: take the refusal away, or its kind",
    source="retriable: repeated until it works",
)
def retriable_refuses(case: Case) -> Iterator[Finding]:
    """It stands where nothing can be undone any more, so nobody could act on its refusal."""
    for one in case.tasks:
        if case.kind(one) != "retriable":
            continue
        codes = sorted(code for code in codes_thrown(case, one) if code)
        edges = [case.graph.nodes[id_] for id_ in case.graph.boundaries.get(one.id, ())]
        if codes:
            yield case.found("retriable-refuses", one, f"retriable, but it refuses {codes[0]}")
        elif case.step(one) is None and any(edge.event == "error" for edge in edges):
            what = "retriable, but an error event on its edge waits for a refusal"
            yield case.found("retriable-refuses", one, what)


@rule(
    "undo-after-pivot",
    "error",
    "An undo of what came before the pivot, once the pivot is done",
    remedy="let the way to the undo depend on a condition: the pivot isn't done",
    source="after the pivot the saga only goes forward",
)
def undo_after_pivot(case: Case) -> Iterator[Finding]:
    """What the pivot has promised would be taken back piece by piece, while the promise stands."""
    told: set[str] = set()
    for pivot in case.pivots:
        for one in (*_throws_ahead(case, pivot), *_events_ahead(case, pivot)):
            if one.id not in told:
                told.add(one.id)
                what = f"undoes steps although the pivot `{pivot.id}` may be done"
                yield case.found("undo-after-pivot", one, what)


def _throws_ahead(case: Case, pivot: Node) -> Iterator[Node]:
    ahead = case.graph.forward(pivot.id)
    before = {*case.graph.completed_before(pivot.id)}
    for throw in case.throws:
        reached = {case.graph.in_scope(id_, pivot.scope) for id_ in case.graph.visible(throw)}
        if throw.id in ahead and reached & before:
            yield throw


def _events_ahead(case: Case, pivot: Node) -> Iterator[Node]:
    """Yield what starts an undo from outside the flow while the pivot is already done."""
    graph = case.graph
    ahead = graph.forward(pivot.id)
    for scope in graph.scopes_around(pivot.id):
        for start in graph.event_scopes_of(scope):
            undoes = [t for t in case.throws if t.scope == start.scope and graph.visible(t)]
            if start.event in ANY_TIME:
                waiting = [id_ for id_ in ahead if graph.nodes[id_].waits]
                if waiting and any(t.id in _unconditionally(case, start) for t in undoes):
                    yield start
            elif start.event == "error" and undoes:
                yield from _errors_ahead(case, ahead, start)


def _errors_ahead(case: Case, ahead: frozenset[str], start: Node) -> Iterator[Node]:
    for id_ in ahead:
        one = case.graph.nodes[id_]
        throws = one.kind == "endEvent" and one.event == "error"
        if throws and catcher_of(case.graph, one, one.ref) is start:
            yield one


def _unconditionally(case: Case, start: Node) -> frozenset[str]:
    nodes = case.graph.nodes

    def decides(id_: str) -> bool:
        return nodes[id_].kind == "exclusiveGateway" and bool(nodes[id_].reads)

    return case.graph.after(start.id, stop=decides)
