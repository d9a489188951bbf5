"""The ledger's contracts on MariaDB, and what is MariaDB's own."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from sagaworks.ledger.store import Store
from sagaworks.testing.servers import MariaDB, Server
from tests.stores.audit import AuditContract
from tests.stores.awaiting import AsyncContract, Awaiting
from tests.stores.emptied import empty, shop_on
from tests.stores.faults import FaultContract
from tests.stores.group import GroupContract
from tests.stores.remote import RemoteContract
from tests.stores.server import ServerContract
from tests.stores.settle import SettleContract
from tests.stores.steps import StepContract
from tests.stores.takeover import TakeoverContract
from tests.stores.undo import UndoContract
from tests.stores.versions import VersionContract


@pytest.fixture(scope="session")
def shop(mariadb) -> Iterator[Engine]:
    with shop_on(mariadb) as engine:
        yield engine


@pytest.fixture
def database_url(shop: Engine) -> str:
    return empty(shop)


class TestStepsOnMariaDB(StepContract): ...


class TestUndoOnMariaDB(UndoContract): ...


class TestVersionsOnMariaDB(VersionContract): ...


class TestTakeoverOnMariaDB(TakeoverContract): ...


class TestSettleOnMariaDB(SettleContract): ...


class TestAuditOnMariaDB(AuditContract): ...


class TestRemoteOnMariaDB(RemoteContract): ...


class TestFaultsOnMariaDB(FaultContract): ...


class TestGroupsOnMariaDB(GroupContract): ...


class TestAsyncOnMariaDB(AsyncContract): ...


class TestAwaitedStepsOnMariaDB(Awaiting, StepContract): ...


class TestAwaitedUndoOnMariaDB(Awaiting, UndoContract): ...


class TestAwaitedRemoteOnMariaDB(Awaiting, RemoteContract): ...


class TestAwaitedFaultsOnMariaDB(Awaiting, FaultContract): ...


def test_a_server_that_vanished_without_a_word_is_noticed(mariadb: MariaDB) -> None:
    store = Store(mariadb.admin_url("mysql"), wait=timedelta(seconds=9))
    with store.reading() as connection:
        line = connection.connection.driver_connection._sock

        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 3
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 9000
    store.close()


class TestServerOnMariaDB(ServerContract):
    RAISES = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}"
    ITSELF = "SELECT connection_id()"
    END = "KILL CONNECTION {number}"
    ISOLATION = "SELECT @@tx_isolation"

    @pytest.fixture
    def server(self, mariadb) -> Server:
        return mariadb

    @pytest.fixture(params=["1205", "1213", "1021", "1114", "1040", "1053", "1290", "1836", "1030"])
    def world_code(self, request) -> str:
        return request.param

    @pytest.fixture(params=["1062", "1146", "1364", "1644"])
    def own_code(self, request) -> str:
        return request.param
