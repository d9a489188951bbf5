"""The demo's command line: run, up, down."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from demo.databases import Databases
from demo.errors import DemoError, StuckError
from demo.home import Home
from demo.run import keep_up, run
from demo.sagas import PLACE_ORDER, SAGAS, DemoSaga
from demo.system import System
from sagaworks import SagaworksError
from sagaworks.project import Project
from sagaworks.testing.servers import ServersUnavailableError

MOST: Final = 100_000
"""Orders in one run; the carrier's memory holds as many."""

OK, ERROR, STUCK, NOT_RUN, INTERRUPTED = 0, 1, 3, 4, 130

_CODES: Final = {StuckError: STUCK, ServersUnavailableError: NOT_RUN}


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    given = _parser().parse_args(arguments)
    console = Console()
    try:
        project = Project.load()
        home = Home((given.data or project.root / ".sagaworks" / "demo").absolute())
        if given.command == "down":
            return _down(home, console)
        with home.taken():
            saga = _saga(home, given.command, given.saga)
            databases = _databases(home, given.command, given.db)
            system = System(project, home, console, given.engine, databases, saga)
            if given.command == "up":
                return keep_up(system, given.seed)
            return run(system, given.orders, given.seed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SagaworksError as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ERROR)
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201
        return ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Runs orders of mixed fate on the real engine and proves the books.",
        epilog="Exit codes: 0 the books add up, 1 error, 2 usage, 3 they don't, "
        "4 no servers for --db servers, 130 interrupted.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "up", "down"),
        default="run",
        help="run: place orders, then stop (default). up: start everything and keep it until "
        "Ctrl-C, on the data of the last run. down: stop what runs",
    )
    parser.add_argument("--orders", type=_count, default=100, help="how many to start (100)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another mix (1)")
    parser.add_argument(
        "--saga",
        choices=SAGAS,
        default=PLACE_ORDER.process,
        help="which saga to run (place_order)",
    )
    parser.add_argument(
        "--engine",
        metavar="HOST:PORT",
        default=os.environ.get("ENGINE") or None,
        help="use this cluster instead of an engine of the demo's own (or ENGINE=)",
    )
    parser.add_argument(
        "--db",
        choices=[str(kind) for kind in Databases],
        help="sqlite: a file for each service (default). servers: orders, payments and flights on "
        "a PostgreSQL of the demo's own, inventory and hotels on a MariaDB, the rest on SQLite. "
        "up: whatever the data of the last run is on",
    )
    parser.add_argument("--data", type=Path, help="the demo's folder (.sagaworks/demo)")
    return parser


def _saga(home: Home, command: str, asked: str) -> DemoSaga:
    """Return which saga to run: the kept data must be its own."""
    kept = home.seeded.read_text() if command == "up" and home.seeded.exists() else ""
    if kept not in ("", asked):
        message = f"the data in {home.folder} is of {kept}"
        raise DemoError(f"{message}: say --saga {kept}, or run the demo with --saga {asked} once")
    return SAGAS[asked]


def _databases(home: Home, command: str, asked: str | None) -> Databases:
    """Return what to run on: kept data decides, if there is any."""
    if command == "run" or not home.seeded.exists():
        return Databases(asked or Databases.SQLITE)
    kept = Databases.SERVERS if home.servers.exists() else Databases.SQLITE
    if asked not in (None, kept):
        message = f"the data in {home.folder} is on {kept}"
        raise DemoError(f"{message}: run the demo with --db {asked} once, or leave --db out")
    return kept


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST}")
    return int(text)


def _down(home: Home, console: Console) -> int:
    stopped = home.down()
    console.print("stopped" if stopped else f"no demo runs on {home.folder}", highlight=False)
    return OK
