"""Which variables a diagram's elements read and write, and whether they're there in time."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sagaworks.check.feel import names_in
from sagaworks.saga import RESERVED_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagaworks.check.case import Case
    from sagaworks.check.node import Node

INPUTS = "saga.inputs"
PROVIDED = "loopCounter"


@dataclass(frozen=True)
class Reading:
    """One variable that one element asks for.

    Attributes:
        at: the element before which it must be there.
        optional: it may be null.
        annotation: the parameter's type, where code asks for it.
    """

    node: Node
    at: Node
    name: str
    optional: bool = False
    annotation: object = None
    type_name: str = ""


class Variables:
    """The data flow of one diagram."""

    def __init__(self, case: Case) -> None:
        """Look at all that is read and written."""
        self.case = case
        self.graph = case.graph

    @cached_property
    def inputs(self) -> frozenset[str]:
        """The variables that the process says it's started with; none if it doesn't say."""
        said = self.graph.properties.get(INPUTS, "")
        return frozenset(said.replace(",", " ").split())

    @cached_property
    def producers(self) -> Mapping[str, frozenset[str]]:
        """By variable: the elements that write it."""
        found: dict[str, set[str]] = defaultdict(set)
        for node in self.graph.nodes.values():
            for name in self._written_by(node):
                found[name].add(node.id)
        return {name: frozenset(ids) for name, ids in found.items()}

    @cached_property
    def readings(self) -> list[Reading]:
        """All that is read, in the diagram's order."""
        nodes = self.graph.nodes.values()
        return [one for node in nodes if not node.is_handler for one in self._read_by(node)]

    @cached_property
    def readers(self) -> Mapping[str, set[str]]:
        """By variable: the elements that ask for it."""
        found: dict[str, set[str]] = defaultdict(set)
        for one in self.readings:
            found[one.name].add(one.node.id)
        return found

    def may_be_there(self, reading: Reading) -> bool:
        """Whether some way leads over an element that writes it."""
        makers = self.producers.get(reading.name, frozenset())
        at = reading.at.id
        for scope in self.graph.scopes_around(at):
            here = self.graph.in_scope(at, scope)
            if here in self.graph.event_scopes:
                before: frozenset[str] | None = None  # it may start at any time
            else:
                before = self._before(here)
            for maker in makers:
                there = self.graph.in_scope(maker, scope)
                if there and there != here and (before is None or there in before):
                    return True
                if there == here and self.graph.is_repeated(here):
                    return True
        return False

    def must_be_there(self, reading: Reading) -> bool:
        """Whether every way leads over an element that writes it and is completed."""
        makers = self.producers.get(reading.name, frozenset())
        at = reading.at.id
        for scope in self.graph.scopes_around(at):
            here = self.graph.in_scope(at, scope)
            writers = {self.graph.in_scope(maker, scope) for maker in makers} - {here, ""}
            if here not in self.graph.event_scopes and here not in self._without(scope, writers):
                return True
        return False

    def _before(self, id_: str) -> frozenset[str]:
        found = {*self.graph.completed_before(id_), *self.graph.beside(id_)}
        # What an event has cut off may have written before, too; and the event itself writes.
        for one in (id_, *found):
            node = self.graph.nodes.get(one)
            if node is not None and node.is_boundary:
                found |= {one, node.host}
        return frozenset(found)

    def _without(self, scope: str, writers: set[str]) -> set[str]:
        """Return where a token can be in a scope with no writer completed."""
        graph = self.graph
        waiting = graph.starts_of(scope)
        found: set[str] = set()
        arrived: dict[str, set[str]] = defaultdict(set)
        while waiting:
            here = waiting.pop()
            if here in found:
                continue
            found.add(here)
            waiting += graph.boundaries.get(here, [])
            for target in () if here in writers else graph.targets.get(here, ()):
                arrived[target].add(here)
                if self._passes(target, arrived[target]):
                    waiting.append(target)
        return found

    def _passes(self, id_: str, arrived: set[str]) -> bool:
        """At a join, every branch must have come without it; elsewhere one is enough."""
        node = self.graph.nodes.get(id_)
        joins = node is not None and node.kind == "parallelGateway"
        return not joins or arrived >= {*self.graph.sources.get(id_, ())}

    def _written_by(self, node: Node) -> Iterator[str]:
        if node.is_handler:
            return
        yield from node.writes
        outputs = [target for target, _ in node.element.outputs]
        yield from outputs
        step = self.case.step(node)
        if step is not None and step.fact_variable and not outputs:
            yield step.fact_variable
        if node.loop is not None and node.loop.output_collection:
            yield node.loop.output_collection

    def _read_by(self, node: Node) -> Iterator[Reading]:
        at = self._read_at(node)
        local = {*self._local(node)}
        mapped = {target for target, _ in node.element.inputs}
        expressions = [source for _, source in node.element.inputs]
        expressions += node.reads
        if node.event == "message" or node.kind == "receiveTask":
            expressions.append(self.graph.correlations.get(node.ref) or "")
        if node.loop is not None:
            for name in sorted(names_in(node.loop.collection) - local):
                yield Reading(node, at, name)
            local.add(node.loop.element)
        for name, optional in _asked_in(expressions):
            if name not in local and not name.startswith(RESERVED_PREFIX):
                yield Reading(node, at, name, optional)
        step = self.case.step(node)
        for name, one in (step.variables if step else {}).items():
            if name not in mapped and name not in local:
                yield Reading(node, at, name, not one.required, one.annotation, one.type_name)

    def _read_at(self, node: Node) -> Node:
        """A boundary event's expressions are evaluated when its task begins."""
        if node.is_boundary:
            return self.graph.nodes[node.host]
        starts = self.graph.event_scopes.get(node.scope)
        return self.graph.nodes[node.scope] if starts is node else node

    def _local(self, node: Node) -> Iterator[str]:
        """Yield what the scopes around give their inside."""
        yield PROVIDED
        for id_ in self.graph.scopes_around(node.id):
            body = self.graph.nodes.get(id_)
            if body is not None:
                yield from (target for target, _ in body.element.inputs)
                if body.loop is not None:
                    yield body.loop.element


def _asked_in(expressions: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield each variable, and whether its expression also asks if it's null."""
    for expression in expressions:
        for name in sorted(names_in(expression)):
            yield name, re.search(rf"\b{name}\s*!?=\s*null\b", expression) is not None


def kinds_of(annotation: object) -> frozenset[str]:
    """Return the kinds of JSON values that an annotation reads; all of them where it's unsure."""
    from sagaworks.check.shapes import shape_of  # noqa: PLC0415  pydantic, with code only

    return shape_of(annotation)


def misfit(fact: type[Any] | None, wanted: object, name: str) -> str:
    """Return how a fact differs from what its reader expects; empty where it fits."""
    from sagaworks.check.shapes import misfit_of  # noqa: PLC0415  pydantic, with code only

    return misfit_of(fact, wanted, name)
