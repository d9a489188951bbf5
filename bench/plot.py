"""The results as one picture: how much CPU and time each subject takes, and what it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.intervals import Median, median_of
from bench.subjects.listed import SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.results import Results
    from bench.subjects.listed import Load

OURS: Final = "#1b6e5a"
THEIRS: Final = "#8a8f98"

PANELS: Final[tuple[tuple[Load, str, str], ...]] = (
    ("saturated", "per_second", "sagas a second, {in_flight} in flight"),
    ("open", "p99_ms", "p99 in ms at {rate:g} a second"),
    ("open", "engine_ms", "engine's CPU ms a saga at {rate:g} a second"),
    ("saturated", "worker_ms", "workers' CPU ms a saga, {in_flight} in flight"),
)
"""Load, figure and title of each panel."""


def draw(results: Results, file: Path) -> None:
    """Write the picture as SVG; the same results give the same file."""
    # Ids are hashed with a salt that would be random, and the date would be today's.
    mpl.rcParams["svg.hashsalt"] = "bench"
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    for axes, (load, name, title) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _bars(axes, results, load, name)
        axes.set_title(title.format(**results.settings), fontsize=10, loc="left")
    rounds = len(results.rounds)
    figure.supxlabel(f"medians of {rounds} rounds, with their 95 % intervals", fontsize=8)
    figure.savefig(file, format="svg", metadata={"Date": None})


def _bars(axes: Axes, results: Results, load: Load, name: str) -> None:
    seen = [*_medians(results, load, name).items()]
    names = [subject for subject, _ in reversed(seen)]
    medians = [median for _, median in reversed(seen)]
    values = [median.value for median in medians]
    below = [median.value - median.low for median in medians]
    above = [median.high - median.value for median in medians]
    colours = [OURS if subject.startswith("sagaworks") else THEIRS for subject in names]
    axes.barh(names, values, xerr=[below, above], color=colours, ecolor="black", capsize=2)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(b=False)


def _medians(results: Results, load: Load, name: str) -> dict[str, Median]:
    found = {one.name: results.measured(one.name, load, name).values() for one in SUBJECTS}
    return {subject: median_of([*values]) for subject, values in found.items() if values}
