"""The shop's database on a server: made once, and emptied for each test, which takes a moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, delete

from sagaworks.ledger.guards import SAGAS, DropGuard
from sagaworks.ledger.tables import audit, doubt, ledger, saga
from sagaworks.testing.servers import Server
from tests.stores.shop import Table
from tests.stores.world import migrate


@contextmanager
def shop_on(server: Server) -> Iterator[Engine]:
    """Make the database; give an engine of who may empty it."""
    server.create_database("shop")
    migrate(server.admin_url("shop"))
    # Tests restart the server under it.
    engine = create_engine(server.admin_url("shop"), pool_pre_ping=True)
    with engine.begin() as connection:
        connection.execute(DropGuard(SAGAS))
    yield engine
    engine.dispose()


def empty(engine: Engine) -> str:
    """Delete all rows; return the URL."""
    with engine.begin() as connection:
        for table in (audit, doubt, ledger, saga, *Table.metadata.sorted_tables):
            connection.execute(delete(table))
    return engine.url.render_as_string(hide_password=False)
