"""How much there is to a conversation, and its lines a stretch at a time. Every function takes numbers of conversations
that the caller may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, literal, select

from agentsight_server.store import transcripts
from agentsight_server.store.schema import TOKEN_USAGE, actions, feedbacks, items
from agentsight_server.store.transcripts import Entry, FeedbackRow

# What a line takes beside its texts, roughly, in characters of JSON.
_FRAME = 300
# Lines that are read at once: few while they may be of megabytes each, more when they turn out to be short.
_FEWEST, _MOST = 20, 1_000
_AT_ONCE = 1_000_000  # characters


def sizes(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """For each conversation roughly how many characters of JSON its lines and its feedback are."""
    found = dict.fromkeys(numbers, 0)
    for table, texts, frame in (
        (items, (items.c.content, items.c.metadata), _FRAME),
        (actions, (actions.c.tools_used, actions.c.response, actions.c.error_msg), 0),
        (feedbacks, (feedbacks.c.comment,), 0),
    ):
        length: ColumnElement[Any] = func.sum(sum((_length(each) for each in texts), start=literal(frame)))
        query = select(table.c.conversation, length).where(table.c.conversation.in_(numbers))
        for number, characters in connection.execute(query.group_by(table.c.conversation)):
            found[number] += int(characters)
    return found


def _length(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.length(column), 0)


class Stretch(msgspec.Struct):
    """Some lines in a row, and the feedback among them. `last` is the number of the last item."""

    entries: list[Entry]
    feedbacks: list[FeedbackRow]
    last: int


def stretches(connection: Connection, conversation: int, after: int | None = None) -> Iterator[Stretch]:
    """A conversation's lines and feedback in order of time, from behind the item `after` on.

    Raises:
        LookupError: the conversation has no item of that number.
    """
    at, number = items.c.timestamp, items.c.id
    amount = _FEWEST
    key: tuple[int, int] | None = None
    if after is not None:
        moment = connection.execute(
            select(at).where(items.c.conversation == conversation, number == after)
        ).scalar()
        if moment is None:
            raise LookupError(after)
        key = int(moment), after
    while True:
        keys = _keys(connection, conversation, key, amount)
        if not keys:
            return
        numbers = [each for _, each in keys]
        entries = transcripts.entries_by_id(connection, numbers)
        entries.sort(key=lambda entry: (entry.timestamp, entry.id))
        said = transcripts.feedback_where(
            connection, feedbacks.c.conversation == conversation, feedbacks.c.item.in_(numbers)
        )
        yield Stretch(entries, said, numbers[-1])
        key = keys[-1]
        read = sum(len(each.content or "") + len(each.metadata or "") + _details(each) for each in entries)
        amount = min(max(_AT_ONCE * len(keys) // (read + 1), _FEWEST), _MOST, 4 * amount)


def _details(entry: Entry) -> int:
    action = entry.action
    return 0 if action is None else len(action.tools_used or "") + len(action.response or "")


def _keys(
    connection: Connection, conversation: int, after: tuple[int, int] | None, amount: int
) -> list[tuple[int, int]]:
    at, number = items.c.timestamp, items.c.id
    query = (
        select(at, number)
        .where(items.c.conversation == conversation, items.c.kind != TOKEN_USAGE)
        .order_by(at, number)
    )
    if after is None:
        return [(row[0], row[1]) for row in connection.execute(query.limit(amount))]
    # Two looks at the index: thousands of items may be of the same moment.
    same = query.where(at == after[0], number > after[1]).limit(amount)
    keys = [(row[0], row[1]) for row in connection.execute(same)]
    if len(keys) < amount:
        later = query.where(at > after[0]).limit(amount - len(keys))
        keys += [(row[0], row[1]) for row in connection.execute(later)]
    return keys
