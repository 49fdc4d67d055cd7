"""Query parameters of a list, checked: what is not known is refused, not ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agentsight_server.contract.documentation import Query
from agentsight_server.domain import zones
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.times import from_datetime
from agentsight_server.store.conversations import ORDERINGS, Filters
from agentsight_server.store.happenings import KINDS
from agentsight_server.store.matching import NULLABLE

_TEXTS = {
    "conversation_id": "The text id, exactly",
    "customer_id": "The customer, exactly",
    "customer_id__icontains": "Part of the customer's id, whatever the case",
    "name": "Part of the conversation's name, whatever the case",
    "language": "A language; `en` also finds `en-US`",
    "language__iexact": "The very language tag, whatever the case",
    "source": "The channel, exactly",
    "country": "ISO 3166 alpha-2 code, such as `HR`",
    "customer_ip_address": "The address, exactly",
    "message_contains": "Part of a message, whatever the case",
    "action_name": "A tool that was run",
    "happened_name": "The tool, the button's event, the sentiment or the model of what `happened`",
    "happened_label": "The label of the clicked button that `happened` looks for",
    "search": "Part of a message, name, customer or conversation id, whatever the case",
}
_BOOLEANS = {
    "is_marked": "Marked or not",
    "include_deleted": "Deleted ones too (default false): for a key with the role write, and for owners",
    "has_messages": "With messages, or without",
    "has_feedback": "With feedback, or without",
    "is_used": "People took part, or did not yet",
    "is_offered": "Begun by the assistant, before anybody took part, or not",
    "unanswered": "The last message is the person's, or is not",
    "is_helpful": "The customer gave positive feedback, or did not",
    "happened_failed": "The tool's run that `happened` looks for ended in an error, or did not",
    "happened_name__isnull": "The tokens that `happened` looks for name no model, or name one",
    **{f"{name}__isnull": f"Without a {name}, or with one" for name in NULLABLE},
}
_TIMES = {
    "started_at_after": "Begun at this time or later (ISO 8601)",
    "started_at_before": "Begun at this time or earlier (ISO 8601)",
    "happened_after": "What `happened` (else a message) did so at this time or later",
    "happened_before": "What `happened` (else a message) did so at this time or earlier",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "device": ("desktop", "mobile", "tablet"),
    "environment": ("production", "development"),
    "feedback_sentiment": ("positive", "neutral", "negative"),
    "feedback_source": ("customer", "platform"),
    "happened": KINDS,
}
_CHOICE_DOCS = {"happened": "One of these is found in it; its name and its time are those of `happened_…`"}
# On the clock of the time zone `tz`; each with its least and greatest value.
_CLOCK = {
    "weekday": ("Begun on this day of the week, 0 is Monday; with `happened`, what happened did", 0, 6),
    "hour": ("Begun in this hour of the day; with `happened`, what happened did", 0, 23),
}
_LISTS = {"action_name__in": "One of these tools was run; names separated by commas"}
_ZONE = "IANA time zone of `weekday` and `hour`; UTC when left out"
_METADATA = "`key:value,key2:value2`; dots reach inside: `analysis.sentiment:positive`"
# Parameters with several values: separated by commas, or given several times.
SEVERAL = frozenset({*_LISTS, "metadata", "metrics"})
FILTER_NAMES = frozenset({*_TEXTS, *_BOOLEANS, *_TIMES, *_CHOICES, *_CLOCK, *_LISTS, "tz", "metadata"})

FILTER_QUERIES: tuple[Query, ...] = (
    *(Query(name, doc) for name, doc in _TEXTS.items()),
    *(Query(name, doc, {"type": "boolean"}) for name, doc in _BOOLEANS.items()),
    *(Query(name, doc, {"type": "string", "format": "date-time"}) for name, doc in _TIMES.items()),
    *(
        Query(name, _CHOICE_DOCS.get(name, ""), {"type": "string", "enum": list(of)})
        for name, of in _CHOICES.items()
    ),
    *(
        Query(name, doc, {"type": "integer", "minimum": least, "maximum": most})
        for name, (doc, least, most) in _CLOCK.items()
    ),
    Query("tz", _ZONE, {"type": "string", "default": "UTC"}),
    *(Query(name, doc) for name, doc in _LISTS.items()),
    Query("metadata", _METADATA),
)
LONGEST = 2_000
# Conversations begin within these years; a clock is read for no longer.
_CLOCK_FROM, _CLOCK_TO = 0, from_datetime(datetime(2100, 1, 1))


def only(given: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Refuse a parameter that is not known.

    Raises:
        Invalid: names it and what there is.
    """
    unknown = sorted(set(given) - allowed)
    if unknown:
        names = ", ".join(sorted(allowed)) or "none"
        raise Invalid({name: [f"is no parameter of this address; there are: {names}"] for name in unknown})


