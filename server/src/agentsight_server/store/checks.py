"""What `agentsight doctor` and the health checks ask of the store itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, func, select, text, update

from agentsight_server.store import dialect
from agentsight_server.store.conversations import latest_revision
from agentsight_server.store.messages import messages
from agentsight_server.store.schema import (
    agents,
    api_keys,
    attachments,
    conversations,
    counters,
    items,
    people,
    sessions,
)

_MOST = 1_000


def answers(connection: Connection) -> None:
    """Return when the store has answered."""
    connection.execute(text("SELECT 1"))


def takes_a_write(connection: Connection) -> None:
    """Write something that changes nothing: a revision is left out. SQLite does not write what stays the same."""
    connection.execute(
        update(counters).where(counters.c.name == "revision").values(value=counters.c.value + 1)
    )


def lagging_numbers(connection: Connection) -> list[str]:
    """The running numbers that are behind what is stored; none, unless somebody wrote by hand."""
    highest = connection.execute(select(func.max(conversations.c.revision))).scalar() or 0
    lagging = ["revision"] if latest_revision(connection) < highest else []
    for table in (conversations, items):
        last = connection.execute(select(func.max(table.c.id))).scalar() or 0
        if dialect.last_number(connection, table.name, last) < last:
            lagging.append(table.name)
    return lagging


def miscounted(connection: Connection) -> list[int]:
    """Conversations that say another number of messages than they have, a thousand at most."""
    said = (
        select(items.c.conversation, func.count().label("said"))
        .where(messages(items))
        .group_by(items.c.conversation)
        .subquery()
    )
    query = (
        select(conversations.c.id)
        .outerjoin(said, said.c.conversation == conversations.c.id)
        .where(conversations.c.erasure.is_(None), conversations.c.messages != func.coalesce(said.c.said, 0))
        .order_by(conversations.c.id)
    )
    return list(connection.execute(query.limit(_MOST)).scalars())


def named_files(connection: Connection) -> dict[str, tuple[int, str]]:
    """The attachments that rows name: {hash: (bytes, one of its names)}."""
    sha = attachments.c.sha256
    query = select(sha, func.min(attachments.c.size_bytes), func.min(attachments.c.filename)).group_by(sha)
    return {row[0]: (int(row[1]), row[2]) for row in connection.execute(query)}


def counts_by_agent(connection: Connection) -> dict[str, dict[int, int]]:
    """What figures are counted from, of conversations that are not deleted: {what: {agent: how many}}."""
    alive = conversations.c.is_deleted.is_(False)
    talks = select(conversations.c.agent_id, func.count()).where(alive).group_by(conversations.c.agent_id)
    said = (
        select(items.c.agent_id, func.count())
        .join(conversations, conversations.c.id == items.c.conversation)
        .where(alive, messages(items))
        .group_by(items.c.agent_id)
    )
    return {"conversations": _counted(connection, talks), "messages": _counted(connection, said)}


def _counted(connection: Connection, query: Any) -> dict[int, int]:
    return {int(agent): int(count) for agent, count in connection.execute(query)}


def latest_stamp(connection: Connection) -> int:
    """The latest time that the server itself wrote down, in microseconds."""
    stamped: tuple[Table, ...] = (agents, api_keys, people, sessions)
    return max(connection.execute(select(func.max(each.c.created_at))).scalar() or 0 for each in stamped)


def ending_after(connection: Connection, moment: int) -> int:
    """How many conversations end after a moment."""
    query = select(func.count()).select_from(conversations).where(conversations.c.ended_at > moment)
    return int(connection.execute(query).scalar_one())
