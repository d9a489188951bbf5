"""A database server of our own: real, durable, on a free port of loopback."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, Self

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from sagaworks.engine.ports import is_free
from sagaworks.settings import Settings
from sagaworks.testing.servers.account import Account, unprivileged
from sagaworks.testing.servers.errors import ServerError
from sagaworks.testing.servers.initializing import run
from sagaworks.testing.servers.kept import Kept, Launch
from sagaworks.testing.servers.places import data_place, temporary_folder
from sagaworks.testing.servers.programs import Note, Programs, Wanted, programs

READY_SECONDS: Final = 90.0
"""From start to the first answer; recovery after a crash included."""

ADMIN: Final = "admin"
"""The user that may do everything on the server."""

_POLL_SECONDS: Final = 0.03
_CONNECT_SECONDS: Final = 5
# Below the ports that Linux gives to outgoing connections, which could take ours while we restart.
_PORTS: Final = range(15_000, 32_000)
_TRIES: Final = 100


class Server(ABC):
    """One server and its data folder; see `started`.

    Attributes:
        folder: what belongs to the server: data, log, password.
        port: on 127.0.0.1; the same over restarts.
    """

    wanted: ClassVar[Wanted]
    accounts: ClassVar[tuple[str, ...]]
    driver: ClassVar[str]
    extra: ClassVar[str]
    no_database: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    signal_if_orphaned: ClassVar[signal.Signals]

    def __init__(self, folder: Path, found: Programs, *, temporary: bool = False) -> None:
        """Start nothing yet."""
        self.folder = folder.absolute()
        self.port = _free_port()
        self.temporary = temporary
        self.programs = found
        self.account: Account | None = unprivileged(*self.accounts)
        self._place = self.folder
        self._password = ""
        self._kept: Kept | None = None

    @classmethod
    @contextmanager
    def started(
        cls,
        folder: Path | None = None,
        *,
        fast: bool = False,
        cache: Path | None = None,
        on_note: Note | None = None,
    ) -> Iterator[Self]:
        """Give a server that answers; stopped at the end, and also if this process is killed.

        Args:
            folder: for its data, which stays; what is there already is used. Without one the data
                is temporary.
            fast: temporary data may be in memory; how commits are done stays the same.
            cache: where downloaded programs are kept (`SAGAWORKS_CACHE`).

        Raises:
            ServersUnavailableError: there are no programs for it; says what to do.
            ServerError: it doesn't start; names its log.
        """
        note = on_note or (lambda _: None)
        found = programs(cls.wanted, cache or Settings.load().engine_cache, note)
        place = folder or temporary_folder(in_memory=fast)
        server = cls(place, found, temporary=folder is None)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            if server.temporary:
                shutil.rmtree(place, ignore_errors=True)

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        """The server's own data."""
        return self._place / "data"

    def admin_url(self, database: str | None = None) -> str:
        """Return the URL of who may do everything; it holds the password: never log it."""
        return self.url(database or self.no_database, ADMIN, self._password)

    def url(self, database: str, user: str, password: str) -> str:
        """Return the URL of a database for a user."""
        made = URL.create(self.driver, user, password, "127.0.0.1", self.port, database)
        return made.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start it on its folder and its port, and wait until it answers.

        Raises:
            ServerError: it doesn't start; names its log.
        """
        if self._kept and self._kept.runs():
            return
        self._prepare_folder()
        if not self.data.exists():
            self._make_data()
        self._kept = Kept(self._launch(self._command()))
        self._await_ready(self._kept)

    def stop(self) -> None:
        """Have it end in order; its data stays."""
        if self._kept:
            self._kept.stop()

    def restart(self) -> None:
        """Stop it, and start it again on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End it at once, as a crash would; `start` brings it back with what was committed."""
        if self._kept:
            self._kept.kill()

    def freeze(self) -> None:
        """Let it answer nobody, with its connections open, until `thaw`."""
        if self._kept:
            self._kept.freeze()

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        if self._kept:
            self._kept.thaw()

    def check(self) -> None:
        """Return if it runs.

        Raises:
            ServerError: it has ended; names its log.
        """
        if self._kept:
            self._kept.check()

    def processes(self) -> list[int]:
        """The server's processes, its main one first."""
        return self._kept.processes() if self._kept else []

    @contextmanager
    def connected(self, database: str | None = None) -> Iterator[Connection]:
        """Give a connection of the administrator's; each statement commits by itself."""
        engine = self._engine(self.admin_url(database))
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _engine(self, url: str) -> Engine:
        try:
            return create_engine(
                url,
                isolation_level="AUTOCOMMIT",
                poolclass=NullPool,
                connect_args={"connect_timeout": _CONNECT_SECONDS},
            )
        except ImportError as error:
            missing = f"the driver of {self.wanted.name} can't be loaded ({error})"
            raise ServerError(f"{missing}: pip install 'sagaworks[{self.extra}]'") from error

    def execute(self, statement: str, database: str | None = None) -> None:
        """Execute one statement as administrator."""
        with self.connected(database) as connection:
            connection.exec_driver_sql(statement)

    @abstractmethod
    def create_database(self, name: str, template: str | None = None) -> None:
        """Create an empty database, or a copy of the one named `template`, rows and all."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Remove the database, whoever is connected to it; it needn't exist."""

    @abstractmethod
    def _initialize(self, draft: Path) -> None:
        """Make the data of an empty server in the empty folder, with its administrator."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return how the server is run on `data`."""

    def _run(self, command: list[str], text: str = "") -> None:
        """Run a program of the server's to its end, as the server's account."""
        run(command, self.programs.environment(), self.account, text)

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServerError(f"{self.folder}: {error.strerror}; name another folder") from error
        file = self.folder / "password"
        with contextlib.suppress(FileExistsError):
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as stream:
                stream.write(secrets.token_urlsafe(24))
        self._password = file.read_text()
        self._place = data_place(self.folder, self.account)

    def _make_data(self) -> None:
        """Make it beside, so that an interrupted start leaves nothing half done."""
        draft = self._place / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self.account:
            self.account.own(draft)
        self._initialize(draft)
        draft.rename(self.data)

    def _launch(self, command: list[str]) -> Launch:
        return Launch(
            self.folder,
            command,
            self.programs.environment(),
            self.account,
            self.stop_signal,
            self.signal_if_orphaned,
            self.temporary,
        )

    def _await_ready(self, kept: Kept) -> None:
        until = time.monotonic() + READY_SECONDS
        while not self._answers():
            kept.check()
            if time.monotonic() > until:
                late = f"{self.wanted.name} doesn't answer after {READY_SECONDS:.0f} s"
                raise ServerError(f"{late}: see {self.log}")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            with self.connected():
                return True
        except DBAPIError as error:
            if isinstance(error, OperationalError):
                return False
            raise


def _free_port() -> int:
    for _ in range(_TRIES):
        port = random.choice(_PORTS)  # noqa: S311  no secret
        if is_free(port):
            return port
    raise ServerError(f"no free port on 127.0.0.1 from {_PORTS.start} to {_PORTS.stop}: free some")
