"""Which conversations are meant: the filters of lists and exports, as conditions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Table, and_, case, exists, func, or_, select

from agentsight.server.store import dialect
from agentsight.server.store.dialect import contains, json_text
from agentsight.server.store.schema import (
    AGENT,
    ATTACHMENTS,
    END_USER,
    MESSAGE,
    actions,
    buttons,
    conversations,
    feedbacks,
    items,
)
from agentsight.server.zones import DAY, HOUR, Offsets

Agents = Collection[int] | None  # None: every agent

# Columns of which also "unknown" can be asked for.
NULLABLE = ("device", "source", "language", "country", "customer_id")


class Filters(msgspec.Struct, frozen=True):
    """What to look for; None leaves a filter out. Times in microseconds, both ends included."""

    conversation_id: str | None = None
    customer_id: str | None = None
    customer_id__icontains: str | None = None
    name: str | None = None
    language: str | None = None
    device: str | None = None
    source: str | None = None
    country: str | None = None
    device__isnull: bool | None = None
    source__isnull: bool | None = None
    language__isnull: bool | None = None
    country__isnull: bool | None = None
    customer_id__isnull: bool | None = None
    environment: Literal["production", "development"] | None = None
    customer_ip_address: str | None = None
    is_marked: bool | None = None
    is_used: bool | None = None
    is_offered: bool | None = None
    include_deleted: bool = False
    started_at_after: int | None = None
    started_at_before: int | None = None
    # Begun in this hour, on this day of the week (Monday is 0), on the clock that `offsets` describes; with
    # happened_after or happened_before it is what happened that is meant, not the beginning.
    weekday: int | None = None
    hour: int | None = None
    offsets: Offsets = ()
    has_messages: bool | None = None
    unanswered: bool | None = None
    message_contains: str | None = None
    action_name: str | None = None
    action_name__in: tuple[str, ...] = ()
    button_event: str | None = None
    button_label: str | None = None
    has_feedback: bool | None = None
    feedback_sentiment: Literal["positive", "neutral", "negative"] | None = None
    feedback_source: Literal["customer", "platform"] | None = None
    # When the action, click or feedback that is looked for happened; without one of them, a message.
    happened_after: int | None = None
    happened_before: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    search: str | None = None


_SAME = ("conversation_id", "customer_id", "device", "source", "environment", "customer_ip_address",
         "is_marked", "is_used", "is_offered")  # fmt: skip


def visible(agents: Agents) -> ColumnElement[bool]:
    """The one condition by which a viewer's queries are scoped."""
    if agents is None:
        return conversations.c.agent_id > 0
    return conversations.c.agent_id.in_(sorted(agents))


def conditions(engine: dialect.Dialect, agents: Agents, filters: Filters) -> list[ColumnElement[bool]]:
    """What a conversation has to meet for a viewer who sees these agents."""
    table = conversations.c
    wanted = [visible(agents)]
    if not filters.include_deleted:
        wanted.append(table.is_deleted.is_(False))
    wanted.extend(table[name] == value for name in _SAME if (value := getattr(filters, name)) is not None)
    for name in NULLABLE:
        absent = getattr(filters, f"{name}__isnull")
        if absent is not None:
            nothing = func.coalesce(table[name], "") == ""
            wanted.append(nothing if absent else ~nothing)
    if filters.customer_id__icontains:
        wanted.append(contains(engine, table.customer_id, filters.customer_id__icontains))
    if filters.name:
        wanted.append(contains(engine, table.name, filters.name))
    if filters.language:
        spoken = func.lower(func.replace(table.language, "_", "-"))
        language = filters.language.lower().replace("_", "-")
        wanted.append(or_(spoken == language, spoken.startswith(language + "-", autoescape=True)))
    if filters.country:
        wanted.append(table.country == filters.country.upper())
    wanted.extend(_times(filters))
    if filters.has_messages is not None:
        wanted.append(table.messages > 0 if filters.has_messages else table.messages == 0)
    if filters.unanswered is not None:
        last = _last_speaker()
        wanted.append(last == END_USER if filters.unanswered else func.coalesce(last, AGENT) != END_USER)
    if filters.message_contains:
        wanted.append(_says(engine, filters.message_contains))
    wanted.extend(_happenings(filters))
    for key, value in filters.metadata:
        inside = json_text(engine, table.metadata, key.split(".")) == value
        wanted.append(
            or_(inside, json_text(engine, table.metadata, [key]) == value) if "." in key else inside
        )
    if filters.search:
        wanted.append(
            or_(
                contains(engine, table.conversation_id, filters.search),
                contains(engine, table.name, filters.search),
                contains(engine, table.customer_id, filters.search),
                _says(engine, filters.search),
            )
        )
    return wanted


