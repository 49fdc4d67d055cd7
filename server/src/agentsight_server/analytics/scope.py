"""Who and what may be counted: agents, environment, period, time zone, filters.

Built here alone, from a checked request and what the actor may see. No figure takes anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from agentsight_server.domain import times, zones
from agentsight_server.domain.errors import Invalid, not_found
from agentsight_server.security.access import Actor
from agentsight_server.store import agents

LONGEST_DAYS = 1_830
EARLIEST, LATEST = date(1970, 1, 2), date(9000, 12, 31)
DEFAULT_DAYS = 30
LONGEST_VALUE = 2_000

Environment = Literal["production", "development"]
Comparison = Literal["previous", "year"]
COMPARISONS = ("previous", "year")
ENVIRONMENTS = ("production", "development")

# Filters and what else they are called: the names that the list of conversations uses.
FILTERS = {
    "device": "device",
    "source": "source",
    "language": "language",
    "country": "country",
    "customer": "customer_id",
    "feedback": "feedback_sentiment",
    "action": "action_name",
}
# Of these, "unknown" is a value like any other: name__isnull=true.
NULLABLE = ("device", "source", "language", "country", "customer", "feedback")
CHOICES = {
    "device": ("desktop", "mobile", "tablet"),
    "feedback": ("positive", "neutral", "negative"),
}
_ISNULL = "__isnull"


@dataclass(frozen=True)
class Filter:
    """One condition on conversations.

    Attributes:
        name: one of FILTERS, or "metadata".
        value: what it has to be; None: absent; True: anything, but not absent.
        key: for metadata, the key; dots reach inside.
    """

    name: str
    value: str | bool | None
    key: str = ""


@dataclass(frozen=True)
class Scope:
    """What is counted. `first` and `last` are days in the zone, both included.

    Example:
        >>> scope = Scope((1,), date(2026, 8, 1), date(2026, 8, 31), zones.find("Europe/Zagreb"))
        >>> scope.days, scope.previous().last
        (31, datetime.date(2026, 7, 31))
    """

    agents: tuple[int, ...]
    first: date
    last: date
    zone: ZoneInfo = field(default_factory=lambda: zones.find("UTC"))
    environment: Environment = "production"
    filters: tuple[Filter, ...] = ()
    # The actions that count as handing over, by agent.
    escalations: tuple[tuple[int, tuple[str, ...]], ...] = ()

    @cached_property
    def start(self) -> int:
        """The first moment of the period, in microseconds."""
        return zones.start_of_day(self.zone, self.first)

    @cached_property
    def end(self) -> int:
        """The first moment after the period."""
        return zones.start_of_day(self.zone, self.last + timedelta(days=1))

    @property
    def days(self) -> int:
        """How many days the period has."""
        return (self.last - self.first).days + 1

    def previous(self) -> Scope:
        """The same for the period of equal length just before."""
        length = timedelta(days=self.days)
        return replace(self, first=self.first - length, last=self.last - length)

    def year_before(self) -> Scope:
        """The same for as many days from the same date a year earlier on (from 28 February for the 29th)."""
        try:
            first = self.first.replace(year=self.first.year - 1)
        except ValueError:
            first = self.first.replace(year=self.first.year - 1, day=28)
        return replace(self, first=first, last=first + timedelta(days=self.days - 1))

    def compared(self, comparison: Comparison) -> Scope:
        """The scope to compare with."""
        return self.previous() if comparison == "previous" else self.year_before()

    def of_store(self, connection: Connection) -> Scope:
        """The same, with what the store knows of the agents.

        Raises:
            RequestError: 404, there is no such agent.
        """
        found = agents.escalations(connection, self.agents)
        if len(found) < len(self.agents):
            raise not_found("no such agent")
        return replace(self, escalations=tuple(sorted(found.items())))

    def described(self) -> dict[str, Any]:
        """The scope as answers name it."""
        who: dict[str, Any] = (
            {"agent": self.agents[0]} if len(self.agents) == 1 else {"agents": list(self.agents)}
        )
        return {
            **who,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "tz": self.zone.key,
            "environment": self.environment,
            "filters": self.chosen(),
        }

    def chosen(self) -> dict[str, Any]:
        """The filters by name; null stands for unknown."""
        shown: dict[str, Any] = {}
        for each in self.filters:
            if each.name == "metadata":
                shown.setdefault("metadata", {})[each.key] = each.value
            elif each.value is True:
                shown[each.name + _ISNULL] = False
            else:
                shown[each.name] = each.value
        return shown

    def listed(self) -> dict[str, str]:
        """The parameters with which the list of conversations shows the engaged conversations counted here."""
        found = {
            "environment": self.environment,
            "is_used": "true",
            "started_at_after": times.to_text(self.start),
            "started_at_before": times.to_text(self.end - 1),
        }
        pairs = [f"{each.key}:{each.value}" for each in self.filters if each.name == "metadata"]
        if pairs:
            found["metadata"] = ",".join(pairs)
        for each in self.filters:
            if each.name != "metadata":
                found |= listed_filter(each)
        return found


def listed_filter(one: Filter) -> dict[str, str]:
    """A filter as the list of conversations spells it.

    Example:
        >>> listed_filter(Filter("device", None))
        {'device__isnull': 'true'}
    """
    if one.name == "feedback" and not isinstance(one.value, str):
        return {"has_feedback": "true" if one.value else "false", "feedback_source": "customer"}
    if not isinstance(one.value, str):
        return {FILTERS[one.name] + _ISNULL: "false" if one.value else "true"}
    extra = {"feedback_source": "customer"} if one.name == "feedback" else {}
    return {FILTERS[one.name]: one.value, **extra}


PARAMETERS = frozenset(
    {
        "agent", "from", "to", "tz", "environment", "metadata",
        *FILTERS, *FILTERS.values(),
        *(each + _ISNULL for name in NULLABLE for each in (name, FILTERS[name])),
    }
)  # fmt: skip


def of_request(given: Mapping[str, str], actor: Actor, *, now: int | None = None) -> Scope:
    """The scope that a request asks for, as far as the actor may see.

    Args:
        given: query parameters; those that are no business of a scope are left alone.
        now: the present in microseconds, for the default period of 30 days up to today.

    Raises:
        Invalid: a parameter holds what it cannot take; it is named with what it takes.
        RequestError: 404, an agent that is not the actor's.
    """
    errors: dict[str, list[str]] = {}
    zone = zones.find("UTC")
    try:
        zone = zones.find(given.get("tz") or "UTC")
    except ValueError as error:
        errors["tz"] = [str(error)]
    environment = given.get("environment") or "production"
    if environment not in ENVIRONMENTS:
        errors["environment"] = ["takes production or development"]
    today = zones.today(zone, times.now() if now is None else now)
    first, last = _period(given, today, errors)
    filters = _filters(given, errors)
    agent = _agent(given, actor, errors)
    if errors:
        raise Invalid(errors)
    environment_: Environment = "development" if environment == "development" else "production"
    return Scope((agent,), first, last, zone, environment_, filters)


def _agent(given: Mapping[str, str], actor: Actor, errors: dict[str, list[str]]) -> int:
    text = given.get("agent", "")
    if not text and actor.agent_id is not None:
        return actor.agent_id
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        errors["agent"] = ["takes the number of an agent; GET /api/me/ lists yours"]
        return 0
    return actor.require_agent(int(text))


def _period(given: Mapping[str, str], today: date, errors: dict[str, list[str]]) -> tuple[date, date]:
    found: dict[str, date] = {}
    for name in ("from", "to"):
        text = given.get(name, "")
        if not text:
            continue
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
                raise ValueError
            found[name] = date.fromisoformat(text)
        except ValueError:
            errors[name] = ["takes a day such as 2026-08-31"]
            continue
        if not EARLIEST <= found[name] <= LATEST:
            errors[name] = [f"takes a day from {EARLIEST} to {LATEST}"]
    if errors.keys() & {"from", "to"}:
        return today, today
    last = found.get("to", max(today, found.get("from", today)))
    first = found.get("from", max(EARLIEST, last - timedelta(days=DEFAULT_DAYS - 1)))
    days = (last - first).days + 1
    if days < 1:
        errors["from"] = [f"must not be after to ({last})"]
    elif days > LONGEST_DAYS:
        errors["to"] = [f"the period may have at most {LONGEST_DAYS:,} days; this one has {days:,}"]
    return first, last


def _filters(given: Mapping[str, str], errors: dict[str, list[str]]) -> tuple[Filter, ...]:
    found: list[Filter] = []
    for name, alias in FILTERS.items():
        for spelled in dict.fromkeys((name, alias)):
            text = given.get(spelled, "")
            try:
                if text:
                    found.append(Filter(name, _checked(name, text)))
                if name in NULLABLE and (absent := given.get(spelled + _ISNULL, "")):
                    if absent.lower() not in {"true", "false", "1", "0"}:
                        errors[spelled + _ISNULL] = ["takes true or false"]
                        continue
                    found.append(Filter(name, None if absent.lower() in {"true", "1"} else True))
            except ValueError as error:
                errors[spelled] = [str(error)]
    if given.get("metadata"):
        try:
            found += _metadata(given["metadata"])
        except ValueError as error:
            errors["metadata"] = [str(error)]
    return tuple(dict.fromkeys(found))


def _checked(name: str, text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    if len(text) > LONGEST_VALUE:
        raise ValueError(f"takes at most {LONGEST_VALUE:,} characters")
    if name in CHOICES and text not in CHOICES[name]:
        *others, last = CHOICES[name]
        raise ValueError(f"takes {', '.join(others)} or {last}")
    if name == "country":
        return text.upper()
    return text.lower().replace("_", "-") if name == "language" else text


def _metadata(text: str) -> list[Filter]:
    _checked("metadata", text)
    found = []
    for part in text.split(","):
        key, colon, value = part.partition(":")
        if not colon or not key.strip():
            raise ValueError("takes key:value,key2:value2")
        found.append(Filter("metadata", value.strip(), key.strip()))
    return found
