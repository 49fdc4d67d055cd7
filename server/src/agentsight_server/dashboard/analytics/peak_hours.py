"""When people come: the hours of the week."""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight_server.dashboard.analytics.drawing import colour_of, legend, thresholds
from agentsight_server.dashboard.analytics.view import HOURS, View
from agentsight_server.dashboard.formats import plural

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Hour(msgspec.Struct):
    """An hour of the week."""

    count: int
    level: int
    text: str
    href: str


class Week(msgspec.Struct):
    """One way to count: the hours by day, what the colours mean, and where it is chosen."""

    name: str
    label: str
    address: str
    days: list[list[Hour]]
    legend: list[tuple[int, str]]
    busiest: str


def weeks(view: View, rows: list[dict[str, Any]]) -> dict[str, Week]:
    """Conversations and messages by the hour of the week."""
    return {name: _week(view, rows, name) for name in HOURS}


def _week(view: View, rows: list[dict[str, Any]], name: str) -> Week:
    counts = {(row["weekday"], row["hour"]): row[name] for row in rows}
    begins = thresholds(list(counts.values()))
    noun = name.removesuffix("s")
    most = max(counts.values(), default=0)

    def hour(day: int, at: int) -> Hour:
        count = counts.get((day, at), 0)
        clock = {"weekday": str(day), "hour": str(at)}
        href = view.listed(**clock) if name == "conversations" else view.events("message", **clock)
        return Hour(count, colour_of(count, begins), f"{DAYS[day]} {at:02}:00, {plural(count, noun)}", href)

    busiest = ""
    if most:
        day, at = max(counts, key=lambda key: (counts[key], -key[0], -key[1]))
        busiest = f"Busiest: {DAYS[day]} {at:02}:00–{(at + 1) % 24:02}:00"
    return Week(
        name=name,
        label=name.capitalize(),
        address=view.address(hours=None if name == HOURS[0] else name) + "#hours",
        days=[[hour(day, at) for at in range(24)] for day in range(7)],
        legend=legend(begins, most),
        busiest=busiest,
    )
