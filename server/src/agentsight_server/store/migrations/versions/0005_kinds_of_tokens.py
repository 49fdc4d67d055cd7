"""Kinds of tokens: cached, cache-writing, audio, reasoning

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PARTS = (
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
)


def upgrade() -> None:
    # One by one, not in a batch: a batch copies the whole table on SQLite.
    for name in _PARTS:
        op.add_column("token_usage", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for name in reversed(_PARTS):
        op.drop_column("token_usage", name)
