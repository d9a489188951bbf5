"""The two kinds of server, each test once for each."""

from collections.abc import Iterator

import pytest

from sagaworks.testing.servers import MariaDB, PostgreSQL, Server, ServersUnavailableError

KINDS = (PostgreSQL, MariaDB)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
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
