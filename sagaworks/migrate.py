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

from sqlalchemy import inspect, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from sagaworks.errors import ConfigurationError, SagaworksError
from sagaworks.ledger.databases import database_at
from sagaworks.ledger.faults import is_lock_wait, reason_of
from sagaworks.ledger.tables import version
from sagaworks.roles import grant, on_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine

    from sagaworks.project import Project
    from sagaworks.settings import Settings

_LOCK_WAIT: Final = timedelta(seconds=5)
"""How long to wait for a worker's transaction, or another upgrade's."""

_LONGEST_REVISION: Final = timedelta(hours=1)

# `from alembic import op`, in a revision, means one upgrade in the whole process.
_ONE_AT_A_TIME: Final = threading.Lock()


def upgrade(service_name: str, settings: Settings, project: Project) -> list[str]:
    """Apply the service's outstanding revisions, all or none where the database can.

    Two upgrades at once are safe: the second waits and finds nothing to do. With an owner's URL it
    is the owner who migrates, and the worker's role is then granted what it needs.

    Returns:
        The revisions applied, in order; empty when the database is current.

    Raises:
        ConfigurationError: no revisions, a broken one, or a database that can't be had.
    """
    folder = project.migrations_folder(service_name)
    project.make_importable()
    owner = settings.owner_urls.get(service_name)
    engine = _open(service_name, settings.database_url(service_name), owner)
    try:
        with _ONE_AT_A_TIME, _in_one_line(service_name, folder, engine.dialect.name):
            scripts = _scripts(service_name, folder)
            with engine.connect() as connection, _alone(connection):
                with connection.begin():
                    _refuse_anothers(connection, service_name)
                applied = _run(scripts, connection, service_name)
                with connection.begin():
                    _keep_service(connection, service_name)
                    if owner:
                        grant(connection, on_server(settings.database_url(service_name)))
            return applied
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


def _run(scripts: ScriptDirectory, connection: Connection, service_name: str) -> list[str]:
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

    applied: list[str] = []
    together = connection.dialect.name != "mariadb"

    def steps(current: Any, _context: object) -> Any:  # noqa: ANN401  Alembic's own, untyped
        return scripts._upgrade_revs("head", current)  # noqa: SLF001  what its command does

    def note(*_: object, **given: Any) -> None:  # noqa: ANN401
        applied.append(str(given["step"].up_revision_id))

    environment = EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head")
    with environment:
        environment.configure(
            connection=connection,
            version_table=f"{service_name}_version",
            transactional_ddl=together,
            transaction_per_migration=not together,
            on_version_apply=note,
        )
        with environment.begin_transaction():
            environment.run_migrations()
    # Where it has no transaction of its own, Alembic leaves open the one it has read in.
    connection.commit()
    return applied


def _open(service_name: str, url: str, owner: str | None) -> Engine:
    place = f"{service_name.upper()}_{'OWNER' if owner else 'DATABASE'}_URL"
    try:
        database = database_at(owner or url, _LOCK_WAIT)
        # A revision may think for longer than it may keep others waiting.
        database.idle = _LONGEST_REVISION
        if database.url.get_backend_name() == "sqlite" and database.url.database:
            Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
        return database.engine(1)
    except (ConfigurationError, OSError) as error:
        raise ConfigurationError(f"{place}: {_first_line(error)}") from error


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep a second upgrade waiting; on SQLite the transaction itself does."""
    wait = _LOCK_WAIT // timedelta(seconds=1)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('sagaworks'))")
        connection.commit()
        yield
        connection.exec_driver_sql("SELECT pg_advisory_unlock(hashtext('sagaworks'))")
        connection.commit()
    elif connection.dialect.name == "mariadb":
        name = "concat('sagaworks.', database())"
        got = connection.exec_driver_sql(f"SELECT get_lock({name}, {wait})").scalar()
        connection.commit()
        if got != 1:
            raise ConfigurationError("another upgrade of its database is under way")
        yield
        connection.exec_driver_sql(f"SELECT release_lock({name})")
        connection.commit()
    else:
        yield


def _refuse_anothers(connection: Connection, service_name: str) -> None:
    if not inspect(connection).has_table(version.name):
        return
    owners = set(connection.execute(select(version.c.service)).scalars()) - {None, service_name}
    if owners:
        why = f"it is the database of {owners.pop()}, not of {service_name}"
        url = connection.engine.url.render_as_string(hide_password=True)
        raise ConfigurationError(f"{service_name}: {url}: {why}")


def _keep_service(connection: Connection, service_name: str) -> None:
    if inspect(connection).has_table(version.name):
        connection.execute(update(version).values(service=service_name))


@contextmanager
def _in_one_line(service_name: str, folder: Path, dialect: str) -> Iterator[None]:
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
        why = _database_line(service_name, error, folder)
        raise ConfigurationError(why + _half_done(error, folder, dialect)) from error
    except Exception as error:
        kind = "" if isinstance(error, Warning) else f"{type(error).__name__}: "
        why = f"{service_name}: {_place(error, folder)}: {kind}{_first_line(error)}"
        raise ConfigurationError(why + _half_done(error, folder, dialect)) from error


def _unknown(error: Exception) -> str:
    found = re.search(r"Can't locate revision identified by '(\w+)'", str(error))
    if found:
        return f"no revision {found[1]}, which the database has: are the migrations older than it?"
    return _first_line(error)


def _database_line(service_name: str, error: DBAPIError, folder: Path) -> str:
    reason = reason_of(error)
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY or is_lock_wait(error):
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


def _half_done(error: Exception, folder: Path, dialect: str) -> str:
    """MariaDB commits each change of a table at once: a revision that fails there stays half done.

    What it did before (mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit) stands.
    """
    if dialect != "mariadb" or _place(error, folder) == str(folder):
        return ""
    return "; MariaDB keeps what the revision did before that line: undo it, then upgrade again"


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
