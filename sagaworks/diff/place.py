"""Where a saga may be when it is migrated, and whether it can be from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sagaworks.diff.changes import Weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagaworks.check.graph import Graph
    from sagaworks.check.node import Node
    from sagaworks.diff.changes import Change

Engine = tuple[int, int]

DEFAULT_ENGINE: Final[Engine] = (8, 6)
MIGRATES_UNDOABLE: Final[Engine] = (8, 8)
"""The first engine measured that migrates a saga waiting at a step with a compensation event."""


@dataclass(frozen=True, slots=True)
class Place:
    """An element that a saga waits at.

    Attributes:
        why_not: why a saga that waits here can't be migrated; nothing where it can.
    """

    element: str
    why_not: tuple[str, ...] = ()


def places(
    old: Graph, new: Graph, changed: Sequence[Change], engine: Engine = DEFAULT_ENGINE
) -> Iterator[Place]:
    """Yield every place of the old diagram where a saga stays for a while."""
    stops = [one for one in changed if one.weight is Weight.STOP]
    for node in old.nodes.values():
        if node.waits and not node.is_handler and node.id not in old.event_scopes:
            reasons = [*_of_itself(node, new.nodes.get(node.id))]
            if engine < MIGRATES_UNDOABLE and node.id in {*old.handlers, *new.handlers}:
                reasons.append(_NOT_YET.format(".".join(map(str, engine))))
            done = done_before(old, node.id)
            reasons += [str(one) for one in stops if not one.done or one.element in done]
            yield Place(node.id, tuple(reasons))


_NOT_YET: Final = "the engine {} migrates no saga from a step that can be undone"


def done_before(graph: Graph, id_: str) -> frozenset[str]:
    """Return what a saga that waits here may have completed, in all scopes."""
    found: set[str] = set()
    for here in (id_, *graph.scopes_around(id_)):
        if here in graph.nodes:
            found |= graph.completed_before(here) | graph.beside(here)
    return frozenset(found.union(*({one.id for one in graph.within(id_)} for id_ in {*found})))


def _of_itself(old: Node, new: Node | None) -> Iterator[str]:
    """The engine moves a token only to an element of the same type, in the same scope."""
    if new is None:
        yield f"{old.id}: is gone, and the saga waits there"
        return
    if new.kind != old.kind or new.event != old.event:
        yield f"{old.id}: was a {old.kind}, is a {new.kind}, and the saga waits there"
    if new.scope != old.scope:
        yield f"{old.id}: was moved to `{new.scope}`, and the saga waits there"
    if (new.loop is None) != (old.loop is None):
        yield f"{old.id}: runs for each item in one version only, and the saga waits there"
