"""The three databases: made once, emptied before each subject, counted after it."""

from dataclasses import dataclass

from sqlalchemy import Table, func, insert, select, text
from sqlmodel import SQLModel

from bench.shop import ITEMS, STEPS, Item, Movement
from bench.subjects.plain_pyzeebe import Inbox
from sagaworks.ledger import tables as of_the_ledger
from sagaworks.ledger.migration import create_ledger
from sagaworks.testing.servers import PostgreSQL

UNITS = 1_000_000_000
"""Of each item: nobody ever runs out."""


@dataclass(frozen=True)
class Effects:
    """What the databases say was done.

    Attributes:
        counts: movements by what they are called.
        doubled: movements that stand there more than once for one saga.
    """

    counts: dict[str, int]
    doubled: int


class Databases:
    """One database a service, all on one PostgreSQL server.

    Args:
        server: runs already; `create` makes them.
    """

    def __init__(self, server: PostgreSQL) -> None:
        """Connect to nothing yet."""
        self.server = server
        self.names = {role: f"bench_{role}" for role in STEPS}

    @property
    def tables(self) -> list[Table]:
        """Those that a subject writes."""
        ours = [_table(model) for model in (Movement, Inbox)]
        return [*ours, of_the_ledger.saga, of_the_ledger.ledger]

    def url(self, role: str) -> str:
        """The service's database, password and all."""
        return self.server.admin_url(self.names[role])

    def create(self) -> None:
        """Make them, in place of those an earlier run left."""
        for name in self.names.values():
            self.server.drop_database(name)
            self.server.create_database(name)
            with self.server.connected(name) as connection:
                models = [_table(model) for model in (Item, Movement, Inbox)]
                SQLModel.metadata.create_all(connection, models)
                create_ledger(connection)
                items = [{"id": number, "left": UNITS} for number in range(ITEMS)]
                connection.execute(insert(Item), items)

    def empty(self) -> None:
        """Let every subject begin on the same: nobody's rows, no dead ones, nothing to flush."""
        names = ", ".join(table.name for table in self.tables)
        for name in self.names.values():
            self.server.execute(f"TRUNCATE {names} RESTART IDENTITY", name)
            self.server.execute(f"VACUUM (FULL, ANALYZE) {_table(Item).name}", name)
        self.server.execute("CHECKPOINT")

    def effects(self) -> Effects:
        """Count what was done since `empty`."""
        counts: dict[str, int] = {}
        doubled = 0
        table = _table(Movement)
        each = select(table.c.saga, table.c.why).distinct().subquery()
        by_name = select(table.c.why, func.count()).group_by(table.c.why)
        for name in self.names.values():
            with self.server.connected(name) as connection:
                rows = connection.execute(by_name).all()
                here: dict[str, int] = {row[0]: row[1] for row in rows}
                counts |= here
                different = connection.execute(select(func.count()).select_from(each)).scalar_one()
                doubled += sum(here.values()) - different
        return Effects(counts, doubled)

    def about(self) -> dict[str, str]:
        """The server's version, and the settings that cost time or durability."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        more = ("shared_buffers", "max_connections", "wal_sync_method", "autovacuum")
        with self.server.connected() as connection:
            show = {name: connection.execute(text(f"SHOW {name}")) for name in (*names, *more)}
            return {name: str(found.scalar_one()) for name, found in show.items()}


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
