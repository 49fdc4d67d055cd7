"""Where people come from and what they use: bars by value, tools, buttons."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from agentsight_server.dashboard import names
from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.analytics.drawing import colour_of, legend, thresholds
from agentsight_server.dashboard.analytics.view import View
from agentsight_server.dashboard.formats import duration, plural
from agentsight_server.dashboard.names import Icon, label

# So many values of a breakdown are shown, and so many labels of a button's event.
SHOWN = 100
_LABELS_SHOWN = 20
# A language without a region.
PLAIN = "no region"


class Bar(msgspec.Struct):
    """A value with its count: `width` is its share of the longest bar, in percent."""

    label: str
    count: int
    share: str
    width: float
    href: str
    icon: Icon | None = None
    unknown: bool = False
    # One level down: (label, count, address).
    detail: list[tuple[str, int, str]] = []


class Others(msgspec.Struct):
    """The values that have no bar: how many, and their sum."""

    values: int
    count: int


def cut(found: dict[str, Any], count: str) -> tuple[list[dict[str, Any]], Others | None]:
    """The rows that are shown, what is unknown among them, and the others together.

    Args:
        found: a breakdown's answer.
        count: the name of what is counted in a row.
    """
    rows = found["rows"]
    shown = rows[:SHOWN]
    if len(rows) > SHOWN and rows[-1].get("value", "") is None:
        shown = [*rows[: SHOWN - 1], rows[-1]]
    left = found.get("others", {"values": 0, count: 0})
    values = left["values"] + len(rows) - len(shown)
    together = left[count] + sum(row[count] for row in rows) - sum(row[count] for row in shown)
    return shown, Others(values, together) if values else None


class Breakdown(msgspec.Struct):
    """A card of bars."""

    name: str
    title: str
    column: str
    bars: list[Bar]
    empty: str
    others: Others | None = None


def _bars(found: dict[str, Any], make: Any) -> tuple[list[Bar], Others | None]:
    rows, others = cut(found, "conversations")
    total = sum(row["conversations"] for row in rows) + (others.count if others else 0)
    most = max((row["conversations"] for row in rows), default=1) or 1
    bars = []
    for row in rows:
        count = row["conversations"]
        bar: Bar = make(row)
        bar.count = count
        bar.share = words.share(count / total)
        bar.width = round(count / most * 100, 2)
        bar.unknown = row["value"] is None
        bars.append(bar)
    return bars, others


def _bar(text: str, href: str, icon: Icon | None = None) -> Bar:
    return Bar(text, 0, "", 0.0, href, icon)


def channels(view: View, found: dict[str, Any]) -> Breakdown:
    """Conversations by channel."""

    def make(row: dict[str, Any]) -> Bar:
        value = row["value"]
        return _bar(names.channel_name(value), view.link_for("source", value), names.channel_icon(value))

    empty = "Where people talk to your agent. Send a source, such as whatsapp, with a conversation."
    bars, others = _bars(found, make)
    return Breakdown("sources", "Channels", "Channel", bars, empty, others)


def devices(view: View, found: dict[str, Any]) -> Breakdown:
    """Conversations by kind of device."""

    def make(row: dict[str, Any]) -> Bar:
        value = row["value"]
        return _bar(names.device_name(value), view.link_for("device", value), names.device_icon(value))

    empty = "Desktop, mobile or tablet. Send a device with a conversation."
    bars, others = _bars(found, make)
    return Breakdown("devices", "Devices", "Device", bars, empty, others)


def languages(view: View, found: dict[str, Any]) -> Breakdown:
    """Conversations by language, with its variants one level down."""

    def make(row: dict[str, Any]) -> Bar:
        bar = _bar(names.language_name(row["value"]), view.link_for("language", row["value"]))
        variants = _variants(row.get("detail", []))
        if len(variants) > 1:
            for tag, count in variants.items():
                region = tag.partition("-")[2]
                href = view.listed(language__iexact=tag)
                bar.detail.append((region.upper() if region else PLAIN, count, href))
        return bar

    empty = "What people speak. Send a language, such as en-US, with a conversation."
    bars, others = _bars(found, make)
    return Breakdown("languages", "Languages", "Language", bars, empty, others)


def _variants(detail: list[dict[str, Any]]) -> dict[str, int]:
    """The tags of a language, however they were written: en-US and en_us are one."""
    found: dict[str, int] = defaultdict(int)
    for each in detail:
        found[each["value"].lower().replace("_", "-")] += each["conversations"]
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


class Land(msgspec.Struct):
    """A country on the map."""

    code: str
    text: str
    level: int
    href: str


class Map(msgspec.Struct):
    """The map, and the list beside it."""

    breakdown: Breakdown
    lands: list[Land]
    legend: list[tuple[int, str]]
    placed: int


def countries(view: View, found: dict[str, Any]) -> Map:
    """Conversations by country."""
    rows, _ = cut(found, "conversations")
    known = [row for row in rows if row["value"] is not None]
    counts = [row["conversations"] for row in known]
    begins = thresholds(counts, 5)

    def make(row: dict[str, Any]) -> Bar:
        return _bar(names.country_name(row["value"]), view.link_for("country", row["value"]))

    empty = "Where people are. Send customer_ip_address with a conversation."
    bars, others = _bars(found, make)
    lands = [
        Land(
            row["value"],
            f"{bar.label}, {plural(bar.count, 'conversation')} ({bar.share})",
            colour_of(bar.count, begins),
            bar.href,
        )
        for row, bar in zip(rows, bars, strict=True)
        if row["value"] is not None
    ]
    return Map(
        Breakdown("countries", "Countries", "Country", bars, empty, others),
        lands,
        legend(begins, max(counts, default=0)),
        len(known),
    )


class Tool(msgspec.Struct):
    """A line of the table of tools."""

    name: str
    runs: int
    width: float
    errors: int
    error_share: str
    mean: str
    median: str
    p95: str
    href: str
    errors_href: str


def tools(view: View, rows: list[dict[str, Any]]) -> list[Tool]:
    """Runs, errors and durations, of the rows that are shown."""
    most = max((row["runs"] for row in rows), default=1)
    return [
        Tool(
            name=row["action_name"],
            runs=row["runs"],
            width=round(row["runs"] / most * 100, 2),
            errors=row["errors"],
            error_share=words.share(row["error_rate"]),
            mean=duration(row["mean_ms"]),
            median=duration(row["median_ms"]),
            p95=duration(row["p95_ms"]),
            href=view.events("tool", row["action_name"]),
            errors_href=view.events("tool", row["action_name"], event_failed="true"),
        )
        for row in rows
    ]


class Button(msgspec.Struct):
    """The choices of one event."""

    event: str
    clicks: int
    href: str
    bars: list[Bar]
    others: Others | None = None


def buttons(view: View, found: dict[str, Any]) -> tuple[list[Button], Others | None]:
    """Clicks by event and label; beside them the events that are not shown, by their clicks."""
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found["rows"]:
        events[row["button_event"]].append(row)
    left = found.get("others", {"values": 0, "clicks": 0, "events": []})
    beside = {each["button_event"]: each for each in left["events"]}
    groups = []
    for event, given in list(events.items())[:SHOWN]:
        rest = beside.get(event, {"values": 0, "clicks": 0})
        clicks = sum(row["clicks"] for row in given) + rest["clicks"]
        shown = given[:_LABELS_SHOWN]
        labels = len(given) - len(shown) + rest["values"]
        others = Others(labels, clicks - sum(row["clicks"] for row in shown)) if labels else None
        most = max(row["clicks"] for row in given)
        bars = [
            Bar(
                label=row["label"],
                count=row["clicks"],
                share=words.share(row["share"]),
                width=round(row["clicks"] / most * 100, 2),
                href=view.events("button", event, event_label=row["label"]),
            )
            for row in shown
        ]
        groups.append(Button(label(event), clicks, view.events("button", event), bars, others))
    in_all = left["clicks"] + sum(row["clicks"] for row in found["rows"])
    named = sum(len(group.bars) + (group.others.values if group.others else 0) for group in groups)
    hidden = left["values"] + len(found["rows"]) - named
    return groups, Others(hidden, in_all - sum(group.clicks for group in groups)) if hidden else None


def groups_shown(groups: list[Button], rows: int = 12) -> int:
    """How many groups fit into so many rows; at least one."""
    fitting = 0
    for group in groups:
        rows -= 2 + min(len(group.bars), 5)
        if rows < 0 and fitting:
            break
        fitting += 1
    return fitting


class Step(msgspec.Struct):
    """A step of the funnel; `of` is the share of the step before."""

    label: str
    note: str
    count: int
    width: float
    of: str
    href: str


_STEPS = {
    "offered": ("Offered", "your agent spoke first"),
    "engaged": ("Engaged", "people took part"),
    "answered": ("Answered", "your agent had the last word"),
    "helpful": ("Helpful", "customers said so"),
}


def funnel(view: View, steps: list[tuple[str, int]]) -> list[Step]:
    """Offered, engaged, answered, helpful."""
    offered = {"is_offered": "true"} if steps and steps[0][0] == "offered" else {}
    links: dict[str, dict[str, str | None]] = {
        "offered": {**offered, "is_used": "any"},
        "engaged": {**offered},
        "answered": {**offered, "unanswered": "false"},
        "helpful": {
            **offered,
            "unanswered": "false",
            "is_helpful": "true",
        },
    }
    first = steps[0][1] if steps else 0
    found = []
    for place, (name, count) in enumerate(steps):
        title, note = _STEPS[name]
        before = steps[place - 1][1] if place else 0
        found.append(
            Step(
                title,
                note,
                count,
                round(count / first * 100, 2) if first else 0.0,
                words.share(count / before) if before else "",
                view.listed(**links[name]),
            )
        )
    return found
