"""For pytest: the two servers as fixtures, and an honest word where they couldn't be had.

A test that asks for `postgresql` or `mariadb` is marked so. Where the server can't be had it is
skipped, named at the end of the run, and the run's exit code is then 4: not everything was run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import pytest

from sagaworks.testing.servers.errors import ServersUnavailableError
from sagaworks.testing.servers.mariadb import MariaDB
from sagaworks.testing.servers.postgresql import PostgreSQL
from sagaworks.testing.servers.server import Server

NOT_RUN: Final = 4
"""The exit code when all that ran has passed, and something could not be run."""

_FIXTURES: Final = ("postgresql", "mariadb")
S = TypeVar("S", bound=Server)
_MARK: Final = "not run: "


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """One PostgreSQL for the session (of each worker, where tests run in parallel)."""
    yield from _started(PostgreSQL, request.config)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    """One MariaDB for the session (of each worker, where tests run in parallel)."""
    yield from _started(MariaDB, request.config)


def _started(kind: type[S], config: pytest.Config) -> Iterator[S]:
    try:
        with kind.started(fast=True, on_note=_noter(config)) as server:
            yield server
    except ServersUnavailableError as error:
        pytest.skip(f"{_MARK}{error}")


def _noter(config: pytest.Config) -> Callable[[str], None] | None:
    """Return who speaks to the person at the terminal; a parallel worker has none."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return terminal.write_line if terminal else None


def pytest_configure(config: pytest.Config) -> None:
    """Know the marks."""
    for name in _FIXTURES:
        config.addinivalue_line("markers", f"{name}: needs that server, which starts by itself")
    config.pluginmanager.register(NotRun(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the servers that it asks for."""
    for item in items:
        for name in _FIXTURES:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)


class NotRun:
    """What could not be run, why, and how many tests that were; told after all else.

    It listens to reports, which come from parallel workers too.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Know of nothing yet."""
        self._config = config
        self._tests: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a test that found no server."""
        said = report.longrepr
        if report.skipped and isinstance(said, tuple) and _MARK in said[2]:
            why = said[2].partition(_MARK)[2]
            self._tests.setdefault(why, []).append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say by the exit code that not everything was run, unless something worse has happened."""
        if self._tests and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = NOT_RUN

    def pytest_unconfigure(self) -> None:
        """Say it in the last lines."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if not self._tests or terminal is None:
            return
        for why, tests in self._tests.items():
            terminal.write_line("")
            for test in tests:
                terminal.write_line(f"not run: {test}", yellow=True)
            count = f"{len(tests)} test{'s' * (len(tests) > 1)}"
            terminal.write_line(f"not run: {count}, {why}", yellow=True, bold=True)
