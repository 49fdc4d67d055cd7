"""Figures by a value: where from, on what, in which language, with which tool, by which button."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from agentsight.server.analytics.figures import rate
from agentsight.server.analytics.query import Inquiry


def _sorted(rows: Iterable[dict[str, Any]], count: str, *names: str) -> list[dict[str, Any]]:
    """The most frequent first, then by name; what is unknown comes last."""

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return (row[names[0]] is None, -row[count], *((row[name] or "") for name in names))

    return sorted(rows, key=key)


def _counts(inquiry: Inquiry, column: str) -> list[tuple[str | None, int]]:
    q = inquiry.query()
    return [
        (value, count)
        for value, count in q.rows(
            f"SELECT {column}, count(*) FROM conversations WHERE {q.begun} AND engaged GROUP BY {column}"  # noqa: S608
        )
    ]


def by(column: str) -> Callable[[Inquiry], dict[str, Any]]:
    """Engaged conversations by the value of a column; null for unknown."""

    def answer(inquiry: Inquiry) -> dict[str, Any]:
        rows = [{"value": value, "conversations": count} for value, count in _counts(inquiry, column)]
        return {"rows": _sorted(rows, "conversations", "value")}

    return answer


def languages(inquiry: Inquiry) -> dict[str, Any]:
    """By primary subtag, with what was given one level down."""
    groups: dict[str | None, dict[str | None, int]] = defaultdict(dict)
    for tag, count in _counts(inquiry, "language"):
        groups[primary(tag)][tag] = count
    rows = []
    for value, tags in groups.items():
        row: dict[str, Any] = {"value": value, "conversations": sum(tags.values())}
        detail = [{"value": tag, "conversations": count} for tag, count in tags.items()]
        rows.append(row | {"detail": [] if value is None else _sorted(detail, "conversations", "value")})
    return {"rows": _sorted(rows, "conversations", "value")}


def primary(tag: str | None) -> str | None:
    """The language of a tag.

    Example:
        >>> primary("en-US"), primary("EN_gb"), primary(None)
        ('en', 'en', None)
    """
    return None if tag is None else tag.replace("_", "-").partition("-")[0].lower()


def tools(inquiry: Inquiry) -> dict[str, Any]:
    q = inquiry.query()
    rows = q.rows(
        f"SELECT name, count(*), count(CASE WHEN failed THEN 1 END), {q.spread('duration_ms')} "  # noqa: S608
        f"FROM actions WHERE {q.happened} GROUP BY name"
    )
    found = [
        {
            "action_name": name,
            "runs": runs,
            "errors": errors,
            "error_rate": rate(errors, runs)["value"],
            "mean_ms": mean,
            "median_ms": median,
            "p95_ms": p95,
        }
        for name, runs, errors, mean, median, p95 in rows
    ]
    return {"rows": _sorted(found, "runs", "action_name")}


def buttons(inquiry: Inquiry) -> dict[str, Any]:
    """Events by their clicks, and within an event its labels by theirs."""
    q = inquiry.query()
    rows = q.rows(f"SELECT event, label, count(*) FROM clicks WHERE {q.happened} GROUP BY event, label")  # noqa: S608
    events: dict[str, int] = defaultdict(int)
    for event, _, clicks in rows:
        events[event] += clicks
    found = [
        {"button_event": event, "label": label, "clicks": clicks, "share": clicks / events[event]}
        for event, label, clicks in rows
    ]
    found.sort(
        key=lambda row: (-events[row["button_event"]], row["button_event"], -row["clicks"], row["label"])
    )
    return {"rows": found}
