"""The demo's own data folder, and the lock that lets one demo at a time use it."""

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from demo.errors import DemoError

KEPT: Final = {"SAGAWORKS_CACHE", "SAGAWORKS_ENGINE_VERSION", "SAGAWORKS_LOG_LEVEL"}
"""The only settings of the caller that the demo follows."""

FOREIGN: Final = ("SAGAWORKS_", "CARRIER_", "RENTAL_")
FOREIGN_ENDS: Final = ("_DATABASE_URL", "_OWNER_URL", "_MANAGEMENT_URL", "_MANAGE_PORT")

DOWN_WITHIN: Final = 60.0
"""Seconds that a running demo may take to stop."""


@dataclass(frozen=True)
class Home:
    """Where the demo keeps its databases, its engine's data and its logs."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Locked while a demo runs here; beside the folder, which each run begins afresh."""
        return self.folder.with_suffix(".lock")

    @property
    def report(self) -> Path:
        """The page of the last run's orders."""
        return self.folder / "report.html"

    @property
    def logs(self) -> Path:
        """A log for each process."""
        return self.folder / "logs"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keep others out.

        Raises:
            DemoError: another demo runs here.
        """
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        with self.lock.open("a+") as file:
            if not _lock(file):
                file.seek(0)
                message = f"another demo runs on {self.folder} (process {file.read().strip()})"
                raise DemoError(f"{message}; stop it first: `make down`")
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    @property
    def mark(self) -> Path:
        """Says that the folder is a demo's, and so may be cleared."""
        return self.folder / "this-is-a-demo"

    @property
    def seeded(self) -> Path:
        """Says that the databases are there and filled."""
        return self.folder / "seeded"

    @property
    def servers(self) -> Path:
        """What belongs to PostgreSQL and MariaDB."""
        return self.folder / "servers"

    def clear(self) -> None:
        """Begin afresh: remove what an earlier demo left.

        Raises:
            DemoError: there is a folder, and it isn't a demo's.
        """
        if self.folder.exists():
            if not self.mark.exists() and any(self.folder.iterdir()):
                raise DemoError(f"{self.folder} isn't a demo's folder; name another by --data")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self.mark.touch()

    def down(self) -> bool:
        """Stop the demo that runs here and wait for its end; False if none runs.

        Raises:
            DemoError: it doesn't end.
        """
        with suppress(FileNotFoundError), self.lock.open("r+") as file:
            if _lock(file):
                return False
            os.kill(int(file.read()), signal.SIGTERM)
            until = time.monotonic() + DOWN_WITHIN
            while not _lock(file):
                if time.monotonic() > until:
                    raise DemoError(f"the demo hasn't stopped after {DOWN_WITHIN:.0f} s")
                time.sleep(0.1)
            return True
        return False


def demo_environment(environ: Mapping[str, str], home: Home, engine: str | None) -> dict[str, str]:
    """Return the environment of everything the demo starts.

    No database, worker or cluster of the caller's is touched: not even where the environment names
    one. `engine` is the address of the cluster that the caller has asked for by name, or None.
    """
    foreign = FOREIGN if engine else (*FOREIGN, "ZEEBE_")
    kept = {
        name: value
        for name, value in environ.items()
        if name in KEPT or not (name.startswith(foreign) or name.endswith(FOREIGN_ENDS))
    }
    kept["SAGAWORKS_DATA"] = str(home.folder)
    return kept | ({"ZEEBE_ADDRESS": engine} if engine else {})


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
