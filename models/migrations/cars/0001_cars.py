"""The rentals, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rental",
        sa.Column("number", sa.String(64), primary_key=True),
        sa.Column("car_class", sa.String(32), nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
    )
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("rental")
