"""What each key sent, day by day (UTC), and what became of it: the answer to "was it sent?".

Accepted items are counted in the transaction that stores them, so the figures hold whatever happens to the process.
Refusals of whole requests follow within a second or so. received = accepted + duplicate + refused. Adjusted is what
a client changed before it sent, so that it could be kept; it is told by the client and part of no sum.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select, text

from agentsight_server.domain import times
from agentsight_server.store.schema import api_keys, ingest_adjustments, ingest_ledger, ingest_refusals

_KINDS_AT_ONCE = 50
_LONGEST_EXAMPLE = 300


class Cause(NamedTuple):
    """Why items were refused: the field (empty: the whole request) and the code of the mistake."""

    field: str
    code: str


class Adjustment(NamedTuple):
    """What a client changed on the way: the field, and shortened, cleaned, replaced or left_out."""

    field: str
    code: str


class Refusals(msgspec.Struct):
    """How often, and one of them in words."""

    count: int
    example: str = ""


_REST = Cause("other", "other")
_REST_CHANGED = Adjustment("other", "other")


class Counts(msgspec.Struct):
    """Figures of one request, or of many. `conversations` are new ones; `refusals` says why items were refused,
    `adjustments` what was changed on the way."""

    requests: int = 0
    conversations: int = 0
    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    refusals: dict[Cause, Refusals] = {}
    adjustments: dict[Adjustment, int] = {}

    @property
    def adjusted(self) -> int:
        """How many values were changed on the way."""
        return sum(self.adjustments.values())

    def add(self, other: Counts) -> None:
        """Add another's figures."""
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for cause, more in other.refusals.items():
            cause = cause if cause in self.refusals or len(self.refusals) < _KINDS_AT_ONCE else _REST
            there = self.refusals.setdefault(cause, Refusals(0, more.example))
            there.count += more.count
        for change, count in other.adjustments.items():
            if change not in self.adjustments and len(self.adjustments) >= _KINDS_AT_ONCE:
                change = _REST_CHANGED
            self.adjustments[change] = self.adjustments.get(change, 0) + count


FIGURES = ("requests", "conversations", "received", "accepted", "duplicate", "refused")
Sums = dict[tuple[int, int], Counts]  # by key and day


