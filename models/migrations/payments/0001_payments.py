"""The cards and their charges, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from models.money import Money
from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "card",
        sa.Column("number", sa.String(32), primary_key=True),
        sa.Column("balance", Money(), nullable=False),
        sa.Column("opened_with", Money(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "charge",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("order_key", sa.String(200), nullable=False, index=True),
        sa.Column("card", sa.String(32), nullable=False),
        sa.Column("amount", Money(), nullable=False),
        sa.Column("refunded", sa.Boolean(), nullable=False),
    )
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("charge")
    op.drop_table("card")
