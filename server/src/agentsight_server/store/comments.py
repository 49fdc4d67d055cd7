"""What customers wrote beside their feedback."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from agentsight_server.domain.filters import Filters
from agentsight_server.store import dialect
from agentsight_server.store.conversation_filters import Agents, conditions
from agentsight_server.store.schema import conversations, feedbacks, items


class CommentRow(msgspec.Struct, frozen=True):
    """A comment, and the conversation that it is about; `at` in microseconds."""

    conversation: int
    at: int
    sentiment: str
    comment: str


def latest(
    connection: Connection, agents: Agents, filters: Filters, *, after: int, before: int, limit: int = 5
) -> list[CommentRow]:
    """Customers' comments given from `after` to `before` (both included) on matching conversations, newest first."""
    query = (
        select(feedbacks.c.conversation, items.c.timestamp, feedbacks.c.sentiment, feedbacks.c.comment)
        .join(items, items.c.id == feedbacks.c.item)
        .join(conversations, conversations.c.id == feedbacks.c.conversation)
        .where(
            *conditions(dialect.of(connection), agents, filters),
            feedbacks.c.source == "customer",
            feedbacks.c.comment != "",
            items.c.timestamp >= after,
            items.c.timestamp <= before,
        )
        .order_by(items.c.timestamp.desc(), items.c.id.desc())
        .limit(limit)
    )
    return [CommentRow(*row) for row in connection.execute(query)]
