"""What the page is asked to show, read from its address: period, comparison, filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

import msgspec

from agentsight_server.analytics.scope import Comparison, Scope, of_request
from agentsight_server.dashboard import inbox
from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.inbox import Chip, Chosen
from agentsight_server.domain import zones
from agentsight_server.domain.errors import Invalid
from agentsight_server.security.access import Actor
from agentsight_server.store import happenings
from agentsight_server.store.matching import NULLABLE, Filters

# The filters of the page, as the list of conversations spells them.
FILTERS = (
    "source", "device", "language", "country", "customer_id", "action_name", "feedback_sentiment", "metadata",
    *(f"{name}__isnull" for name in NULLABLE),
)  # fmt: skip
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
        problems: why not.
    """

    agent_id: int
    scope: Scope
    values: dict[str, str]
    preset: str | None
    compare: Comparison | None
    today: date
    problems: list[str]

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
        return {name: self.values[name] for name in FILTERS if name in self.values}

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
        source = {"feedback_source": "customer"} if "feedback_sentiment" in self.values else {}
        found: dict[str, str | None] = {
            **self.filters,
            **source,
            "environment": self.scope.environment,
            "from": self.scope.first.isoformat(),
            "to": self.scope.last.isoformat(),
            **changes,
        }
        kept = {name: value for name, value in found.items() if value}
        return f"/agents/{self.agent_id}/conversations/?{urlencode(kept)}"

    def happened(self, kind: happenings.Kind, name: str | None = None, **more: str | None) -> str:
        """The conversations in which something happened in the period, whenever they began.

        Example:
            >>> view.happened("tool", "check_database")
            '/agents/1/conversations/?environment=production&from=…&is_used=any&happened=tool&happened_name=…'
        """
        return self.listed(is_used="any", happened=kind, happened_name=name, **more)

    def having(self, name: str, value: str | None) -> str:
        """The conversations with a value; None is unknown."""
        if value is None:
            return self.listed(**{f"{name}__isnull": "true", name: None})
        narrower = self.values.get(name, "") if name == "language" else ""
        if narrower.lower().replace("_", "-").startswith(value + "-"):
            return self.listed()
        return self.listed(**{name: value, f"{name}__isnull": None})

    def chips(self) -> list[Chip]:
        """The filters that are on, in words."""
        found = []
        for name, value in self.filters.items():
            text = inbox.chips(Chosen(Filters(), {name: value}, []))[0].text
            found.append(Chip(text, self.address(**{name: None})))
        return found

    def turned(self, step: int) -> str | None:
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


def read(query: Mapping[str, str], actor: Actor, agent_id: int, tz: tzinfo, now: int) -> View:
    """Read the page's address.

    What cannot be understood is left out and named in `problems`: nobody takes a page for filtered that is not.

    Raises:
        RequestError: 404, the agent is not the actor's.
    """
    zone = getattr(tz, "key", "UTC")
    today = zones.today(zones.find(zone), now)
    values: dict[str, str] = {}
    problems: list[str] = []
    allowed = {
        "period": tuple(_LABELS),
        "compare": ("previous", "year", "none"),
        "chart": CHARTS,
        "hours": HOURS,
    }
    for name in ("period", "from", "to", "compare", "environment", "chart", "hours", *FILTERS):
        value = query.get(name, "")
        # Names that programs gave are taken as they are, blanks and all.
        if name not in {"source", "action_name"} or value.isspace():
            value = value.strip()
        if not value:
            continue
        if name in allowed and value not in allowed[name]:
            problems.append(f"{name} takes {', '.join(allowed[name])}, not “{value[:60]}”")
        else:
            values[name] = value
    if "from" in values or "to" in values:
        values.pop("period", None)
    while True:
        preset = None if "from" in values or "to" in values else values.get("period", DEFAULT)
        asked: dict[str, Any] = {**values, "agent": str(agent_id), "tz": zone}
        if preset is not None:
            first, last = days_of(preset, today)
            asked |= {"from": first.isoformat(), "to": last.isoformat()}
        try:
            scope = of_request(asked, actor, now=now)
            break
        except Invalid as error:
            wrong = error.errors.keys() & values.keys()
            if not wrong:
                raise
            for name in sorted(wrong):
                problems.append(f"{name} {error.errors[name][0]}, not “{values.pop(name)[:60]}”")
    given = values.get("compare", "previous")
    compare: Comparison | None = "previous" if given == "previous" else "year" if given == "year" else None
    return View(agent_id, scope, values, preset, compare, today, problems)


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
