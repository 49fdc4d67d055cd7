"""One vote of a customer for the conversation and for each message

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conversations", sa.Column("rewritten", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("feedbacks", sa.Column("message", sa.LargeBinary(16)))
    op.add_column("feedbacks", sa.Column("slot", sa.LargeBinary(16)))
    op.create_index("uq_feedbacks_slot", "feedbacks", ["conversation", "slot"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_feedbacks_slot", "feedbacks")
    op.drop_column("feedbacks", "slot")
    op.drop_column("feedbacks", "message")
    op.drop_column("conversations", "rewritten")
