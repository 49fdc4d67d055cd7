"""What the page is asked to show, read from its address: period, comparison, filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

import msgspec

from agentsight_server.analytics.scope import Comparison, Scope, listed_filters, read_scope
from agentsight_server.dashboard import filtering
from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.filtering import Chip, Notice, Sheet
from agentsight_server.domain import zones
from agentsight_server.domain.filter_reading import collect, read, typed
from agentsight_server.domain.filters import ABSENT, BY_NAME, OF_FIGURES, EventKind, Filters, spellings
from agentsight_server.domain.parameters import Unfit
from agentsight_server.domain.problems import Code, either
from agentsight_server.security.access import Actor

CHARTS = ("conversations", "messages", "users", "response_time", "escalation_rate", "feedback")
HOURS = ("conversations", "messages")
DEFAULT = "30d"


class Preset(msgspec.Struct, frozen=True):
    """A period by its name, and the key that chooses it."""

    name: str
    label: str
    key: str


PRESETS = (
    Preset("today", "Today", "d"),
    Preset("yesterday", "Yesterday", "e"),
    Preset("7d", "Last 7 days", "w"),
    Preset("30d", "Last 30 days", "t"),
    Preset("90d", "Last 90 days", "q"),
    Preset("month", "This month", "m"),
    Preset("last-month", "Last month", "p"),
    Preset("12m", "Last 12 months", "y"),
)
_LABELS = {each.name: each.label for each in PRESETS}


class View(msgspec.Struct):
    """The page as it is asked for.

    Attributes:
        values: the parameters of its address; what could not be understood is not among them.
        given: its filters, read.
        problems: what was left out.
    """

    agent_id: int
    scope: Scope
    values: dict[str, str]
    given: dict[str, Any]
    preset: str | None
    compare: Comparison | None
    today: date
    problems: list[Notice]

    @property
    def chart(self) -> str:
        """The figure of the big chart."""
        return self.values.get("chart", CHARTS[0])

    @property
    def hours(self) -> str:
        """What is counted by the hour of the week."""
        return self.values.get("hours", HOURS[0])

    @property
    def period(self) -> str:
        """The period's name."""
        return _LABELS.get(self.preset or "") or words.span(self.scope.first, self.scope.last, self.today)

    @property
    def compared(self) -> str:
        """The other period in words; empty without one."""
        if self.compare is None:
            return ""
        other = self.scope.compared(self.compare)
        return words.span(other.first, other.last, self.today)

    @property
    def development(self) -> bool:
        """Whether it shows what happened in development."""
        return self.scope.environment == "development"

    @property
    def filters(self) -> dict[str, str]:
        """The filters that are on."""
        return {name: self.values[name] for name in self.given}

    @property
    def for_store(self) -> Filters:
        """The same filters for the store."""
        rated = (
            {"feedback_source": "customer"}
            if listed_filters(self.scope.filters).get("feedback_source")
            else {}
        )
        return Filters(**self.given, **rated, environment=self.scope.environment)

    @property
    def clear(self) -> str:
        """The address without filters."""
        return self.address(environment=None, **dict.fromkeys(self.given))

    def address(self, **changes: str | None) -> str:
        """The page's query with some parameters changed; `?` where none is left.

        Example:
            >>> view.address(device=None, period="7d")
            '?period=7d'
        """
        merged = {**self.values, **changes}
        if changes.keys() & {"period"}:
            merged |= {"from": None, "to": None} if changes["period"] else {}
        elif changes.keys() & {"from", "to"}:
            merged["period"] = None
        return "?" + urlencode({name: value for name, value in merged.items() if value})

    def listed(self, **changes: str | None) -> str:
        """The address of the conversations behind a figure."""
        found: dict[str, str | None] = {
            **listed_filters(self.scope.filters),
            "environment": self.scope.environment,
            "from": self.scope.first.isoformat(),
            "to": self.scope.last.isoformat(),
            **changes,
        }
        kept = {name: value for name, value in found.items() if value}
        return f"/agents/{self.agent_id}/conversations/?{urlencode(kept)}"

    def events(self, kind: EventKind, name: str | None = None, **more: str | None) -> str:
        """The conversations with an event in the period, whenever they began.

        Example:
            >>> view.events("tool", "check_database")
            '/agents/1/conversations/?environment=production&from=…&is_used=any&event=tool&event_name=check_database'
        """
        return self.listed(is_used="any", event=kind, event_name=name, **more)

    def link_for(self, name: str, value: str | None) -> str:
        """The conversations with a value; None is unknown."""
        if value is None:
            return self.listed(**{f"{name}{ABSENT}": "true", name: None})
        if name == "language" and (self.given.get(name) or "").startswith(f"{value}-"):
            return self.listed()  # what is asked for is narrower
        return self.listed(**{name: value, f"{name}{ABSENT}": None})

    def chips(self) -> list[Chip]:
        """The filters that are on, in words."""
        return [
            Chip(filtering.said(BY_NAME[name], value) or name, self.address(**{name: None}))
            for name, value in self.filters.items()
        ]

    def sheet(self, seen: Mapping[str, Sequence[str]]) -> Sheet:
        """The sheet from which the filters are set."""
        made = filtering.sheet((*OF_FIGURES, BY_NAME["environment"]), self.values, seen)
        for line in made.lines:
            if line.name == "environment":
                line.empty, line.options = "Production", [("development", "Development")]
        return made

    def shifted(self, step: int) -> str | None:
        """The address of the period before (-1) or after (1); None for one that has not begun."""
        first, last = self.scope.first, self.scope.last
        if words.whole_month(first, last):
            moved = first - timedelta(days=1) if step < 0 else last + timedelta(days=1)
            first = moved.replace(day=1)
            last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        else:
            length = timedelta(days=self.scope.days * step)
            first, last = first + length, last + length
        if first > self.today or first.year < 1971:
            return None
        return self.address(**{"from": first.isoformat(), "to": last.isoformat()})