def _times(filters: Filters) -> list[ColumnElement[bool]]:
    began = conversations.c.started_at
    wanted: list[ColumnElement[bool]] = []
    if filters.started_at_after is not None:
        wanted.append(began >= filters.started_at_after)
    if filters.started_at_before is not None:
        wanted.append(began <= filters.started_at_before)
    if not _happened(filters):
        wanted.extend(_clock(filters, began))
    return wanted


def _happened(filters: Filters) -> bool:
    return filters.happened_after is not None or filters.happened_before is not None


def _clock(filters: Filters, moment: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """The hour and the day of the week of a moment."""
    wanted: list[ColumnElement[bool]] = []
    if filters.weekday is None and filters.hour is None:
        return wanted
    (_, ahead), *later = filters.offsets or ((0, 0),)
    local: ColumnElement[int] = moment + ahead
    if later:
        # The last offset that has begun holds.
        local = moment + case(*((moment >= since, offset) for since, offset in reversed(later)), else_=ahead)
    if filters.hour is not None:
        wanted.append(local // HOUR % 24 == filters.hour)
    if filters.weekday is not None:
        wanted.append((local // DAY + 3) % 7 == filters.weekday)  # 1 January 1970 was a Thursday
    return wanted


def _last_speaker() -> Any:
    return (
        select(items.c.sender)
        .where(
            items.c.conversation == conversations.c.id,
            items.c.kind.in_([MESSAGE, ATTACHMENTS]),
            items.c.sender.in_([END_USER, AGENT]),
        )
        .order_by(items.c.timestamp.desc(), items.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _says(engine: dialect.Dialect, needle: str) -> ColumnElement[bool]:
    return exists().where(
        items.c.conversation == conversations.c.id,
        items.c.kind.in_([MESSAGE, ATTACHMENTS]),
        contains(engine, items.c.content, needle),
    )


def _happenings(filters: Filters) -> list[ColumnElement[bool]]:
    """Conversations in which something happened: each condition is about one item that meets all of it."""
    wanted: list[ColumnElement[bool]] = []
    ran = []
    if filters.action_name:
        ran.append(actions.c.action_name == filters.action_name)
    if filters.action_name__in:
        ran.append(actions.c.action_name.in_(filters.action_name__in))
    if ran:
        wanted.append(_one(actions, filters, ran))
    clicked = []
    if filters.button_event:
        clicked.append(buttons.c.button_event == filters.button_event)
    if filters.button_label:
        clicked.append(buttons.c.label == filters.button_label)
    if clicked:
        wanted.append(_one(buttons, filters, clicked))
    given = []
    if filters.feedback_sentiment:
        given.append(feedbacks.c.sentiment == filters.feedback_sentiment)
    if filters.feedback_source:
        given.append(feedbacks.c.source == filters.feedback_source)
    if given or filters.has_feedback is not None:
        some = _one(feedbacks, filters, given)
        wanted.append(~some if filters.has_feedback is False else some)
    if not wanted and _when(filters):
        wanted.append(
            exists().where(
                items.c.conversation == conversations.c.id,
                items.c.kind.in_([MESSAGE, ATTACHMENTS]),
                items.c.sender.in_([END_USER, AGENT]),
                *_when(filters),
            )
        )
    return wanted


def _one(table: Table, filters: Filters, precise: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    wanted = [table.c.conversation == conversations.c.id, *precise]
    when = _when(filters)
    if when:
        wanted.append(exists().where(and_(items.c.id == table.c.item, *when)))
    return exists().where(*wanted)


def _when(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters.happened_after is not None:
        wanted.append(items.c.timestamp >= filters.happened_after)
    if filters.happened_before is not None:
        wanted.append(items.c.timestamp <= filters.happened_before)
    return wanted + _clock(filters, items.c.timestamp) if wanted else wanted
