"""The demo while it runs: one table on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.readings import Counts
from demo.sagas import PLACE_ORDER, DemoSaga

LINE_EVERY: Final = 2.0
"""Seconds between two lines where there is no terminal."""


@dataclass
class Progress:
    """How far the orders or trips are, by what the workers count.

    Attributes:
        total: sagas to start.
        started: sagas that the engine has taken.
        counts: jobs by step and outcome.
    """

    total: int
    saga: DemoSaga = PLACE_ORDER
    started: int = 0
    counts: Counts = field(default_factory=Counts)
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Those whose last step is done."""
        return self.counts[self.saga.steps[-1].name, "executed"]

    @property
    def undone(self) -> int:
        """Those that were taken in and then undone."""
        return self.counts[_undo_name(self.saga.steps[0]), "compensated"]

    @property
    def refused(self) -> int:
        """Those turned away before anything was done for them."""
        return self.counts[self.saga.steps[0].name, "refused"]

    @property
    def ended(self) -> int:
        """Those that have met their fate."""
        return self.done + self.undone + self.refused

    @property
    def in_flight(self) -> int:
        """Those started and not ended."""
        return max(0, self.started - self.ended)

    @property
    def elapsed(self) -> float:
        """Seconds since the first start."""
        return time.monotonic() - self.began

    def summary(self) -> str:
        """All of it in one line."""
        rate = self.ended / self.elapsed if self.elapsed else 0.0
        return (
            f"{self.started} of {self.total} started, {self.in_flight} in flight, "
            f"{self.done} done, {self.undone} undone, {self.refused} refused; "
            f"{rate:.1f}/s, {self.elapsed:.1f} s"
        )


class View(Protocol):
    """Something that shows progress."""

    def __call__(self, progress: Progress) -> None:
        """Show it."""


def draw(progress: Progress) -> Table:
    """Return the table: a row for each step, with what was done and undone."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{progress.saga.process}, step by step")
    table.title_justify, table.pad_edge = "left", False
    table.caption, table.caption_justify = progress.summary(), "left"
    for heading in ("step", "service"):
        table.add_column(heading)
    for heading in ("done", "refused", "again"):
        table.add_column(heading, justify="right")
    table.add_column("undone by")
    table.add_column("undone", justify="right")
    for step in progress.saga.steps:
        undo = _undo_name(step)
        undone = progress.counts[undo, "compensated"]
        cells = (*_counts_of(step.name, progress.counts), undo, str(undone) if undo else "")
        table.add_row(step.name, step.service.name, *cells)
    return table


@contextmanager
def showing(console: Console) -> Iterator[View]:
    """Give what shows the progress: a live table on a terminal, else lines."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda progress: live.update(draw(progress), refresh=True)


class _Lines:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self.last >= LINE_EVERY:
            self.last = time.monotonic()
            self.console.print(progress.summary(), soft_wrap=True, highlight=False)


def _counts_of(step: str, counts: Counts) -> tuple[str, str, str]:
    done, refused = counts[step, "executed"], counts[step, "refused"]
    again = sum(number for (name, _), number in counts.items() if name == step) - done - refused
    return str(done), str(refused), str(again)


def _undo_name(step: object) -> str:
    undo = getattr(step, "undo", None)
    return undo.name if undo else ""
