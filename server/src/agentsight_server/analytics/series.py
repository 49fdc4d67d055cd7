"""Figures along the clock and the calendar of the actor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Any

from agentsight_server.analytics.query import MetricContext, Query
from agentsight_server.analytics.scope import Scope
from agentsight_server.domain import zones

LONGEST_BY_HOUR, LONGEST_BY_DAY, LONGEST_BY_WEEK = 2, 93, 731


def unit_of(scope: Scope) -> str:
    """How finely a period is drawn: "hour", "day", "week" (from Monday) or "month"."""
    if scope.days <= LONGEST_BY_HOUR:
        return "hour"
    if scope.days <= LONGEST_BY_DAY:
        return "day"
    return "week" if scope.days <= LONGEST_BY_WEEK else "month"


# By what an answer calls it: the table, and the column of time.
_COUNTED = {"messages": ("messages", "moment"), "conversations": ("sessions", "started_at")}


def over_time(context: MetricContext) -> dict[str, Any]:
    scope = context.scope
    unit = unit_of(scope)
    if unit == "hour":
        return {"unit": unit, "rows": _by_the_hour(context)}
    counts = {name: by_day(context.query(), *counted) for name, counted in _COUNTED.items()}
    return {"unit": unit, "rows": _by_unit(scope, unit, counts)}


def _by_the_hour(context: MetricContext) -> list[dict[str, Any]]:
    counts = {name: _by_hour(context.query(), *counted) for name, counted in _COUNTED.items()}
    return [
        {"start": _hour_text(*hour), **{name: found[hour] for name, found in counts.items()}}
        for hour in _hours(context.scope)
    ]


def by_day(q: Query, table: str, column: str, what: str = "count(*)") -> Counter[int]:
    """Rows, or a sum of them, by number of the day."""
    where = f"{q.begun} AND engaged" if table == "sessions" else q.happened
    sql = f"SELECT {q.day(column)} AS day, {what} FROM {table} WHERE {where} GROUP BY day"  # noqa: S608
    return within(q.scope, q.rows(sql))


def within(scope: Scope, rows: Iterable[tuple[Any, ...]]) -> Counter[int]:
    """Counts by day, none outside the period: where the clock is turned back over midnight, an hour of the
    period bears the date of the day before."""
    first, last = zones.day_number(scope.first), zones.day_number(scope.last)
    found: Counter[int] = Counter()
    for day, count in rows:
        found[min(max(day, first), last)] += int(count)
    return found


def _by_unit(scope: Scope, unit: str, counts: dict[str, Counter[int]]) -> list[dict[str, Any]]:
    """Every day, week or month of the period, also those without anything; the first may begin in its middle."""
    rows: list[dict[str, Any]] = []
    for number in range(zones.day_number(scope.first), zones.day_number(scope.last) + 1):
        day = zones.day_of(number)
        opens = unit == "day" or (day.weekday() == 0 if unit == "week" else day.day == 1)
        if opens or not rows:
            rows.append({"start": day.isoformat(), **dict.fromkeys(counts, 0)})
        for name, found in counts.items():
            rows[-1][name] += found[number]
    return rows


def _by_hour(q: Query, table: str, column: str) -> Counter[tuple[int, int]]:
    where = f"{q.begun} AND engaged" if table == "sessions" else q.happened
    rows = q.rows(
        f"SELECT {q.hours(column)} AS hours, {q.offset(column)} AS ahead, count(*) "  # noqa: S608
        f"FROM {table} WHERE {where} GROUP BY hours, ahead"
    )
    return Counter({(hours, ahead): count for hours, ahead, count in rows})


def _hours(scope: Scope) -> list[tuple[int, int]]:
    """Every hour of the period as (hours since 1970 on the local clock, what the clock is ahead): the hour that
    comes twice when the clock is turned back is two."""
    found = []
    for start, end, ahead in zones.segments(scope.zone, scope.start, scope.end):
        first, last = (start + ahead) // zones.HOUR, (end - 1 + ahead) // zones.HOUR
        found += [(hour, ahead) for hour in range(first, last + 1)]
    return found


def _hour_text(hours: int, ahead: int) -> str:
    zone = timezone(timedelta(microseconds=ahead))
    return (datetime(1970, 1, 1, tzinfo=zone) + timedelta(hours=hours)).isoformat()


def peak_hours(context: MetricContext) -> dict[str, Any]:
    """Cells without anything are left out."""
    cells: dict[tuple[int, int], dict[str, int]] = {}
    for name, (table, column) in _COUNTED.items():
        q = context.query()
        where = f"{q.begun} AND engaged" if table == "sessions" else q.happened
        rows = q.rows(
            f"SELECT {q.hours(column)} AS hours, count(*) FROM {table} WHERE {where} GROUP BY hours"  # noqa: S608
        )
        for hours, count in rows:
            day, hour = divmod(hours, 24)
            cell = cells.setdefault((weekday(day), hour), {"messages": 0, "conversations": 0})
            cell[name] += count
    return {
        "rows": [{"weekday": day, "hour": hour, **cells[day, hour]} for day, hour in sorted(cells)],
    }


def weekday(day: int) -> int:
    """The weekday of a day by its number; Monday is 0.

    Example:
        >>> weekday(0)      # 1 January 1970 was a Thursday
        3
    """
    return (day + date(1970, 1, 1).weekday()) % 7
