"""The demo from its first process to its last line."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from demo.interrupts import Interrupts
from demo.live import draw, showing
from demo.placing import Placing
from demo.readings import Readings
from demo.reporting import write_report
from demo.sagas import PLACE_ORDER, AnyPlan
from demo.system import System
from sagaworks.history import HistoryUnavailable

OK, FINDINGS = 0, 3

USUAL_ORDERS: Final = 100
"""What shelves and cards are filled for where nobody says how many orders come."""

SETTLED_WITHIN: Final = 60.0
"""Seconds that the reconcilers may take for what the engine forgot, after the last saga's end."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the processes that are kept up."""


def run(system: System, orders: int, seed: int) -> int:
    """Place the orders on a fresh system, show the books, stop everything; return the exit code."""
    # A cluster that isn't ours may know the usual keys already.
    saga = system.saga
    prefix = f"{saga.thing}-{int(time.time()):x}" if system.cluster else saga.thing
    plan = saga.plan(orders, seed, prefix)
    console = system.console
    with _stopped_in_the_end(system):
        system.reach()
        system.clear()
        console.print(f"{orders} {saga.things} of mixed fate; seed {seed}", highlight=False)
        readings = system.start(plan)
        _place(system, plan, readings)
        holds = _show_books(system, plan, readings)
        report = _write_report(system, plan)
    _say_where(system, report)
    _say_next(system, plan)
    return OK if holds else FINDINGS


def keep_up(system: System, seed: int) -> int:
    """Start everything, on the data of the last run if there is any, until told to stop."""
    with _stopped_in_the_end(system):
        if not system.home.seeded.exists():
            system.clear()
        system.start(system.saga.plan(USUAL_ORDERS, seed, system.saga.thing))
        _say_where(system)
        _say_commands(system)
        while True:
            time.sleep(LOOK_EVERY)
            system.check()


@contextmanager
def _stopped_in_the_end(system: System) -> Iterator[None]:
    interrupts = Interrupts(system.kill)
    system.run = interrupts.run
    finished = False
    try:
        yield
        finished = True
    finally:
        interrupts.stopping = True
        if not finished:
            system.console.print("stopping everything …", highlight=False)
        system.stop(train=finished)


def _place(system: System, plan: AnyPlan, readings: Readings) -> None:
    placing = Placing(plan, system.settings, readings, check=system.check, saga=system.saga)
    with showing(system.console) as show:
        system.run(placing.run(show))
    system.console.print(draw(placing.progress))


def _show_books(system: System, plan: AnyPlan, readings: Readings) -> bool:
    console, saga = system.console, system.saga
    books = _settled_books(system, plan, readings)
    console.print(saga.draw(books))
    lines = saga.prove(books)
    for line in lines:
        mark = "[green]holds[/]" if line.holds else "[bold red]WRONG[/]"
        console.print(f"  {mark}  {line.text}", highlight=False, soft_wrap=True)
    return all(line.holds for line in lines)


def _settled_books(system: System, plan: AnyPlan, readings: Readings) -> Any:  # noqa: ANN401  a saga's own
    """Read the books; where they don't add up yet, wait for what the reconcilers settle."""
    keys, until = [one.key for one in plan.orders], time.monotonic() + SETTLED_WITHIN
    said = False
    while True:
        books = system.saga.read_books(readings, keys)
        if all(line.holds for line in system.saga.prove(books)) or time.monotonic() > until:
            return books
        if not said:
            _say(system, "what the engine forgot is being settled by the services' reconcilers …")
            said = True
        system.check()
        time.sleep(LOOK_EVERY)


def _write_report(system: System, plan: AnyPlan) -> Path | None:
    """Write the page of all orders; the books don't wait for a history that is away."""
    file = system.home.report
    keys = [order.key for order in plan.orders]
    try:
        wrote = write_report(system.settings, keys, system.project.diagram_files(), file)
    except HistoryUnavailable as error:
        system.console.print(f"no report: {error}", highlight=False, markup=False)
        return None
    return file if wrote else None


def _say_where(system: System, report: Path | None = None) -> None:
    places = {"report": report, "data": system.home.folder, "logs": system.home.logs}
    for what, where in places.items():
        if where is None:
            continue
        system.console.print(f"{what}: {_short(where)}", highlight=False, soft_wrap=True)


def _say_next(system: System, plan: AnyPlan) -> None:
    _say(
        system,
        "\nWhat to try next: start it again on this data, and keep it running",
        f"  {_up(system)}",
        "and in another terminal see how single orders went",
        f"  {_export(system)}",
        *(f"  {_sagaworks()} trail {order.key}   # {order.fate}" for order in plan.one_of_each()),
    )


def _say_commands(system: System) -> None:
    given = shlex.join(word for one in system.saga.example for word in ("--var", one))
    key = f"my-{system.saga.thing}"
    _say(
        system,
        "\nIn another terminal",
        f"  {_export(system)}",
        f"  {_sagaworks()} start {system.saga.process} --key {key} {given}",
        *(f"  {_sagaworks()} {words.format(key=key)}" for words in system.saga.awaits),
        f"  {_sagaworks()} trail {key}",
        "\nCtrl-C stops it.",
    )


def _say(system: System, *lines: str) -> None:
    for line in lines:
        system.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _export(system: System) -> str:
    return f"export SAGAWORKS_DATA={shlex.quote(_short(system.home.folder))}"


def _up(system: System) -> str:
    is_usual = system.saga is PLACE_ORDER
    saga = "" if is_usual else f" --saga {system.saga.process}"
    if system.home.folder != system.project.root / ".sagaworks" / "demo":
        return f"{_python()} -m demo up{saga} --data {shlex.quote(_short(system.home.folder))}"
    if "MAKELEVEL" in os.environ:
        return "make up" if is_usual else f"make up SAGA={system.saga.process}"
    return f"{_python()} -m demo up{saga}"


def _sagaworks() -> str:
    found = Path(sys.executable).with_name("sagaworks")
    return _short(found) if found.exists() else f"{_python()} -m sagaworks.cli"


def _python() -> str:
    return _short(Path(sys.executable))


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
