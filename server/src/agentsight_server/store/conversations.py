"""Conversations: filters, pages, single rows and changes. Every query here takes the agents that the viewer sees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from agentsight_server.domain import times
from agentsight_server.domain.filters import OF_EVENT, Filters
from agentsight_server.store import dialect, events
from agentsight_server.store.append import next_revision
from agentsight_server.store.conversation_filters import Agents, conditions, visible
from agentsight_server.store.rows import ConversationRow as ConversationRow
from agentsight_server.store.schema import conversations

ORDERINGS = ("started_at", "ended_at", "name", "customer_id", "messages", "id")


_row = select(*(conversations.c[field] for field in ConversationRow.__struct_fields__))


def count(connection: Connection, agents: Agents, filters: Filters) -> int:
    """How many conversations match."""
    query = select(func.count()).select_from(conversations)
    return int(
        connection.execute(query.where(*conditions(dialect.of(connection), agents, filters))).scalar_one()
    )


def among(connection: Connection, agents: Agents, filters: Filters, numbers: Collection[int]) -> list[int]:
    """Which of these conversations match the filters."""
    engine = dialect.of(connection)
    wanted = [*conditions(engine, agents, filters), dialect.among(engine, conversations.c.id, numbers)]
    return list(connection.execute(select(conversations.c.id).where(*wanted)).scalars())


def people(connection: Connection, agents: Agents, filters: Filters) -> int:
    """How many customers the matching conversations are with; those without a customer id have none."""
    wanted = conditions(dialect.of(connection), agents, filters)
    query = select(func.count(conversations.c.customer_id.distinct())).where(*wanted)
    return int(connection.execute(query).scalar_one())


def count_events(connection: Connection, agents: Agents, filters: Filters) -> int:
    """How many events as `filters` look for are in the matching conversations; of tokens, how many these are.

    Example:
        >>> count_events(connection, {1}, Filters(event="tool", event_name="check_database"))
        52
    """
    engine = dialect.of(connection)
    others = filters.without(*OF_EVENT, "weekday", "hour")
    query = events.count_events(engine, filters, conditions(engine, agents, others))
    return dialect.whole(connection.execute(query).scalar_one())


def page(
    connection: Connection,
    agents: Agents,
    filters: Filters,
    *,
    ordering: str = "-started_at",
    offset: int = 0,
    limit: int = 10,
) -> list[ConversationRow]:
    """A page of matching conversations; `ordering` is one of ORDERINGS, with `-` for falling."""
    falling = ordering.startswith("-")
    column = conversations.c[ordering.removeprefix("-")]
    query = _row.where(*conditions(dialect.of(connection), agents, filters)).limit(limit).offset(offset)
    for each in (column, conversations.c.id):
        query = query.order_by(each.desc() if falling else each.asc())
    return _rows(connection, query)


def before(
    connection: Connection,
    agents: Agents,
    filters: Filters,
    *,
    cursor: tuple[int, int] | None = None,
    limit: int = 50,
) -> list[ConversationRow]:
    """Matching conversations, newest first, that began before the cursor (started_at, id)."""
    wanted = conditions(dialect.of(connection), agents, filters)
    table = conversations.c
    if cursor is not None:
        started_at, number = cursor
        wanted.append(
            and_(
                table.started_at <= started_at,
                or_(table.started_at < started_at, table.id < number),
            )
        )
    return _rows(
        connection,
        _row.where(*wanted).order_by(table.started_at.desc(), table.id.desc()).limit(limit),
    )


def oldest_first(
    connection: Connection,
    agents: Agents,
    filters: Filters,
    *,
    cursor: tuple[int, int] | None = None,
    up_to: int | None = None,
    limit: int = 200,
) -> list[ConversationRow]:
    """Matching conversations, oldest first, that began after the cursor (started_at, id), none with a number
    above `up_to`."""
    wanted = conditions(dialect.of(connection), agents, filters)
    table = conversations.c
    if cursor is not None:
        started_at, number = cursor
        wanted.append(
            and_(table.started_at >= started_at, or_(table.started_at > started_at, table.id > number))
        )
    if up_to is not None:
        wanted.append(table.id <= up_to)
    return _rows(connection, _row.where(*wanted).order_by(table.started_at, table.id).limit(limit))


def highest_number(connection: Connection) -> int:
    """The number of the conversation that was made last; 0 when there is none."""
    return int(connection.execute(select(func.max(conversations.c.id))).scalar() or 0)


def after_revision(
    connection: Connection, agents: Agents, filters: Filters, revision: int, *, limit: int = 50
) -> list[ConversationRow]:
    """Matching conversations that changed since that revision, newest change first."""
    wanted = [*conditions(dialect.of(connection), agents, filters), conversations.c.revision > revision]
    return _rows(connection, _row.where(*wanted).order_by(conversations.c.revision.desc()).limit(limit))


def latest_revision(connection: Connection) -> int:
    """The revision of the newest change that this connection sees."""
    return int(connection.exec_driver_sql("SELECT value FROM counters WHERE name = 'revision'").scalar() or 0)


def get(
    connection: Connection, agents: Agents, number: int, *, include_deleted: bool = False
) -> ConversationRow | None:
    """The conversation of that number, if the viewer sees its agent; a deleted one only when asked for."""
    return _one(connection, agents, conversations.c.id == number, include_deleted)


def lookup(
    connection: Connection, agents: Agents, conversation_id: str, *, include_deleted: bool = False
) -> ConversationRow | None:
    """The conversation of that text id; a deleted one only when asked for."""
    return _one(connection, agents, conversations.c.conversation_id == conversation_id, include_deleted)


def _one(
    connection: Connection, agents: Agents, which: ColumnElement[bool], include_deleted: bool
) -> ConversationRow | None:
    query = _row.where(visible(agents), which)
    if not include_deleted:
        query = query.where(conversations.c.is_deleted.is_(False))
    rows = _rows(connection, query)
    return rows[0] if rows else None


def of_customer(
    connection: Connection, agents: Agents, row: ConversationRow, *, limit: int = 10
) -> list[ConversationRow]:
    """The same customer's other conversations with the same agent, newest first."""
    if row.customer_id is None:
        return []
    query = _row.where(
        visible(agents),
        conversations.c.agent_id == row.agent_id,
        conversations.c.customer_id == row.customer_id,
        conversations.c.is_deleted.is_(False),
        conversations.c.id != row.id,
    )
    return _rows(connection, query.order_by(conversations.c.started_at.desc()).limit(limit))


