"""The narrow seam to a column store: what it keeps, what it is asked, and the few functions in which stores differ.

A second engine implements `Engine` and `Functions` and passes tests/analytics/test_engines.py; nothing else
of the server knows which one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

# Every table and its columns. Times are microseconds since 1970 UTC, as in the store. `production` is the
# environment. Conversations that are deleted are not here at all. There is no text that anybody wrote.
TABLES: dict[str, dict[str, str]] = {
    "conversations": {
        "id": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "engaged": "BOOLEAN",
        "offered": "BOOLEAN",
        "started_at": "BIGINT",
        "ended_at": "BIGINT",
        "customer": "VARCHAR",
        "device": "VARCHAR",
        "source": "VARCHAR",
        "language": "VARCHAR",
        "country": "VARCHAR",
        "metadata": "VARCHAR",
        "messages": "INTEGER",
        # What the customer said of it; a conversation can have several.
        "positive": "BOOLEAN",
        "neutral": "BOOLEAN",
        "negative": "BOOLEAN",
        # The last message, so that a longer conversation needs only its new items.
        "last_said_at": "BIGINT",
        "last_from_user": "BOOLEAN",
        "last_item": "BIGINT",
    },
    "messages": {
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "moment": "BIGINT",
        # Microseconds since the end user's message just before; absent where there is none just before.
        "response": "BIGINT",
    },
    "actions": {
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "moment": "BIGINT",
        "name": "VARCHAR",
        "failed": "BOOLEAN",
        "duration_ms": "BIGINT",
    },
    "clicks": {
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "moment": "BIGINT",
        "event": "VARCHAR",
        "label": "VARCHAR",
    },
    "usage": {
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "moment": "BIGINT",
        "model": "VARCHAR",
        "prompt": "BIGINT",
        "completion": "BIGINT",
        "embedding": "BIGINT",
        "total": "BIGINT",
        "cached": "BIGINT",
        "cache_write": "BIGINT",
        "input_audio": "BIGINT",
        "reasoning": "BIGINT",
        "output_audio": "BIGINT",
    },
    "feedback": {
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "moment": "BIGINT",
        "sentiment": "VARCHAR",
    },
}
FACTS = tuple(name for name in TABLES if name != "conversations")
# Raised with every change of TABLES or of what the projector puts into them: older files are rebuilt.
LAYOUT = 2

Rows = list[tuple[Any, ...]]
Execute = Callable[[str, Sequence[Any]], Rows]
Columns = dict[str, list[Any]]


class AnalyticsError(Exception):
    """The analytics store cannot answer now; the text is one line."""


class Broken(AnalyticsError):
    """What the engine keeps is damaged: recover() begins anew."""


class Batch(msgspec.Struct):
    """Changes that belong together; the columns are those of TABLES.

    Attributes:
        revision: the store's revision up to which nothing is missing once this is applied.
        replaced: conversations that are there already and whose row makes way (for a new one, or for none).
        emptied: of those, the ones whose facts go, too.
        tables: columns to insert, by table; the tables without rows are left out.
        erases: some of it was erased for good: the engine is unclean until scrub().
    """

    revision: int
    replaced: list[int] = []
    emptied: list[int] = []
    tables: dict[str, Columns] = {}
    erases: bool = False

    @property
    def rows(self) -> int:
        """How many rows it inserts."""
        return sum(len(next(iter(columns.values()))) for columns in self.tables.values())


class Functions(Protocol):
    """The functions in which engines differ; each takes and gives SQL text."""

    def parameter(self, number: int, value: Any) -> str:
        """Where the value of that number (from 1) is bound."""

    def divide(self, number: str, by: int) -> str:
        """Whole-number division of a number that is not negative."""

    def quantile(self, value: str, share: float) -> str:
        """Aggregate: interpolates linearly between the two nearest values; NULL over no values."""

    def json_text(self, document: str, path: Sequence[str]) -> str:
        """The value inside a JSON text, as text: strings bare, booleans as true/false; NULL where absent."""


class Engine(Protocol):
    """A store of columns that can be lost and built again at any time. Safe to use from several threads."""

    @property
    def functions(self) -> Functions:
        """How this engine spells what differs."""

    def open(self, store: str) -> None:
        """Get ready; what is there is kept if it was derived from that store by this program's layout.

        Args:
            store: the identity of the store that the columns are derived from.

        Raises:
            AnalyticsError: it cannot be opened, nor replaced.
        """

    def close(self) -> None:
        """Let go of it; afterwards another process may open it."""

    def last_revision(self) -> int:
        """The revision of the last batch applied; 0 when there is none."""

    def apply(self, batch: Batch) -> None:
        """Take a batch: all of it and its revision, or nothing."""

    def is_unclean(self) -> bool:
        """Whether bytes may be left of what was erased."""

    def scrub(self) -> bool:
        """Write everything anew, so that nothing is left of what was taken out; False when readers were in the way."""

    def reset(self) -> None:
        """Forget everything; the last revision is 0 again."""

    def compact(self) -> None:
        """Put rows in the order in which they are read, and free what deleted ones held."""

    def take_over(self) -> bool:
        """Go on with columns that another process has built anew, if there are any; True when it did."""

    def recover(self, reason: str) -> None:
        """Begin anew, because what is there is damaged; `reason` completes the sentence in the log.

        Raises:
            AnalyticsError: that fails too.
        """

    def reading(self) -> AbstractContextManager[Execute]:
        """Execute any number of queries of one moment: `execute(sql, parameters) -> rows`.

        Raises:
            AnalyticsError: the engine cannot answer.
        """

    def size(self) -> int:
        """Bytes on disk."""


def known(execute: Execute, conversations: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """What the engine has of these conversations: {id: KNOWN columns}."""
    (highest,) = execute("SELECT max(id) FROM conversations", ())[0]
    # Most are new: their numbers are higher than any that is there.
    listed = ", ".join(str(number) for number in conversations if number <= (highest or 0))
    if not listed:
        return {}
    rows = execute(f"SELECT id, {', '.join(KNOWN)} FROM conversations WHERE id IN ({listed})", ())  # noqa: S608
    return {row[0]: row[1:] for row in rows}


KNOWN = ("last_item", "last_said_at", "last_from_user", "messages", "positive", "neutral", "negative")
