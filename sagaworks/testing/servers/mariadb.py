"""MariaDB, as a production server commits: durable, with passwords."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sagaworks.testing.servers.errors import ServerError
from sagaworks.testing.servers.programs import Wanted
from sagaworks.testing.servers.server import ADMIN, Server

_SETTINGS: Final = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--socket=mariadb.sock",  # in its data: the path of a socket may have 107 characters only
    "--pid-file=mariadb.pid",
    "--character-set-server=utf8mb4",
    "--max-connections=200",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-doublewrite=ON",
    "--skip-log-bin",
)

_SYSTEM_TABLES: Final = (
    "system_tables",
    "performance_tables",
    "system_tables_data",
    "sys_schema",
)
"""What `mariadb-install-db` feeds to the server, help and geometry left out."""

_TABLES: Final = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type = 'BASE TABLE'"
)
_COLUMNS: Final = (
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER'"
    " ORDER BY ordinal_position"
)
_SESSIONS: Final = "SELECT id FROM information_schema.processlist WHERE db = %s"


class MariaDB(Server):
    """A MariaDB server of our own; see `Server`."""

    wanted: ClassVar = Wanted(
        name="MariaDB",
        program="mariadbd",
        folders=("usr/sbin", "usr/libexec", "usr/local/sbin", "opt/homebrew/bin"),
        package="mariadb-server",
        core=r"mariadb-server-core(-[\d.]+)?",
    )
    accounts: ClassVar = ("mysql",)
    driver: ClassVar = "mariadb+pymysql"
    extra: ClassVar = "mariadb"
    no_database: ClassVar = ""
    stop_signal: ClassVar = signal.SIGTERM
    signal_if_orphaned: ClassVar = signal.SIGKILL  # its log is durable, so nothing is lost

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create an empty database, or a copy of the one named `template`: its tables and rows."""
        self.execute(f"CREATE DATABASE {_quoted(name)}")
        if template:
            with self.connected(name) as connection:
                _copy(connection, template, name)

    def drop_database(self, name: str) -> None:
        """Remove the database, whoever is connected to it; it needn't exist."""
        with self.connected() as connection:
            for session in _ask(connection, _SESSIONS, name):
                # It may have ended by itself meanwhile: that's no error.
                with contextlib.suppress(OperationalError):
                    connection.exec_driver_sql(f"KILL CONNECTION {session}")
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quoted(name)}")

    def _initialize(self, draft: Path) -> None:
        password = self._password.replace("'", "")
        login = f"'{ADMIN}'@'127.0.0.1'"
        script = [
            "CREATE DATABASE IF NOT EXISTS mysql;",
            "USE mysql;",
            "SET @auth_root_socket = NULL;",
            *(self._script(name) for name in _SYSTEM_TABLES),
            "USE mysql;",
            "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');",
            "FLUSH PRIVILEGES;",
            f"CREATE USER {login} IDENTIFIED BY '{password}';",
            f"GRANT ALL PRIVILEGES ON *.* TO {login} WITH GRANT OPTION;",
        ]
        options = ["--bootstrap", "--log-warnings=0", "--max-allowed-packet=8M"]
        self._run([*self._program(draft), *options], "\n".join(script) + "\n")

    def _command(self) -> list[str]:
        return [*self._program(self.data), f"--port={self.port}", *_SETTINGS]

    def _program(self, data: Path) -> list[str]:
        base = self.programs.main.parent.parent
        folders = [f"--basedir={base}", f"--datadir={data}", f"--lc-messages-dir={self._share()}"]
        return [str(self.programs.main), "--no-defaults", *folders]

    def _share(self) -> Path:
        base = self.programs.main.parent.parent
        for folder in (base / "share" / "mysql", base / "share" / "mariadb"):
            if folder.is_dir():
                return folder
        raise ServerError(f"{base / 'share'}: no files of MariaDB; install the server again")

    def _script(self, name: str) -> str:
        """Read one of the server's own scripts: version 11 has renamed them."""
        for family in ("mysql", "mariadb"):
            file = self._share() / f"{family}_{name}.sql"
            if file.exists():
                return file.read_text()
        raise ServerError(f"{self._share()}: no {name}.sql; install the server again")


def _copy(connection: Connection, template: str, name: str) -> None:
    connection.exec_driver_sql("SET foreign_key_checks = 0")
    for table in _ask(connection, _TABLES, template):
        source, copy = (f"{_quoted(database)}.{_quoted(table)}" for database in (template, name))
        made = connection.exec_driver_sql(f"SHOW CREATE TABLE {source}").one()[1]
        connection.exec_driver_sql(made.replace("%", "%%"))
        columns = ", ".join(map(_quoted, _ask(connection, _COLUMNS, template, table)))
        filled = f"INSERT INTO {copy} ({columns}) SELECT {columns} FROM {source}"  # noqa: S608
        connection.exec_driver_sql(filled.replace("%", "%%"))


def _ask(connection: Connection, query: str, *given: str) -> list[Any]:
    return list(connection.exec_driver_sql(query, given).scalars())


def _quoted(name: str) -> str:
    return "`{}`".format(name.replace("`", "``"))
