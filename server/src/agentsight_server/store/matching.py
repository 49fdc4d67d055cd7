"""Which conversations are meant: the filters of lists and exports, as conditions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Table, and_, exists, func, or_, select

from agentsight_server.domain.zones import Offsets
from agentsight_server.store import dialect, happenings
from agentsight_server.store.dialect import contains, json_text
from agentsight_server.store.schema import (
    AGENT,
    ATTACHMENTS,
    END_USER,
    MESSAGE,
    actions,
    conversations,
    feedbacks,
    items,
)
from agentsight_server.store.searching import says

Agents = Collection[int] | None  # None: every agent

# Columns of which also "unknown" can be asked for.
NULLABLE = ("device", "source", "language", "country", "customer_id")


class Filters(msgspec.Struct, frozen=True):
    """What to look for; None leaves a filter out. Times in microseconds, both ends included.

    Each is a condition on a conversation, whenever it is met in it; `happened` and its kin are about one thing that
    happened, all of them about the same one.
    """

    conversation_id: str | None = None
    customer_id: str | None = None
    customer_id__icontains: str | None = None
    name: str | None = None
    language: str | None = None
    # The very tag, not also its variants; whatever the case.
    language__iexact: str | None = None
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
    # `happened` or its times it is what happened that is meant, not the beginning.
    weekday: int | None = None
    hour: int | None = None
    offsets: Offsets = ()
    has_messages: bool | None = None
    unanswered: bool | None = None
    message_contains: str | None = None
    action_name: str | None = None
    action_name__in: tuple[str, ...] = ()
    has_feedback: bool | None = None
    feedback_sentiment: Literal["positive", "neutral", "negative"] | None = None
    feedback_source: Literal["customer", "platform"] | None = None
    # The customer was content, at any time.
    is_helpful: bool | None = None
    # A thing that happened, and when; without `happened` it is a message.
    happened: happenings.Kind | None = None
    # The tool, the button's event, the sentiment or the model.
    happened_name: str | None = None
    happened_name__isnull: bool | None = None
    # The label of a clicked button.
    happened_label: str | None = None
    # Runs of a tool that ended in an error, or did not.
    happened_failed: bool | None = None
    happened_after: int | None = None
    happened_before: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    search: str | None = None

    @property
    def looks_into_messages(self) -> bool:
        """Whether what was said has to be read, which takes long."""
        return bool(self.search or self.message_contains)


_SAME = ("conversation_id", "customer_id", "device", "source", "environment", "customer_ip_address",
         "is_marked", "is_used", "is_offered")  # fmt: skip


def visible(agents: Agents) -> ColumnElement[bool]:
    """The one condition by which a viewer's queries are scoped."""
    # What is being erased is there for nobody.
    there = conversations.c.erasure.is_(None)
    if agents is None:
        return there
    return and_(conversations.c.agent_id.in_(sorted(agents)), there)


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
    if filters.language__iexact:
        tag = filters.language__iexact.lower().replace("_", "-")
        wanted.append(func.lower(func.replace(table.language, "_", "-")) == tag)
    if filters.country:
        wanted.append(table.country == filters.country.upper())
    wanted.extend(_times(filters))
    if filters.has_messages is not None:
        wanted.append(table.messages > 0 if filters.has_messages else table.messages == 0)
    if filters.unanswered is not None:
        last = _last_speaker()
        wanted.append(last == END_USER if filters.unanswered else func.coalesce(last, AGENT) != END_USER)
    if filters.message_contains:
        wanted.append(says(engine, filters.message_contains))
    wanted.extend(_having(filters))
    wanted.extend(happenings.one_of_it(filters))
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
                says(engine, filters.search),
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
    if happenings.looked_for(filters) is None:
        wanted.extend(happenings.on_the_clock(filters, began))
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
        .correlate(conversations)
        .scalar_subquery()
    )


def _having(filters: Filters) -> list[ColumnElement[bool]]:
    """Conversations that have an action, or feedback, at any time."""
    wanted: list[ColumnElement[bool]] = []
    if filters.action_name:
        wanted.append(_some(actions, actions.c.action_name == filters.action_name))
    if filters.action_name__in:
        wanted.append(_some(actions, actions.c.action_name.in_(filters.action_name__in)))
    if filters.is_helpful is not None:
        content = _some(feedbacks, feedbacks.c.source == "customer", feedbacks.c.sentiment == "positive")
        wanted.append(content if filters.is_helpful else ~content)
    given = []
    if filters.feedback_sentiment:
        given.append(feedbacks.c.sentiment == filters.feedback_sentiment)
    if filters.feedback_source:
        given.append(feedbacks.c.source == filters.feedback_source)
    if given or filters.has_feedback is not None:
        some = _some(feedbacks, *given)
        wanted.append(~some if filters.has_feedback is False else some)
    return wanted


def _some(table: Table, *wanted: ColumnElement[bool]) -> ColumnElement[bool]:
    # Also where the query around it is about the same table: the rows here are others.
    return exists().where(table.c.conversation == conversations.c.id, *wanted).correlate(conversations)
