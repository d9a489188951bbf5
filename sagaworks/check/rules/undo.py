"""What happens when a saga fails: paths, throw events, and what they reach."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of, codes_thrown, throwers
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.diagram import ANY_CODE
from sagaworks.finding import Finding

FAILS = ("error", "timer", "message", "signal", "escalation", "conditional")


@rule(
    "path-without-undo",
    "error",
    "A failing path that ends without undoing what was done",
    remedy="lead it over a compensation throw event, or to an error end event that the undo event "
    "sub-process catches",
    source="measured: the engine undoes only what a throw event asks for",
)
def path_without_undo(case: Case) -> Iterator[Finding]:
    """The saga ends as if all were well, and what earlier steps did stays done."""
    for start, done in (*_edges(case), *_event_sub_processes(case)):
        left = sorted(id_ for id_ in done if _ends_without(case, start, id_))
        if left:
            names = ", ".join(f"`{one}`" for one in left)
            yield case.found("path-without-undo", start, f"this way ends without undoing {names}")


def _edges(case: Case) -> Iterator[tuple[Node, set[str]]]:
    graph = case.graph
    for one in graph.children.get(graph.process, ()):
        if one.is_boundary and one.interrupting and one.event in FAILS:
            before = graph.completed_before(one.id)
            inside = {node.id for id_ in before for node in graph.within(id_)}
            if not any(case.kind(graph.nodes[id_]) == "pivot" for id_ in before | inside):
                yield one, set(case.undoable & (before | inside))


def _event_sub_processes(case: Case) -> Iterator[tuple[Node, set[str]]]:
    for id_, start in case.graph.event_scopes.items():
        if start.interrupting and start.event in FAILS:
            scope = case.graph.nodes[id_].scope
            inside = {one.id for one in case.graph.within(scope)} & case.undoable
            yield start, {one for one in inside if _may_be_done(case, one, scope, start)}


def _may_be_done(case: Case, effect: str, scope: str, start: Node) -> bool:
    """Whether the effect may be there when an event sub-process starts in that scope."""
    graph = case.graph
    if graph.is_undo_path(effect) and not graph.is_undo_path(start.scope):
        return False
    here = graph.in_scope(effect, scope)
    if start.event != "error":
        later = {*graph.after(here), *graph.beside(here)}
        return any(graph.nodes[id_].waits for id_ in later if id_ in graph.nodes)
    for one in throwers(case, scope):
        there = graph.in_scope(one.id, scope)
        follows = here in graph.completed_before(there) or here in graph.beside(there)
        caught = (catcher_of(graph, one, code) is start for code in codes_thrown(case, one))
        if follows and there != here and any(caught):
            return True
    return False


def _ends_without(case: Case, start: Node, effect: str) -> bool:
    graph = case.graph
    main = _main_flow(case, start.scope)

    def stops(id_: str) -> bool:
        one = graph.nodes[id_]
        undoes = one.is_throw and effect in graph.visible(one)
        return undoes or (id_ in main and one.kind != "endEvent")

    for id_ in graph.after(start.id, stop=stops):
        one = graph.nodes[id_]
        if not stops(id_) and not graph.targets.get(id_) and not _leads_on(case, one):
            return True
    return False


def _main_flow(case: Case, scope: str) -> frozenset[str]:
    """Return what a token meets without any failure; to come back to it is no failing path."""
    graph = case.graph
    if scope in graph.event_scopes:
        return frozenset()
    found: set[str] = set()
    waiting = graph.starts_of(scope)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += graph.targets.get(here, [])
    return frozenset(found)


def _leads_on(case: Case, end: Node) -> bool:
    """Whether an end event hands the failure over to who catches its error."""
    if end.event != "error":
        return False
    return catcher_of(case.graph, end, end.ref, rethrown=True) is not None


@rule(
    "throw-reaches-nothing",
    "error",
    "A compensation throw event that can undo nothing",
    remedy="throw in the scope of the steps, while it's still active",
    source="measured: it passes silently; a sub-process that was left has lost its handlers",
)
def throw_reaches_nothing(case: Case) -> Iterator[Finding]:
    """Nothing with a handler can have been completed here, or it was inside of what has ended."""
    for one in case.throws:
        if not case.graph.visible(one):
            what = f"can't undo `{one.ref}`" if one.ref != ANY_CODE else "undoes nothing"
            yield case.found("throw-reaches-nothing", one, f"{what} from here")


@rule(
    "zombie",
    "error",
    "An undo beside the saga that goes on",
    remedy="make the event interrupting, or end this way by a terminate end event",
    source="measured: the undo runs, then the forward flow goes on",
)
def zombie(case: Case) -> Iterator[Finding]:
    """A non-interrupting event starts an undo, and the saga still goes forward from where it is."""
    graph = case.graph
    for one in graph.nodes.values():
        starts = one.scope in graph.event_scopes and one.kind == "startEvent"
        if one.interrupting or not (one.is_boundary or starts):
            continue
        ahead = graph.after(one.id)
        ends = any(graph.nodes[id_].event in ("terminate", "error") for id_ in ahead)
        if not ends and any(graph.nodes[id_].is_throw for id_ in ahead):
            yield case.found("zombie", one, "undoes the saga, but lets it go on")


@rule(
    "order-not-drawn",
    "warning",
    "Steps undone at once, whose compensations touch one service",
    remedy="draw one throw event a step, last step first",
    source="measured: all handlers start at the same moment, in no order",
)
def order_not_drawn(case: Case) -> Iterator[Finding]:
    """What one step built upon another is then taken apart in any order."""
    for throw in case.throws:
        seen: dict[str, str] = {}
        for effect in sorted(case.graph.visible(throw) & case.undoable):
            service = _service_undoing(case, effect)
            first = seen.setdefault(service, effect)
            if service and first != effect and _follows(case, first, effect):
                what = f"undoes `{first}` and `{effect}` at once, both at `{service}`"
                yield case.found("order-not-drawn", throw, what)
                break


@rule(
    "undo-order",
    "warning",
    "Steps undone in the order in which they were done",
    remedy="last step first",
    source="Garcia-Molina and Salem, Sagas, 1987: compensations run in reverse",
)
def undo_order(case: Case) -> Iterator[Finding]:
    """A later step may stand on what the earlier one did, so it's taken back first."""
    graph = case.graph
    for throw in case.throws:
        ahead = graph.after(throw.id)
        for other in case.throws:
            both = throw.ref in graph.handlers and other.ref in graph.handlers
            if both and other.id in ahead and _only_before(case, throw.ref, other.ref):
                what = f"undoes `{other.ref}` after `{throw.ref}`, the earlier step"
                yield case.found("undo-order", other, what)
                break


def _service_undoing(case: Case, effect: str) -> str:
    handler = case.graph.nodes.get(case.graph.handlers[effect][0])
    if handler is None or handler.task is None:
        return ""
    service, dot, _ = handler.task.job_type.partition(".")
    return service if dot else ""


def _follows(case: Case, one: str, other: str) -> bool:
    return _only_before(case, one, other) or _only_before(case, other, one)


def _only_before(case: Case, one: str, other: str) -> bool:
    """Whether the one is always done before the other, as far as both are."""
    graph = case.graph
    scope = next((s for s in graph.scopes_around(one) if graph.in_scope(other, s)), "")
    here, there = graph.in_scope(one, scope), graph.in_scope(other, scope)
    before, after = graph.completed_before(there), graph.completed_before(here)
    return here in before and there not in after
