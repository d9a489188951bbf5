"""The ledger's contracts on PostgreSQL, and what is PostgreSQL's own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sagaworks.testing.servers import Server
from tests.stores.audit import AuditContract
from tests.stores.awaiting import AsyncContract, Awaiting
from tests.stores.emptied import empty, shop_on
from tests.stores.faults import FaultContract
from tests.stores.group import GroupContract
from tests.stores.line import LineContract
from tests.stores.remote import RemoteContract
from tests.stores.server import ServerContract
from tests.stores.settle import SettleContract
from tests.stores.steps import StepContract
from tests.stores.takeover import TakeoverContract
from tests.stores.undo import UndoContract
from tests.stores.versions import VersionContract


@pytest.fixture(scope="session")
def shop(postgresql) -> Iterator[Engine]:
    with shop_on(postgresql) as engine:
        yield engine


@pytest.fixture
def database_url(shop: Engine) -> str:
    return empty(shop)


class TestStepsOnPostgreSQL(StepContract): ...


class TestUndoOnPostgreSQL(UndoContract): ...


class TestVersionsOnPostgreSQL(VersionContract): ...


class TestTakeoverOnPostgreSQL(TakeoverContract): ...


class TestSettleOnPostgreSQL(SettleContract): ...


class TestAuditOnPostgreSQL(AuditContract): ...


class TestRemoteOnPostgreSQL(RemoteContract): ...


class TestFaultsOnPostgreSQL(FaultContract): ...


class TestGroupsOnPostgreSQL(GroupContract): ...


class TestLineOnPostgreSQL(LineContract): ...


class TestAsyncOnPostgreSQL(AsyncContract): ...


class TestAwaitedStepsOnPostgreSQL(Awaiting, StepContract): ...


class TestAwaitedUndoOnPostgreSQL(Awaiting, UndoContract): ...


class TestAwaitedRemoteOnPostgreSQL(Awaiting, RemoteContract): ...


class TestAwaitedFaultsOnPostgreSQL(Awaiting, FaultContract): ...


class TestServerOnPostgreSQL(ServerContract):
    RAISES = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"
    ITSELF = "SELECT pg_backend_pid()"
    END = "SELECT pg_terminate_backend({number}, 5000)"
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
