"""The ledger's contracts on PostgreSQL, and what is PostgreSQL's own."""

from collections.abc import Iterator
from itertools import count

import pytest

from sagaworks.testing.servers import Server
from tests.stores.awaiting import AsyncContract, Awaiting
from tests.stores.faults import FaultContract
from tests.stores.group import GroupContract
from tests.stores.remote import RemoteContract
from tests.stores.server import ServerContract
from tests.stores.steps import StepContract
from tests.stores.takeover import TakeoverContract
from tests.stores.undo import UndoContract
from tests.stores.world import migrate

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def empty_database(postgresql) -> str:
    """A migrated database without rows, which each test gets a copy of."""
    postgresql.drop_database("shop")
    postgresql.create_database("shop")
    migrate(postgresql.admin_url("shop"))
    return "shop"


@pytest.fixture
def database_url(postgresql, empty_database: str) -> Iterator[str]:
    name = f"shop_{next(_NUMBERS)}"
    postgresql.create_database(name, template=empty_database)
    yield postgresql.admin_url(name)
    postgresql.drop_database(name)


class TestStepsOnPostgreSQL(StepContract): ...


class TestUndoOnPostgreSQL(UndoContract): ...


class TestTakeoverOnPostgreSQL(TakeoverContract): ...


class TestRemoteOnPostgreSQL(RemoteContract): ...


class TestFaultsOnPostgreSQL(FaultContract): ...


class TestGroupsOnPostgreSQL(GroupContract): ...


class TestAsyncOnPostgreSQL(AsyncContract): ...


class TestAwaitedStepsOnPostgreSQL(Awaiting, StepContract): ...


class TestAwaitedUndoOnPostgreSQL(Awaiting, UndoContract): ...


class TestAwaitedRemoteOnPostgreSQL(Awaiting, RemoteContract): ...


class TestAwaitedFaultsOnPostgreSQL(Awaiting, FaultContract): ...


class TestServerOnPostgreSQL(ServerContract):
    RAISES = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"
    ITSELF = "SELECT pg_backend_pid()"
    END = "SELECT pg_terminate_backend({number})"
    ISOLATION = "SHOW transaction_isolation"

    @pytest.fixture
    def server(self, postgresql) -> Server:
        return postgresql

    @pytest.fixture(
        params=[
            "40001",
            "40P01",
            "55P03",
            "53100",
            "53200",
            "53300",
            "57P01",
            "57P03",
            "25006",
            "58030",
            "08006",
        ]
    )
    def world_code(self, request) -> str:
        return request.param

    @pytest.fixture(params=["23505", "22012", "42601", "57014", "P0001"])
    def own_code(self, request) -> str:
        return request.param
