"""Two versions of a diagram: what changed, from where a saga can be migrated, and by which plan.

Measured on the engine 8.6.0 and 8.8.21. A compensation runs the handler of the *new* diagram. From
8.8 on a plan that leaves a step's compensation event out loses the undo of who has done the step,
without a word; 8.6 keeps it, and breaks the instance at the throw if the step isn't there any more.
So a plan maps every compensation event, and a step that was undone may neither go nor be renamed.
8.6 refuses to migrate a saga that waits at a step with a compensation event; 8.8 does it. Both want
the events that begin event sub-processes mapped where they are subscribed to a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagaworks.check.reading import graph_of
from sagaworks.diagram import diagram_of, read_xml
from sagaworks.diff.changes import Change, changes
from sagaworks.diff.place import DEFAULT_ENGINE, Place, places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sagaworks.check.graph import Graph
    from sagaworks.check.node import Node
    from sagaworks.diff.place import Engine


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of two versions.

    Attributes:
        places: where a saga of the old version may wait, in the diagram's order.
        mapping: of the migration plan: ids of the old version to those of the new one.
    """

    changes: tuple[Change, ...]
    places: tuple[Place, ...]
    mapping: Mapping[str, str]

    @property
    def migratable(self) -> bool:
        """Whether a saga can be migrated wherever it is."""
        return not any(place.why_not for place in self.places)

    def plan(self, key: int = 0) -> dict[str, Any]:
        """Return the migration plan as Camunda's API takes it.

        Args:
            key: the process definition key that the new version has got by its deployment.

        Source: https://docs.camunda.io/docs/components/concepts/process-instance-migration/
        """
        instructions = [
            {"sourceElementId": old, "targetElementId": new} for old, new in self.mapping.items()
        ]
        return {"targetProcessDefinitionKey": str(key), "mappingInstructions": instructions}


def compare(old: Path, new: Path, engine: Engine = DEFAULT_ENGINE) -> Comparison:
    """Compare two versions of a diagram.

    Args:
        old: the version that runs.
        new: the version to come.
        engine: major and minor version of the engine that would migrate.

    Raises:
        NotADiagramError: one can't be read as a saga.
        OSError: one can't be read at all.
    """
    before, after = _graph(old), _graph(new)
    found = tuple(changes(before, after))
    where = tuple(places(before, after, found, engine))
    return Comparison(found, where, dict(_mapped(before, after)))


def _graph(path: Path) -> Graph:
    root = read_xml(path)
    return graph_of(root, diagram_of(root, path))


def _mapped(old: Graph, new: Graph) -> Iterator[tuple[str, str]]:
    """Yield what stays: what a token waits at, and every event that can take it from there."""
    for node in old.nodes.values():
        other = new.nodes.get(_undo_event(old, new, node) or node.id)
        if other is not None and _is_mapped(old, node) and _is_same(node, other):
            yield node.id, other.id


def _undo_event(old: Graph, new: Graph, node: Node) -> str | None:
    """Return what the compensation event of a step is called in the new version."""
    host = old.undo_events.get(node.id)
    now = [id_ for id_, of in new.undo_events.items() if host is not None and of == host]
    return now[0] if now else None


def _is_mapped(graph: Graph, node: Node) -> bool:
    if node.id in graph.event_scopes:
        return False
    begins = node.kind == "startEvent" and node.scope in graph.event_scopes
    return (node.waits and not node.is_handler) or bool(node.host) or begins


def _is_same(old: Node, new: Node) -> bool:
    same = (old.kind, old.event, old.host, old.scope) == (new.kind, new.event, new.host, new.scope)
    return same and (old.loop is None) == (new.loop is None)
