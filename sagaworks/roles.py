"""A service's two roles: the owner migrates, the runtime role works and can't alter what it did."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    NullPool,
    create_engine,
    inspect,
    literal,
    literal_column,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError

from sagaworks.errors import ConfigurationError
from sagaworks.ledger import tables
from sagaworks.ledger.databases import database_at
from sagaworks.ledger.faults import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

_WAIT: Final = timedelta(seconds=5)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")

_CHANGEABLE: Final = {
    tables.saga.name: (
        "touched",
        "process_instance",
        "start_digest",
        "starting_at",
        "closed_began",
        "ended_in",
    ),
    tables.ledger.name: (
        "state",
        "process_instance",
        "element_instance",
        "jobs",
        "answer",
        "reports",
        "throw_accepted",
        "undone_by",
        "answered_at",
        "undone_at",
        "counted_at",
    ),
    tables.audit.name: ("became",),
}
"""What a worker may update in the ledger; triggers further say when, see `guards`."""


class Access(NamedTuple):
    """The two ways into a service's database; each holds a password, so never log it."""

    owner_url: str
    runtime_url: str


def create_database(
    admin_url: str, service: str, owner_password: str, runtime_password: str
) -> Access:
    """Make a service's database and its two roles on a server; what is there already is kept.

    The roles are called after the service, `inventory_owner` and `inventory_worker`, and get these
    passwords anew. Then `sagaworks db upgrade` makes the tables, and grants.

    Args:
        admin_url: of who may create roles and databases.
        service: also the database's name.
        owner_password: of the role that migrates.
        runtime_password: of the role that works.

    Raises:
        ConfigurationError: the server can't be reached, or doesn't allow it.
    """
    place = make_url(admin_url).set(database=service)
    owner = place.set(username=f"{service}_owner", password=owner_password)
    runtime = place.set(username=f"{service}_worker", password=runtime_password)
    create(admin_url, _whole(owner), _whole(runtime))
    return Access(_whole(owner), _whole(runtime))


def create(admin_url: str, owner_url: str, runtime_url: str) -> None:
    """Make the database and the two roles that these URLs name, with their passwords.

    Raises:
        ConfigurationError: the server can't be reached, or doesn't allow it, or the URLs disagree.
    """
    admin, owner, runtime = (on_server(url) for url in (admin_url, owner_url, runtime_url))
    _refuse_mistakes(owner, runtime)
    engine = create_engine(
        admin, isolation_level="AUTOCOMMIT", poolclass=NullPool, hide_parameters=True
    )
    try:
        with engine.connect() as connection:
            postgresql = connection.dialect.name == "postgresql"
            make = _on_postgresql if postgresql else _on_mariadb
            make(connection, owner, runtime)
    except DBAPIError as error:
        place = admin.render_as_string(hide_password=True)
        raise ConfigurationError(f"{place}: {reason_of(error)}") from None
    finally:
        engine.dispose()


def grant(connection: Connection, runtime: URL) -> None:
    """Let the runtime role do what a worker does, and no more; as owner, after each migration.

    On the service's own tables it reads and writes rows. In the ledger it inserts, and updates what
    may change; it takes back reservations; it deletes no execution, and alters no table.
    """
    role = _user(connection.dialect.name, _checked(runtime.username))
    quote = connection.dialect.identifier_preparer.quote
    for name in inspect(connection).get_table_names():
        for rights in _rights(name, connection.dialect.name):
            connection.exec_driver_sql(f"GRANT {rights} ON {quote(name)} TO {role}")
    if connection.dialect.name == "postgresql":
        schema = quote(str(inspect(connection).default_schema_name))
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        connection.exec_driver_sql(
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
        )


def on_server(url: str) -> URL:
    """Return the URL as SQLAlchemy takes it.

    Raises:
        ConfigurationError: it's malformed, or names no server.
    """
    found = database_at(url, _WAIT).url
    if found.get_backend_name() == "sqlite":
        raise ConfigurationError("SQLite has no roles: whoever may open the file may do everything")
    return found


