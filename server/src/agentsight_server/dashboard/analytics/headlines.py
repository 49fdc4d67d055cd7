"""The six headline cards and the big chart of the chosen one."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import msgspec

from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.scope import Scope
from agentsight_server.dashboard import formats
from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.analytics.drawing import Spark, spark
from agentsight_server.dashboard.analytics.view import View
from agentsight_server.dashboard.analytics.words import Change, Kind
from agentsight_server.dashboard.formats import ABSENT, number, plural
from agentsight_server.domain import times, zones
from agentsight_server.domain.locales import localise

KINDS: dict[str, Kind] = {
    "conversations": "conversations",
    "messages": "messages",
    "users": "people",
    "response_time": "milliseconds",
    "escalation_rate": "handed",
    "feedback": "satisfied",
}
_COUNTS = ("conversations", "messages", "people")


class Card(msgspec.Struct):
    """A headline figure."""

    name: str
    label: str
    value: str
    exact: str
    note: str
    formula: str
    change: Change | None
    spark: Spark | None
    href: str


class Series(msgspec.Struct, rename="camel"):
    """A figure along time, for the chart: values, and the words of each point."""

    label: str
    kind: str
    values: list[float | None]
    texts: list[str]
    previous: list[float | None] | None
    previous_texts: list[str]
    # The conversations behind it; a point's `when` says which of them are behind the point.
    href: str


class Chart(msgspec.Struct, rename="camel"):
    """The big chart: what its script draws, and its table."""

    chosen: str
    names: list[str]
    labels: list[str]
    previous_names: list[str]
    # The time of each point, as the rest of an address.
    when: list[str]
    # The last point is not over yet.
    partial: bool
    series: dict[str, Series]


def cards(view: View, metrics: dict[str, Any], chart: Chart) -> list[Card]:
    """The cards, in the order of the page."""
    found = []
    for name, kind in KINDS.items():
        given = metrics[name]
        metric = METRICS[name]
        value = given[metric.headline or "value"]
        found.append(
            Card(
                name=name,
                label=metric.label,
                value=words.figure(kind, value),
                exact=_exact(kind, value),
                note=_note(name, given),
                formula=metric.formula,
                change=words.change(kind, value, given.get("previous")),
                spark=spark(chart.series[name].values),
                href=view.address(chart=name),
            )
        )
    return found


def _exact(kind: Kind, value: float | None) -> str:
    if value is None:
        return words.told(kind, None).capitalize()
    if kind in _COUNTS:
        return words.told(kind, value)
    return localise(f"{value:,.0f} ms" if kind == "milliseconds" else f"{value * 100:.2f} %")


def _note(name: str, given: dict[str, Any]) -> str:
    """What stands small beneath the figure."""
    if name == "conversations" and given["threads"] != given["value"]:
        return f"in {plural(given['threads'], 'thread')}"
    if name == "users" and given["anonymous_conversations"]:
        return f"+ {number(given['anonymous_conversations'])} anonymous"
    if name == "response_time" and given["count"]:
        return f"median {words.figure('milliseconds', given['median_ms'])}"
    if name == "escalation_rate" and given["denominator"]:
        return f"{number(given['numerator'])} of {number(given['denominator'])}"
    if name == "feedback" and given["positive"] + given["negative"]:
        return f"{number(given['positive'])} of {number(given['positive'] + given['negative'])}"
    return ""


def chart(
    view: View, over_time: dict[str, Any], trends: dict[str, list[float | None]],
    previous_trends: dict[str, list[float | None]] | None, now: datetime,
) -> Chart:  # fmt: skip
    """The series of every card.

    Args:
        over_time: the figure of that name.
        trends: the other figures along the same points; `previous_trends` those of the compared period.
        now: the present on the viewer's clock: what lies after it is not drawn.
    """
    rows, unit = over_time["rows"], over_time["unit"]
    earlier: list[dict[str, Any]] = over_time.get("previous") or []
    starts = [row["start"] for row in rows]
    begun = sum(_begins(start, now) <= now for start in starts)
    series = {}
    for name, kind in KINDS.items():
        values = trends[name] if name in trends else [row[name] for row in rows]
        past: list[float | None] | None = None
        if earlier and previous_trends is not None:
            past = previous_trends[name] if name in previous_trends else [row[name] for row in earlier]
            past = (past + [None] * len(rows))[: len(rows)]
        shown = [value if place < begun else None for place, value in enumerate(values)]
        series[name] = Series(
            label=METRICS[name].label,
            kind=kind,
            values=shown,
            texts=[
                words.told(kind, value) if place < begun else "not begun yet"
                for place, value in enumerate(shown)
            ],
            previous=past,
            previous_texts=[words.told(kind, value) for value in past or ()],
            href=_drilldown(view, name),
        )
    names = [words.bucket(unit, start, view.today) for start in starts]
    return Chart(
        chosen=view.chart,
        names=[long for long, _ in names],
        labels=[short for _, short in names],
        previous_names=[words.bucket(unit, row["start"], view.today)[0] for row in earlier][: len(rows)],
        when=_when(view, unit, starts),
        partial=bool(begun) and view.scope.last >= view.today,
        series=series,
    )


def _begins(start: str, now: datetime) -> datetime:
    moment = datetime.fromisoformat(start)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _drilldown(view: View, name: str) -> str:
    """The conversations behind a figure, whatever their time."""
    ever: dict[str, str | None] = {"from": None, "to": None}
    if name == "messages":
        return view.events("message", **ever)
    if name == "response_time":
        return view.events("answer", **ever)
    if name == "feedback":
        return view.events("feedback", **ever)
    if name == "users":
        return view.listed(customer_id__isnull="false", **ever)
    if name == "escalation_rate":
        return view.listed(handed_over="true", **ever)
    return view.listed(**ever)


def _when(view: View, unit: str, starts: list[str]) -> list[str]:
    """The time of each point as parameters of the list."""
    if unit == "hour":
        hours = [_hour(view.scope, datetime.fromisoformat(start)) for start in starts]
        return [urlencode({"from": first.isoformat(), "to": last.isoformat()}) for first, last in hours]
    days = [date.fromisoformat(start) for start in starts]
    lasts = [each - timedelta(days=1) for each in days[1:]] + [view.scope.last]
    return [urlencode({"from": first, "to": last}) for first, last in zip(days, lasts, strict=True)]


def _hour(scope: Scope, start: datetime) -> tuple[datetime, datetime]:
    """From when to when an hour of a series lasts: less than an hour where the clock is turned within it."""
    began = times.from_datetime(start.astimezone(timezone.utc))
    ended = began + zones.HOUR
    clock = start.tzinfo or timezone.utc
    for first, last, ahead in zones.segments(scope.zone, scope.start, scope.end):
        if start.utcoffset() == timedelta(microseconds=ahead) and first < ended and last > began:
            began, ended = max(first, began), min(last, ended)
            break
    return formats.local(began, clock), formats.local(ended, clock)


def table(chart: Chart) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """The chart as a table, in words: its columns, and rows of cells with what is behind them."""
    columns = ["Time", *(each.label for each in chart.series.values())]
    rows = []
    for place, name in enumerate(chart.names):
        cells = [(name, "")]
        for key, each in chart.series.items():
            value = each.values[place]
            # Nobody satisfied is something that customers said.
            some = value is not None and (value > 0 or key == "feedback")
            cells.append(
                (words.figure(KINDS[key], value), f"{each.href}&{chart.when[place]}" if some else "")
            )
        rows.append(cells)
    return columns, rows


def sheet(
    over_time: dict[str, Any], trends: dict[str, list[float | None]]
) -> tuple[list[str], list[list[Any]]]:
    """The same for a spreadsheet: plain numbers."""
    names = {"users": "people", "response_time": "response_time_ms", "feedback": "satisfaction"}
    columns = ["start", "conversations", "messages", *(names.get(name, name) for name in trends)]
    rows = [
        [row["start"], row["conversations"], row["messages"], *(values[place] for values in trends.values())]
        for place, row in enumerate(over_time["rows"])
    ]
    return columns, rows


class Fact(msgspec.Struct):
    """A quiet figure below the chart."""

    label: str
    value: str
    note: str
    formula: str
    href: str | None = None


def facts(view: View, metrics: dict[str, Any]) -> list[Fact]:
    """What is worth knowing beside the headlines."""
    length, per, back = metrics["duration"], metrics["messages_per_conversation"], metrics["returning_users"]
    waiting, taken = metrics["unanswered"], metrics["interactions"]

    def fact(name: str, value: str, note: str, href: str | None = None) -> Fact:
        label = {"duration": "Length", "messages_per_conversation": "Messages in each"}.get(name)
        return Fact(label or METRICS[name].label, value, note, METRICS[name].formula, href)

    def of(rate: dict[str, Any]) -> str:
        return f"{number(rate['numerator'])} of {number(rate['denominator'])}" if rate["denominator"] else ""

    median, mean = (words.figure("milliseconds", length[name]) for name in ("median_ms", "mean_ms"))
    return [
        fact("duration", median, f"median; mean {mean}" if length["count"] else ""),
        fact(
            "messages_per_conversation",
            ABSENT if per["value"] is None else localise(f"{per['value']:.1f}"),
            f"{plural(per['numerator'], 'message')}" if per["denominator"] else "",
        ),
        fact("returning_users", words.share(back["value"]), of(back)),
        fact(
            "unanswered",
            number(waiting["value"]),
            f"{words.share(waiting['share']['value'])} of conversations",
            href=view.listed(unanswered="true"),
        ),
        fact(
            "interactions",
            words.share(taken["value"]),
            of(taken) or "none were offered first",
            href=view.listed(is_offered="true") if taken["numerator"] else None,
        ),
    ]
