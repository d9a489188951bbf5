"""One diagram: the elements of its process, and what a token can do in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from sagaworks.diagram.elements import Element, Flow, Task
from sagaworks.finding import shown

ANY_CODE: Final = ""
"""Stands among the caught error codes for an event that catches them all."""

EVERYTHING: Final = ""
"""What a compensation throw event undoes that names no activity."""


@dataclass(frozen=True)
class Diagram:
    """One file with one executable process.

    Attributes:
        elements: everything a token can stand on, the tasks among them, in the file's order.
        throws: compensation throw events with the id of the activity each asks to undo;
            `EVERYTHING` is all of them, at once.
        event_sub_processes: the ids of the sub-processes that an event starts.
        error_codes_caught: by boundary events and event sub-processes; `ANY_CODE` is all of them.
    """

    path: Path
    process_id: str
    line: int
    elements: Mapping[str, Element]
    flows: tuple[Flow, ...]
    throws: Mapping[str, str]
    event_sub_processes: frozenset[str]
    error_codes_caught: frozenset[str]

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks that workers carry out, by element id."""
        return {key: one for key, one in self.elements.items() if isinstance(one, Task)}

    @cached_property
    def loops(self) -> frozenset[str]:
        """The ids of the tasks that a token can come back to."""
        circling = _circling(self._ways)
        return frozenset(
            task for task in self.tasks if any(id_ in circling for id_ in self._within(task))
        )

    def first_steps(self) -> list[Task]:
        """Return the tasks that a token meets first, in the file's order."""
        starts = [one.id for one in self._starts_in(self.process_id)]
        found, seen = set(), set(starts)
        while starts:
            here = starts.pop()
            if here in self.tasks:
                found.add(here)
                continue
            onward = [id_ for id_ in self._onward(here) if id_ not in seen]
            seen.update(onward)
            starts.extend(onward)
        return [task for id_, task in self.tasks.items() if id_ in found]

    def is_in_handler(self, id_: str) -> bool:
        """Whether the element is part of a sub-process that undoes something."""
        handlers = {task.handler for task in self.tasks.values()}
        return any(scope in handlers for scope in self._within(id_) if scope != id_)

    def where(self, line: int) -> str:
        """Return ``bpmn/place_order.bpmn:42``."""
        return f"{shown(self.path)}:{line}"

    @cached_property
    def _ways(self) -> dict[str, list[str]]:
        """Where a token can go within a scope; it may leave a task by its boundary, too."""
        ways: dict[str, list[str]] = {id_: [] for id_ in self.elements}
        for flow in self.flows:
            ways.setdefault(flow.source, []).append(flow.target)
        for one in self.elements.values():
            if one.attached_to:
                ways.setdefault(one.attached_to, []).append(one.id)
        return ways

    def _onward(self, id_: str) -> list[str]:
        element = self.elements.get(id_)
        inner = [one.id for one in self._starts_in(id_)]
        leaves = element is not None and element.kind == "endEvent" and element.scope
        return [
            *inner,
            *([] if inner else self._ways.get(id_, [])),
            *self._ways.get(leaves or "", []),
        ]

    def _starts_in(self, scope: str) -> list[Element]:
        elements = self.elements.values()
        return [one for one in elements if one.scope == scope and one.kind == "startEvent"]

    def _within(self, id_: str) -> Iterator[str]:
        """Yield the element's id and those of the sub-processes around it."""
        while id_ in self.elements:
            yield id_
            id_ = self.elements[id_].scope


def _circling(ways: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes that a way leads back to."""
    return {node for node in _endless(ways) if _comes_back(node, ways)}


def _comes_back(node: str, ways: Mapping[str, list[str]]) -> bool:
    ahead, seen = [*ways[node]], set(ways[node])
    while ahead:
        onward = [id_ for id_ in ways.get(ahead.pop(), []) if id_ not in seen]
        seen.update(onward)
        ahead.extend(onward)
    return node in seen


def _endless(ways: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes from which a way goes on for ever: what stays when ends are peeled off."""
    into: dict[str, list[str]] = {}
    for node, targets in ways.items():
        for target in targets:
            into.setdefault(target, []).append(node)
    left = dict.fromkeys(into, 0) | {node: len(targets) for node, targets in ways.items()}
    ends = [node for node, count in left.items() if count == 0]
    while ends:
        for source in into.get(ends.pop(), []):
            left[source] -= 1
            if left[source] == 0:
                ends.append(source)
    return {node for node, count in left.items() if count > 0}
