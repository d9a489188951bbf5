"""Brings a service's database to its newest revision, by Alembic, without an ini file or env.py."""

from __future__ import annotations

import re
import sqlite3
import threading
import traceback
import warnings
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from sagaworks.errors import ConfigurationError, SagaworksError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine

    from sagaworks.project import Project
    from sagaworks.settings import Settings

_LOCK_WAIT: Final = timedelta(seconds=5)
"""How long to wait for a worker's transaction, or another upgrade's."""

# `from alembic import op`, in a revision, means one upgrade in the whole process.
_ONE_AT_A_TIME: Final = threading.Lock()


def upgrade(service_name: str, settings: Settings, project: Project) -> list[str]:
    """Apply the service's outstanding revisions, all or none where the database can.

    Two upgrades at once are safe on SQLite: the second waits and finds nothing to do.

    Returns:
        The revisions applied, in order; empty when the database is current.

    Raises:
        ConfigurationError: no revisions, a broken one, or a database that can't be had.
    """
    folder = project.migrations_folder(service_name)
    project.make_importable()
    engine = _open(service_name, settings.database_url(service_name))
    try:
        with _ONE_AT_A_TIME, _in_one_line(service_name, folder):
            return _run(_scripts(service_name, folder), engine, f"{service_name}_version")
    finally:
        engine.dispose()


def _scripts(service_name: str, folder: Path) -> ScriptDirectory:
    # Here and not above: a worker that imports this module by mistake stays small.
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    if not folder.is_dir():
        raise ConfigurationError(f"{service_name}: no folder with migrations at {folder}")
    scripts = ScriptDirectory(str(folder), version_locations=[str(folder)])
    heads = scripts.get_heads()
    if not heads:
        raise ConfigurationError(f"{service_name}: no migrations in {folder}")
    if len(heads) > 1:
        names = ", ".join(sorted(heads))
        raise ConfigurationError(f"{service_name}: {folder} has several newest revisions: {names}")
    return scripts


def _run(scripts: ScriptDirectory, engine: Engine, version_table: str) -> list[str]:
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

    applied: list[str] = []

    def steps(current: Any, _context: object) -> Any:  # noqa: ANN401  Alembic's own, untyped
        return scripts._upgrade_revs("head", current)  # noqa: SLF001  what its command does

    def note(*_: object, **given: Any) -> None:  # noqa: ANN401
        applied.append(str(given["step"].up_revision_id))

    environment = EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head")
    with environment, engine.connect() as connection:
        environment.configure(
            connection=connection,
            version_table=version_table,
            transactional_ddl=connection.dialect.name in ("sqlite", "postgresql"),
            on_version_apply=note,
        )
        with environment.begin_transaction():
            environment.run_migrations()
    return applied


def _open(service_name: str, url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed)
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        place = f"{service_name.upper()}_DATABASE_URL"
        raise ConfigurationError(f"{place}: {_first_line(error)}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  a DBAPI connection
    # sqlite3 would otherwise run CREATE TABLE outside any transaction: half a revision could stay.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT // timedelta(milliseconds=1)}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _in_one_line(service_name: str, folder: Path) -> Iterator[None]:
    """Whatever Alembic, a revision or the database says becomes one line with its place."""
    from alembic.util.exc import CommandError  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Alembic only warns of two revisions with one id, or of one that follows nothing.
            warnings.filterwarnings("error", module="alembic")
            yield
    except SagaworksError:
        raise
    except CommandError as error:
        raise ConfigurationError(f"{service_name}: {folder}: {_unknown(error)}") from error
    except DBAPIError as error:
        raise ConfigurationError(_database_line(service_name, error, folder)) from error
    except Exception as error:
        kind = "" if isinstance(error, Warning) else f"{type(error).__name__}: "
        why = f"{service_name}: {_place(error, folder)}: {kind}{_first_line(error)}"
        raise ConfigurationError(why) from error


def _unknown(error: Exception) -> str:
    found = re.search(r"Can't locate revision identified by '(\w+)'", str(error))
    if found:
        return f"no revision {found[1]}, which the database has: are the migrations older than it?"
    return _first_line(error)


def _database_line(service_name: str, error: DBAPIError, folder: Path) -> str:
    reason = _first_line(error.orig or error)
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return f"{service_name}: its database is locked; stop who writes to it, then try again"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        names = f"{service_name.upper()}_DATABASE_URL or SAGAWORKS_DATA names another place"
        return f"{service_name}: {reason}; {names}"
    place = _place(error, folder)
    return (
        f"{service_name}: {place}: {reason}"
        if place != str(folder)
        else f"{service_name}: {reason}"
    )


def _place(error: Exception, folder: Path) -> str:
    """The revision's line where it happened, or the folder."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == folder]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(folder)


def _first_line(error: BaseException) -> str:
    if isinstance(error, SQLAlchemyError) and not isinstance(error, ArgumentError):
        error = getattr(error, "orig", None) or error
    return str(error).partition("\n")[0]
