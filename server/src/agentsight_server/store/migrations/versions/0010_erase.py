"""Erasing for good

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("conversations", sa.Column("erasure", row_id, nullable=True))
    op.create_index(
        op.f("ix_conversations_erasure"),
        "conversations",
        ["erasure"],
        sqlite_where=sa.text("erasure IS NOT NULL"),
        postgresql_where=sa.text("erasure IS NOT NULL"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", row_id, nullable=False),
        sa.Column("agent_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("subject", sa.LargeBinary(32), nullable=True),
        sa.Column("criterion", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_agent_id"), "erasures", ["agent_id"])
    op.create_table(
        "erased",
        sa.Column("agent_id", row_id, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("erasure", row_id, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("number", row_id, nullable=True),
        sa.PrimaryKeyConstraint("agent_id", "hash", name=op.f("pk_erased")),
    )
    op.create_index(op.f("ix_erased_revision"), "erased", ["revision"])
    op.create_table(
        "erased_files",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("erasure", row_id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("sha256", "erasure", name=op.f("pk_erased_files")),
    )


def downgrade() -> None:
    op.drop_table("erased_files")
    op.drop_table("erased")
    op.drop_table("erasures")
    op.drop_index(op.f("ix_conversations_erasure"), table_name="conversations")
    with op.batch_alter_table("conversations") as batch_op:
        batch_op.drop_column("erasure")
