"""The ingest ledger

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FIGURES = ("requests", "conversations", "received", "accepted", "duplicate", "refused")


def upgrade() -> None:
    op.create_table(
        "ingest_ledger",
        sa.Column("key_id", _row_id, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _FIGURES),
        sa.PrimaryKeyConstraint("key_id", "day", name=op.f("pk_ingest_ledger")),
    )
    op.create_table(
        "ingest_refusals",
        sa.Column("key_id", _row_id, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "day", "reason", name=op.f("pk_ingest_refusals")),
    )


def downgrade() -> None:
    op.drop_table("ingest_refusals")
    op.drop_table("ingest_ledger")
