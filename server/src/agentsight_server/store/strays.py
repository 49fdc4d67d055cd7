"""Conversations that were tracked where no conversation was chosen, by the place in the code that did so."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from agentsight_server.store import dialect
from agentsight_server.store.conversation_filters import Agents, visible
from agentsight_server.store.dialect import json_text
from agentsight_server.store.schema import conversations

MOST_PLACES = 20


class StrayRow(msgspec.Struct, frozen=True):
    """A place in the code, None where it was not told: how many conversations it made, and when the last one began
    (microseconds)."""

    place: str | None
    count: int
    last: int


def by_place(connection: Connection, agents: Agents, agent_id: int, *, since: int) -> list[StrayRow]:
    """The places that made conversations of that kind since then (microseconds), the latest first, at most
    MOST_PLACES.

    Example:
        >>> by_place(connection, {1}, 1, since=times.now() - 14 * times.DAY)
        [StrayRow(place='bot.py:41 in answer', count=3, last=1780000000000000)]
    """
    engine, table = dialect.of(connection), conversations.c
    # PostgreSQL takes two expressions with values in them for two different ones: named once, grouped by name.
    found = (
        select(json_text(engine, table.metadata, ["unattached_at"]).label("place"), table.started_at)
        .where(
            visible(agents),
            table.agent_id == agent_id,
            table.started_at >= since,
            table.is_deleted.is_(False),
            table.metadata.contains('"unattached":true'),  # few have it, and looking inside costs more
            json_text(engine, table.metadata, ["unattached"]) == "true",
        )
        .subquery()
    )
    last = func.max(found.c.started_at)
    query = select(found.c.place, func.count(), last).group_by(found.c.place).order_by(last.desc())
    return [StrayRow(*row) for row in connection.execute(query.limit(MOST_PLACES))]
