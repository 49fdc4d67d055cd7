"""What a message is: the one definition, for rows in Python, for statements and for SQL text.

A message is text or a file by one of the two parties of a conversation. A note by the system is written down in
the same way, stands in the transcript, and counts in no figure.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause

from agentsight_server.store.schema import AGENT, ATTACHMENTS, END_USER, MESSAGE

# Kinds of items that hold what somebody wrote or sent, whoever it was.
WRITTEN = (MESSAGE, ATTACHMENTS)
PARTIES = (END_USER, AGENT)


def is_message(kind: int, sender: int | None) -> bool:
    """Whether an item of that kind and sender is a message.

    Example:
        >>> is_message(MESSAGE, END_USER), is_message(MESSAGE, None)
        (True, False)
    """
    return kind in WRITTEN and sender in PARTIES


def written(items: FromClause) -> ColumnElement[bool]:
    """The condition for what somebody wrote, notes by the system too; `items` is the table or an alias of it."""
    return items.c.kind.in_(WRITTEN)


def messages(items: FromClause) -> ColumnElement[bool]:
    """The condition for messages; `items` is the table or an alias of it."""
    return written(items) & items.c.sender.in_(PARTIES)


def messages_sql(items: str) -> str:
    """The same as SQL text; `items` is the table's name in the statement."""
    kinds, senders = ", ".join(map(str, WRITTEN)), ", ".join(map(str, PARTIES))
    return f"{items}.kind IN ({kinds}) AND {items}.sender IN ({senders})"
