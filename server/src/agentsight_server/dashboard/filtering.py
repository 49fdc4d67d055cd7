"""The filters of a page: read from its address, in words, and as lines of the sheet from which they are set."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from agentsight_server.dashboard import drilldown, names
from agentsight_server.domain import zones
from agentsight_server.domain.filter_reading import collect, read, typed
from agentsight_server.domain.filters import (
    ABSENT,
    BY_NAME,
    OF_EVENT,
    OF_PAGE,
    RENAMED,
    Filter,
    Filters,
    spellings,
)
from agentsight_server.domain.problems import Problem

_LONGEST_GIVEN = 60
_MOST_STRANGERS = 5
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Chip(msgspec.Struct):
    """A filter that is on, in words, and the address of the page without it."""

    text: str
    off: str


class Notice(msgspec.Struct):
    """What was left out, for the top of a page; `known` are the names that there are instead."""

    text: str
    known: list[str] = []


class Line(msgspec.Struct):
    """A line of the sheet: `choose` one of `options`, `text`, or a `day`. `empty` says what nothing chosen means."""

    name: str
    label: str
    kind: str
    value: str
    options: list[tuple[str, str]]
    hint: str
    empty: str = "Any"


class Sheet(msgspec.Struct):
    """What the sheet of filters holds; `hidden` are the parameters that it has no line for, which stay as they are."""

    lines: list[Line]
    hidden: dict[str, str]


class Applied(msgspec.Struct):
    """What a list is filtered by: for the store, for the address, and what was left out."""

    filters: Filters
    values: dict[str, str]
    problems: list[Notice]

    def query(self, **changes: str | None) -> str:
        """The filters as a query string with its question mark; empty without filters.

        Example:
            >>> Applied(Filters(), {"device": "mobile"}, []).query(device=None, source="web")
            '?source=web'
        """
        kept = {name: value for name, value in {**self.values, **changes}.items() if value}
        return "?" + urlencode(kept) if kept else ""


def read_filters(
    query: Iterable[tuple[str, str]],
    tz: tzinfo,
    escalations: Sequence[str] = (),
    own: frozenset[str] = frozenset(),
) -> Applied:
    """Read the list's filters from its address.

    Args:
        query: the address's parameters. `from` and `to` are the days (or moments: from the one, before the other) in
            which conversations began; with `event` those in which it was.
        tz: in which days begin and hours count.
        escalations: the agent's actions that hand over to a human.
        own: parameters of the page that are no filters.

    What cannot be understood, or is not known, is left out and named in `problems`, so that nobody takes a list for
    filtered that is not. Conversations in which nothing was said are left out unless asked for.
    """
    given, twice = collect(query)
    unknown = given.keys() - spellings(OF_PAGE) - own
    given = typed(given)
    also_unused = given.get("is_used") == "any"
    if also_unused:
        del given["is_used"]
    found = read(given, OF_PAGE)
    values, texts = found.values, found.texts
    if also_unused:
        texts["is_used"] = "any"
    else:
        values.setdefault("is_used", True)
    when = "event" if "event" in values else "started_at"
    for name, end, last in (("from", "after", False), ("to", "before", True)):
        if name in values:
            values[f"{when}_{end}"] = _edge(values.pop(name), tz, last=last)
    if values.pop("handed_over", None):
        # Nothing hands over where no action does.
        values["handed_over"] = tuple(escalations) or ("",)
    problems = [*notices(found.problems), *notices(twice), *strangers(unknown, spellings(OF_PAGE) | own)]
    return Applied(Filters(**values, tz=cast("ZoneInfo", tz)), texts, problems)


def _edge(value: date | int, tz: tzinfo, *, last: bool) -> int:
    """The moment that a day or a moment of an address stands for; as `last` the one before it is over."""
    if isinstance(value, int):
        return value - last
    return zones.start_of_day(cast("ZoneInfo", tz), value + timedelta(days=last)) - last


def notices(problems: Iterable[Problem]) -> list[Notice]:
    """What could not be understood, for the top of a page.

    Example:
        >>> notices(read({"device": "toaster"}, OF_PAGE).problems)[0].text
        'This filter is left out: device takes desktop, mobile or tablet, not “toaster”.'
    """
    return [Notice(f"This filter is left out: {each.field[:_LONGEST_GIVEN]} {each}.") for each in problems]


def strangers(unknown: Iterable[str], known: Collection[str]) -> list[Notice]:
    """Parameters that a page does not know, for its top.

    Example:
        >>> strangers(["devise"], ["device", "source"])
        [Notice(text='“devise” is no filter here. Did you mean “device”?', known=['source', 'device'])]
    """
    found, others = [], []
    for name in sorted(unknown):
        if name in RENAMED:
            shown = name[:_LONGEST_GIVEN]
            found.append(Notice(f"“{shown}” is called “{RENAMED[name]}” now, and is left out."))
        else:
            others.append(name[:_LONGEST_GIVEN])
    if others:
        shown = ", ".join(f"“{name}”" for name in others[:_MOST_STRANGERS])
        close = [
            each for name in others[:_MOST_STRANGERS] for each in difflib.get_close_matches(name, known, 1)
        ]
        perhaps = f" Did you mean “{close[0]}”?" if close else ""
        # Variants of the same filter would bury the rest.
        named = [name for name in BY_NAME if name in known and not name.endswith(ABSENT)]
        found.append(
            Notice(
                f"{shown} {'is no filter' if len(others) == 1 else 'are no filters'} here.{perhaps}", named
            )
        )
    return found


def _day(text: str) -> str:
    if "T" in text:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return f"{moment.day} {moment:%b %Y, %H:%M}"
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"


SHOWN: dict[str, Callable[[str], str]] = {
    "": str,
    "channel": names.channel_name,
    "country": names.country_name,
    "day": _day,
    "device": names.device_name,
    "hour": lambda text: f"{int(text):02}:00–{(int(text) + 1) % 24:02}:00",
    "language": names.language_name,
    "weekday": lambda text: _DAYS[int(text)],
    "word": str.capitalize,
}


def said(one: Filter, text: str) -> str | None:
    """A filter in words; None where it is not worth any.

    Example:
        >>> said(BY_NAME["language__iexact"], "en-US")
        'Just English (US)'
    """
    if not one.label:
        return None
    if isinstance(one.words, Mapping):
        return one.words.get(text)
    if one.name == "to" and "T" in text:
        return f"Before {_day(text)}"
    return (one.words or f"{one.label}: {{}}").format(SHOWN[one.shown](text))


def chips(applied: Applied) -> list[Chip]:
    """The filters that are on, in words."""
    found = []
    for name, value in applied.values.items():
        # Whoever took part or not: the event is what counts.
        if name == "is_used" and value == "any" and "event" in applied.values:
            continue
        text = drilldown.phrase(applied.filters) if name == "event" else said(BY_NAME[name], value)
        if text is not None:
            found.append(Chip(text, _without(applied, name)))
    return found


def _without(applied: Applied, name: str) -> str:
    """The list without a filter; an event goes with all that is said of it."""
    gone = (*OF_EVENT, "is_used") if name == "event" else (name,)
    return applied.query(**dict.fromkeys(gone)) or "?"


def sheet(entries: Iterable[Filter], values: Mapping[str, str], seen: Mapping[str, Sequence[str]]) -> Sheet:
    """The sheet from which filters are set.

    Args:
        values: the parameters of the page's address.
        seen: the values that an agent's conversations have, by filter.
    """
    lines = [_line(one, values.get(one.name, ""), seen.get(one.name, ())) for one in entries if one.line]
    hidden = {name: value for name, value in values.items() if name not in {line.name for line in lines}}
    return Sheet(lines, hidden)


def _line(one: Filter, value: str, seen: Sequence[str]) -> Line:
    if one.line == "day":
        # A moment is more than a day's field can hold.
        kind = "text" if "T" in value else "day"
        return Line(one.name, one.label, kind, value, [], one.hint)
    if one.line == "text":
        return Line(one.name, one.label, "text", value, [], one.hint)
    options = list(one.offers)
    if not options:
        offered: Sequence[Any] = seen if one.line == "seen" else one.choices
        options = [(each, SHOWN[one.shown](each)) for each in offered]
    if one.kind == "country":
        options.sort(key=lambda each: each[1])
    if value and value not in dict(options) and one.line == "seen":
        # What is chosen stays chosen, also where it is too rare to be offered.
        options.append((value, SHOWN[one.shown](value)))
    return Line(one.name, one.label, "choose", value, options, one.hint, one.empty)
