"""Which conversations are meant: the filters of domain/filters.py as conditions on rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, func, or_, select

from agentsight_server.domain.filters import Filter, Filters
from agentsight_server.store import dialect, events
from agentsight_server.store.dialect import among, contains, json_text
from agentsight_server.store.messages import messages
from agentsight_server.store.schema import (
    AGENT,
    END_USER,
    actions,
    conversations,
    feedbacks,
    items,
)
from agentsight_server.store.searching import is_named, says

Agents = Collection[int] | None  # None: every agent
Condition = ColumnElement[bool]
# One filter and its value; or several that are one condition together.
Alone = Callable[[dialect.Dialect, ColumnElement[Any], Any], Condition]
Together = Callable[[Filters], list[Condition]]


def visible(agents: Agents) -> Condition:
    """The one condition by which a viewer's queries are scoped."""
    # What is being erased is there for nobody.
    there = conversations.c.erasure.is_(None)
    if agents is None:
        return there
    return and_(conversations.c.agent_id.in_(sorted(agents)), there)


def conditions(engine: dialect.Dialect, agents: Agents, filters: Filters) -> list[Condition]:
    """What a conversation has to meet for a viewer who sees these agents."""
    wanted = [visible(agents)]
    if not filters["include_deleted"]:
        wanted.append(conversations.c.is_deleted.is_(False))
    # What is asked of a session, where figures have cut conversations; else of the conversation as a whole.
    of_sessions: list[Condition] = []
    threads: tuple[Collection[int], Collection[int]] | None = filters["threads"]
    for one in filters:
        if one.ask in ALONE:
            condition = ALONE[one.ask](engine, _column(one), filters[one.name])
            part = of_sessions if one.ask in OF_SESSIONS or one.name == "is_used" else wanted
            part.append(condition)
    for ask in dict.fromkeys(one.ask for one in filters):
        if ask in TOGETHER:
            (of_sessions if ask in OF_SESSIONS else wanted).extend(TOGETHER[ask](filters))
    if threads is None:
        return wanted + of_sessions
    listed, others = threads
    whole = and_(*of_sessions, ~among(engine, conversations.c.id, others))
    return [*wanted, or_(whole, among(engine, conversations.c.id, listed))]


def _column(one: Filter) -> ColumnElement[Any]:
    # What is no column is told apart by its `ask`, and looks at none.
    return conversations.c.get(one.of_column, conversations.c.id)


def _absent(engine: dialect.Dialect, column: ColumnElement[Any], absent: bool) -> Condition:
    nothing = func.coalesce(column, "") == ""
    return nothing if absent else ~nothing


def _language(engine: dialect.Dialect, column: ColumnElement[Any], language: str) -> Condition:
    spoken = func.lower(func.replace(column, "_", "-"))
    return or_(spoken == language, spoken.startswith(language + "-", autoescape=True))


def _tag(engine: dialect.Dialect, column: ColumnElement[Any], tag: str) -> Condition:
    return func.lower(func.replace(column, "_", "-")) == tag


def _metadata(
    engine: dialect.Dialect, column: ColumnElement[Any], pairs: tuple[tuple[str, str], ...]
) -> Condition:
    found: list[Condition] = []
    for key, value in pairs:
        inside = json_text(engine, column, key.split(".")) == value
        found.append(or_(inside, json_text(engine, column, [key]) == value) if "." in key else inside)
    return and_(*found)


def _search(engine: dialect.Dialect, column: ColumnElement[Any], needle: str) -> Condition:
    return or_(is_named(engine, needle), says(engine, needle))


def _says(engine: dialect.Dialect, column: ColumnElement[Any], needle: str) -> Condition:
    return says(engine, needle)


def _action(engine: dialect.Dialect, column: ColumnElement[Any], names: str | tuple[str, ...]) -> Condition:
    """An action of that name, or of one of those names, at any time."""
    name = actions.c.action_name
    return _some(actions, name == names if isinstance(names, str) else name.in_(names))


def _helpful(engine: dialect.Dialect, column: ColumnElement[Any], helpful: bool) -> Condition:
    content = _some(feedbacks, feedbacks.c.source == "customer", feedbacks.c.sentiment == "positive")
    return content if helpful else ~content


def _messages(engine: dialect.Dialect, column: ColumnElement[Any], some: bool) -> Condition:
    return conversations.c.messages > 0 if some else conversations.c.messages == 0


def _unanswered(engine: dialect.Dialect, column: ColumnElement[Any], unanswered: bool) -> Condition:
    last = _last_speaker()
    return last == END_USER if unanswered else func.coalesce(last, AGENT) != END_USER


def _last_speaker() -> Any:
    return (
        select(items.c.sender)
        .where(
            items.c.conversation == conversations.c.id,
            messages(items),
        )
        .order_by(items.c.timestamp.desc(), items.c.id.desc())
        .limit(1)
        .correlate(conversations)
        .scalar_subquery()
    )


def _started(filters: Filters) -> list[Condition]:
    began, (after, before) = conversations.c.started_at, _ends(filters, "started_at")
    wanted: list[Condition] = []
    if after is not None:
        wanted.append(began >= after)
    if before is not None:
        wanted.append(began <= before)
    return wanted


def _ends(filters: Filters, what: str) -> tuple[int | None, int | None]:
    return filters[f"{what}_after"], filters[f"{what}_before"]


def _clock(filters: Filters) -> list[Condition]:
    # Where an event is looked for, it is the event's hour.
    if filters.event_kind is not None:
        return []
    return events.local_time(filters, conversations.c.started_at)


def _feedback(filters: Filters) -> list[Condition]:
    """One feedback that is all of this, or none; at any time."""
    given = []
    if filters["feedback_sentiment"]:
        given.append(feedbacks.c.sentiment == filters["feedback_sentiment"])
    if filters["feedback_source"]:
        given.append(feedbacks.c.source == filters["feedback_source"])
    wanted = []
    some = _some(feedbacks, *given)
    if filters["has_feedback"] is not None:
        wanted.append(some if filters["has_feedback"] else ~some)
    absent = filters["feedback_sentiment__isnull"]
    if absent is not None:
        wanted.append(~some if absent else some)
    return wanted or [some]


ALONE: dict[str, Alone] = {
    "absent": _absent,
    "action": _action,
    "contains": contains,
    "equals": lambda engine, column, value: column == value,
    "helpful": _helpful,
    "language": _language,
    "messages": _messages,
    "metadata": _metadata,
    "says": _says,
    "search": _search,
    "tag": _tag,
    "unanswered": _unanswered,
}
TOGETHER: dict[str, Together] = {
    "clock": _clock,
    "deleted": lambda filters: [],  # takes a condition away
    "event": events.has_event,
    "feedback": _feedback,
    "started": _started,
    "threads": lambda filters: [],  # is put around what is asked of sessions
}


OF_SESSIONS = frozenset({"action", "clock", "feedback", "started", "unanswered"})


def _some(table: Table, *wanted: Condition) -> Condition:
    # Also where the query around it is about the same table: the rows here are others.
    return exists().where(table.c.conversation == conversations.c.id, *wanted).correlate(conversations)