def parse_filters(given: Mapping[str, str]) -> Filters:
    """Filters from query parameters; an empty value leaves its filter out.

    Raises:
        Invalid: a value does not fit.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, text in given.items():
        if name not in FILTER_NAMES or text == "":
            continue
        try:
            values[name] = _value(name, text)
        except ValueError as error:
            errors[name] = [str(error)]
    zone = values.pop("tz", None)
    if not errors and values.keys() & _CLOCK.keys():
        values["offsets"] = _clock(zone or zones.find("UTC"), values)
    if errors:
        raise Invalid(errors)
    return Filters(**values)


def _clock(zone: ZoneInfo, values: Mapping[str, Any]) -> zones.Offsets:
    """The clock of a zone over the time in which the conversations began."""
    after, before = ("started_at_after", "started_at_before")
    if values.keys() & {"happened", "happened_after", "happened_before"}:
        after, before = ("happened_after", "happened_before")
    start = min(max(values.get(after, _CLOCK_FROM), _CLOCK_FROM), _CLOCK_TO - 1)
    end = max(min(values.get(before, _CLOCK_TO), _CLOCK_TO), start + 1)
    return zones.offsets(zone, start, end)


def _value(name: str, text: str) -> Any:
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    if len(text) > LONGEST:
        raise ValueError(f"takes at most {LONGEST:,} characters")
    if name in _TEXTS:
        return text
    if name in _CHOICES:
        if text not in _CHOICES[name]:
            raise ValueError(f"takes {_either(_CHOICES[name])}")
        return text
    if name in _TIMES:
        return moment(text)
    if name == "metadata":
        return _metadata(text)
    if name in _CLOCK:
        _, least, most = _CLOCK[name]
        return _whole(text, least, most)
    if name == "tz":
        return zones.find(text)
    if name in _LISTS:
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    return boolean(text)


def boolean(text: str) -> bool:
    """`true` or `false`, also `1` and `0`.

    Raises:
        ValueError: it is neither.
    """
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError("takes true or false")
    return known[text.lower()]


def moment(text: str) -> int:
    """Microseconds of an ISO 8601 time; a plain date is its midnight, without a zone it is UTC.

    Raises:
        ValueError: it is none.
    """
    try:
        # "+" in an address is a space unless it was encoded.
        value = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    except ValueError:
        try:
            value = msgspec.convert(text, datetime)
        except msgspec.ValidationError:
            raise ValueError("takes an ISO 8601 time such as 2026-01-31T12:00:00Z") from None
    return from_datetime(value)


def _metadata(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in text.split(","):
        key, colon, value = part.partition(":")
        if not colon or not key.strip():
            raise ValueError("takes key:value,key2:value2")
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


def integer(given: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """A whole number among the parameters.

    Raises:
        Invalid: it is none, or out of range.
    """
    text = given.get(name, "")
    if text == "":
        return default
    try:
        return _whole(text, least, most)
    except ValueError as error:
        raise Invalid({name: [str(error)]}) from None


def _whole(text: str, least: int, most: int) -> int:
    plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19
    number = int(text) if plain else None
    if number is None or not least <= number <= most:
        raise ValueError(f"takes a whole number from {least} to {most:,}")
    return number


def ordering(given: Mapping[str, str]) -> str:
    """The order of a list: a column, with `-` for falling.

    Raises:
        Invalid: there is no such order.
    """
    text = given.get("ordering") or "-started_at"
    if text.removeprefix("-") not in ORDERINGS:
        raise Invalid({"ordering": [f"takes {_either(ORDERINGS)}, with - before it for falling"]})
    return text


def _either(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1]
