"""The picture of one saga: from history where there is one, else concluded from the ledgers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sagaworks.diagram import read_diagram
from sagaworks.errors import ContractError, SagaworksError
from sagaworks.history import Known
from sagaworks.picture.legend import Legend
from sagaworks.picture.paint import MEANINGS, Mark, Marks
from sagaworks.picture.sheet import draw
from sagaworks.picture.trail import Entry, paint_trail
from sagaworks.picture.way import in_doubt, paint_way, read_way, undone_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sagaworks.diagram import Diagram
    from sagaworks.history import History, Instance


class NoPictureError(SagaworksError):
    """Nothing is known of the saga that could be painted."""


def of_history(history: History, key: str, entries: Sequence[Entry]) -> str | None:
    """Return the picture of the saga's newest instance; None if history doesn't know it.

    Args:
        history: the engine's.
        key: the business key.
        entries: of the trail. They tell what is in doubt, and what was undone by a service itself:
            history doesn't know that.

    Raises:
        HistoryUnavailable: it can't be asked.
    """
    found = history.instances(key)
    if not found:
        return None
    instance = found[-1]
    content = history.diagram(instance.key)
    if content is None:
        return None
    return of_instance(history, instance, content, entries)


def of_instance(
    history: History, instance: Instance, content: bytes, entries: Sequence[Entry] = ()
) -> str:
    """Return the picture of a process instance on its diagram, whose text is `content`.

    Raises:
        ContractError: that is no diagram.
        HistoryUnavailable: it can't be asked.
    """
    file = Path(f"{instance.process}.bpmn")
    way = read_way(Known.of(history, instance), read_diagram(file, content))
    marks = paint_way(way)
    for id_ in undone_beside(entries):
        if id_ in marks and marks[id_].state in ("done", "taken_away"):
            marks[id_] = Mark("undone", marks[id_].label)
    for id_ in in_doubt(entries):
        marks[id_] = Mark("in_doubt", marks[id_].label if id_ in marks else None)
    return draw(file, marks, content=content, legend=_legend(way.title, marks))


def of_ledgers(files: Iterable[Path], key: str, entries: Sequence[Entry]) -> str:
    """Return the picture as far as the ledgers tell it, on the one of the diagrams it fits.

    Raises:
        NoPictureError: no diagram has these steps, or there are none.
    """
    diagram = _fitting([_read(path) for path in files], entries)
    marks = paint_trail(diagram, entries)
    if not marks:
        raise NoPictureError(f"{key}: nobody has done anything yet: there is no way to paint")
    return draw(diagram.path, marks, legend=_legend(f"{key}, as its services tell it", marks))


def _legend(title: str, marks: Marks) -> Legend:
    seen = {mark.state for mark in marks.values()}
    return Legend(title, {state: text for state, text in MEANINGS.items() if state in seen})


def _read(path: Path) -> Diagram | ContractError:
    try:
        return read_diagram(path)
    except ContractError as error:
        return error


def _fitting(diagrams: Sequence[Diagram | ContractError], entries: Sequence[Entry]) -> Diagram:
    """Return the diagram that most of the steps stand in; the process's own if the start tells."""
    readable = [one for one in diagrams if not isinstance(one, ContractError)]
    told = {str(entry["element"]) for entry in entries}
    fits = [(len(told & {one.process_id, *one.tasks}), one) for one in readable]
    best = max((count for count, _ in fits), default=0)
    if best == 0:
        unread = next((str(one) for one in diagrams if isinstance(one, ContractError)), None)
        raise NoPictureError(unread or "no diagram of the project has the steps of this trail")
    started = {str(entry["element"]) for entry in entries if entry["event"] == "started"}
    named = [one for _, one in fits if one.process_id in started]
    return named[0] if named else next(one for count, one in fits if count == best)
