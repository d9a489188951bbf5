"""The benchmark's command line."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import plot, table
from bench.errors import BenchError
from bench.home import taken
from bench.live import Live
from bench.measuring import Pace
from bench.results import Results
from bench.rounds import Plan, Rounds
from bench.soak import SUBJECT as SOAKED
from bench.soak import Soak
from bench.stage import Stage
from bench.subjects.listed import BY_NAME, SUBJECTS
from demo.interrupts import Interrupts
from sagaworks.errors import SagaworksError
from sagaworks.testing.servers import PostgreSQL

HERE: Final = Path(__file__).parent

OK, ERROR, INTERRUPTED = 0, 1, 130

WIDE: Final = 120


def main(arguments: list[str]) -> int:
    """Run the benchmark; return its exit code, which says nothing of the figures."""
    given = _parser().parse_args(arguments)
    # In a log nothing is cut off; a narrow terminal gets its lines folded.
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    began = time.monotonic()
    try:
        results = _run(given, console)
    except KeyboardInterrupt:
        print(f"bench: interrupted; whole rounds are kept in {given.results}", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except (SagaworksError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)  # noqa: T201
        return ERROR
    picture = given.results.with_suffix(".svg")
    plot.draw(results, picture)
    table.show(results, console)
    took = (time.monotonic() - began) / 60
    console.print(f"{given.results} and {picture.name}; {took:.0f} min", highlight=False)
    return OK


def _run(given: argparse.Namespace, console: Console) -> Results:
    plan = _plan(given, console)
    if given.soak:
        return _soak(given, console, plan)
    with _stage(given, console) as stage, Live(console, plan.seconds()) as live:
        results = _results(given, stage, plan)
        Rounds(plan, stage, results, given.results, live).run()
        return results


def _soak(given: argparse.Namespace, console: Console, plan: Plan) -> Results:
    """Add the long run to the results there are."""
    results = Results.load(given.results)
    with _stage(given, console) as stage:
        soak = Soak(stage, SOAKED, plan.pace, "soak", console.print)
        soak.sagas = given.soak
        soak.run(0)
        results.soak = dict(soak.told())
        results.save(given.results)
    return results


@contextmanager
def _stage(given: argparse.Namespace, console: Console) -> Iterator[Stage]:
    """Give everything started; all of it ends with the block, however that ends."""
    with (
        taken(given.data.absolute()) as folder,
        PostgreSQL.started(folder / "postgresql") as server,
    ):
        stage = Stage(folder, console, server)
        interrupts = Interrupts(stage.kill)
        try:
            stage.start()
            yield stage
        finally:
            interrupts.stopping = True
            stage.stop()


def _plan(given: argparse.Namespace, console: Console) -> Plan:
    pace = Pace(given.seconds, given.in_flight, given.rate, given.ramp)
    subjects = [one for one in SUBJECTS if not given.only or one.name in given.only]
    plan = Plan(given.rounds, pace, given.warm_up, subjects)
    if not given.soak:
        seconds = plan.seconds()
        about = f"{given.rounds} rounds of {len(subjects)} subjects"
        console.print(f"{about}: about {seconds / 60:.0f} minutes", highlight=False)
    return plan


def _results(given: argparse.Namespace, stage: Stage, plan: Plan) -> Results:
    """Return where the rows go: fresh, or with the rounds that an interrupted run has left.

    Raises:
        BenchError: that run was of other loads.
    """
    settings = {"rounds": plan.rounds, "warm_up": plan.warm_up, **asdict(plan.pace)}
    subjects = {subject.name: subject.what for subject in plan.subjects}
    if given.resume and given.results.exists():
        found = Results.load(given.results)
        if found.settings | {"rounds": 0} != settings | {"rounds": 0}:
            raise BenchError(f"{given.results} has other settings: run without --resume")
        found.settings = settings
        return found
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    return Results(begun, stage.about(), settings, subjects)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Runs the same saga by Sagaworks and by plain pyzeebe on one engine, in turns, "
        "and judges what Sagaworks promises of its speed.",
        epilog="Exit codes: 0 it ran, whatever the figures; 1 error; 2 usage; 130 interrupted.",
    )
    parser.add_argument("--rounds", type=_count, default=10, help="each subject so often (10)")
    parser.add_argument(
        "--seconds", type=_amount, default=10.0, help="that a load is measured (10)"
    )
    parser.add_argument("--rate", type=_amount, default=35.0, help="open loop: sagas a second (35)")
    parser.add_argument("--in-flight", type=_count, default=100, help="saturated: sagas (100)")
    parser.add_argument(
        "--ramp", type=_amount, default=2.0, help="seconds before a load counts (2)"
    )
    parser.add_argument(
        "--warm-up", type=float, default=60.0, help="seconds of load before the first round (60)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=[*BY_NAME], metavar="SUBJECT", help="measure only these"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the rounds that the results haven't got"
    )
    parser.add_argument(
        "--soak",
        type=_count,
        metavar="SAGAS",
        help="instead: so many sagas through one set of workers, for the memory they take",
    )
    parser.add_argument("--data", type=Path, default=HERE.parent / ".sagaworks" / "bench")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "latest.json")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < 10_000:  # noqa: PLR2004  a benchmark of hours is a mistake
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return amount
