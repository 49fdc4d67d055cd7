"""The list of conversations: its rows, its filters, and the places where its pages begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal, cast
from urllib.parse import urlencode

import msgspec

from agentsight.server.dashboard import names
from agentsight.server.dashboard.transcript import HANDOVER
from agentsight.server.store import times
from agentsight.server.store.conversations import ConversationRow, Filters
from agentsight.server.store.transcripts import FeedbackRow

PAGE = 50
UNTITLED = "No messages yet"
# Counting every match of a broad filter would read the whole table; beyond this "10,000+" will do.
COUNT_UP_TO = 10_000

Cursor = tuple[int, int]


class Row(msgspec.Struct):
    """A conversation as a line of the list."""

    id: int
    cursor: str
    href: str
    title: str
    named: bool
    preview: str | None
    who: str
    at: int
    messages: int
    source: str | None
    device: str | None
    country: str | None
    language: str | None
    development: bool
    marked: bool
    tools: list[str]
    failed: list[str]
    handed_over: bool
    sentiment: str | None


class Chip(msgspec.Struct):
    """A filter that is on, in words, and the address of the list without it."""

    text: str
    off: str


class Chosen(msgspec.Struct):
    """What a list is filtered by: for the store, for the form and in words."""

    filters: Filters
    values: dict[str, str]
    problems: list[str]

    def query(self, **changes: str | None) -> str:
        """The filters as a query string with its question mark; empty without filters.

        Example:
            >>> Chosen(Filters(), {"device": "mobile"}, []).query(device=None, source="web")
            '?source=web'
        """
        values = {**self.values, **changes}
        kept = {name: value for name, value in values.items() if value}
        return "?" + urlencode(kept) if kept else ""


# The parameters of the list's address; all but `from`, `to` and `is_used` are those of the REST API.
FIELDS = (
    "search", "name", "message_contains", "conversation_id", "customer_id", "source", "device", "language",
    "country", "environment", "action_name", "feedback_sentiment", "has_feedback", "is_marked", "is_used",
    "metadata", "from", "to",
)  # fmt: skip
_ONE_OF = {
    "device": ("desktop", "mobile", "tablet"),
    "environment": ("production", "development"),
    "feedback_sentiment": ("positive", "neutral", "negative"),
    "has_feedback": ("true", "false"),
    "is_marked": ("true", "false"),
    "is_used": ("true", "false", "any"),
}


def read_filters(query: Mapping[str, str], tz: tzinfo) -> Chosen:
    """Read the list's filters from its address.

    A value that cannot be understood is left out and named in `problems`, so that nobody takes a list for
    filtered that is not. Conversations in which nothing was said are left out unless asked for.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for name in FIELDS:
        value = query.get(name, "").strip()
        allowed = _ONE_OF.get(name)
        if not value:
            continue
        if "\x00" in value or len(value) > 500:
            problems.append(f"{name} is too long, or holds what no text holds")
        elif allowed and value not in allowed:
            problems.append(f"{name} takes {_or(allowed)}, not “{value[:60]}”")
        else:
            values[name] = value
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        days[name] = None
        if name in values:
            try:
                days[name] = date.fromisoformat(values[name])
            except ValueError:
                problems.append(f"{name} takes a day such as 2026-01-31, not “{values.pop(name)[:60]}”")
    metadata = _pairs(values.get("metadata"))
    if "metadata" in values and not metadata:
        problems.append(f"metadata takes key:value, not “{values.pop('metadata')[:60]}”")
    filters = Filters(
        search=values.get("search"),
        name=values.get("name"),
        message_contains=values.get("message_contains"),
        conversation_id=values.get("conversation_id"),
        customer_id=values.get("customer_id"),
        source=values.get("source"),
        language=values.get("language"),
        country=values.get("country"),
        action_name=values.get("action_name"),
        device=values.get("device"),
        environment=cast("Literal['production', 'development'] | None", values.get("environment")),
        feedback_sentiment=cast(
            "Literal['positive', 'neutral', 'negative'] | None", values.get("feedback_sentiment")
        ),
        has_feedback=_truth(values.get("has_feedback")),
        is_marked=_truth(values.get("is_marked")),
        is_used=_truth(values.get("is_used", "true")),
        metadata=metadata,
        started_at_after=_start_of(days["from"], tz),
        started_at_before=_end_of(days["to"], tz),
    )
    return Chosen(filters, values, problems)


