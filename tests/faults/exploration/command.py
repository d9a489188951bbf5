"""The exploration's command line."""

from __future__ import annotations

import argparse
import random
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sagaworks.errors import SagaworksError
from tests.faults.exploration.databases import KINDS, Urls, server_of, server_urls, sqlite_urls
from tests.faults.exploration.explore import Explorers, Found
from tests.faults.exploration.schedule import Schedule

GOOD, BROKEN, ERROR, INTERRUPTED = 0, 1, 2, 130

ALL: Final = 10**9

_WIDE: Final = 120

_TOLD: Final = 20
"""Schedules that went wrong which are told one by one."""


def main(arguments: Sequence[str]) -> int:
    """Explore, or play the schedules that are named; return the exit code."""
    given = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    try:
        found = run(given, console)
    except KeyboardInterrupt:
        sys.stderr.write("faults: interrupted; each schedule can be run alone by its name\n")
        return INTERRUPTED
    except (SagaworksError, ValueError) as error:
        sys.stderr.write(f"faults: {error}\n")
        return ERROR
    _tell(found, console)
    return BROKEN if found.bad else GOOD


def run(given: argparse.Namespace, console: Console) -> Found:
    """Play what was asked for.

    Raises:
        SagaworksError: a server can't be had.
        ValueError: a schedule's name is none.
    """
    for name in given.schedules:
        Schedule.parse(name)
    kinds = given.on.split(",")
    console.print(f"faults: seed {given.seed}; {_what(given, kinds)}")
    with (
        databases_of(kinds, given.processes, console.print) as urls,
        Explorers.started(urls) as explorers,
        _progress(console) as progress,
    ):
        found = Found()
        for kind in kinds:
            names = given.schedules or sample(explorers.singles(kind), given.singles, given.seed)
            found.take(_played(explorers, progress, kind, names, "one fault"))
        if "sqlite" in kinds and not given.schedules:
            pairs = sample(found.pairs, given.pairs, given.seed)
            found.take(_played(explorers, progress, "sqlite", pairs, "two crashes"))
        return found


def sample(names: Sequence[str], most: int, seed: int) -> list[str]:
    """Return so many of them, drawn by a seed; all, if there aren't more."""
    ordered = sorted(set(names))
    if len(ordered) <= most:
        return ordered
    return random.Random(seed).sample(ordered, most)  # noqa: S311  repeatable, not secret


@contextmanager
def databases_of(
    kinds: Sequence[str], processes: int, note: object
) -> Iterator[list[dict[str, Urls]]]:
    """Give each process its databases; servers and files end with the block."""
    with ExitStack() as stack:
        urls: list[dict[str, Urls]] = [{} for _ in range(processes)]
        for kind in kinds:
            server = None if kind == "sqlite" else stack.enter_context(server_of(kind, note))
            for number, one in enumerate(urls):
                one[kind] = (
                    server_urls(server, number) if server else stack.enter_context(sqlite_urls())
                )
        yield urls


def _played(
    explorers: Explorers, progress: Progress, kind: str, names: Sequence[str], what: str
) -> Found:
    bar, began = progress.add_task(f"{kind}, {what}", total=len(names)), time.monotonic()
    found = explorers.play(kind, names, lambda batch: progress.advance(bar, batch.played.total()))
    minutes = (time.monotonic() - began) / 60
    told = f"{kind}, {what}: {len(names)} schedules, {len(found.bad)} wrong, {minutes:.1f} min"
    progress.console.print(told)
    return found


def _what(given: argparse.Namespace, kinds: Sequence[str]) -> str:
    if given.schedules:
        return f"{len(given.schedules)} schedules on {', '.join(kinds)}"
    singles = "every single fault" if given.singles >= ALL else f"{given.singles} single faults"
    single = f"{singles} on {', '.join(kinds)}"
    if "sqlite" not in kinds:
        return single
    pairs = "every pair" if given.pairs >= ALL else f"{given.pairs} pairs"
    return f"{single}; {pairs} of crashes on sqlite"


def _tell(found: Found, console: Console) -> None:
    for kind, name, story in found.bad[:_TOLD]:
        again = f"python -m tests.faults.exploration --on {kind} {shlex.quote(name)}"
        console.print(f"\n{story}\n  again: {again}", soft_wrap=True, markup=False)
    if len(found.bad) > _TOLD:
        console.print(f"… and {len(found.bad) - _TOLD} more")
    counts = ", ".join(f"{count} on {kind}" for kind, count in sorted(found.played.items()))
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(found.faults.items()))
    console.print(f"happened: {faults}", soft_wrap=True)
    console.print(f"faults: {found.played.total()} schedules ({counts}), {len(found.bad)} wrong")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.exploration",
        description="Let place_order's workers meet every fault at every point of their work.",
    )
    parser.add_argument(
        "schedules", nargs="*", help="by name, as a failed run prints it; else every one there is"
    )
    parser.add_argument("--on", default=",".join(KINDS), help="kinds of databases: %(default)s")
    parser.add_argument("--singles", type=int, default=ALL, help="on each kind; else every one")
    parser.add_argument("--pairs", type=int, default=ALL, help="pairs of crashes; else every one")
    parser.add_argument("--processes", type=int, default=2, help="%(default)s")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000, help="draws the pairs")
    return parser
