"""Four empty databases of a kind for each process that explores; their rows stay, keys are new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sagaworks.testing.servers import MariaDB, PostgreSQL, Server
from tests.faults.exploration.world import SERVICES, migrated

KINDS: Final = ("sqlite", "postgresql", "mariadb")

Urls = dict[str, str]

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  in it a folder that only this user can read


@contextmanager
def sqlite_urls() -> Iterator[Urls]:
    """Give files in memory, where the machine has such a folder; commits are done as ever."""
    within = _MEMORY if _MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="sagaworks-faults-", dir=within))
    try:
        yield migrated({name: f"sqlite:///{folder / name}.db" for name in SERVICES})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def server_urls(server: Server, name: object) -> Urls:
    """Create databases on a server, as `sagaworks db upgrade` does; `name` ends their names."""
    names = {service: f"{service}_{name}" for service in SERVICES}
    for database in names.values():
        if isinstance(server, MariaDB):
            server.execute(f"CREATE DATABASE {database} COLLATE utf8mb4_nopad_bin")
        else:
            server.create_database(database)
    return migrated({service: server.admin_url(each) for service, each in names.items()})


@contextmanager
def server_of(kind: str, note: Callable[[str], None]) -> Iterator[Server]:
    """Start a server for as long as the block lasts.

    Raises:
        ServersUnavailableError: this machine can't have it; says why.
    """
    wanted: type[Server] = PostgreSQL if kind == "postgresql" else MariaDB
    with wanted.started(fast=True, on_note=note) as server:
        yield server