def chips(chosen: Chosen) -> list[Chip]:
    """The filters that are on, in words."""
    words: dict[str, Callable[[str], str]] = {
        "search": lambda v: f"“{v}”",
        "name": lambda v: f"Title: {v}",
        "message_contains": lambda v: f"Says: {v}",
        "conversation_id": lambda v: f"Id: {v}",
        "customer_id": lambda v: f"Customer: {v}",
        "source": names.channel_name,
        "device": names.device_name,
        "language": names.language_name,
        "country": names.country_name,
        "environment": lambda v: v.capitalize(),
        "action_name": lambda v: f"Tool: {v}",
        "feedback_sentiment": lambda v: f"{v.capitalize()} feedback",
        "has_feedback": lambda v: "With feedback" if v == "true" else "Without feedback",
        "is_marked": lambda v: "Marked" if v == "true" else "Not marked",
        "is_used": lambda v: {"false": "Never used", "any": "Also never used"}.get(v, "Used"),
        "metadata": lambda v: f"Metadata: {v}",
        "from": lambda v: f"From {_day(v)}",
        "to": lambda v: f"To {_day(v)}",
    }
    shown = (
        name
        for name in FIELDS
        if name in chosen.values and (name, chosen.values[name]) != ("is_used", "true")
    )
    return [Chip(words[name](chosen.values[name]), chosen.query(**{name: None}) or "?") for name in shown]


def rows(
    found: Iterable[ConversationRow],
    tools: Mapping[int, Sequence[tuple[str, bool]]],
    feedback: Sequence[FeedbackRow],
    query: str,
) -> list[Row]:
    """The lines of the list. `query` is kept in their addresses, so that the list stays as it is filtered."""
    sentiments = {row.conversation: row.sentiment for row in feedback}
    made = []
    for row in found:
        used = tools.get(row.id, ())
        question = " ".join((row.first_question or "").split())[:300] or None
        made.append(
            Row(
                id=row.id,
                cursor=cursor_text((row.started_at, row.id)),
                href=f"/agents/{row.agent_id}/conversations/{row.id}/{query}",
                title=row.name or question or UNTITLED,
                named=bool(row.name),
                preview=question if row.name else None,
                who=row.customer_id or "Anonymous",
                at=row.started_at,
                messages=row.messages,
                source=row.source,
                device=row.device,
                country=row.country,
                language=row.language,
                development=row.environment == "development",
                marked=row.is_marked,
                tools=[name for name, _ in used if name not in HANDOVER],
                failed=[name for name, failed in used if failed],
                handed_over=any(name in HANDOVER for name, _ in used),
                sentiment=sentiments.get(row.id),
            )
        )
    return made


def cursor_text(cursor: Cursor) -> str:
    """A place in the list, for an address."""
    return f"{cursor[0]}-{cursor[1]}"


def read_cursor(text: str | None) -> Cursor | None:
    """The place in the list that an address names; None for none and for one that is broken."""
    started_at, _, number = (text or "").rpartition("-")
    try:
        cursor = int(started_at), int(number)
    except ValueError:
        return None
    return cursor if -(2**62) < cursor[0] < 2**62 and 0 <= cursor[1] < 2**62 else None


def _pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition(":") for part in (text or "").split(",")]
    return tuple((key.strip(), value.strip()) for key, colon, value in pairs if colon and key.strip())


def _truth(value: str | None) -> bool | None:
    return {"true": True, "false": False}.get(value or "")


def _start_of(day: date | None, tz: tzinfo) -> int | None:
    return None if day is None else _moment(day, tz)


def _end_of(day: date | None, tz: tzinfo) -> int | None:
    if day is None:
        return None
    return _moment(day + timedelta(days=1), tz) - 1 if day < date.max else None


def _moment(day: date, tz: tzinfo) -> int:
    try:
        return times.from_datetime(datetime.combine(day, time.min, tz).astimezone(timezone.utc))
    except OverflowError:  # the first day there is, east of Greenwich
        return times.from_datetime(datetime.combine(day, time.min, timezone.utc))


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"


def _or(options: Sequence[str]) -> str:
    return f"{', '.join(options[:-1])} or {options[-1]}"
