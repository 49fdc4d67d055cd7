"""The narrow seam to a column store: what it keeps, what it is asked, and the few functions in which stores differ.

A second engine implements `Engine` and `Functions` and passes tests/analytics/test_engines.py; nothing else
of the server knows which one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import msgspec

_OF_FACTS = {
    "item": "BIGINT",
    "session": "BIGINT",
    "agent": "INTEGER",
    "production": "BOOLEAN",
    # False where the agent reached out and nobody answered: such a session is in no other figure.
    "counted": "BOOLEAN",
    "moment": "BIGINT",
}
# Every table and its columns. Times are microseconds since 1970 UTC, as in the store. `production` is the
# environment. Conversations that are deleted are not here at all. There is no text that anybody wrote.
TABLES: dict[str, dict[str, str]] = {
    # What the projector needs to go on; figures count sessions.
    "conversations": {
        "id": "BIGINT",
        "agent": "INTEGER",
        # A number of what its sessions have from it: another one, and all of them are written anew.
        "fields": "BIGINT",
        "started_at": "BIGINT",
        "sessions": "INTEGER",
        "last_item": "BIGINT",
    },
    "sessions": {
        # The conversation and the ordinal in one number: see session_id().
        "id": "BIGINT",
        "conversation": "BIGINT",
        "agent": "INTEGER",
        "production": "BOOLEAN",
        "ordinal": "INTEGER",
        "engaged": "BOOLEAN",
        "offered": "BOOLEAN",
        # The agent began it, with nobody waiting for an answer.
        "outreach": "BOOLEAN",
        "started_at": "BIGINT",
        "ended_at": "BIGINT",
        "customer": "VARCHAR",
        "device": "VARCHAR",
        "source": "VARCHAR",
        "language": "VARCHAR",
        "country": "VARCHAR",
        "metadata": "VARCHAR",
        "messages": "INTEGER",
        "user_messages": "INTEGER",
        # What the customer said of it; a session can have several. And what was said last, when.
        "positive": "BOOLEAN",
        "neutral": "BOOLEAN",
        "negative": "BOOLEAN",
        "feedback": "VARCHAR",
        "feedback_at": "BIGINT",
        # The last message: when, whose, which item; what its text is like (texts.py).
        "last_said_at": "BIGINT",
        "last_from_user": "BOOLEAN",
        "last_message": "BIGINT",
        "last_text": "BIGINT",
        "last_asks": "BOOLEAN",
        # The last item that makes sessions: when, and whether it was a message of the end user. And the last usage or
        # feedback: whatever begins before that takes it along.
        "last_at": "BIGINT",
        "last_asked": "BOOLEAN",
        "loose_at": "BIGINT",
    },
    "messages": {
        **_OF_FACTS,
        "from_user": "BOOLEAN",
        # Microseconds since the end user's message just before it in the session; absent where there is none.
        "response": "BIGINT",
        # A number of the text's normal form, and whether it ends in a question mark.
        "text": "BIGINT",
        "asks": "BOOLEAN",
    },
    "actions": {
        **_OF_FACTS,
        "name": "VARCHAR",
        "failed": "BOOLEAN",
        "duration_ms": "BIGINT",
    },
    "clicks": {
        **_OF_FACTS,
        "event": "VARCHAR",
        "label": "VARCHAR",
    },
    "usage": {
        **_OF_FACTS,
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
        **_OF_FACTS,
        "sentiment": "VARCHAR",
    },
}
FACTS = tuple(name for name in TABLES if name not in ("conversations", "sessions"))
# Raised with every change of TABLES or of what the projector puts into them: older files are rebuilt.
LAYOUT = 3

_ORDINAL_BITS = 20
MOST_SESSIONS = 2**_ORDINAL_BITS - 1
"""So many sessions a conversation can have; what comes later belongs to the last one."""


def session_id(conversation: int, ordinal: int) -> int:
    """The number of a session; ordinals begin at 1.

    Example:
        >>> session_id(3, 2)
        3145730
    """
    return conversation << _ORDINAL_BITS | ordinal


def conversation_of(session: str) -> str:
    """SQL: the conversation of a session by its number."""
    return f"({session} >> {_ORDINAL_BITS})"


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
        sessions_from: of those, {conversation: the first of its sessions whose row makes way}; 0 for all.
        facts_from: of those, {conversation: the first of its sessions whose facts go}; 0 for all.
        tables: columns to insert, by table; the tables without rows are left out.
        pauses: by which sessions are cut from now on, by agent (store.agents.pauses); those left out stay as they are.
        erases: some of it was erased for good: the engine is unclean until scrub().
    """

    revision: int
    replaced: list[int] = []
    sessions_from: dict[int, int] = {}
    facts_from: dict[int, int] = {}
    tables: dict[str, Columns] = {}
    pauses: dict[int, dict[str, int]] = {}
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

    def stage(self, tables: dict[str, Columns], replaced: list[int]) -> None:
        """Keep rows beside the tables, in place of what is kept there of the conversations `replaced`."""

    def exchange(self, agent: int, pauses: dict[str, int]) -> None:
        """Put what is staged in place of all that an agent has, in one step; its sessions are cut by these pauses."""

    def unstage(self) -> None:
        """Forget what is staged; what is there when the engine is opened is forgotten, too."""

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


class Known(NamedTuple):
    """What the engine has of a conversation; `last` is the row of its last session, by column."""

    fields: int
    started_at: int
    sessions: int
    last_item: int
    last: dict[str, Any]


def known(execute: Execute, conversations: Iterable[int]) -> dict[int, Known]:
    """What the engine has of these conversations; those that it has not are left out."""
    (highest,) = execute("SELECT max(id) FROM conversations", ())[0]
    # Most are new: their numbers are higher than any that is there.
    listed = ", ".join(str(number) for number in conversations if number <= (highest or 0))
    if not listed:
        return {}
    found = execute(
        f"SELECT id, fields, started_at, sessions, last_item FROM conversations WHERE id IN ({listed})",  # noqa: S608
        (),
    )
    if not found:
        return {}
    last = ", ".join(str(session_id(number, sessions)) for number, _, _, sessions, _ in found)
    rows = {row["conversation"]: row for row in sessions_where(execute, f"id IN ({last})")}
    return {
        number: Known(fields, started_at, sessions, last_item, rows[number])
        for number, fields, started_at, sessions, last_item in found
    }


def pauses_kept(execute: Execute) -> dict[int, dict[str, int]]:
    """By which pauses agents' sessions are cut; agents without any of their own are left out."""
    rows = execute("SELECT agent, chosen FROM pauses", ())
    return {agent: msgspec.json.decode(chosen, type=dict[str, int]) for agent, chosen in rows}


def sessions_where(execute: Execute, condition: str) -> list[dict[str, Any]]:
    """Rows of sessions, by column."""
    names = list(TABLES["sessions"])
    rows = execute(f"SELECT {', '.join(names)} FROM sessions WHERE {condition}", ())  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]
