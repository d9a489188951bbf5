"""A saga's way painted on its diagram, from the engine's own records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagaworks.picture import Mark, Marks, State, draw

if TYPE_CHECKING:
    from pathlib import Path

    from sagaworks.history import Element, History
    from sagaworks.testing.saga import Fate, Passage, RunningSaga

_STATES: dict[Fate, State] = {
    "done": "done",
    "refused": "refused",
    "taken away": "taken_away",
    "waiting": "waiting",
    "retrying": "waiting",
    "incident": "stuck",
}


def paint(saga: RunningSaga, history: History) -> Marks:
    """Return the marks: what was passed, and each task numbered in the order of the trail."""
    passed = {one.id: _mark(one) for one in history.elements(saga.key)}
    tasks: dict[str, Mark] = {}
    undone: dict[str, Mark] = {}
    for number, passage in enumerate(saga.trail_so_far, 1):
        tasks[passage.element] = Mark(_state(passage), f"{number} {passage.code}".strip())
        if passage.undoes and passage.fate == "done":
            undone[passage.undoes] = Mark("undone", tasks.get(passage.undoes, Mark("done")).label)
    return {**passed, **tasks, **undone}


def draw_to(file: Path, saga: RunningSaga, history: History, diagram: str) -> Path:
    """Draw the picture into `file`, beside it the diagram; return the picture's path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    source = file.with_suffix(".bpmn")
    source.write_text(diagram, encoding="utf-8")
    file.write_text(draw(source, paint(saga, history)), encoding="utf-8")
    return file


def _mark(element: Element) -> Mark:
    is_over = element.ended is not None or element.kind == "SEQUENCE_FLOW"
    return Mark("done" if is_over else "waiting")


def _state(passage: Passage) -> State:
    return "undone" if passage.undoes and passage.fate == "done" else _STATES[passage.fate]
