"""A transcript in pages: whatever its length, and however long what was said in it, a page is read in bounded time
and memory. Every function takes the number of a conversation that the caller may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, or_, select

from agentsight_server.store import transcripts
from agentsight_server.store.schema import TOKEN_USAGE, actions, feedbacks, items, token_usage
from agentsight_server.store.transcripts import Entry, FeedbackRow

# Lines (all that stands in a transcript; token usage stands beside them) of one page.
PAGE = 500
# Characters of one text that are read for a page.
LONGEST = 20_000
# Lines before a page that say what its first line follows.
_LEAD = 20
# Lines whose texts are in memory at once.
_AT_ONCE = 50
_MOST_USAGE = 5_000
_MOST_OPINIONS = 2 * PAGE

Key = tuple[int, int]


class Totals(msgspec.Struct, frozen=True):
    """How many lines a transcript has, and how many of them are tool calls and failed ones."""

    lines: int
    tools: int
    failed: int

    @property
    def pages(self) -> int:
        """At least one."""
        return max(1, -(-self.lines // PAGE))


class Passage(msgspec.Struct):
    """A page. The first `lead` entries belong to the page before; `ends` says whether any page follows."""

    entries: Iterator[Entry]
    opinions: list[FeedbackRow]
    numbers: frozenset[int]
    lead: int
    ends: bool


def totals(connection: Connection, conversation: int) -> Totals:
    """The figures of a whole transcript."""
    everything = select(func.count()).where(items.c.conversation == conversation)
    usage = select(func.count()).where(token_usage.c.conversation == conversation)
    runs = select(func.count(), func.count(actions.c.error_msg)).where(actions.c.conversation == conversation)
    lines = connection.execute(everything).scalar_one() - connection.execute(usage).scalar_one()
    tools, failed = connection.execute(runs).one()
    return Totals(int(lines), int(tools), int(failed))


def page_of(connection: Connection, conversation: int, item: int) -> int | None:
    """The page, from 1, on which an item of that conversation stands; None where it has no such item."""
    lines = items.c.conversation == conversation
    at = connection.execute(select(items.c.timestamp).where(lines, items.c.id == item)).scalar_one_or_none()
    if at is None:
        return None
    before = select(func.count()).where(
        lines,
        items.c.timestamp <= at,
        or_(items.c.timestamp < at, items.c.id < item),
        items.c.kind != TOKEN_USAGE,
    )
    return int(connection.execute(before).scalar_one()) // PAGE + 1


def passage(connection: Connection, conversation: int, page: int, *, longest: int = LONGEST) -> Passage:
    """A page's entries in order of time, with the token usage among them.

    Args:
        page: from 1.
        longest: a text (what was said, metadata, what a tool was given and gave) longer than this comes as its
            first `longest` + 1 characters.
    """
    start = (page - 1) * PAGE
    lead = min(start, _LEAD)
    query = (
        select(items.c.timestamp, items.c.id, items.c.uuid)
        .where(items.c.conversation == conversation, items.c.kind != TOKEN_USAGE)
        .order_by(items.c.timestamp, items.c.id)
        .offset(start - lead)
        .limit(lead + PAGE + 1)
    )
    rows = connection.execute(query).all()
    keys: list[Key] = [(row.timestamp, row.id) for row in rows]
    after = keys[lead + PAGE] if len(keys) > lead + PAGE else None
    keys = keys[: lead + PAGE]
    usage = _usage(connection, conversation, keys[0] if keys and start else None, after)
    numbers = [number for _, number in keys]
    entries = merge(
        _lines(connection, numbers, longest), usage, key=lambda entry: (entry.timestamp, entry.id)
    )
    said = opinions(connection, conversation, numbers, [row.uuid for row in rows[: len(keys)]])
    return Passage(entries, said, frozenset(numbers[lead:]), lead, after is None)


def _lines(connection: Connection, numbers: Sequence[int], longest: int) -> Iterator[Entry]:
    """The entries of numbers that are in order of time."""
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        found = transcripts.entries_by_id(connection, some, longest=longest)
        yield from sorted(found, key=lambda entry: (entry.timestamp, entry.id))


def _usage(connection: Connection, conversation: int, first: Key | None, after: Key | None) -> list[Entry]:
    wanted: list[Any] = [items.c.conversation == conversation, items.c.kind == TOKEN_USAGE]
    at, number = items.c.timestamp, items.c.id
    if first is not None:
        wanted.append(and_(at >= first[0], or_(at > first[0], number > first[1])))
    if after is not None:
        wanted.append(and_(at <= after[0], or_(at < after[0], number < after[1])))
    query = select(number).where(*wanted).order_by(at, number).limit(_MOST_USAGE)
    return list(_lines(connection, list(connection.execute(query).scalars()), 0))


def opinions(
    connection: Connection, conversation: int, numbers: Sequence[int], of_messages: Sequence[bytes] = ()
) -> list[FeedbackRow]:
    """Feedback of that conversation by the numbers of its items, and that of messages by their UUIDs."""
    return transcripts.feedback_where(
        connection,
        feedbacks.c.conversation == conversation,
        or_(feedbacks.c.item.in_(numbers), feedbacks.c.message.in_(of_messages)),
        metadata=False,
        limit=_MOST_OPINIONS,
    )


def latest_opinions(connection: Connection, conversation: int, limit: int) -> list[FeedbackRow]:
    """The newest feedback of a conversation, oldest first."""
    newest = (
        select(feedbacks.c.item)
        .join(items, items.c.id == feedbacks.c.item)
        .where(feedbacks.c.conversation == conversation)
        .order_by(items.c.timestamp.desc(), items.c.id.desc())
        .limit(limit)
    )
    return opinions(connection, conversation, list(connection.execute(newest).scalars()))


# The texts of an item that can be read in pieces.
PARTS = {
    "content": items.c.content,
    "metadata": items.c.metadata,
    "arguments": actions.c.tools_used,
    "response": actions.c.response,
    "error": actions.c.error_msg,
}


class Piece(msgspec.Struct, frozen=True):
    """A piece of a text, and how many characters the whole has."""

    text: str
    total: int


def piece(
    connection: Connection, conversation: int, item: int, part: str, start: int, length: int
) -> Piece | None:
    """So many characters of one of an item's texts (a name in PARTS) from `start` on; None where it has none."""
    column = PARTS[part]
    query = (
        select(func.substr(column, start + 1, length), func.length(column))
        .select_from(items.outerjoin(actions, actions.c.item == items.c.id))
        .where(items.c.conversation == conversation, items.c.id == item)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None or row[1] is None else Piece(row[0], int(row[1]))
