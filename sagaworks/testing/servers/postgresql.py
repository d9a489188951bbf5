"""PostgreSQL, as a production server commits: durable, with passwords."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import ClassVar, Final

from sagaworks.testing.servers.programs import Wanted
from sagaworks.testing.servers.server import ADMIN, Server

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "dynamic_shared_memory_type": "mmap",  # in its data: a killed server leaves nothing elsewhere
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}


class PostgreSQL(Server):
    """A PostgreSQL server of our own; see `Server`."""

    wanted: ClassVar = Wanted(
        name="PostgreSQL",
        program="postgres",
        folders=("usr/lib/postgresql/*/bin", "usr/local/pgsql/bin", "opt/homebrew/bin"),
        package="postgresql",
        core=r"postgresql-\d+",
    )
    accounts: ClassVar = ("postgres",)
    driver: ClassVar = "postgresql+psycopg"
    extra: ClassVar = "postgres"
    no_database: ClassVar = "postgres"
    stop_signal: ClassVar = signal.SIGINT  # "fast": it ends its sessions, PostgreSQL 18.5
    signal_if_orphaned: ClassVar = signal.SIGQUIT  # "immediate": no process of it stays

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create an empty database, or a copy of the one named `template`, rows and all.

        Nobody may be connected to the template meanwhile; it is read from the files.
        """
        copied = f" TEMPLATE {_quoted(template)}" if template else ""
        self.execute(f"CREATE DATABASE {_quoted(name)}{copied}")

    def drop_database(self, name: str) -> None:
        """Remove the database, whoever is connected to it; it needn't exist."""
        self.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def _initialize(self, draft: Path) -> None:
        file = draft / "password"
        file.touch(mode=0o600)
        file.write_text(self._password)
        if self.account:
            self.account.own(file)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
        login = [f"--username={ADMIN}", f"--pwfile={file}", "--auth=scram-sha-256"]
        initdb = str(self.programs.beside("initdb"))
        self._run([initdb, f"--pgdata={draft}/cluster", *options, *login])
        file.unlink()

    def _command(self) -> list[str]:
        settings = _SETTINGS | {"port": str(self.port)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.programs.main), "-D", f"{self.data}/cluster", *words]


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
