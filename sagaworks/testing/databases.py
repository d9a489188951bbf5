"""A fresh database for each service and test: a copy of one that was made once a session."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy import create_engine
from sqlmodel import SQLModel

from sagaworks.ledger.migration import create_ledger
from sagaworks.migrate import upgrade
from sagaworks.project import Project
from sagaworks.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagaworks.service import Service
    from sagaworks.testing.servers import Server

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  in it a folder that only this user can read


class Databases(Protocol):
    """Where the databases of services come from."""

    def fresh(self, service: Service) -> str:
        """Return the URL of a database with the service's tables and ledger, all empty."""

    def drop(self) -> None:
        """Remove the databases of the test that has ended."""

    def close(self) -> None:
        """Remove everything; the session ends."""


class SqliteDatabases:
    """SQLite files, in memory where the machine has such a folder: a durable commit costs nothing.

    Args:
        project: whose migrations make the tables; without one, or without migrations for a
            service, they are made from SQLModel's metadata.
    """

    def __init__(self, project: Project | None) -> None:
        """Make nothing yet."""
        self._project = project
        self._folder: Path | None = None
        self._templates: dict[str, Path] = {}
        self._number = 0
        self._used: list[Path] = []

    def fresh(self, service: Service) -> str:
        """See `Databases`."""
        template = self._templates.get(service.name)
        if template is None:
            template = self._place(f"{service.name}-template")
            make_tables(service.name, f"sqlite:///{template}", self._project)
            self._templates[service.name] = template
        self._number += 1
        copy = self._place(f"{service.name}-{self._number}")
        shutil.copyfile(template, copy)
        self._used.append(copy)
        return f"sqlite:///{copy}"

    def drop(self) -> None:
        """See `Databases`."""
        for copy in self._used:
            for file in (copy, Path(f"{copy}-wal"), Path(f"{copy}-shm")):
                file.unlink(missing_ok=True)
        self._used.clear()

    def close(self) -> None:
        """See `Databases`."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self, name: str) -> Path:
        if self._folder is None:
            within = _MEMORY if _MEMORY.is_dir() else None
            self._folder = Path(tempfile.mkdtemp(prefix="sagaworks-test-", dir=within))
        return self._folder / f"{name}.db"


class ServerDatabases:
    """Databases on one server of the session's own, each cloned from a template.

    Args:
        server: started, and stopped by the caller.
        project: as in `SqliteDatabases`.
    """

    def __init__(self, server: Server, project: Project | None) -> None:
        """Make nothing yet."""
        self._server = server
        self._project = project
        self._templates: dict[str, str] = {}
        self._numbers = count(1)
        self._used: list[str] = []

    def fresh(self, service: Service) -> str:
        """See `Databases`."""
        template = self._templates.get(service.name)
        if template is None:
            template = f"{service.name}_template"
            self._server.create_database(template)
            make_tables(service.name, self._server.admin_url(template), self._project)
            self._templates[service.name] = template
        name = f"{service.name}_{next(self._numbers)}"
        self._server.create_database(name, template)
        self._used.append(name)
        return self._server.admin_url(name)

    def drop(self) -> None:
        """See `Databases`."""
        for name in self._used:
            self._server.drop_database(name)
        self._used.clear()

    def close(self) -> None:
        """See `Databases`."""
        for name in self._templates.values():
            self._server.drop_database(name)
        self._templates.clear()


@contextmanager
def databases_on(
    kind: str, project: Project | None, note: Callable[[str], None]
) -> Iterator[Databases]:
    """Give the databases that ``--zeebe-database`` names; a server ends with the session.

    Raises:
        ServersUnavailableError: this machine can't have that server; says why.
    """
    if kind == "sqlite":
        databases = SqliteDatabases(project)
        try:
            yield databases
        finally:
            databases.close()
        return
    from sagaworks.testing.servers import MariaDB, PostgreSQL  # noqa: PLC0415  SQLite needs none

    wanted: type[Server] = PostgreSQL if kind == "postgresql" else MariaDB
    with wanted.started(fast=True, on_note=note) as server:
        yield ServerDatabases(server, project)  # they go with the server


def make_tables(service_name: str, url: str, project: Project | None) -> None:
    """Make a service's tables and its ledger, by the project's migrations if it has any.

    Raises:
        ConfigurationError: a migration fails; says where.
    """
    if project and project.migrations_folder(service_name).is_dir():
        settings = Settings(data=project.root, database_urls={service_name: url})
        upgrade(service_name, settings, project)
        return
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            SQLModel.metadata.create_all(connection)
            create_ledger(_Operations(connection))
    finally:
        engine.dispose()


class _Operations:
    """What `create_ledger` needs of Alembic."""

    def __init__(self, connection: object) -> None:
        self.execute = connection.execute  # type: ignore[attr-defined]
