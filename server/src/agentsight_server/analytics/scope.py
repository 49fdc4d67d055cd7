"""Who and what may be counted: agents, environment, period, time zone, filters.

Built here alone, from a checked request and what the actor may see. No figure takes anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from agentsight_server.domain import parameters, times, zones
from agentsight_server.domain.agreement import Agreement
from agentsight_server.domain.errors import Invalid, not_found
from agentsight_server.domain.filter_reading import Reading, read
from agentsight_server.domain.filters import ABSENT, BY_SPELLING, ENVIRONMENTS, OF_FIGURES, spellings
from agentsight_server.domain.parameters import EARLIEST, LONGEST_DAYS, Unfit
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.security.access import Actor
from agentsight_server.store import agents

DEFAULT_DAYS = 30

Environment = Literal["production", "development"]
Comparison = Literal["previous", "year"]
COMPARISONS = ("previous", "year")


@dataclass(frozen=True)
class AppliedFilter:
    """One filter of conversations, with its value.

    Attributes:
        name: what figures call it: `figure` of an entry of domain/filters.py that has `facts`.
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
    filters: tuple[AppliedFilter, ...] = ()
    # What is settled for each agent, and the moment at which is asked (microseconds): see of_store().
    agreements: tuple[tuple[int, Agreement], ...] = ()
    now: int = 0

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
        found = agents.agreements(connection, self.agents)
        if len(found) < len(self.agents):
            raise not_found("no such agent")
        return replace(self, agreements=tuple(sorted(found.items())), now=self.now or times.now())

    @property
    def escalations(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """The actions that count as handing over, by agent."""
        return tuple((agent, agreement.handing_over) for agent, agreement in self.agreements)

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
            "filters": self.applied(),
        }

    def applied(self) -> dict[str, Any]:
        """The filters by name; null stands for unknown."""
        shown: dict[str, Any] = {}
        for each in self.filters:
            if each.key:
                shown.setdefault(each.name, {})[each.key] = each.value
            elif each.value is True:
                shown[each.name + ABSENT] = False
            else:
                shown[each.name] = each.value
        return shown

    def listed(self) -> dict[str, str]:
        """The parameters with which the list of conversations shows the engaged conversations counted here."""
        return {
            "environment": self.environment,
            "is_used": "true",
            "started_at_after": times.to_text(self.start),
            "started_at_before": times.to_text(self.end - 1),
            **listed_filters(self.filters),
        }


def listed_filters(filters: Iterable[AppliedFilter]) -> dict[str, str]:
    """Filters as the list of conversations spells them.

    Example:
        >>> listed_filters([AppliedFilter("device", None), AppliedFilter("metadata", "pro", "tier")])
        {'device__isnull': 'true', 'metadata': 'tier:pro'}
    """
    found: dict[str, str] = {}
    for each in filters:
        one = BY_SPELLING[each.name]
        if each.key:
            found[one.name] = ",".join(filter(None, (found.get(one.name), f"{each.key}:{each.value}")))
        elif isinstance(each.value, str):
            found[one.name] = each.value
        else:
            found[one.name + ABSENT] = "false" if each.value else "true"
        if one.facts == "sentiment":
            found["feedback_source"] = "customer"
    return found


PARAMETERS = frozenset({"agent", "from", "to", "tz", "environment"}) | spellings(OF_FIGURES)


def of_request(given: Mapping[str, str], actor: Actor, *, now: int | None = None) -> Scope:
    """The scope that a request asks for, as far as the actor may see.

    Args:
        given: query parameters; those that are no business of a scope are left alone.
        now: the present in microseconds, for the default period of 30 days up to today.

    Raises:
        Invalid: a parameter holds what it cannot take; it is named with what it takes.
        RequestError: 404, an agent that is not the actor's.
    """
    scope, problems = read_scope(given, actor, now=now)
    if problems:
        raise Invalid(*problems)
    return scope


def read_scope(
    given: Mapping[str, str], actor: Actor, *, now: int | None = None
) -> tuple[Scope, list[Problem]]:
    """The same, without what could not be understood, and what that is."""
    filters = read(given, OF_FIGURES)
    problems = filters.problems
    zone = zones.find("UTC")
    try:
        zone = parameters.zone(given.get("tz") or "UTC")
    except Unfit as unfit:
        problems.append(unfit.of("tz", given["tz"]))
    environment = given.get("environment") or "production"
    if environment not in ENVIRONMENTS:
        problems.append(Unfit(Code.CHOICE, either(ENVIRONMENTS)).of("environment", environment))
    today = zones.today(zone, times.now() if now is None else now)
    first, last = _period(given, today, problems)
    agent = _agent(given, actor, problems)
    environment_: Environment = "development" if environment == "development" else "production"
    return Scope((agent,), first, last, zone, environment_, _conditions(filters)), problems


def _agent(given: Mapping[str, str], actor: Actor, problems: list[Problem]) -> int:
    text = given.get("agent", "")
    if not text and actor.agent_id is not None:
        return actor.agent_id
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        problems.append(Problem("agent", Code.TYPE, "the number of an agent; GET /api/me/ lists yours"))
        return 0
    return actor.require_agent(int(text))


def _period(given: Mapping[str, str], today: date, problems: list[Problem]) -> tuple[date, date]:
    """The first and the last day; an end that cannot be is as if it were not given."""
    found: dict[str, date] = {}
    for name in ("from", "to"):
        try:
            if given.get(name):
                found[name] = parameters.day(given[name])
        except Unfit as unfit:
            problems.append(unfit.of(name, given[name]))
    while True:
        last = found.get("to", max(today, found.get("from", today)))
        first = found.get("from", max(EARLIEST, last - timedelta(days=DEFAULT_DAYS - 1)))
        days = (last - first).days + 1
        if days < 1:
            wrong = Problem("from", Code.AFTER, f"to ({last})")
        elif days > LONGEST_DAYS:
            end = "to" if "to" in found else "from"
            longest = f"a period of at most {LONGEST_DAYS:,} days; this one has {days:,}"
            wrong = Problem(end, Code.RANGE, longest)
        else:
            return first, last
        if not any(each.field in ("from", "to") for each in problems):
            problems.append(wrong)
        del found[wrong.field]


def _conditions(filters: Reading) -> tuple[AppliedFilter, ...]:
    found: list[AppliedFilter] = []
    for name, value in filters.values.items():
        one = BY_SPELLING[name]
        if one.facts == "absent":
            found.append(AppliedFilter(one.figure.removesuffix(ABSENT), None if value else True))
        elif one.facts == "metadata":
            found += [AppliedFilter(one.figure, text, key) for key, text in value]
        else:
            found.append(AppliedFilter(one.figure, value))
    return tuple(dict.fromkeys(found))