_CHOICES = {
    "period": tuple(_LABELS),
    "compare": ("previous", "year", "none"),
    "chart": CHARTS,
    "hours": HOURS,
}
_OWN = ("period", "from", "to", "compare", "environment", "chart", "hours")
_FILTERS = spellings(OF_FIGURES)


def read_view(query: Iterable[tuple[str, str]], actor: Actor, agent_id: int, tz: tzinfo, now: int) -> View:
    """Read the page's address.

    What cannot be understood, or is not known, is left out and named in `problems`: nobody takes a page for filtered
    that is not.

    Raises:
        RequestError: 404, the agent is not the actor's.
    """
    zone = getattr(tz, "key", "UTC")
    today = zones.today(zones.find(zone), now)
    given, twice = collect(query)
    problems = filtering.notices(twice)
    problems += filtering.strangers(given.keys() - _FILTERS - set(_OWN), [*_OWN, *_FILTERS])
    given = {name: text for name, text in typed(given).items() if text}
    for name, choices in _CHOICES.items():
        if name in given and given[name] not in choices:
            problems += filtering.notices([Unfit(Code.CHOICE, either(choices)).of(name, given.pop(name))])
    if "from" in given or "to" in given:
        given.pop("period", None)
    preset = None if "from" in given or "to" in given else given.get("period", DEFAULT)
    asked = {**given, "agent": str(agent_id), "tz": zone}
    if preset is not None:
        first, last = days_of(preset, today)
        asked |= {"from": first.isoformat(), "to": last.isoformat()}
    scope, wrongs = read_scope(asked, actor, now=now)
    problems += filtering.notices(wrongs)
    found = read(given, OF_FIGURES)
    wrong = {each.field for each in wrongs}
    own = {name: given[name] for name in _OWN if name in given and name not in wrong}
    for name, day in (("from", scope.first), ("to", scope.last)):
        if own.get(name) != day.isoformat():  # an end that cannot be is not shown as if it were
            own.pop(name, None)
    wanted = own.get("compare", "previous")
    compare: Comparison | None = "previous" if wanted == "previous" else "year" if wanted == "year" else None
    return View(agent_id, scope, own | found.texts, found.values, preset, compare, today, problems)


def days_of(preset: str, today: date) -> tuple[date, date]:
    """The days of a preset, both included.

    Example:
        >>> days_of("7d", date(2026, 8, 31))[0]
        datetime.date(2026, 8, 25)
    """
    if preset == "yesterday":
        return (today - timedelta(days=1),) * 2
    if preset == "month":
        return today.replace(day=1), today
    if preset == "last-month":
        last = today.replace(day=1) - timedelta(days=1)
        return last.replace(day=1), last
    if preset == "12m":
        try:
            before = today.replace(year=today.year - 1)
        except ValueError:  # 29 February
            before = today.replace(year=today.year - 1, day=28)
        return before + timedelta(days=1), today
    length = {"today": 1, "7d": 7, "90d": 90}.get(preset, 30)
    return today - timedelta(days=length - 1), today
