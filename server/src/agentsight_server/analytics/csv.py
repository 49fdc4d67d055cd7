"""Answers as tables: what a person opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

from agentsight_server.analytics.metrics import METRICS
from agentsight_server.domain.spreadsheets import safe

# Where a figure has several tables, the one that says most.
_ROWS = ("rows", "by_model")


def table(name: str, found: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """A figure's answer as columns and rows; a figure without rows is one row.

    Example:
        >>> table("conversations", {"value": 3})
        (['metric', 'value'], [['conversations', 3]])
    """
    listed = next((found[key] for key in _ROWS if key in found), None)
    if listed is None:
        flat = _flat(found)
        return ["metric", *flat], [[name, *flat.values()]]
    lines = []
    for row in listed:
        detail = row.get("detail")
        plain = _flat({key: value for key, value in row.items() if key != "detail"})
        lines.append(plain if detail is None else plain | {"variants": _variants(detail)})
    if "others" in found:
        left = found["others"]
        lines.append({next(iter(lines[0])): f"{left['values']} others"} | _flat(left | {"values": None}))
    columns = list(dict.fromkeys(key for line in lines for key in line)) or _columns(name)
    return columns, [[line.get(column) for column in columns] for line in lines]


def _flat(found: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in found.items():
        flat |= _flat(value, f"{before}{key}_") if isinstance(value, dict) else {before + key: value}
    return flat


def _variants(detail: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['value']} {each['conversations']}" for each in detail)


def _columns(name: str) -> list[str]:
    """The heading of a table without rows."""
    return ["metric"] if METRICS[name].drawn == "number" else [METRICS[name].name]


def to_csv(columns: list[str], rows: list[list[Any]]) -> str:
    """CSV as spreadsheets read it: with a byte order mark, and no text that they would take for a formula.

    Example:
        >>> to_csv(["value"], [["=1+1"]])
        "\\ufeffvalue\\r\\n'=1+1\\r\\n"
    """
    out = io.StringIO(newline="")
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([[safe(each) if isinstance(each, str) else each for each in row] for row in rows])
    return out.getvalue()
