"""The list of conversations: its rows, its filters, and the places where its pages begin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from agentsight_server.dashboard import behind, names
from agentsight_server.dashboard.names import label as label
from agentsight_server.domain import times, zones
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.matching import NULLABLE, Filters

PAGE = 50
UNTITLED = "No messages yet"
# So many tools of a conversation are named in its line.
_MANY_TOOLS = 20
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
# The parameters of the list's address: those of the REST API, and `from` and `to`, which are the days (or moments:
# from the one, before the other) in which conversations began; with `happened` those in which that happened.
FIELDS = (
    "search", "name", "message_contains", "conversation_id", "customer_id", "source", "device", "language",
    "language__iexact", "country", *_UNKNOWN, "environment", "action_name", "feedback_sentiment",
    "feedback_source", "has_feedback", "is_helpful", "handed_over", "unanswered", "is_marked", "is_used",
    "is_offered", "metadata", *behind.FIELDS, "from", "to", "weekday", "hour",
)  # fmt: skip
# Names that programs gave are taken as they are, blanks and all.
_AS_GIVEN = frozenset({"source", "action_name", "happened_name", "happened_label"})
_LONGEST = 2_000
# Begun no later than this: as far as a clock is read where no day is given.
_CLOCK_END = times.from_datetime(datetime(2100, 1, 1, tzinfo=timezone.utc))
_EARLIEST, _LATEST = date(1970, 1, 2), date(9000, 12, 31)
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
    "is_helpful": ("true", "false"),
    **behind.ONE_OF,
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
        value = query.get(name, "")
        if name not in _AS_GIVEN or value.isspace():
            value = value.strip()
        allowed = _ONE_OF.get(name)
        if not value:
            continue
        if "\x00" in value or len(value) > _LONGEST:
            problems.append(f"{name} is too long, or holds what no text holds")
        elif allowed and value not in allowed:
            problems.append(f"{name} takes {_or(allowed)}, not “{value[:60]}”")
        else:
            values[name] = value
    bounds: dict[str, int | None] = {"from": None, "to": None}
    for name in bounds:
        if name in values:
            try:
                bounds[name] = _bound(values[name], tz, last=name == "to")
            except ValueError:
                problems.append(f"{name} takes a day such as 2026-01-31, not “{values.pop(name)[:60]}”")
    metadata = _pairs(values.get("metadata"))
    if "metadata" in values and not metadata:
        problems.append(f"metadata takes key:value, not “{values.pop('metadata')[:60]}”")
    after, before = bounds["from"], bounds["to"]
    looked_for = "happened" in values
    filters = Filters(
        search=values.get("search"),
        name=values.get("name"),
        message_contains=values.get("message_contains"),
        conversation_id=values.get("conversation_id"),
        customer_id=values.get("customer_id"),
        source=values.get("source"),
        language=values.get("language"),
        language__iexact=values.get("language__iexact"),
        country=values.get("country"),
        action_name=values.get("action_name"),
        # Nothing hands over where no action does.
        action_name__in=(tuple(escalations) or ("",)) if "handed_over" in values else (),
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
        started_at_after=None if looked_for else after,
        started_at_before=None if looked_for else before,
        is_helpful=_truth(values.get("is_helpful")),
        happened=cast("Any", values.get("happened")),
        happened_name=values.get("happened_name") if looked_for else None,
        happened_name__isnull=_truth(values.get("happened_name__isnull")) if looked_for else None,
        happened_label=values.get("happened_label") if looked_for else None,
        happened_failed=_truth(values.get("happened_failed")) if looked_for else None,
        happened_after=after if looked_for else None,
        happened_before=before if looked_for else None,
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
        "language__iexact": lambda v: f"Just {names.language_name(v)}",
        "country": names.country_name,
        "environment": lambda v: v.capitalize(),
        "action_name": lambda v: f"Tool: {v}",
        "feedback_sentiment": lambda v: f"{v.capitalize()} feedback",
        "feedback_source": lambda v: "Rated by the customer" if v == "customer" else "Rated by your team",
        "has_feedback": lambda v: "With feedback" if v == "true" else "Without feedback",
        "handed_over": lambda _: "Handed to a human",
        "unanswered": lambda v: "Unanswered" if v == "true" else "Answered",
        "is_offered": lambda v: "Offered first" if v == "true" else "Not offered first",
        "is_helpful": lambda v: "Found helpful" if v == "true" else "Not found helpful",
        "happened": lambda _: behind.phrase(chosen.filters),
        "weekday": lambda v: f"{_DAYS[int(v)]}s",
        "hour": lambda v: f"{int(v):02}:00–{(int(v) + 1) % 24:02}:00",
        **{
            name: _known_or_not("Channel" if name.startswith("source") else name.split("_")[0].capitalize())
            for name in _UNKNOWN
        },
        "is_marked": lambda v: "Marked" if v == "true" else "Not marked",
        "is_used": lambda v: {"false": "Never used", "any": "Also never used"}.get(v, "Used"),
        "metadata": lambda v: f"Metadata: {v}",
        "from": lambda v: f"From {_day(v)}",
        "to": lambda v: f"{'Before' if 'T' in v else 'To'} {_day(v)}",
    }
    quiet = {("is_used", "true")}
    if "happened" in chosen.values:
        # Whoever took part or not: what happened is what counts.
        quiet.add(("is_used", "any"))
    shown = (name for name in FIELDS if name in words and name in chosen.values)
    return [
        Chip(words[name](chosen.values[name]), _without(chosen, name))
        for name in shown
        if (name, chosen.values[name]) not in quiet
    ]


def _without(chosen: Chosen, name: str) -> str:
    """The list without a filter; what happened goes with all that is said of it."""
    gone = (*behind.FIELDS, "is_used") if name == "happened" else (name,)
    return chosen.query(**dict.fromkeys(gone)) or "?"


def _known_or_not(what: str) -> Callable[[str], str]:
    return lambda value: f"{what} {'unknown' if value == 'true' else 'known'}"


def rows(
    found: Iterable[ConversationRow],
    tools: Mapping[int, Sequence[tuple[str, bool]]],
    sentiments: Mapping[int, str],
    titles: Mapping[int, str],
    looked_for: Mapping[int, int],
    chosen: Chosen,
    handing_over: Collection[str],
) -> list[Row]:
    """The lines of the list.

    Args:
        tools: the tools of each, with whether a run failed.
        sentiments: what was last said of each.
        titles: of those without a name or a question.
        looked_for: the item of each for which the list was opened.
        chosen: is kept in their addresses, so that the list stays as it is filtered.
        handing_over: the agent's actions that hand over to a human.
    """
    made = []
    for row in found:
        used = tools.get(row.id, ())
        question = " ".join((row.first_question or "").split())[:300] or None
        made.append(
            Row(
                id=row.id,
                cursor=cursor_text((row.started_at, row.id)),
                href=_address(row, chosen, looked_for.get(row.id)),
                title=title_of(row, titles),
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
                tools=[name for name, _ in used if name not in handing_over][:_MANY_TOOLS],
                failed=[name for name, failed in used if failed][:_MANY_TOOLS],
                handed_over=any(name in handing_over for name, _ in used),
                sentiment=sentiments.get(row.id),
            )
        )
    return made


def _address(row: ConversationRow, chosen: Chosen, item: int | None) -> str:
    path = f"/agents/{row.agent_id}/conversations/{row.id}/"
    if item is None:
        return path + chosen.query()
    return f"{path}{chosen.query(item=str(item))}#item-{item}"


def title_of(row: ConversationRow, titles: Mapping[int, str]) -> str:
    """The name, else the first question, else what else there is to say."""
    question = " ".join((row.first_question or "").split())[:300]
    return row.name or question or titles.get(row.id) or UNTITLED


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


def _bound(text: str, tz: tzinfo, *, last: bool) -> int:
    """The moment that a day or a moment of an address stands for; as `last` the one before it is over.

    Raises:
        ValueError: it is neither.
    """
    if "T" in text:
        # "+" in an address is a blank unless it was encoded.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError(text)
        return times.from_datetime(moment.astimezone(timezone.utc)) - last
    day = date.fromisoformat(text)
    if not _EARLIEST <= day <= _LATEST:
        raise ValueError(text)
    return zones.start_of_day(cast("ZoneInfo", tz), day + timedelta(days=last)) - last


def _day(text: str) -> str:
    if "T" in text:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return f"{moment.day} {moment:%b %Y, %H:%M}"
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"


def _or(options: Sequence[str]) -> str:
    return f"{', '.join(options[:-1])} or {options[-1]}"
