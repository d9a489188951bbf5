"""What was changed between two versions of a diagram, in the words of sagas."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagaworks.check.graph import Graph
    from sagaworks.check.node import Node


class Weight(enum.StrEnum):
    """What a change means for sagas that are under way, if they are migrated."""

    NOTE = "note"
    """Nothing goes wrong."""
    CARE = "care"
    """It works if what is said is seen to."""
    STOP = "stop"
    """A saga that has been there can't be migrated without harm."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        element: the id in the old diagram; in the new one where it is new.
        advice: what follows from it for sagas under way.
        done: it concerns only sagas that have completed the element; else all of them.
    """

    weight: Weight
    element: str
    what: str
    advice: str = ""
    done: bool = False

    def __str__(self) -> str:
        return f"{self.element}: {self.what}" + (f"; {self.advice}" if self.advice else "")


def changes(old: Graph, new: Graph) -> Iterator[Change]:
    """Yield what changed: first of steps, then of undoing, of codes, and of what is awaited."""
    yield from _of_steps(old, new)
    yield from _of_undoing(old, new)
    yield from _of_codes(old, new)
    yield from _of_waiting(old, new)


def _of_steps(old: Graph, new: Graph) -> Iterator[Change]:
    before, after = _tasks(old), _tasks(new)
    for id_, node in before.items():
        if id_ not in after:
            yield _gone(node, old, new)
        else:
            yield from _of_step(node, after[id_])
    for id_, node in after.items():
        if id_ not in before:
            advice = "sagas that are past its place don't do it"
            yield Change(Weight.NOTE, id_, f"a new step, `{_job_type(node)}`", advice)


def _gone(node: Node, old: Graph, new: Graph) -> Change:
    elsewhere = [one.id for one in _tasks(new).values() if _job_type(one) == _job_type(node)]
    what = f"is `{elsewhere[0]}` now" if elsewhere else "is gone"
    if node.id in old.handlers:
        advice = "who has done it can't be undone any more: let such sagas end as they are"
        return Change(Weight.STOP, node.id, what, advice, done=True)
    return Change(Weight.NOTE, node.id, what)


def _of_step(old: Node, new: Node) -> Iterator[Change]:
    if _job_type(old) != _job_type(new):
        what = f"`{_job_type(old)}` became `{_job_type(new)}`"
        advice = f"a job that is out keeps its type: keep the worker of `{_job_type(old)}`"
        yield Change(Weight.CARE, old.id, what, advice)
    kinds = [one.properties.get("saga.kind", "") for one in (old, new)]
    if kinds[0] != kinds[1]:
        names = [kind or "compensatable" for kind in kinds]
        advice = "the pivot decides whether an effect is still withdrawn"
        yield Change(Weight.CARE, old.id, f"was {names[0]}, is {names[1]}", advice)
    if sorted(old.element.inputs) != sorted(new.element.inputs):
        advice = "variables that only the new diagram makes aren't there in sagas under way"
        yield Change(Weight.CARE, old.id, "is given other variables", advice)


def _of_undoing(old: Graph, new: Graph) -> Iterator[Change]:
    for id_, handlers in old.handlers.items():
        if id_ not in new.nodes:
            continue
        if id_ not in new.handlers:
            advice = "who has done it can't be undone any more: let such sagas end as they are"
            yield Change(Weight.STOP, id_, "nothing undoes it any more", advice, done=True)
            continue
        types = [_handler_type(old, handlers), _handler_type(new, new.handlers[id_])]
        if types[0] != types[1]:
            what = f"undone by `{types[1]}`, no more by `{types[0]}`"
            advice = "it must understand the facts of the old version"
            yield Change(Weight.CARE, id_, what, advice, done=True)
    for id_ in new.handlers:
        if id_ in old.nodes and id_ not in old.handlers:
            what = f"can be undone now, by `{_handler_type(new, new.handlers[id_])}`"
            advice = "not in sagas that have done it already"
            yield Change(Weight.CARE, id_, what, advice, done=True)
    yield from _of_order(old, new)
    for id_ in old.event_scopes:
        if id_ not in new.event_scopes and _undoes(old, id_) and not _has_like(old, new, id_):
            what = f"what began it, {_about(old.event_scopes[id_])}, undoes nothing any more"
            yield Change(Weight.STOP, id_, what, "let sagas under way end as they are")


def _of_order(old: Graph, new: Graph) -> Iterator[Change]:
    orders = [[one.ref for one in graph.nodes.values() if one.is_throw] for graph in (old, new)]
    kept = [[ref for ref in order if ref in orders[1 - n]] for n, order in enumerate(orders)]
    if kept[0] != kept[1]:
        what = f"undone in another order: {', '.join(kept[1])}"
        yield Change(Weight.NOTE, new.process, what)


def _of_codes(old: Graph, new: Graph) -> Iterator[Change]:
    before, after = _catches(old), _catches(new)
    for code in sorted(before - after):
        if "" not in after:
            advice = "a step that refuses so becomes an incident"
            yield Change(Weight.CARE, new.process, f"nothing catches {code or 'all codes'}", advice)
    for code in sorted(after - before):
        yield Change(Weight.NOTE, new.process, f"{code or 'every code'} is caught now")


def _of_waiting(old: Graph, new: Graph) -> Iterator[Change]:
    for id_, node in old.nodes.items():
        other = new.nodes.get(id_)
        if other is None or node.task is not None or not node.event or node.event == "error":
            continue
        if node.event == other.event and node.reads != other.reads:
            advice = "what a saga waits for already stays as it was"
            yield Change(Weight.NOTE, id_, f"its {node.event} is another", advice)


def _tasks(graph: Graph) -> dict[str, Node]:
    found = graph.nodes.values()
    return {one.id: one for one in found if one.task is not None and not one.is_handler}


def _job_type(node: Node) -> str:
    return node.task.job_type if node.task else ""


def _handler_type(graph: Graph, handlers: tuple[str, ...]) -> str:
    node = graph.nodes.get(handlers[0]) if handlers else None
    return _job_type(node) if node else ""


def _catches(graph: Graph) -> frozenset[str]:
    return frozenset(one.ref for one in graph.nodes.values() if _catches_error(graph, one))


def _catches_error(graph: Graph, node: Node) -> bool:
    starts = node.kind == "startEvent" and node.scope in graph.event_scopes
    return node.event == "error" and (node.is_boundary or starts)


def _undoes(graph: Graph, scope: str) -> bool:
    return any(one.is_throw for one in graph.within(scope))


def _has_like(old: Graph, new: Graph, scope: str) -> bool:
    """Whether another event sub-process of the same place is begun by the same, and undoes."""
    begun = old.event_scopes[scope]
    return any(
        (start.event, start.ref) == (begun.event, begun.ref)
        and new.nodes[id_].scope == old.nodes[scope].scope
        and _undoes(new, id_)
        for id_, start in new.event_scopes.items()
    )


def _about(start: Node) -> str:
    return f"{start.event} {start.ref}".rstrip()
