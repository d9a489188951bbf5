"""The results as tables, for a terminal and for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.claims import Verdict, judge
from bench.intervals import Median, median_of
from bench.subjects.listed import BY_NAME, SUBJECTS

if TYPE_CHECKING:
    from bench.results import Results
    from bench.subjects.listed import Load

TITLES: Final[dict[Load, str]] = {
    "saturated": "{in_flight} sagas in flight",
    "open": "{rate:g} sagas a second, on schedule",
}

FIGURES: Final = {
    "per_second": "sagas/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "engine_ms": "engine ms",
    "worker_ms": "workers ms",
    "database_ms": "db ms",
    "history_ms": "history ms",
    "worker_mb": "MB",
    "unended": "left",
}
"""What a row shows, with its heading; ms without p are CPU time a saga."""

UNSEEN: Final = ""
"""What stands where nothing was measured."""


@dataclass(frozen=True)
class Sheet:
    """One table: a title, headings, and rows of text."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def sheets(results: Results) -> list[Sheet]:
    """Return the tables of a run, the verdicts last."""
    return [*(sheet_of(results, load) for load in TITLES), verdicts(results)]


def sheet_of(results: Results, load: Load) -> Sheet:
    """Return what was measured under one load."""
    seen = {name: _of_subjects(results, load, name) for name in FIGURES}
    # An older run has no history beside its engine.
    columns = [name for name in FIGURES if any(seen[name].values())]
    rows = [
        [subject.name, *(_cell(seen[name][subject.name]) for name in columns)]
        for subject in SUBJECTS
        if any(seen[name][subject.name] for name in columns)
    ]
    title = TITLES[load].format(**results.settings)
    return Sheet(title, ["", *(FIGURES[name] for name in columns)], rows)


def _of_subjects(results: Results, load: Load, name: str) -> dict[str, list[float]]:
    return {one.name: [*results.measured(one.name, load, name).values()] for one in SUBJECTS}


def verdicts(results: Results) -> Sheet:
    """Return what was promised and what was seen."""
    headings = ["promised", "at", "seen: median", "interval", "bare", "verdict"]
    return Sheet("What was promised", headings, [_of_verdict(one) for one in judge(results)])


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    for sheet in filter(_has_rows, sheets(results)):
        table = Table(title=sheet.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(sheet.headings[0], no_wrap=sheet.rows[0][0] in BY_NAME)
        for heading in sheet.headings[1:]:
            table.add_column(heading, justify="right", overflow="fold")
        for row in sheet.rows:
            table.add_row(*(_coloured(_on_two_lines(cell)) for cell in row))
        console.print(table)


def markdown(sheet: Sheet) -> str:
    """Return a table for a page."""
    rule = ["---", *["---:"] * (len(sheet.headings) - 1)]
    rows = (sheet.headings, rule, *sheet.rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def number(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    if value == 0:
        return "0"
    for least, digits in ((100, 0), (10, 1), (0, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.2f}"


def _of_verdict(verdict: Verdict) -> list[str]:
    claim, seen = verdict.claim, verdict.seen
    unit = "" if claim.unit == "x" else f" {claim.unit}"
    bound = "≥" if claim.at_least else "≤"
    target = f"{bound} {number(claim.target)}{unit}"
    bare = _spread(verdict.bare) if verdict.bare else UNSEEN
    if seen is None:
        return [claim.text, target, UNSEEN, UNSEEN, bare, verdict.word]
    interval = f"{number(seen.low)} to {number(seen.high)}" if seen.count > 1 else UNSEEN
    return [claim.text, target, f"{number(seen.value)}{unit}", interval, bare, _word(verdict)]


def _word(verdict: Verdict) -> str:
    if verdict.word == "PASS" and not verdict.median_keeps_it:
        return "PASS by its interval only"
    return verdict.word


def _cell(values: list[float]) -> str:
    if not values:
        return UNSEEN
    return _spread(median_of(values))


def _spread(seen: Median) -> str:
    if seen.count == 1:
        return number(seen.value)
    return f"{number(seen.value)} ({number(seen.low)}-{number(seen.high)})"


def _has_rows(sheet: Sheet) -> bool:
    return bool(sheet.rows)


def _on_two_lines(cell: str) -> str:
    """Set the interval below its median: side by side they are too wide for a terminal."""
    value, has_interval, interval = cell.partition(" (")
    return f"{value}\n{interval.rstrip(')')}" if has_interval else cell


def _coloured(cell: str) -> str:
    colours = {"PASS": "green", "FAIL": "bold red", "not measured": "yellow"}
    colour = "yellow" if cell.startswith("PASS by") else colours.get(cell)
    return f"[{colour}]{cell}[/]" if colour else cell
