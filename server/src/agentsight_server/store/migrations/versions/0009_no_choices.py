"""No list of all labels ever clicked: it said nothing of what a person was offered

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("button_choices")


def downgrade() -> None:
    op.create_table(
        "button_choices",
        sa.Column("agent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("button_event", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_button_choices_agent_id")),
        sa.PrimaryKeyConstraint("agent_id", "button_event", "label", name=op.f("pk_button_choices")),
    )
