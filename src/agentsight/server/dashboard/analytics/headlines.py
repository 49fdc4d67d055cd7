"""The six headline cards and the big chart of the chosen one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from agentsight.server.analytics.metrics import METRICS
from agentsight.server.dashboard.analytics import words
from agentsight.server.dashboard.analytics.drawing import Spark, spark
from agentsight.server.dashboard.analytics.view import View
from agentsight.server.dashboard.analytics.words import Change, Kind
from agentsight.server.dashboard.formats import ABSENT, number, plural

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


class Chart(msgspec.Struct, rename="camel"):
    """The big chart: what its script draws, and its table."""

    chosen: str
    names: list[str]
    labels: list[str]
    previous_names: list[str]
    hrefs: list[str]
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
    return f"{value:,.0f} ms" if kind == "milliseconds" else f"{value * 100:.2f} %"


def _note(name: str, given: dict[str, Any]) -> str:
    """What stands small beneath the figure."""
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
        )
    ends = [*starts[1:], None]
    names = [words.bucket(unit, start, view.today) for start in starts]
    return Chart(
        chosen=view.chart,
        names=[long for long, _ in names],
        labels=[short for _, short in names],
        previous_names=[words.bucket(unit, row["start"], view.today)[0] for row in earlier][: len(rows)],
        hrefs=[_behind(view, unit, start, end) for start, end in zip(starts, ends, strict=True)],
        partial=bool(begun) and view.scope.last >= view.today,
        series=series,
    )


def _begins(start: str, now: datetime) -> datetime:
    moment = datetime.fromisoformat(start)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _behind(view: View, unit: str, start: str, end: str | None) -> str:
    """The conversations behind a point: those that began then."""
    if unit == "hour":
        moment = datetime.fromisoformat(start)
        day = moment.date().isoformat()
        return view.listed(**{"from": day, "to": day, "hour": str(moment.hour)})
    last = date.fromisoformat(end) - timedelta(days=1) if end else view.scope.last
    return view.listed(**{"from": start, "to": last.isoformat()})


def table(chart: Chart) -> tuple[list[str], list[list[str]]]:
    """The chart as a table: its columns and rows, in words."""
    columns = ["Time", *(each.label for each in chart.series.values())]
    rows = []
    for place, name in enumerate(chart.names):
        cells = [words.figure(KINDS[key], each.values[place]) for key, each in chart.series.items()]
        rows.append([name, *cells])
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
            ABSENT if per["value"] is None else f"{per['value']:.1f}",
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
