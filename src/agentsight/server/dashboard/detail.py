"""One conversation as its page shows it: the transcript and the facts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import msgspec
from markupsafe import Markup, escape

from agentsight.server.dashboard import formats, names
from agentsight.server.dashboard.inbox import UNTITLED, Chosen
from agentsight.server.dashboard.markdown import pretty
from agentsight.server.dashboard.transcript import Shown
from agentsight.server.store.conversations import ConversationRow
from agentsight.server.store.transcripts import FeedbackRow

# So many of a customer's other conversations stand in the rail.
OTHERS = 5


class Other(msgspec.Struct):
    """Another conversation of the same customer."""

    href: str
    title: str
    at: int


class Detail(msgspec.Struct):
    """What the reader part of the page is made from."""

    id: int
    conversation_id: str
    revision: int
    title: str
    who: str
    customer_id: str | None
    customer_href: str
    source: str | None
    device: str | None
    language: str | None
    environment: str
    place: str | None
    local_time: str
    ip_address: str | None
    started_at: int
    lasted_ms: int | None
    marked: bool
    deleted_at: int | None
    query: str
    shown: Shown
    opinions: Sequence[FeedbackRow]
    metadata: list[tuple[str, Markup, bool]]
    others: list[Other]
    more_others: bool


def title_of(row: ConversationRow) -> str:
    """The name, else the first question."""
    question = " ".join((row.first_question or "").split())[:300]
    return row.name or question or UNTITLED


def detail(
    row: ConversationRow,
    shown: Shown,
    opinions: Sequence[FeedbackRow],
    others: Sequence[ConversationRow],
    chosen: Chosen,
    tz: tzinfo,
) -> Detail:
    """Put a conversation's parts together; `others` may hold one more than is shown."""
    mine = f"/agents/{row.agent_id}/conversations/"
    customer = Chosen(chosen.filters, {"customer_id": row.customer_id or ""}, []).query()
    return Detail(
        id=row.id,
        conversation_id=row.conversation_id,
        revision=row.revision,
        title=title_of(row),
        who=row.customer_id or "Anonymous",
        customer_id=row.customer_id,
        customer_href=mine + customer if row.customer_id else "",
        source=row.source,
        device=row.device,
        language=row.language,
        environment=row.environment,
        place=_place(row),
        local_time=_local_time(row, tz),
        ip_address=row.customer_ip_address,
        started_at=row.started_at,
        lasted_ms=(row.ended_at - row.started_at) // 1000 if row.ended_at > row.started_at else None,
        marked=row.is_marked,
        deleted_at=(row.deleted_at or row.ended_at) if row.is_deleted else None,
        query=chosen.query(),
        shown=shown,
        opinions=opinions,
        metadata=_metadata(row.metadata),
        others=[
            Other(f"{mine}{each.id}/{chosen.query()}", title_of(each), each.started_at)
            for each in others[:OTHERS]
        ],
        more_others=len(others) > OTHERS,
    )


def _place(row: ConversationRow) -> str | None:
    parts = [row.city, names.country_name(row.country) if row.country else None]
    return ", ".join(part for part in parts if part) or None


def _local_time(row: ConversationRow, tz: tzinfo) -> str:
    if not row.timezone_name:
        return ""
    there = formats.local(row.started_at, formats.zone(row.timezone_name))
    if there.utcoffset() == formats.local(row.started_at, tz).utcoffset():
        return ""
    return f"{there:%H:%M} there when it began"


def _metadata(text: str) -> list[tuple[str, Markup, bool]]:
    """The pairs of a conversation's metadata, each with whether it fits on a line."""
    try:
        value: Any = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(value, dict):
        return [("Value", pretty(value), False)] if value else []
    return [(key, *_pair(each)) for key, each in value.items()]


def _pair(value: Any) -> tuple[Markup, bool]:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    if value is None:
        return Markup("–"), True
    if isinstance(value, bool):
        return escape("Yes" if value else "No"), True
    if isinstance(value, int | float):
        return escape(value), True
    if isinstance(value, str) and len(value) <= 200:
        return escape(value), True
    return pretty(value), False
