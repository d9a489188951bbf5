"""What a token can do in a diagram, and what is undone where."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sagaworks.check.node import Node
from sagaworks.diagram import Diagram, Flow


@dataclass(frozen=True)
class Graph:
    """A process as a graph: its scopes, flows, boundary events and handlers.

    Attributes:
        handlers: by the id of an activity, what its compensation event is joined to.
        undo_events: by the id of a compensation boundary event, its activity.
        drawn: ids that have a shape or an edge in the layout.
        correlations: by message id, FEEL of its correlation key; None without one.
        properties: the process' own extension properties.
    """

    diagram: Diagram
    nodes: Mapping[str, Node]
    flows: tuple[Flow, ...]
    handlers: Mapping[str, tuple[str, ...]]
    undo_events: Mapping[str, str]
    drawn: frozenset[str]
    correlations: Mapping[str, str | None]
    properties: Mapping[str, str]

    @property
    def process(self) -> str:
        """The process' id, which is the outermost scope."""
        return self.diagram.process_id

    @cached_property
    def targets(self) -> dict[str, list[str]]:
        """Where the sequence flows of an element lead."""
        return _paired((flow.source, flow.target) for flow in self.flows)

    @cached_property
    def sources(self) -> dict[str, list[str]]:
        """Where the sequence flows into an element come from."""
        return _paired((flow.target, flow.source) for flow in self.flows)

    @cached_property
    def boundaries(self) -> dict[str, list[str]]:
        """The boundary events of an activity, those for compensation left out."""
        return _paired((one.host, one.id) for one in self.nodes.values() if one.is_boundary)

    @cached_property
    def children(self) -> dict[str, list[Node]]:
        """What is drawn directly in a scope."""
        found: dict[str, list[Node]] = {}
        for one in self.nodes.values():
            found.setdefault(one.scope, []).append(one)
        return found

    @cached_property
    def event_scopes(self) -> dict[str, Node]:
        """The event sub-processes, each with the event that starts it."""
        found = {}
        for id_ in self.diagram.event_sub_processes:
            starts = [one for one in self.children.get(id_, ()) if one.kind == "startEvent"]
            if starts:
                found[id_] = starts[0]
        return found

    def within(self, scope: str) -> Iterator[Node]:
        """Yield all that is drawn in a scope, at any depth."""
        waiting = [*self.children.get(scope, ())]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += self.children.get(one.id, ())

    def scopes_around(self, id_: str) -> Iterator[str]:
        """Yield the scopes that an element is drawn in, the innermost first."""
        while id_ in self.nodes:
            id_ = self.nodes[id_].scope
            yield id_

    def event_scopes_of(self, scope: str) -> list[Node]:
        """Return the start events of the event sub-processes in a scope."""
        return [start for id_, start in self.event_scopes.items() if self.nodes[id_].scope == scope]

    def is_undo_path(self, id_: str) -> bool:
        """Whether the element stands in an event sub-process."""
        return any(scope in self.event_scopes for scope in self.scopes_around(id_))

    def starts_of(self, scope: str) -> list[str]:
        """Return what a token in a scope begins with."""
        return [one.id for one in self.children.get(scope, ()) if one.kind == "startEvent"]

    def after(self, *starts: str, stop: Callable[[str], bool] = lambda _: False) -> frozenset[str]:
        """Return what a token can come to in the same scope, also over boundary events.

        Args:
            starts: where it is; among the answer only if a way leads back.
            stop: elements that it doesn't pass; they are among the answer.
        """
        return _reached(starts, self._onward, stop)

    def completed_before(self, id_: str) -> frozenset[str]:
        """Return what can have been completed in the scope when a token is here.

        What an interrupting boundary event has ended isn't.
        """
        if id_ not in self._completed:
            self._completed[id_] = self._find_completed(id_)
        return self._completed[id_]

    def beside(self, id_: str) -> frozenset[str]:
        """Return what can run in the scope at the same time: the other branches of a fork."""
        if id_ not in self._beside:
            found: set[str] = set()
            for branches in self.branches.values():
                if any(id_ in branch for branch in branches):
                    found.update(*(branch for branch in branches if id_ not in branch))
            self._beside[id_] = frozenset(found)
        return self._beside[id_]

    def is_repeated(self, id_: str) -> bool:
        """Whether a token can come back to the element, within its scope."""
        return id_ in self.after(id_)

    @cached_property
    def branches(self) -> dict[str, list[frozenset[str]]]:
        """By the id of what sends tokens several ways at once: each way up to where they join."""
        return {id_: self._branches(id_) for id_ in self.targets if self._forks(id_)}

    def is_join(self, id_: str) -> bool:
        """Whether a token waits here for those of other branches."""
        node = self.nodes.get(id_)
        joins = node is not None and node.kind in ("parallelGateway", "inclusiveGateway")
        return joins and len(self.sources.get(id_, ())) > 1

    def forward(self, id_: str) -> frozenset[str]:
        """Return what may still happen once the element is completed, in all scopes around it."""
        found: set[str] = set()
        waiting = self._completed_into(id_)
        while waiting:
            here = waiting.pop()
            if here in found or here not in self.nodes:
                continue
            found.add(here)
            waiting += [*self._onward(here), *self._completed_into(here)]
            waiting += [one.id for one in self.children.get(here, ())]
        return frozenset(found)

    def in_scope(self, id_: str, scope: str) -> str:
        """Return the element, or the sub-process around it that is drawn directly in a scope.

        Empty where it isn't drawn inside of that scope.
        """
        while id_ in self.nodes and self.nodes[id_].scope != scope:
            id_ = self.nodes[id_].scope
        return id_ if id_ in self.nodes else ""

    def holds(self, scope: str, id_: str) -> bool:
        """Whether the element is drawn inside of the scope, at any depth."""
        return scope in self.scopes_around(id_)

    def visible(self, throw: Node) -> frozenset[str]:
        """Return the activities with a handler that a compensation throw event can undo.

        In an event sub-process: those of the scope around it. Elsewhere: what can have been
        completed before it in its own scope. And what is inside of completed sub-processes.
        """
        if throw.id not in self._visible:
            self._visible[throw.id] = self._find_visible(throw)
        return self._visible[throw.id]

    def _find_visible(self, throw: Node) -> frozenset[str]:
        if throw.scope in self.event_scopes:
            scope = self.nodes[throw.scope].scope
            done = {one.id for one in self.children.get(scope, ())}
        else:
            done = {*self.completed_before(throw.id), *self.beside(throw.id)}
        found = {one for id_ in done for one in self._undone_with(id_)}
        if throw.ref:
            found &= {throw.ref, *self._undone_with(throw.ref)}
        return frozenset(found)

    def _undone_with(self, id_: str) -> Iterator[str]:
        """Yield the activity and what is inside of it, as far as there are handlers."""
        if id_ in self.event_scopes:
            return
        if id_ in self.handlers:
            yield id_
        for one in self.children.get(id_, ()):
            yield from self._undone_with(one.id)

    def _completed_into(self, id_: str) -> list[str]:
        """Return what follows an element, also where it's the last in its sub-process."""
        scope = self.nodes[id_].scope if id_ in self.nodes else ""
        leaves = scope in self.nodes and scope not in self.event_scopes
        return [*self.targets.get(id_, ()), *(self.targets.get(scope, ()) if leaves else ())]

    def _onward(self, id_: str) -> Iterable[str]:
        return (*self.targets.get(id_, ()), *self.boundaries.get(id_, ()))

    @cached_property
    def _completed(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _visible(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _beside(self) -> dict[str, frozenset[str]]:
        return {}

    def _find_completed(self, id_: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = [id_]
        seen: set[str] = set()
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            node = self.nodes.get(here)
            if node is not None and node.is_boundary:
                waiting.append(node.host)
                if not node.interrupting:
                    found.add(node.host)
            sources = self.sources.get(here, ())
            found.update(sources)
            waiting += sources
        return frozenset(found)

    def _forks(self, id_: str) -> bool:
        node = self.nodes.get(id_)
        chooses = node is None or node.kind in ("exclusiveGateway", "eventBasedGateway")
        return len(self.targets[id_]) > 1 and not chooses

    def _branches(self, fork: str) -> list[frozenset[str]]:
        firsts = self.targets[fork]
        wholes = [frozenset({first, *self.after(first)}) for first in firsts]
        found = []
        for number, first in enumerate(firsts):
            others = frozenset().union(*wholes[:number], *wholes[number + 1 :])
            joins = frozenset(id_ for id_ in others if self.is_join(id_))
            reached = () if first in joins else self.after(first, stop=joins.__contains__)
            found.append(frozenset({first, *reached} - joins))
        return found


def _paired(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, other in pairs:
        found.setdefault(one, []).append(other)
    return found


def _reached(
    starts: Iterable[str], onward: Callable[[str], Iterable[str]], stop: Callable[[str], bool]
) -> frozenset[str]:
    found: set[str] = set()
    waiting = [next_ for start in starts for next_ in onward(start)]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        if not stop(here):
            waiting += onward(here)
    return frozenset(found)
