"""One conversation as its page shows it: the transcript and the facts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

import msgspec
from markupsafe import Markup, escape

from agentsight_server.dashboard import formats, names
from agentsight_server.dashboard.conversation_list import title_of
from agentsight_server.dashboard.filtering import Applied
from agentsight_server.dashboard.markdown import pretty
from agentsight_server.dashboard.transcript import Shown
from agentsight_server.store import transcripts
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.passages import PAGE, Totals
from agentsight_server.store.transcripts import FeedbackRow, UsageRow

# So many of each stand in the rail: a customer's other conversations, opinions, models, pairs of metadata.
OTHERS = 5
OPINIONS = 20
MODELS = 10
PAIRS = 60
# A key longer than this stands on a line of its own.
_LONG_KEY = 28
_LONG_VALUE = 2_000


class Pages(msgspec.Struct):
    """Which page of the transcript this is; addresses are empty where nothing lies that way."""

    number: int
    count: int
    lines: int
    earlier: str
    later: str
    beginning: str
    end: str

    @property
    def first(self) -> int:
        """The number of the page's first line."""
        return (self.number - 1) * PAGE + 1

    @property
    def last(self) -> int:
        """The number of the page's last line."""
        return min(self.number * PAGE, self.lines)


class Pair(msgspec.Struct):
    """A pair of metadata: `wide` ones take a line for the key and lines for the value; `text` is JSON's."""

    name: str
    value: Markup
    wide: bool
    text: bool


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
    unattached: bool
    unattached_at: str
    # The filters of the list, and this page's address with them.
    values: Mapping[str, str]
    here: str
    path: str
    messages: int
    shown: Shown
    pages: Pages
    tools: int
    failed: int
    usage: UsageRow | None
    models: list[UsageRow]
    more_models: int
    opinions: Sequence[FeedbackRow]
    more_opinions: bool
    metadata: list[Pair]
    more_metadata: int
    others: list[Other]
    more_others: bool


def detail(
    row: ConversationRow,
    shown: Shown,
    whole: Totals,
    page: int,
    usage: Sequence[UsageRow],
    opinions: Sequence[FeedbackRow],
    others: Sequence[ConversationRow],
    titles: Mapping[int, str],
    applied: Applied,
    tz: tzinfo,
) -> Detail:
    """Put a conversation's parts together; `others` and `opinions` may hold one more than is shown.

    Args:
        usage: tokens by model, the most used first.
        titles: of conversations without a name or a question.
    """
    mine = f"/agents/{row.agent_id}/conversations/"
    told = _decoded(row.metadata)
    place = told.get("unattached_at")
    customer = Applied(applied.filters, {"customer_id": row.customer_id or ""}, []).query()
    pairs = _metadata(row.metadata)
    return Detail(
        id=row.id,
        conversation_id=row.conversation_id,
        revision=row.revision,
        title=title_of(row, titles),
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
        unattached=told.get("unattached") is True,
        unattached_at=place[:200] if isinstance(place, str) else "",
        values=applied.values,
        here=applied.query(page=str(page) if page > 1 else None),
        path=f"{mine}{row.id}/",
        messages=row.messages,
        shown=shown,
        pages=_pages(f"{mine}{row.id}/", whole, page, applied),
        tools=whole.tools,
        failed=whole.failed,
        usage=transcripts.total_usage(usage) if usage else None,
        models=[each for each in usage if each.model][:MODELS],
        more_models=max(0, sum(each.model is not None for each in usage) - MODELS),
        opinions=opinions[-OPINIONS:],
        more_opinions=len(opinions) > OPINIONS,
        metadata=pairs[:PAIRS],
        more_metadata=max(0, len(pairs) - PAIRS),
        others=[
            Other(f"{mine}{each.id}/{applied.query()}", title_of(each, titles), each.started_at)
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


def _decoded(text: str) -> dict[str, Any]:
    try:
        value: Any = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _pages(path: str, whole: Totals, page: int, applied: Applied) -> Pages:
    def to(number: int, mark: str) -> str:
        return f"{path}{applied.query(page=str(number))}#transcript{mark}"

    before, after = page > 1, page < whole.pages
    return Pages(
        number=page,
        count=whole.pages,
        lines=whole.lines,
        earlier=to(page - 1, "-end") if before else "",
        later=to(page + 1, "") if after else "",
        beginning=to(1, "") if before else "",
        end=to(whole.pages, "-end"),
    )


def _metadata(text: str) -> list[Pair]:
    """The pairs of a conversation's metadata."""
    try:
        value: Any = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(value, dict):
        return [Pair("Value", _cut(value), True, True)] if value else []
    return [_pair(key, each) for key, each in value.items()]


def _pair(key: str, value: Any) -> Pair:
    name = key if len(key) <= 300 else key[:300] + "…"
    wide = len(key) > _LONG_KEY
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    if value is None:
        return Pair(name, Markup("–"), wide, False)
    if isinstance(value, bool):
        return Pair(name, escape("Yes" if value else "No"), wide, False)
    if isinstance(value, int | float):
        return Pair(name, escape(value), wide, False)
    if isinstance(value, str) and len(value) <= 200:
        return Pair(name, escape(value), wide or len(value) > 60, False)
    return Pair(name, _cut(value), True, True)


def _cut(value: Any) -> Markup:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return pretty(value) if len(text) <= _LONG_VALUE else escape(text[:_LONG_VALUE] + "…")
