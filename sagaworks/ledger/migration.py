"""The ledger's migrations, as operations that a service's own Alembic revision calls."""

from typing import Any, Protocol

from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from sagaworks.ledger import tables
from sagaworks.ledger.guards import GUARDS, CreateGuard, DropGuard


class Operations(Protocol):
    """What is needed of ``alembic.op``."""

    @property
    def execute(self) -> Any:  # noqa: ANN401  Alembic takes SQL in many forms
        """Send a statement."""


def create_ledger(op: Operations) -> None:
    """Create the ledger's tables; call it in `upgrade()` of the service's first revision.

    Args:
        op: ``from alembic import op``.
    """
    for table in tables.metadata.sorted_tables:
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))
    op.execute(tables.version.insert().values(version=tables.LEDGER_VERSION))
    for guard in GUARDS:
        op.execute(CreateGuard(guard))


def drop_ledger(op: Operations) -> None:
    """Drop the ledger's tables; call it in `downgrade()`.

    Every answer the service ever gave is gone then: only for a database without sagas.
    """
    for guard in GUARDS:
        op.execute(DropGuard(guard))
    for table in reversed(tables.metadata.sorted_tables):
        op.execute(DropTable(table))
