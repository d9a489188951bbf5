"""The two kinds of server, each test once for each."""

from collections.abc import Iterator

import pytest

from sagaworks.testing.servers import MariaDB, PostgreSQL, Server, ServersUnavailableError

KINDS = [
    pytest.param(PostgreSQL, id="PostgreSQL", marks=pytest.mark.postgresql),
    pytest.param(MariaDB, id="MariaDB", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Server]:
    return request.param


@pytest.fixture
def server(kind: type[Server]) -> Iterator[Server]:
    """A server of the test's own, which it may kill."""
    try:
        with kind.started(fast=True) as started:
            yield started
    except ServersUnavailableError as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture
def lent(kind: type[Server], request: pytest.FixtureRequest) -> Server:
    """The session's server, for tests that only look."""
    return request.getfixturevalue(kind.wanted.name.lower())
