"""What can undo what: each throw event with each activity that it reaches."""

from collections.abc import Iterator

from sagaworks.diagram.process import EVERYTHING, Diagram

Undo = tuple[str, str]
"""A throw event, and the activity it undoes."""


def compensation_paths(diagram: Diagram) -> Iterator[Undo]:
    """Yield each throw event with each activity that it can undo, in the file's order."""
    undoable = [
        one.attached_to
        for one in diagram.elements.values()
        if one.event == "compensate" and one.attached_to
    ]
    for throw, asked in diagram.throws.items():
        scope = _undone_scope(diagram, throw) if asked == EVERYTHING else asked
        for activity in undoable:
            # A sub-process is undone with all that is in it (measured).
            if activity == asked or _is_in(diagram, activity, scope):
                yield throw, activity


def _undone_scope(diagram: Diagram, throw: str) -> str:
    """Return the scope whose activities a throw event undoes."""
    scope = diagram.elements[throw].scope
    # Thrown in an event sub-process it undoes what is around that (measured).
    return diagram.elements[scope].scope if scope in diagram.event_sub_processes else scope


def _is_in(diagram: Diagram, activity: str, scope: str) -> bool:
    """Whether an activity is drawn in a scope or in an embedded sub-process of it."""
    around = diagram.elements[activity].scope
    while around != scope:
        if around not in diagram.elements or around in diagram.event_sub_processes:
            return False
        around = diagram.elements[around].scope
    return True
