"""How much there is to a conversation, and its lines a stretch at a time. Every function takes numbers of conversations
that the caller may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, literal, or_, select

from agentsight.server.store import transcripts
from agentsight.server.store.schema import TOKEN_USAGE, actions, feedbacks, items
from agentsight.server.store.transcripts import Entry, FeedbackRow

# What a line takes beside its texts, roughly, in characters of JSON.
_FRAME = 300
_AT_ONCE = 20


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
    mine = (items.c.conversation == conversation, items.c.kind != TOKEN_USAGE)
    key: tuple[int, int] | None = None
    if after is not None:
        moment = connection.execute(
            select(at).where(items.c.conversation == conversation, number == after)
        ).scalar()
        if moment is None:
            raise LookupError(after)
        key = int(moment), after
    while True:
        query = select(at, number).where(*mine).order_by(at, number).limit(_AT_ONCE)
        if key is not None:
            query = query.where(and_(at >= key[0], or_(at > key[0], number > key[1])))
        keys = [(row[0], row[1]) for row in connection.execute(query)]
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