def _rights(name: str, dialect: str) -> Iterator[str]:
    if name == tables.version.name:
        yield "SELECT"
    elif name in _CHANGEABLE:
        yield "SELECT, INSERT"
        yield (
            "UPDATE" if _is_upserted(name, dialect) else f"UPDATE ({', '.join(_CHANGEABLE[name])})"
        )
        if name == tables.saga.name:
            yield "DELETE"
    elif not name.endswith("_version"):
        yield "SELECT, INSERT, UPDATE, DELETE"


def _is_upserted(name: str, dialect: str) -> bool:
    """MariaDB's upsert wants the right to update every column it inserts; a trigger guards them."""
    return dialect == "mariadb" and name == tables.saga.name


def _refuse_mistakes(owner: URL, runtime: URL) -> None:
    if owner.database != runtime.database or not owner.database:
        raise ConfigurationError("the owner's URL and the worker's must name one database")
    if owner.username == runtime.username or not (owner.username and runtime.username):
        raise ConfigurationError("the owner's URL and the worker's must name a user each")


def _on_postgresql(connection: Connection, owner: URL, runtime: URL) -> None:
    database = _checked(owner.database)
    for role in (owner, runtime):
        name = _checked(role.username)
        verb = "ALTER" if _known(connection, "roles", "rolname", name) else "CREATE"
        secret = _encrypted(connection, name, role.password or "")
        connection.exec_driver_sql(f"""{verb} ROLE "{name}" LOGIN PASSWORD '{secret}'""")
    if not _known(connection, "database", "datname", database):
        made = f"""OWNER "{owner.username}" TEMPLATE template0 ENCODING 'UTF8'"""
        connection.exec_driver_sql(f'CREATE DATABASE "{database}" {made}')
    connection.exec_driver_sql(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    connection.exec_driver_sql(f'GRANT CONNECT ON DATABASE "{database}" TO "{runtime.username}"')


def _known(connection: Connection, catalogue: str, column: str, name: str) -> bool:
    known = table(f"pg_{catalogue}", literal_column(column))
    asked = select(literal(1)).select_from(known).where(literal_column(column) == name)
    return connection.execute(asked).scalar() is not None


def _encrypted(connection: Connection, name: str, password: str) -> str:
    """Return the password as the server keeps it: in the clear it could end in the server's log."""
    driver: Any = connection.connection.driver_connection
    scram = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return str(scram.decode())


def _on_mariadb(connection: Connection, owner: URL, runtime: URL) -> None:
    database = _checked(owner.database)
    connection.exec_driver_sql(
        f"CREATE DATABASE IF NOT EXISTS `{database}`"
        # The service's own keys then differ where they do elsewhere: lamp isn't Lamp.
        " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    )
    for role in (owner, runtime):
        user = _user("mariadb", _checked(role.username))
        connection.exec_driver_sql(f"CREATE USER IF NOT EXISTS {user}")
        connection.exec_driver_sql(f"ALTER USER {user} IDENTIFIED BY %s", (role.password or "",))
    # In a GRANT, an underscore would stand for any letter.
    of_all = database.replace("_", r"\_")
    user = _user("mariadb", str(owner.username))
    connection.exec_driver_sql(f"GRANT ALL ON `{of_all}`.* TO {user} WITH GRANT OPTION")


def _user(dialect: str, name: str) -> str:
    return f"'{name}'@'%%'" if dialect == "mariadb" else f'"{name}"'


def _checked(name: str | None) -> str:
    """Return a name that needs no quoting beyond its quotes.

    Raises:
        ConfigurationError: it would.
    """
    if not name or not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r}: a database or role is called by letters, digits, _, -")
    return name


def _whole(url: URL) -> str:
    return url.render_as_string(hide_password=False)
