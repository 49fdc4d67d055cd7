"""The list of conversations: its rows, its filters, and the places where its pages begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from agentsight.server import zones
from agentsight.server.dashboard import names
from agentsight.server.dashboard.transcript import HANDOVER
from agentsight.server.store import times
from agentsight.server.store.conversations import ConversationRow
from agentsight.server.store.matching import NULLABLE, Filters
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


_UNKNOWN = tuple(f"{name}__isnull" for name in NULLABLE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# The parameters of the list's address: those of the REST API, and `from` and `to`, which are the days on which
# conversations began; with `by=activity` those on which what is looked for happened.
FIELDS = (
    "search", "name", "message_contains", "conversation_id", "customer_id", "source", "device", "language",
    "country", *_UNKNOWN, "environment", "action_name", "button_event", "button_label", "feedback_sentiment",
    "feedback_source", "has_feedback", "handed_over", "unanswered", "is_marked", "is_used", "is_offered",
    "metadata", "from", "to", "weekday", "hour", "by",
)  # fmt: skip
# Begun no later than this: as far as a clock is read where no day is given.
_CLOCK_END = times.from_datetime(datetime(2100, 1, 1, tzinfo=timezone.utc))
_ONE_OF = {
    "device": ("desktop", "mobile", "tablet"),
    "environment": ("production", "development"),
    "feedback_sentiment": ("positive", "neutral", "negative"),
    "feedback_source": ("customer", "platform"),
    "has_feedback": ("true", "false"),
    "handed_over": ("true",),
    "unanswered": ("true", "false"),
    "is_offered": ("true", "false"),
    "weekday": tuple(map(str, range(7))),
    "hour": tuple(map(str, range(24))),
    "by": ("activity",),
    **dict.fromkeys(_UNKNOWN, ("true", "false")),
    "is_marked": ("true", "false"),
    "is_used": ("true", "false", "any"),
}


def read_filters(query: Mapping[str, str], tz: tzinfo, escalations: Sequence[str] = ()) -> Chosen:
    """Read the list's filters from its address.

    Args:
        query: the address's parameters; those that are no filters are left alone.
        tz: in which days begin and hours count.
        escalations: the agent's actions that hand over to a human.

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
    after, before = _start_of(days["from"], tz), _end_of(days["to"], tz)
    by_activity = "by" in values
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
        # Nothing hands over where no action does.
        action_name__in=(tuple(escalations) or ("",)) if "handed_over" in values else (),
        button_event=values.get("button_event"),
        button_label=values.get("button_label"),
        device=values.get("device"),
        environment=cast("Literal['production', 'development'] | None", values.get("environment")),
        feedback_sentiment=cast(
            "Literal['positive', 'neutral', 'negative'] | None", values.get("feedback_sentiment")
        ),
        feedback_source=cast("Literal['customer', 'platform'] | None", values.get("feedback_source")),
        has_feedback=_truth(values.get("has_feedback")),
        unanswered=_truth(values.get("unanswered")),
        is_marked=_truth(values.get("is_marked")),
        is_used=_truth(values.get("is_used", "true")),
        is_offered=_truth(values.get("is_offered")),
        metadata=metadata,
        started_at_after=None if by_activity else after,
        started_at_before=None if by_activity else before,
        happened_after=after if by_activity else None,
        happened_before=before if by_activity else None,
        weekday=_whole(values.get("weekday")),
        hour=_whole(values.get("hour")),
        offsets=_clock(tz, after, before) if values.keys() & {"weekday", "hour"} else (),
        **{name: _truth(values.get(name)) for name in _UNKNOWN},  # type: ignore[arg-type]
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
        "feedback_source": lambda v: "Rated by the customer" if v == "customer" else "Rated by your team",
        "has_feedback": lambda v: "With feedback" if v == "true" else "Without feedback",
        "handed_over": lambda _: "Handed to a human",
        "unanswered": lambda v: "Unanswered" if v == "true" else "Answered",
        "is_offered": lambda v: "Offered first" if v == "true" else "Not offered first",
        "button_event": lambda v: f"Buttons: {label(v)}",
        "button_label": lambda v: f"Clicked: {v}",
        "weekday": lambda v: f"{_DAYS[int(v)]}s",
        "hour": lambda v: f"{int(v):02}:00–{(int(v) + 1) % 24:02}:00",
        "by": lambda _: "Active then",
        **{
            name: _known_or_not("Channel" if name.startswith("source") else name.split("_")[0].capitalize())
            for name in _UNKNOWN
        },
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


def label(code: str) -> str:
    """A name that a program gave, as words.

    Example:
        >>> label("after_chat")
        'After chat'
    """
    words = " ".join(code.replace("_", " ").split()) or code
    return words[:1].upper() + words[1:]


def _known_or_not(what: str) -> Callable[[str], str]:
    return lambda value: f"{what} {'unknown' if value == 'true' else 'known'}"


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


def _whole(value: str | None) -> int | None:
    return None if value is None else int(value)


def _clock(tz: tzinfo, after: int | None, before: int | None) -> zones.Offsets:
    """What the clock of a zone is ahead, while conversations began."""
    start = min(max(after or 0, 0), _CLOCK_END - 1)
    end = max(min(_CLOCK_END if before is None else before, _CLOCK_END), start + 1)
    return zones.offsets(cast("ZoneInfo", tz), start, end)


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
