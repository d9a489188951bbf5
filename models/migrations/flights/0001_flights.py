"""The flights and their bookings, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from models.money import Money
from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "flight",
        sa.Column("number", sa.String(16), primary_key=True),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("free", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("sold", sa.Integer(), nullable=False),
    )
    op.create_table(
        "booking",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("flight", sa.String(16), nullable=False),
        sa.Column("travellers", sa.Integer(), nullable=False),
        sa.Column("amount", Money(), nullable=False),
    )
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("booking")
    op.drop_table("flight")
