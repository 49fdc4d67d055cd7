"""Figures in the client's words: shares, changes, periods, and the sentence that says how the assistant did."""

from __future__ import annotations

import calendar
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from agentsight_server.analytics.scope import Scope
from agentsight_server.dashboard.formats import ABSENT, compact, duration, plural, short_day
from agentsight_server.dashboard.names import Icon
from agentsight_server.domain.locales import localise

Kind = Literal["conversations", "messages", "people", "milliseconds", "handed", "satisfied"]

_NOTHING: dict[Kind, str] = {
    "conversations": "no conversations",
    "messages": "no messages",
    "people": "no people",
    "milliseconds": "no answers",
    "handed": "no conversations",
    "satisfied": "no feedback",
}
# What more and less are called.
_MORE: dict[Kind, tuple[str, str]] = {
    "conversations": ("more", "fewer"),
    "messages": ("more", "fewer"),
    "people": ("more", "fewer"),
    "milliseconds": ("slower", "faster"),
    "handed": ("more", "less"),
    "satisfied": ("better", "worse"),
}
_LESS_IS_BETTER = ("milliseconds", "handed")
_SHARES = ("handed", "satisfied")


def share(value: float | None) -> str:
    """A part of a whole.

    Example:
        >>> share(0.0573), share(0.94), share(0.9987), share(None)
        ('5.7 %', '94 %', '99.9 %', '–')
    """
    if value is None:
        return ABSENT
    percent = value * 100
    if 0 < percent < 0.1:
        return "< 0.1 %"
    # What is not all is not shown as all.
    fine = percent < 9.95 or (99.5 <= percent < 100)
    text = (
        f"{min(percent, 99.9) if percent < 100 else percent:.1f}".removesuffix(".0")
        if fine
        else f"{percent:.0f}"
    )
    return f"{localise(text)} %"


def figure(kind: Kind, value: float | None) -> str:
    """A figure as a card shows it."""
    if value is None:
        return ABSENT
    if kind == "milliseconds":
        return duration(value)
    if kind in _SHARES:
        return share(value)
    return compact(int(value))


def told(kind: Kind, value: float | None) -> str:
    """A figure with its noun: 78 conversations.

    Example:
        >>> told("handed", 0.06), told("people", 1), told("satisfied", None)
        ('6 % handed to a human', '1 person', 'no feedback')
    """
    if value is None:
        return _NOTHING[kind]
    if kind == "milliseconds":
        return f"answers in {duration(value)}"
    if kind == "handed":
        return f"{share(value)} handed to a human"
    if kind == "satisfied":
        return f"{share(value)} satisfied"
    count = int(value)
    if kind == "people":
        return plural(count, "person", "people")
    return plural(count, kind.removesuffix("s"))


class Change(msgspec.Struct):
    """How a figure stands against another period: words, an arrow, and whether that is good ("good", "bad", "")."""

    text: str
    icon: Icon
    tone: str
    before: str


def change(kind: Kind, now: float | None, past: float | None) -> Change | None:
    """The change of a figure; None where there is nothing to compare with.

    Example:
        >>> change("conversations", 140, 100).text, change("milliseconds", 900, 1000).text
        ('40 % more', '10 % faster')
    """
    if now is None or past is None or (not past and kind not in _SHARES):
        return None
    before = figure(kind, past)
    if kind in _SHARES:
        points = (now - past) * 100
        size = f"{abs(points):.0f}" if abs(points) >= 9.95 else f"{abs(points):.1f}".removesuffix(".0")
        amount, more = f"{localise(size)} {'point' if size == '1' else 'points'}", points > 0
        same = size == "0"
    else:
        ratio = now / past - 1
        more = ratio > 0
        amount = f"{abs(ratio) * 100:.0f} %"
        same = amount == "0 %"
    if same:
        return Change("no change", Icon("minus"), "", before)
    word = _MORE[kind][0 if more else 1]
    better = more is not (kind in _LESS_IS_BETTER)
    icon = Icon("arrow-up") if more else Icon("arrow-down")
    # Many times a small number says less than the number.
    text = f"from {before}" if kind not in _SHARES and now / (past or 1) >= 10 else f"{amount} {word}"
    return Change(text, icon, "good" if better else "bad", before)


def span(first: date, last: date, today: date) -> str:
    """A period, short: 24 Sep – 23 Oct; a whole month by its name."""
    if first == last:
        return short_day(first, today)
    if whole_month(first, last):
        return f"{first:%B %Y}"
    if first.year == last.year != today.year:
        return f"{first.day} {first:%b} – {short_day(last, today)}"
    return f"{short_day(first, today)} – {short_day(last, today)}"


def whole_month(first: date, last: date) -> bool:
    """Whether a period is a month of the calendar."""
    ends = calendar.monthrange(first.year, first.month)[1]
    return first.day == 1 and last == first.replace(day=ends)


_PRESET_WORDS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "In the last 7 days",
    "30d": "In the last 30 days",
    "90d": "In the last 90 days",
    "12m": "In the last 12 months",
    "month": "This month",
}


def when(scope: Scope, preset: str | None) -> str:
    """The beginning of a sentence: In the last 30 days."""
    if preset in _PRESET_WORDS:
        return _PRESET_WORDS[preset]
    first, last = scope.first, scope.last
    if whole_month(first, last):
        return f"In {first:%B %Y}"
    if first == last:
        return f"On {_long(first)}"
    same_year = first.year == last.year
    return f"From {first.day} {first:%B}{'' if same_year else f' {first:%Y}'} to {_long(last)}"


def _long(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def sentence(metrics: dict[str, Any], opening: str) -> list[tuple[str, bool]]:
    """The one sentence that says how the assistant did, as pieces of (text, whether it is a figure)."""
    held = metrics["conversations"]["value"]
    people = metrics["users"]["value"]
    handed = metrics["escalation_rate"]
    answer = metrics["response_time"]["mean_ms"]
    pieces = [
        (f"{opening} the assistant held ", False),
        (plural(held, "conversation"), True),
    ]
    if people:
        pieces += [(" with ", False), (plural(people, "person", "people"), True)]
    if handed["numerator"]:
        pieces += [
            (" and handed ", False),
            (share(handed["value"]), True),
            (" of them to a human", False),
        ]
    elif handed["denominator"]:
        pieces += [(" and handed none of them to a human", False)]
    if answer is not None:
        pieces += [("; people got an answer in ", False), (duration(answer), True)]
    pieces.append((".", False))
    return pieces


def bucket(unit: str, start: str, today: date) -> tuple[str, str]:
    """A point of a series, long and short: Thursday 22 October, 22 Oct."""
    if unit == "hour":
        moment = datetime.fromisoformat(start)
        return f"{moment:%A} {moment.day} {moment:%B}, {moment:%H:%M}", f"{moment:%H:%M}"
    day = date.fromisoformat(start)
    year = "" if day.year == today.year else f" {day:%Y}"
    if unit == "month":
        return f"{day:%B %Y}", f"{day:%b}{year}"
    if unit == "week":
        return f"Week from {day.day} {day:%B}{year}", f"{day.day} {day:%b}"
    return f"{day:%A} {day.day} {day:%B}{year}", f"{day.day} {day:%b}"
