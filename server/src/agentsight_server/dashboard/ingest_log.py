"""What arrived: the ingest ledger of the last two weeks, by day and key, as the Connect page shows it."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby

import msgspec
from sqlalchemy import Connection

from agentsight_server.domain import times
from agentsight_server.store import agents, ledger
from agentsight_server.store.agents import KeyRow
from agentsight_server.store.ledger import Cause, Counts, Line, Refusals

DAYS = 14
_FIRST = date(1970, 1, 1)


class Refusal(msgspec.Struct):
    """Why items were refused: a sentence with what the field takes. `field` is empty where the whole request was at
    fault."""

    field: str
    code: str
    said: str
    count: int


class Change(msgspec.Struct):
    """What a client changed before it sent."""

    field: str
    done: str
    count: int


class Row(msgspec.Struct):
    """One key's day."""

    key: KeyRow
    counts: Line
    refusals: list[Refusal]
    changes: list[Change]


class Day(msgspec.Struct):
    """A day (UTC) on which something arrived."""

    date: date
    rows: list[Row]


class IngestLog(msgspec.Struct):
    """Days with traffic, newest first, and their sum."""

    days: list[Day]
    total: Counts


def ingest_log(connection: Connection, agent_id: int) -> IngestLog:
    """What the agent's keys sent in the last 14 days, today included.

    Example:
        >>> ingest_log(connection, 1).total.received
        1284
    """
    today = times.now() // times.DAY
    lines = ledger.of_agent(connection, agent_id, today - DAYS + 1, today)
    keys = {row.id: row for row in agents.keys(connection, agent_id)}
    days = [
        Day(
            _FIRST + timedelta(days=number),
            [Row(keys[line.key_id], line, _refusals(line), _changes(line)) for line in of_day],
        )
        for number, of_day in groupby(lines, key=lambda line: line.day)
    ]
    return IngestLog(days, ledger.added_up(lines))


def _refusals(line: Line) -> list[Refusal]:
    ordered = sorted(line.refusals.items(), key=lambda each: (-each[1].count, each[0]))
    return [
        Refusal(
            "" if cause.field == "other" else cause.field, cause.code, _said(cause, refusals), refusals.count
        )
        for cause, refusals in ordered
    ]


def _said(cause: Cause, refusals: Refusals) -> str:
    if cause.field == "other" and cause.code not in {"other", "unknown_field"}:
        return f"another field {refusals.example}"
    return refusals.example


_DONE = {"left_out": "left out", "other": "changed"}


def _changes(line: Line) -> list[Change]:
    ordered = sorted(line.adjustments.items(), key=lambda each: (-each[1], each[0]))
    return [Change(change.field, _DONE.get(change.code, change.code), count) for change, count in ordered]
