"""Branches that run at the same time."""

from collections.abc import Iterator

from sagaworks.check.case import Case
from sagaworks.check.catching import catcher_of
from sagaworks.check.node import Node
from sagaworks.check.rule import rule
from sagaworks.finding import Finding


@rule(
    "fork-before-first-step",
    "error",
    "A fork, or a choice between services, before the saga's first step",
    remedy="let one step of one service come first",
    source="the service of the first step decides whether a business key is new",
)
def fork_before_first_step(case: Case) -> Iterator[Finding]:
    """A saga that is started twice is found out by its first step, if there's only one.

    Two first steps in two services would each let another of the two sagas in.
    """
    firsts, passed = _first_steps(case)
    forks = [id_ for id_ in passed if id_ in case.graph.branches]
    bodies = [id_ for id_ in (*passed, *firsts) if case.graph.nodes[id_].loop is not None]
    for id_ in [*forks, *bodies][:1] if firsts else ():
        what = "the saga divides before its first step"
        yield case.found("fork-before-first-step", case.graph.nodes[id_], what)
        return
    services = {_service(case.graph.nodes[id_]): id_ for id_ in firsts}
    if len(services) > 1:
        names = " or ".join(f"`{id_}`" for id_ in services.values())
        last = case.graph.nodes[firsts[-1]]
        yield case.found("fork-before-first-step", last, f"the first step is {names}")


def _first_steps(case: Case) -> tuple[list[str], list[str]]:
    """Return the steps that a token meets first, and what it passes before."""
    graph = case.graph
    firsts, passed = [], []
    waiting = graph.starts_of(graph.process)
    seen = {*waiting}
    while waiting:
        here = waiting.pop(0)
        node = graph.nodes[here]
        if case.kind(node) not in (None, "read_only"):
            firsts.append(here)
            continue
        passed.append(here)
        inner = graph.starts_of(here)
        ends = node.kind == "endEvent" and node.scope in graph.nodes
        onward = inner or graph.targets.get(node.scope if ends else here, [])
        fresh = [id_ for id_ in dict.fromkeys(onward) if id_ not in seen and id_ in graph.nodes]
        seen.update(fresh)
        waiting += fresh
    return firsts, passed


def _service(node: Node) -> str:
    return node.task.job_type.partition(".")[0] if node.task else node.called


@rule(
    "left-branch",
    "error",
    "A way out of a parallel branch while its siblings run",
    remedy="catch the refusal by an event sub-process at the root: it ends the siblings first",
    source="measured: a running sibling isn't undone, and a join waits for ever for the token",
)
def left_branch(case: Case) -> Iterator[Finding]:
    """An undo that one branch asks for misses what its sibling does later.

    And where the branches are joined, the saga hangs.
    """
    for branches in case.graph.branches.values():
        told = False
        for throw in case.throws:
            others = _beside(branches, throw.id)
            if any(_has_effects(case, id_) for id_ in others):
                told = True
                what = "undoes from one branch while another may still run"
                yield case.found("left-branch", throw, what)
        for edge in () if told else _starving(case, branches):
            yield case.found("left-branch", edge, "leaves its branch, and the join waits for ever")


def _beside(branches: list[frozenset[str]], id_: str) -> set[str]:
    if not any(id_ in branch for branch in branches):
        return set()
    return {other for branch in branches if id_ not in branch for other in branch}


def _has_effects(case: Case, id_: str) -> bool:
    return any(one.id == id_ or case.graph.holds(id_, one.id) for one in case.effects)


def _starving(case: Case, branches: list[frozenset[str]]) -> Iterator[Node]:
    graph = case.graph
    aheads = [graph.after(*branch) for branch in branches]
    for branch in branches:
        for id_ in branch:
            one = graph.nodes.get(id_)
            if one is None or not one.is_boundary or not one.interrupting:
                continue
            if not any(id_ in other for other in branches if other is not branch):
                ahead = graph.after(id_)
                joins = [j for j in frozenset().union(*aheads) if _joins(case, j, aheads)]
                if joins and not ahead & {*joins} and _ends_quietly(case, ahead):
                    yield one


def _joins(case: Case, id_: str, aheads: list[frozenset[str]]) -> bool:
    is_and = case.graph.nodes[id_].kind == "parallelGateway" and case.graph.is_join(id_)
    return is_and and sum(id_ in ahead for ahead in aheads) > 1


def _ends_quietly(case: Case, ahead: frozenset[str]) -> bool:
    ends = [case.graph.nodes[id_] for id_ in ahead if not case.graph.targets.get(id_)]
    return any(
        one.event not in ("terminate", "error")
        or (one.event == "error" and catcher_of(case.graph, one, one.ref) is None)
        for one in ends
    )


@rule(
    "terminate-end",
    "error",
    "A terminate end event that cuts off steps",
    remedy="join the branches, or end by an error that the undo event sub-process catches",
    source="measured: what a terminate end event ends isn't undone by the engine",
)
def terminate_end(case: Case) -> Iterator[Finding]:
    """It ends the other branches wherever they are: a step done, the next cut off, none undone."""
    for one in case.graph.nodes.values():
        if one.event != "terminate":
            continue
        cut = sorted(id_ for id_ in case.graph.beside(one.id) if _has_effects(case, id_))
        if cut:
            yield case.found("terminate-end", one, f"cuts off `{cut[0]}`, which may be running")
