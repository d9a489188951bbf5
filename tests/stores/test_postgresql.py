"""The ledger's contracts on PostgreSQL, and what is PostgreSQL's own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, Select

from sagaworks.reconcile import effects
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
from tests.stores.world import TENANT, World


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


class TestSettleOnPostgreSQL(SettleContract):
    @pytest.mark.parametrize(
        "sweeps, after, index",
        [
            (effects._UNCOUNTED, 0, "sagaworks_uncounted"),
            (effects._NOT_ENDED, "", "sagaworks_not_ended"),
        ],
    )
    def test_a_sweep_goes_through_nothing_that_is_settled(
        self, world: World, sweeps: Select, after: object, index: str
    ) -> None:
        asked = sweeps.params(tenant=TENANT, after=after, seconds=3, portion=100)
        with world.store.reading() as connection:
            text = asked.compile(connection, compile_kwargs={"literal_binds": True})
            # In a table so small it would rather read and sort all of it.
            for way in ("enable_seqscan", "enable_sort"):
                connection.exec_driver_sql(f"SET LOCAL {way} = off")
            plan = " ".join(connection.exec_driver_sql(f"EXPLAIN {text}").scalars())

        assert f"Index Scan using {index}" in plan


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
