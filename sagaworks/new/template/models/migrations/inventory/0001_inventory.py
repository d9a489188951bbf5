"""The shelf with its first ten lamps, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    stock = op.create_table(
        "stock",
        sa.Column("sku", sa.String(64), primary_key=True),
        sa.Column("available", sa.Integer(), nullable=False),
    )
    op.bulk_insert(stock, [{"sku": "lamp", "available": 10}])
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("stock")
