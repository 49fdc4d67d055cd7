"""Events in conversations: one that is looked for, and how often it was found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, exists, func, select

from agentsight_server.domain.filters import EventKind, Filters
from agentsight_server.domain.zones import DAY, HOUR
from agentsight_server.store.dialect import Dialect, total
from agentsight_server.store.messages import messages
from agentsight_server.store.schema import (
    AGENT,
    END_USER,
    actions,
    buttons,
    conversations,
    feedbacks,
    items,
    token_usage,
)

_DETAILS = {"tool": actions, "button": buttons, "feedback": feedbacks, "tokens": token_usage}
_NAMES: dict[str, ColumnElement[Any]] = {
    "tool": actions.c.action_name,
    "button": buttons.c.button_event,
    "feedback": feedbacks.c.sentiment,
    "tokens": token_usage.c.model,
}


def has_event(filters: Filters) -> list[ColumnElement[bool]]:
    """Conversations with the event; no condition where none is looked for."""
    kind = filters.event_kind
    if kind is None:
        return []
    source, wanted = _found(kind, filters)
    mine = exists().select_from(source).where(items.c.conversation == conversations.c.id, *wanted)
    mine = mine.correlate(conversations)
    if filters["event_after"] is not None and kind != "feedback":
        # A conversation ends with its last item, feedback aside: those that ended before need no closer look.
        return [conversations.c.ended_at >= filters["event_after"], mine]
    return [mine]


def count_events(engine: Dialect, filters: Filters, within: list[ColumnElement[bool]]) -> Any:
    """The query for how many such events there are in the conversations `within`; of tokens, how many they are."""
    kind = filters.event_kind
    assert kind is not None
    source, wanted = _found(kind, filters)
    amount = total(engine, token_usage.c.total_tokens) if kind == "tokens" else func.count()
    joined = source.join(conversations, conversations.c.id == items.c.conversation)
    return select(amount).select_from(joined).where(*wanted, *within)


def event_lines(filters: Filters, conversation: int) -> Any:
    """The query for the first line of one conversation that is looked for; None where no line is."""
    kind = filters.event_kind
    if kind is None or kind == "tokens":  # token usage stands beside lines
        return None
    source, wanted = _found(kind, filters)
    mine = select(items.c.id).select_from(source).where(items.c.conversation == conversation, *wanted)
    return mine.order_by(items.c.timestamp, items.c.id).limit(1)


def _found(kind: EventKind, filters: Filters) -> tuple[FromClause, list[ColumnElement[bool]]]:
    wanted: list[ColumnElement[bool]] = []
    source: FromClause = items
    if kind in _DETAILS:
        detail = _DETAILS[kind]
        source = items.join(detail, detail.c.item == items.c.id)
        wanted += _named(_NAMES[kind], filters)
    else:
        wanted.append(messages(items))
    if kind == "answer":
        wanted += [items.c.sender == AGENT, _spoke_before() == END_USER]
    if kind == "button" and filters["event_label"] is not None:
        wanted.append(buttons.c.label == filters["event_label"])
    if kind == "tool" and filters["event_failed"] is not None:
        failed = actions.c.error_msg.is_not(None)
        wanted.append(failed if filters["event_failed"] else ~failed)
    if kind == "feedback":
        wanted.append(feedbacks.c.source == "customer")
    return source, wanted + _when(filters)


def _named(column: ColumnElement[Any], filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters["event_name"] is not None:
        wanted.append(column == filters["event_name"])
    if filters["event_name__isnull"] is not None:
        wanted.append(column.is_(None) if filters["event_name__isnull"] else column.is_not(None))
    return wanted


def _spoke_before() -> Any:
    """Who sent the message before a message."""
    before = items.alias("before")
    earlier = (before.c.timestamp < items.c.timestamp) | (
        (before.c.timestamp == items.c.timestamp) & (before.c.id < items.c.id)
    )
    return (
        select(before.c.sender)
        .where(
            before.c.conversation == items.c.conversation,
            messages(before),
            earlier,
        )
        .order_by(before.c.timestamp.desc(), before.c.id.desc())
        .limit(1)
        .correlate(items)
        .scalar_subquery()
    )


def _when(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters["event_after"] is not None:
        wanted.append(items.c.timestamp >= filters["event_after"])
    if filters["event_before"] is not None:
        wanted.append(items.c.timestamp <= filters["event_before"])
    return wanted + local_time(filters, items.c.timestamp)


def local_time(filters: Filters, moment: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """The hour and the day of the week of a moment."""
    wanted: list[ColumnElement[bool]] = []
    if filters["weekday"] is None and filters["hour"] is None:
        return wanted
    (_, ahead), *later = filters.offsets
    local: ColumnElement[int] = moment + ahead
    if later:
        # The last offset that has begun holds.
        local = moment + case(*((moment >= since, offset) for since, offset in reversed(later)), else_=ahead)
    if filters["hour"] is not None:
        wanted.append(local // HOUR % 24 == filters["hour"])
    if filters["weekday"] is not None:
        wanted.append((local // DAY + 3) % 7 == filters["weekday"])  # 1 January 1970 was a Thursday
    return wanted
