"""The cards, one of them good for 100.00, and the ledger of this service."""

import sqlalchemy as sa
from alembic import op

from sagaworks.ledger.migration import create_ledger, drop_ledger

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    card = op.create_table(
        "card",
        sa.Column("number", sa.String(32), primary_key=True),
        sa.Column("left_cents", sa.Integer(), nullable=False),
    )
    op.create_table(
        "charge",
        sa.Column("order_key", sa.String(200), primary_key=True),
        sa.Column("card", sa.String(32), nullable=False),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
    )
    op.bulk_insert(card, [{"number": "card-1", "left_cents": 10_000}])
    create_ledger(op)


def downgrade() -> None:
    """Drop the tables."""
    drop_ledger(op)
    op.drop_table("charge")
    op.drop_table("card")
