"""The hotels and the stays in them, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "hotel",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("rooms", sa.Integer(), nullable=False),
        sa.Column("free", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("booked", sa.Integer(), nullable=False),
    )
    op.create_table(
        "stay",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("hotel", sa.String(64), nullable=False),
        sa.Column("rooms", sa.Integer(), nullable=False),
        sa.Column("confirmation", sa.String(64), nullable=False),
    )
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("stay")
    op.drop_table("hotel")