def change(
    connection: Connection, agents: Agents, number: int, values: dict[str, Any]
) -> ConversationRow | None:
    """Set columns of a conversation that is not deleted and give it a new revision; None: there is none."""
    revision = next_revision(connection)
    done = connection.execute(
        update(conversations)
        .where(visible(agents), conversations.c.id == number, conversations.c.is_deleted.is_(False))
        .values(**values, revision=revision)
    )
    return get(connection, agents, number, include_deleted=True) if done.rowcount else None


def delete(connection: Connection, agents: Agents, number: int) -> ConversationRow | None:
    """Delete softly: the row stays, and is out of every list and figure until it is restored."""
    return change(connection, agents, number, {"is_deleted": True, "deleted_at": times.now()})


def restore(connection: Connection, agents: Agents, number: int) -> ConversationRow | None:
    """Take a deletion back; None: there is no such deleted conversation."""
    revision = next_revision(connection)
    done = connection.execute(
        update(conversations)
        .where(visible(agents), conversations.c.id == number, conversations.c.is_deleted.is_(True))
        .values(is_deleted=False, deleted_at=None, revision=revision)
    )
    return get(connection, agents, number) if done.rowcount else None


def _rows(connection: Connection, query: Select[Any]) -> list[ConversationRow]:
    return [ConversationRow(*row) for row in connection.execute(query)]


def ids(rows: Sequence[ConversationRow]) -> list[int]:
    """The rows' numbers."""
    return [row.id for row in rows]
