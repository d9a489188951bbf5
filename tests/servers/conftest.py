"""The two kinds of server, each test once for each."""

from collections.abc import Iterator

import pytest

from sagaworks.testing.servers import MariaDB, PostgreSQL, Server

KINDS = [
    pytest.param(PostgreSQL, id="PostgreSQL", marks=pytest.mark.postgresql),
    pytest.param(MariaDB, id="MariaDB", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Server]:
    """A kind that can be had here: the session's server has found that out, once for all."""
    kind = request.param
    request.getfixturevalue(_fixture_of(kind))
    return kind


@pytest.fixture
def server(kind: type[Server]) -> Iterator[Server]:
    """A server of the test's own, which it may kill."""
    with kind.started(fast=True) as started:
        yield started


@pytest.fixture
def lent(kind: type[Server], request: pytest.FixtureRequest) -> Server:
    """The session's server, for tests that only look."""
    return request.getfixturevalue(_fixture_of(kind))


def _fixture_of(kind: type[Server]) -> str:
    return kind.wanted.name.lower()
