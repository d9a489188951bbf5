"""A report of what an engine has done lately, from its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sagaworks.diagram import read_diagram
from sagaworks.errors import ContractError
from sagaworks.report.gathering import Gathering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sagaworks.history import BrowsableHistory, Known

AT_ONCE: Final = 100
"""Sagas asked for in one go."""


def gather(
    history: BrowsableHistory,
    most: int,
    *,
    keys: Iterable[str] | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Gathering:
    """Return the newest sagas that history knows, so many at most.

    Args:
        history: the engine's.
        most: of sagas.
        keys: business keys; all others are passed over.
        told: after each batch, how many there are.

    Raises:
        HistoryUnavailable: it can't be asked.
    """
    gathering, before, wanted = Gathering(), None, None if keys is None else frozenset(keys)
    diagrams: dict[int, bytes] = {}
    while len(gathering) < most:
        batch = history.newest(min(AT_ONCE, most - len(gathering)), before=before)
        if not batch:
            break
        for known in batch:
            if wanted is None or known.instance.business_key in wanted:
                gathering.see(known, _diagram(history, known, diagrams))
        before = batch[-1].instance.key
        told(len(gathering))
    return gathering


def show_project(gathering: Gathering, files: Iterable[Path]) -> list[str]:
    """Show a project's diagrams too, those with no saga as well; return what couldn't be read."""
    unread = []
    for file in files:
        try:
            gathering.show(read_diagram(file).process_id, file.read_bytes())
        except ContractError as error:
            unread.append(str(error))
    return unread


def _diagram(history: BrowsableHistory, known: Known, diagrams: dict[int, bytes]) -> bytes:
    definition = known.instance.definition
    if definition not in diagrams:
        diagrams[definition] = history.diagram(known.instance.key) or b""
    return diagrams[definition]
