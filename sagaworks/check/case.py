"""One diagram to be checked, with what is known of the code and of the other diagrams."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sagaworks.check.refusals import codes_of
from sagaworks.check.rule import RULES
from sagaworks.check.variables import Variables
from sagaworks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lxml.etree import _Element as XML

    from sagaworks.check.graph import Graph
    from sagaworks.check.node import Node
    from sagaworks.diagram import Diagram
    from sagaworks.service import Service
    from sagaworks.step import Compensation, Kind, Step

KINDS = ("compensatable", "pivot", "retriable", "read_only")
DEFAULT_KIND = "compensatable"


@dataclass
class Known:
    """What all diagrams of one check share.

    Attributes:
        services: None where diagrams are checked without code.
        cases: by process id.
    """

    services: Sequence[Service] | None = None
    cases: dict[str, Case] = field(default_factory=dict)
    contract: Sequence[Finding] = ()

    @cached_property
    def steps(self) -> Mapping[str, Step[..., Any]]:
        """The declared steps by job type."""
        found = [step for one in self.services or () for step in one.steps.values()]
        return {one.job_type: one for one in found}

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The names of all facts, with the job type of the step that returns each."""
        steps = self.steps.values()
        return {one.fact_variable: one.job_type for one in steps if one.fact_variable}

    @cached_property
    def undos(self) -> Mapping[str, Compensation[Any]]:
        """The declared compensations by job type."""
        found = [undo for one in self.services or () for undo in one.compensations.values()]
        return {one.job_type: one for one in found}


@dataclass
class Case:
    """One diagram and what is known of its steps."""

    diagram: Diagram
    graph: Graph
    root: XML
    known: Known

    @property
    def has_code(self) -> bool:
        """Whether the services' code is there to compare with."""
        return self.known.services is not None

    def contract(self, rule: str) -> Iterator[Finding]:
        """Yield what the start-up contract found in this diagram under that id."""
        for one in self.known.contract:
            if one.rule == rule and one.path == self.diagram.path:
                yield one

    @cached_property
    def tasks(self) -> list[Node]:
        """What workers carry out on the way: everything with a job but handlers."""
        nodes = self.graph.nodes.values()
        return [one for one in nodes if one.task is not None and not self.is_undoing(one)]

    @cached_property
    def handlers(self) -> list[Node]:
        """What undoes something."""
        return [one for one in self.graph.nodes.values() if one.is_handler]

    @cached_property
    def effects(self) -> list[Node]:
        """The compensatable activities: what is lost if nothing undoes it."""
        return [one for one in self.graph.nodes.values() if self.kind(one) == DEFAULT_KIND]

    @cached_property
    def undoable(self) -> frozenset[str]:
        """The ids of the effects that have a handler."""
        return frozenset(one.id for one in self.effects if one.id in self.graph.handlers)

    @cached_property
    def throws(self) -> list[Node]:
        """The compensation throw events."""
        return [one for one in self.graph.nodes.values() if one.is_throw]

    @cached_property
    def pivots(self) -> list[Node]:
        """The steps after which the saga only goes forward."""
        return [one for one in self.graph.nodes.values() if self.kind(one) == "pivot"]

    def is_undoing(self, node: Node) -> bool:
        """Whether it's a handler, or stands in a sub-process that is one."""
        around = [self.graph.nodes.get(id_) for id_ in self.graph.scopes_around(node.id)]
        return any(one is not None and one.is_handler for one in (node, *around))

    @cached_property
    def variables(self) -> Variables:
        """What is read and written."""
        return Variables(self)

    def step(self, node: Node) -> Step[..., Any] | None:
        """Return the declared step that a node runs, if it's known."""
        return self.known.steps.get(node.task.job_type) if node.task else None

    def kind(self, node: Node) -> Kind | None:
        """Return what kind of step it is; None for what is none, or nobody knows.

        The code decides; for other peoples' jobs, and without code, ``saga.kind``. A call
        activity has effects if it's drawn with a handler.
        """
        if node.id not in self._kinds:
            self._kinds[node.id] = self._find_kind(node)
        return self._kinds[node.id]

    @cached_property
    def _kinds(self) -> dict[str, Kind | None]:
        return {}

    def _find_kind(self, node: Node) -> Kind | None:
        if self.is_undoing(node) or (node.task is None and node.kind != "callActivity"):
            return None
        if step := self.step(node):
            return step.kind
        drawn = node.properties.get("saga.kind", "")
        if drawn in KINDS:
            return cast("Kind", drawn)
        if node.task is None:
            return "compensatable" if node.id in self.graph.handlers else None
        return None if self.has_code else "compensatable"

    def codes(self, node: Node) -> frozenset[str] | None:
        """Return the error codes that a node can throw; None if nobody knows."""
        if step := self.step(node):
            return codes_of(step.function)
        if self.kind(node) == "retriable" or node.task is None:
            return frozenset() if node.kind != "callActivity" else None
        return None

    def found(self, rule: str, node: Node, what: str, remedy: str = "") -> Finding:
        """Return a finding at a node; the rule's own remedy if it needs none of its own."""
        return self.found_at(rule, node.element.line, node.id, what, remedy)

    def found_at(self, rule: str, line: int, element: str, what: str, remedy: str = "") -> Finding:
        """Return a finding at a place that isn't a node."""
        of = RULES[rule]
        return Finding(
            of.severity, rule, self.diagram.path, line, element, what, remedy or of.remedy
        )