class Ledger:
    """Collects counts until a transaction takes them along. Safe to use from several threads.

    Example:
        >>> ledger = Ledger()
        >>> ledger.refuse(7, Cause("content", "blank"), "must not be blank")
        >>> sums = ledger.take()
        >>> settle(connection, sums)   # in a transaction; after it: ledger.done(sums)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: Sums = {}
        self._totals = Counts()

    def refuse(self, key_id: int, cause: Cause, example: str) -> None:
        """Count a request that was refused as a whole: as one item."""
        self.merge(self._pending, key_id, Counts(1, 0, 1, 0, 0, 1, {cause: Refusals(1, example)}))

    def merge(self, sums: Sums, key_id: int, counts: Counts) -> None:
        """Add a request's counts to the day's."""
        with self._lock:
            sums.setdefault((key_id, times.now() // times.DAY), Counts()).add(counts)

    @property
    def is_pending(self) -> bool:
        """Whether something waits for a transaction."""
        return bool(self._pending)

    def take(self) -> Sums:
        """What waits; it waits no more."""
        with self._lock:
            taken, self._pending = self._pending, {}
        return taken

    def put_back(self, sums: Sums) -> None:
        """Let it wait again: the transaction did not come to be."""
        with self._lock:
            for key, counts in sums.items():
                self._pending.setdefault(key, Counts()).add(counts)

    def done(self, sums: Sums) -> None:
        """The transaction is on disk."""
        with self._lock:
            for counts in sums.values():
                self._totals.add(counts)

    def totals(self) -> dict[str, int]:
        """Items by outcome since the process began."""
        totals = self._totals
        names = ("accepted", "duplicate", "refused", "adjusted")
        return {name: getattr(totals, name) for name in names}


def settle(connection: Connection, sums: Mapping[tuple[int, int], Counts]) -> None:
    """Add counts to the tables, in the running transaction: one statement for the figures, one for the reasons."""
    rows = [
        {"key_id": key_id, "day": day, **{name: getattr(counts, name) for name in FIGURES}}
        for (key_id, day), counts in sorted(sums.items())
    ]
    if rows:
        connection.execute(_add, rows)
    refused = [
        {
            "key_id": key_id,
            "day": day,
            "field": cause.field,
            "code": cause.code,
            "count": refusals.count,
            "example": refusals.example[:_LONGEST_EXAMPLE],
        }
        for (key_id, day), counts in sorted(sums.items())
        for cause, refusals in sorted(counts.refusals.items())
    ]
    if refused:
        connection.execute(_add_refusals, refused)
    adjusted = [
        {"key_id": key_id, "day": day, "field": change.field, "code": change.code, "count": count}
        for (key_id, day), counts in sorted(sums.items())
        for change, count in sorted(counts.adjustments.items())
    ]
    if adjusted:
        connection.execute(_add_adjustments, adjusted)


_listed = ", ".join(FIGURES)
_values = ", ".join(f":{name}" for name in FIGURES)
_sums = ", ".join(f"{name} = ingest_ledger.{name} + excluded.{name}" for name in FIGURES)
_add = text(
    f"INSERT INTO ingest_ledger (key_id, day, {_listed}) VALUES (:key_id, :day, {_values}) "  # noqa: S608
    f"ON CONFLICT (key_id, day) DO UPDATE SET {_sums}"
)
_add_refusals = text(
    "INSERT INTO ingest_refusals (key_id, day, field, code, count, example) "
    "VALUES (:key_id, :day, :field, :code, :count, :example) "
    "ON CONFLICT (key_id, day, field, code) DO UPDATE SET "
    "count = ingest_refusals.count + excluded.count, example = excluded.example"
)
_add_adjustments = text(
    "INSERT INTO ingest_adjustments (key_id, day, field, code, count) "
    "VALUES (:key_id, :day, :field, :code, :count) "
    "ON CONFLICT (key_id, day, field, code) DO UPDATE SET count = ingest_adjustments.count + excluded.count"
)


class Line(msgspec.Struct):
    """One key's day. `day` is the number of days since 1970 (UTC)."""

    key_id: int
    day: int
    requests: int
    conversations: int
    received: int
    accepted: int
    duplicate: int
    refused: int
    refusals: dict[Cause, Refusals]
    adjustments: dict[Adjustment, int]

    @property
    def adjusted(self) -> int:
        """How many values were changed on the way."""
        return sum(self.adjustments.values())


def of_agent(connection: Connection, agent_id: int, first_day: int, last_day: int) -> list[Line]:
    """What an agent's keys sent from `first_day` to `last_day` (both included), newest day first.

    Example:
        >>> today = times.now() // times.DAY
        >>> of_agent(connection, 1, today - 6, today)
    """
    keys = select(api_keys.c.id).where(api_keys.c.agent_id == agent_id)
    lines: dict[tuple[int, int], Line] = {}
    query = (
        select(ingest_ledger)
        .where(ingest_ledger.c.key_id.in_(keys), ingest_ledger.c.day.between(first_day, last_day))
        .order_by(ingest_ledger.c.day.desc(), ingest_ledger.c.key_id)
    )
    for row in connection.execute(query).mappings():
        lines[row["key_id"], row["day"]] = Line(**row, refusals={}, adjustments={})
    for table in (ingest_refusals, ingest_adjustments):
        counted = (
            select(table)
            .where(table.c.key_id.in_(keys), table.c.day.between(first_day, last_day))
            .order_by(table.c.count.desc(), *table.primary_key)
        )
        for row in connection.execute(counted).mappings():
            line = lines.get((row["key_id"], row["day"]))
            if line is None:
                continue
            if table is ingest_refusals:
                line.refusals[Cause(row["field"], row["code"])] = Refusals(row["count"], row["example"])
            else:
                line.adjustments[Adjustment(row["field"], row["code"])] = row["count"]
    return list(lines.values())


def added_up(lines: Iterable[Line]) -> Counts:
    """All lines as one."""
    total = Counts()
    for line in lines:
        figures = {name: getattr(line, name) for name in FIGURES}
        total.add(Counts(**figures, refusals=line.refusals, adjustments=line.adjustments))
    return total
