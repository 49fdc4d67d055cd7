"""Headline figures along time: the same definitions, one value for each hour, day, week or month of a period."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone
from typing import Any

from agentsight_server.analytics.figures import milliseconds, rate
from agentsight_server.analytics.query import MetricContext, Query
from agentsight_server.analytics.scope import Scope
from agentsight_server.domain import zones

Key = tuple[int, ...]
Values = list[float | None]


class _Buckets:
    """The points of a series: how rows are put into them, and which comes where."""

    def __init__(self, scope: Scope, unit: str, starts: Sequence[str]) -> None:
        self.scope = scope
        self.unit = unit
        self._months = [zones.day_number(date.fromisoformat(each)) for each in starts if unit == "month"]
        self.places = {self._key(start): place for place, start in enumerate(starts)}

    def _key(self, start: str) -> Key:
        if self.unit == "hour":
            moment = datetime.fromisoformat(start)
            ahead = moment.utcoffset()
            assert ahead is not None
            since = moment.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
            return int(since.total_seconds()) // 3600, int(ahead.total_seconds() * 1_000_000)
        day = zones.day_number(date.fromisoformat(start))
        return ((day + 3) // 7,) if self.unit == "week" else (day,)

    def columns(self, q: Query, column: str) -> list[str]:
        """What rows are grouped by."""
        if self.unit == "hour":
            return [q.hours(column), q.offset(column)]
        day = q.day(column)
        first, last = zones.day_number(self.scope.first), zones.day_number(self.scope.last)
        # Where the clock is turned back over midnight, an hour of the period bears the date of the day before.
        within = f"CASE WHEN {day} < {first} THEN {first} WHEN {day} > {last} THEN {last} ELSE {day} END"
        if self.unit == "week":
            return [q.functions.divide(f"({within}) + 3", 7)]
        if self.unit == "month":
            later = " ".join(f"WHEN {day} >= {month} THEN {month}" for month in reversed(self._months[1:]))
            return [f"CASE {later} ELSE {self._months[0]} END" if later else str(self._months[0])]
        return [within]


def _found(
    context: MetricContext,
    buckets: _Buckets,
    column: str,
    asked: Callable[[Query], tuple[str, str]],
    width: int,
) -> list[tuple[Any, ...] | None]:
    q = context.query()
    what, source = asked(q)
    keys = buckets.columns(q, column)
    named = ", ".join(f"{key} AS key_{place}" for place, key in enumerate(keys))
    grouped = ", ".join(f"key_{place}" for place in range(len(keys)))
    found: list[tuple[Any, ...] | None] = [None] * len(buckets.places)
    for row in q.rows(f"SELECT {what}, {named} FROM {source} GROUP BY {grouped}"):  # noqa: S608
        place = buckets.places.get(tuple(map(int, row[width:])))
        if place is not None:
            found[place] = row[:width]
    return found


def _users(context: MetricContext, buckets: _Buckets) -> Values:
    rows = _found(
        context,
        buckets,
        "started_at",
        lambda q: ("count(DISTINCT customer)", f"sessions WHERE {q.begun} AND engaged"),
        1,
    )
    return [row[0] if row else 0 for row in rows]


def _response_time(context: MetricContext, buckets: _Buckets) -> Values:
    rows = _found(
        context,
        buckets,
        "moment",
        lambda q: ("avg(response)", f"messages WHERE {q.happened} AND response IS NOT NULL"),
        1,
    )
    return [milliseconds(row[0]) if row else None for row in rows]


def _escalation_rate(context: MetricContext, buckets: _Buckets) -> Values:
    rows = _found(
        context,
        buckets,
        "started_at",
        lambda q: (
            f"count(CASE WHEN {q.escalated()} THEN 1 END), count(*)",
            f"sessions WHERE {q.begun} AND engaged",
        ),
        2,
    )
    return [rate(*row)["value"] if row else None for row in rows]


def _satisfaction(context: MetricContext, buckets: _Buckets) -> Values:
    rows = _found(
        context,
        buckets,
        "moment",
        lambda q: (
            "count(CASE WHEN sentiment = 'positive' THEN 1 END), "
            "count(CASE WHEN sentiment IN ('positive', 'negative') THEN 1 END)",
            f"feedback WHERE {q.happened}",
        ),
        2,
    )
    return [rate(*row)["value"] if row else None for row in rows]


TRENDS: dict[str, Callable[[MetricContext, _Buckets], Values]] = {
    "users": _users,
    "response_time": _response_time,
    "escalation_rate": _escalation_rate,
    "feedback": _satisfaction,
}


def trends(context: MetricContext, unit: str, starts: Sequence[str]) -> dict[str, Values]:
    """The figures of TRENDS at each point of a series.

    Args:
        unit: and `starts`: those of `over_time` for the same scope.

    Each value is what the figure would be for that part of the period alone: an absent one is None.

    Example:
        >>> found = over_time(context)
        >>> trends(context, found["unit"], [row["start"] for row in found["rows"]])["users"]
        [12, 9, 0]
    """
    buckets = _Buckets(context.scope, unit, starts)
    return {name: find(context, buckets) for name, find in TRENDS.items()}


def funnel(context: MetricContext) -> list[tuple[str, int]]:
    """How far conversations came, each step a part of the one before.

    Of the conversations that were offered, where any were; else of those that people took part in: how many were
    taken up, in how many the assistant had the last word, in how many of these the customer was content.
    """
    q = context.query()
    answered = "NOT coalesce(last_from_user, FALSE)"
    steps = (
        "count(CASE WHEN {0} THEN 1 END), count(CASE WHEN {0} AND engaged THEN 1 END), "
        f"count(CASE WHEN {{0}} AND engaged AND {answered} THEN 1 END), "
        f"count(CASE WHEN {{0}} AND engaged AND {answered} AND positive THEN 1 END)"
    )
    row = q.row(
        f"SELECT {steps.format('offered')}, {steps.format('TRUE')} FROM sessions WHERE {q.begun}"  # noqa: S608
    )
    names = ("offered", "engaged", "answered", "helpful")
    counted = list(zip(names, row[:4], strict=True))
    return counted if row[0] else list(zip(names, row[4:], strict=True))[1:]
