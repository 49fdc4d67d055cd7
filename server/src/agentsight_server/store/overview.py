"""What an agent's pages say at a glance: how much goes on, and which values its conversations have."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from agentsight_server.domain.filters import FILTERS
from agentsight_server.store.schema import actions, conversations

# The columns whose values a sheet of filters offers.
COLUMNS = tuple(one.of_column for one in FILTERS if one.line == "seen" and one.of_column in conversations.c)


class Activity(msgspec.Struct, frozen=True):
    """An agent's conversations: how many since a moment, and the latest one (times in microseconds)."""

    recent: int = 0
    last_at: int | None = None
    first_question: str | None = None


def activity(connection: Connection, agent_id: int, since: int) -> Activity:
    """What went on at an agent since a moment; deleted and never used conversations aside."""
    table = conversations.c
    mine = (table.agent_id == agent_id, table.is_deleted.is_(False), table.is_used.is_(True))
    recent = connection.execute(select(func.count()).where(*mine, table.started_at >= since)).scalar_one()
    # The newest twenty hold the latest activity: the index knows when they began, not when they ended.
    newest = (
        select(table.ended_at, table.first_question)
        .where(*mine)
        .order_by(table.started_at.desc(), table.id.desc())
        .limit(20)
    )
    rows = connection.execute(newest).all()
    question = next((row.first_question for row in rows if row.first_question), None)
    return Activity(int(recent), max((row.ended_at for row in rows), default=None), question)


def recent_values(
    connection: Connection, agent_id: int, *, sample: int = 5_000, most: int = 100
) -> dict[str, list[str]]:
    """The values in COLUMNS, and the names of tools ("action_name"), of an agent's newest conversations.

    The most frequent come first. Only a sample is read: the whole table would be too slow for a menu.
    """
    table = conversations.c
    newest = (
        select(table.id, *(table[name] for name in COLUMNS))
        .where(table.agent_id == agent_id, table.is_deleted.is_(False))
        .order_by(table.started_at.desc(), table.id.desc())
        .limit(sample)
    )
    counts: dict[str, dict[str, int]] = {name: {} for name in COLUMNS}
    for row in connection.execute(newest):
        for name in COLUMNS:
            value = getattr(row, name)
            if value is not None:
                counts[name][value] = counts[name].get(value, 0) + 1
    found = {name: sorted(seen, key=lambda value: -seen[value])[:most] for name, seen in counts.items()}
    within = newest.with_only_columns(table.id).subquery()
    tools = (
        select(actions.c.action_name)
        .join(within, within.c.id == actions.c.conversation)
        .group_by(actions.c.action_name)
        .order_by(func.count().desc(), actions.c.action_name)
        .limit(most)
    )
    found["action_name"] = list(connection.execute(tools).scalars())
    return found
