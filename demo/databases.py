"""Which service keeps its data where: in SQLite files, or on two servers of the demo's own."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Final

from sagaworks.engine.locks import exclusive
from sagaworks.roles import create_database
from sagaworks.testing.servers import MariaDB, PostgreSQL, Server
from sagaworks.testing.servers.programs import Note


class Databases(StrEnum):
    """What `--db` chooses from."""

    SQLITE = "sqlite"
    SERVERS = "servers"


PLACES: Final[Mapping[str, type[Server]]] = {
    "orders": PostgreSQL,
    "payments": PostgreSQL,
    "inventory": MariaDB,
    "flights": PostgreSQL,
    "hotels": MariaDB,
}
"""What `--db servers` puts on a server; shipping and cars stay on SQLite: all three are seen."""

_ROLES: Final = {"owner": "OWNER_URL", "worker": "DATABASE_URL"}


class Servers:
    """One PostgreSQL, one MariaDB, and a database on them for each service that wants one."""

    def __init__(self, folder: Path, cache: Path, note: Note) -> None:
        """Start nothing yet; data and passwords are kept in `folder`, programs in `cache`."""
        self.folder = folder
        self.cache = cache
        self.note = note
        self.running: dict[type[Server], Server] = {}
        self._stack = ExitStack()

    def start(self) -> None:
        """Start both; make the services' databases and roles if they aren't there.

        Raises:
            SagaworksError: one can't be had or doesn't start; says what to do.
        """
        for kind in dict.fromkeys(PLACES.values()):
            started = kind.started(self._home_of(kind), cache=self.cache, on_note=self.note)
            self.running[kind] = self._stack.enter_context(started)
        if not self._passwords_file.exists():
            self._make_databases()

    def stop(self) -> None:
        """Stop both; their data stays."""
        self._stack.close()
        self.running.clear()

    def check(self) -> None:
        """Raise ServerError if one has ended."""
        for server in self.running.values():
            server.check()

    def await_end(self) -> None:
        """Wait for the servers of a demo that was killed: they end by themselves, in a moment."""
        for kind in set(PLACES.values()):
            lock = self._home_of(kind) / "running.lock"
            if lock.exists():
                with exclusive(
                    lock, lambda: self.note("the servers of an earlier demo are ending")
                ):
                    pass

    def urls(self) -> dict[str, str]:
        """Return the environment that tells each service its database.

        `<SERVICE>_DATABASE_URL` is for its worker, who works with rows, `<SERVICE>_OWNER_URL` for
        whoever migrates it: no worker is told that one.
        """
        passwords = json.loads(self._passwords_file.read_text())
        return {
            f"{service.upper()}_{variable}": self.running[kind].url(
                service, f"{service}_{role}", passwords[f"{service}_{role}"]
            )
            for service, kind in PLACES.items()
            for role, variable in _ROLES.items()
        }

    def __str__(self) -> str:
        """Say which they are, and for whom."""
        return ", ".join(
            f"{kind.wanted.name} at port {server.port} ({', '.join(_services_on(kind))})"
            for kind, server in self.running.items()
        )

    @property
    def _passwords_file(self) -> Path:
        return self.folder / "passwords.json"

    def _home_of(self, kind: type[Server]) -> Path:
        return self.folder / kind.wanted.name.lower()

    def _make_databases(self) -> None:
        passwords = {
            f"{service}_{role}": secrets.token_urlsafe(24) for service in PLACES for role in _ROLES
        }
        for service, kind in PLACES.items():
            admin = self.running[kind].admin_url()
            owner, worker = (passwords[f"{service}_{role}"] for role in ("owner", "worker"))
            create_database(admin, service, owner, worker)
        draft = self._passwords_file.with_suffix(".draft")
        made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(made, "w") as stream:
            json.dump(passwords, stream)
        draft.rename(self._passwords_file)


def _services_on(kind: type[Server]) -> list[str]:
    return [service for service, place in PLACES.items() if place is kind]
