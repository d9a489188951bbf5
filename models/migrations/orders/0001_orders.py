"""The orders, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from models.money import Money
from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "orders",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("sku", sa.String(64), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount", Money(), nullable=False),
    )
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("orders")
