"""Steps that run more than once."""

from collections import Counter
from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.feel import names_in, plain_name
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding


@rule(
    "no-each",
    "error",
    "A repeated step whose runs nothing tells apart",
    remedy='declare the parameter that does: `step(each="…")`',
    source="the ledger's identity is business key, step and `each`",
    needs_code=True,
)
def no_each(case: Case) -> Iterator[Finding]:
    """The second run would be taken for a repetition of the first, and do nothing."""
    return case.contract("no-each")


@rule(
    "each-not-given",
    "error",
    "A multi-instance step that doesn't get the item it's told apart by",
    remedy="call the multi-instance's input element as the parameter, or map it in",
    source="the ledger's identity is business key, step and `each`",
    needs_code=True,
)
def each_not_given(case: Case) -> Iterator[Finding]:
    """The parameter that `each` names comes from outside: all items look like one run, and halt."""
    for one in case.tasks:
        step = case.step(one)
        around = [one.id, *case.graph.scopes_around(one.id)]
        bodies = [case.graph.nodes[id_] for id_ in around if id_ in case.graph.nodes]
        if step is None or step.each is None or all(body.loop is None for body in bodies):
            continue
        given = {name for body in bodies for name in _given_by(body)}
        makers = case.variables.producers.get(step.each, frozenset())
        inside = any(case.graph.holds(body.id, id_) for body in bodies for id_ in makers)
        if step.each not in given and not inside:
            yield case.found(
                "each-not-given", one, f"`{step.each}` isn't what its items are called"
            )


def _given_by(body: Node) -> set[str]:
    names = {target for target, _ in body.element.inputs}
    return names if body.loop is None else names | {body.loop.element, "loopCounter"}


@rule(
    "several-tasks",
    "error",
    "Two tasks of one step in a saga",
    remedy='declare the parameter that tells the runs apart: `step(each="…")`',
    source="the ledger's identity is business key, step and `each`",
    needs_code=True,
)
def several_tasks(case: Case) -> Iterator[Finding]:
    """The second task would be taken for a repetition of the first, and do nothing."""
    counts = Counter(one.task.job_type for one in case.tasks if one.task)
    seen: set[str] = set()
    for one in case.tasks:
        step = case.step(one)
        if step is None or step.each is not None or step.kind == "read_only":
            continue
        if counts[step.job_type] > 1 and step.job_type in seen:
            yield case.found("several-tasks", one, f"`{step.job_type}` is drawn twice")
        seen.add(step.job_type)


@rule(
    "undo-all",
    "error",
    "The handler of a multi-instance step without the header `undo: all`",
    remedy="give the handler the header `undo` with the value `all`",
    source="measured: one handler job for all items, which names none of them",
)
def undo_all(case: Case) -> Iterator[Finding]:
    """The job doesn't say which items it undoes; without the header the library undoes none."""
    graph = case.graph
    for host, handlers in graph.handlers.items():
        handler = graph.nodes.get(handlers[0])
        node = graph.nodes.get(host)
        if node is None or handler is None or handler.task is None or handler.loop is not None:
            continue
        if _is_undone_as_a_whole(case, node) and handler.task.headers.get("undo") != "all":
            what = f"undoes all runs of `{host}`, but its header doesn't say so"
            yield case.found("undo-all", handler, what)


def _is_undone_as_a_whole(case: Case, node: Node) -> bool:
    bodies = [
        id_
        for id_ in (node.id, *case.graph.scopes_around(node.id))
        if id_ in case.graph.nodes and case.graph.nodes[id_].loop is not None
    ]
    throws = [one for one in case.throws if node.id in case.graph.visible(one)]
    return any(not case.graph.holds(body, one.id) for body in bodies for one in throws)


@rule(
    "overwritten-undo",
    "error",
    "What a handler needs is overwritten before it runs",
    remedy="collect it in a list, one entry a run, or let the ledger keep it",
    source="measured: each handler sees the variables as they are when it starts",
)
def overwritten_undo(case: Case) -> Iterator[Finding]:
    """Each run writes the same variable, and all handlers see the last: the others' effects leak.

    Steps of this library aren't concerned: their compensation gets its fact from the ledger.
    """
    for node, handler in _foreign_pairs(case):
        needs = {name for _, source in handler.element.inputs for name in names_in(source)}
        lost = sorted(needs & {target for target, _ in node.element.outputs})
        repeated = node.id in case.diagram.loops or node.loop is not None
        if lost and repeated and handler.loop is None:
            what = f"each run overwrites `{lost[0]}`, which `{handler.id}` needs"
            yield case.found("overwritten-undo", node, what)


@rule(
    "undo-data-gone",
    "error",
    "A handler reads a variable that is gone when it runs",
    remedy="map it out of the sub-process or the multi-instance, or let the ledger keep it",
    source="measured: the handler gets null",
)
def undo_data_gone(case: Case) -> Iterator[Finding]:
    """What was local to an item or to a sub-process ends with it; the handler runs later."""
    for node, handler in _foreign_pairs(case):
        local = {name: body for body in _around(case, node) for name in _local_to(body)}
        for _, source in handler.element.inputs:
            gone = sorted(names_in(source) & local.keys())
            if gone and handler.loop is None:
                what = f"reads `{gone[0]}`, which ends with `{local[gone[0]].id}`"
                yield case.found("undo-data-gone", handler, what)
                break


def _foreign_pairs(case: Case) -> Iterator[tuple[Node, Node]]:
    """Yield steps and handlers whose undo works by variables, not by the ledger."""
    for host, handlers in case.graph.handlers.items():
        node, handler = case.graph.nodes.get(host), case.graph.nodes.get(handlers[0])
        if node is not None and handler is not None and case.step(node) is None:
            yield node, handler


def _around(case: Case, node: Node) -> Iterator[Node]:
    throws = [one for one in case.throws if node.id in case.graph.visible(one)]
    for id_ in (node.id, *case.graph.scopes_around(node.id)):
        body = case.graph.nodes.get(id_)
        if body is None or (body is node and body.loop is None):
            continue
        if any(not case.graph.holds(id_, throw.id) for throw in throws):
            yield body


def _local_to(body: Node) -> set[str]:
    names = {target for target, _ in body.element.inputs} if body.is_sub_process else set()
    if body.loop is not None:
        names |= {body.loop.element, plain_name(body.loop.output_element)} - {""}
    return names
