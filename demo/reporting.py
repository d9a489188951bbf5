"""The report of a run: all its orders on one page, from the engine's history."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sagaworks.history import BrowsableHistory, HttpHistory
from sagaworks.report import page
from sagaworks.report.of_history import gather, show_project
from sagaworks.settings import Settings

MOST: Final = 10_000
"""Sagas on one page; of more orders than that the last ones are shown."""

CATCHES_UP_WITHIN: Final = 10.0
"""Seconds. The engine sends its records in batches, a second apart."""

LOOK_EVERY: Final = 0.2
LOOK_AT: Final = 100
"""The last sagas: records come in the engine's order, so once these have ended all have."""


def write_report(settings: Settings, keys: Iterable[str], files: Iterable[Path], to: Path) -> bool:
    """Write the page of these orders; False where the engine has no history.

    Raises:
        HistoryUnavailable: it has one that doesn't answer.
    """
    place = settings.history_place()
    if place is None:
        return False
    history = HttpHistory(place, token=settings.token)
    try:
        _await_the_last(history)
        gathering = gather(history, MOST, keys=keys)
    finally:
        history.close()
    show_project(gathering, files)
    to.write_text(page(gathering, "A run of the demo"), encoding="utf-8")
    return True


def _await_the_last(history: BrowsableHistory) -> None:
    until = time.monotonic() + CATCHES_UP_WITHIN
    while time.monotonic() < until:
        last = history.newest(LOOK_AT)
        if last and all(one.instance.ended is not None for one in last):
            return
        time.sleep(LOOK_EVERY)
