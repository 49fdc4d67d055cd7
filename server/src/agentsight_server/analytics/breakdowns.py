"""Figures by a value: where from, on what, in which language, with which tool, by which button."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from agentsight_server.analytics.figures import rate
from agentsight_server.analytics.query import MetricContext

# So many values of a breakdown are listed; of the others there is their number and their sum.
MOST = 1_000
_MOST_LABELS = 100
_MOST_TAGS = 5_000
_MOST_VARIANTS = 100


def _sorted(rows: Iterable[dict[str, Any]], count: str, *names: str) -> list[dict[str, Any]]:
    """The most frequent first, then by name; what is unknown comes last."""

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return (row[names[0]] is None, -row[count], *((row[name] or "") for name in names))

    return sorted(rows, key=key)


def _counts(
    context: MetricContext, column: str, most: int = MOST
) -> tuple[list[tuple[str | None, int]], int, int]:
    """The values with the most conversations and those without a value, and how many values and conversations
    there are in all."""
    q = context.query()
    counted = (
        f"SELECT {column} AS value, count(*) AS n FROM sessions WHERE {q.begun} AND engaged GROUP BY {column}"  # noqa: S608
    )
    rows = q.rows(
        f"SELECT value, n, count(*) OVER (), sum(n) OVER () FROM ({counted}) "  # noqa: S608
        f"ORDER BY value IS NULL DESC, n DESC, value LIMIT {most}"
    )
    values, total = (int(rows[0][2]), int(rows[0][3])) if rows else (0, 0)
    return [(value, count) for value, count, *_ in rows], values, total


def others(values: int, **sums: float) -> dict[str, Any]:
    """What is said of the values that are not listed; nothing where all are."""
    return {"others": {"values": values, **sums}} if values > 0 else {}


def by(column: str) -> Callable[[MetricContext], dict[str, Any]]:
    """Engaged conversations by the value of a column; null for unknown."""

    def answer(context: MetricContext) -> dict[str, Any]:
        counts, values, total = _counts(context, column)
        rows = [{"value": value, "conversations": count} for value, count in counts]
        left = total - sum(count for _, count in counts)
        return {
            "rows": _sorted(rows, "conversations", "value"),
            **others(values - len(rows), conversations=left),
        }

    return answer


def languages(context: MetricContext) -> dict[str, Any]:
    """By primary subtag, with what was given one level down."""
    counts, values, total = _counts(context, "language", _MOST_TAGS)
    groups: dict[str | None, dict[str | None, int]] = defaultdict(dict)
    for tag, count in counts:
        groups[primary(tag)][tag] = count
    rows = []
    for value, tags in groups.items():
        row: dict[str, Any] = {"value": value, "conversations": sum(tags.values())}
        detail = _sorted(
            [{"value": tag, "conversations": count} for tag, count in tags.items()], "conversations", "value"
        )
        rows.append(row | {"detail": [] if value is None else detail[:_MOST_VARIANTS]})
    rows = _sorted(rows, "conversations", "value")
    rows, rest = _with_unknown(rows), values - len(counts) + max(0, len(rows) - MOST)
    return {
        "rows": rows,
        **others(rest, conversations=total - sum(row["conversations"] for row in rows)),
    }


def _with_unknown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as are listed; what is unknown comes last, and stays."""
    if len(rows) <= MOST:
        return rows
    return [*rows[: MOST - 1], rows[-1]] if rows[-1]["value"] is None else rows[:MOST]


def primary(tag: str | None) -> str | None:
    """The language of a tag.

    Example:
        >>> primary("en-US"), primary("EN_gb"), primary(None)
        ('en', 'en', None)
    """
    return None if tag is None else tag.replace("_", "-").partition("-")[0].lower()


def tools(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    runs_of = (
        "SELECT name, count(*) AS runs, count(CASE WHEN failed THEN 1 END) AS errors, "  # noqa: S608
        f"{q.mean_and_quantiles('duration_ms')} FROM actions WHERE {q.happened} GROUP BY name"
    )
    rows = q.rows(
        "SELECT *, count(*) OVER (), sum(runs) OVER (), sum(errors) OVER () "  # noqa: S608
        f"FROM ({runs_of}) ORDER BY runs DESC, name LIMIT {MOST}"
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
        for name, runs, errors, mean, median, p95, *_ in rows
    ]
    values, all_runs, all_errors = map(int, rows[0][-3:]) if rows else (0, 0, 0)
    return {
        "rows": _sorted(found, "runs", "action_name"),
        **others(
            values - len(found),
            runs=all_runs - sum(row["runs"] for row in found),
            errors=all_errors - sum(row["errors"] for row in found),
        ),
    }


def buttons(context: MetricContext) -> dict[str, Any]:
    """Events by their clicks, and within an event its labels by theirs."""
    q = context.query()
    counted = f"SELECT event, label, count(*) AS n FROM clicks WHERE {q.happened} GROUP BY event, label"  # noqa: S608
    rows = q.rows(
        "SELECT event, label, n, of_event, labels, count(*) OVER (), sum(n) OVER () FROM ("  # noqa: S608
        "SELECT *, sum(n) OVER (PARTITION BY event) AS of_event, count(*) OVER (PARTITION BY event) AS labels, "
        f"row_number() OVER (PARTITION BY event ORDER BY n DESC, label) AS place FROM ({counted})) "
        f"ORDER BY place > {_MOST_LABELS}, of_event DESC, event, n DESC, label LIMIT {MOST}"
    )
    values, clicks = (int(rows[0][5]), int(rows[0][6])) if rows else (0, 0)
    listed: dict[str, list[int]] = defaultdict(list)
    events: dict[str, tuple[int, int]] = {}
    found = []
    for event, label, count, of_event, labels, *_ in rows:
        if len(listed[event]) == _MOST_LABELS:
            continue  # of an event with very many labels, the rest are others
        listed[event].append(count)
        events[event] = int(of_event), int(labels)
        found.append({"button_event": event, "label": label, "clicks": count, "share": count / int(of_event)})
    answer: dict[str, Any] = {"rows": found} | others(
        values - len(found), clicks=clicks - sum(row["clicks"] for row in found)
    )
    if "others" in answer:
        answer["others"]["events"] = [
            {
                "button_event": event,
                "values": labels - len(listed[event]),
                "clicks": total - sum(listed[event]),
            }
            for event, (total, labels) in events.items()
            if labels > len(listed[event])
        ]
    return answer
