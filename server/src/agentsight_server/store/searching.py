"""Looking for what was said: by the index where there is one, else by reading."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, column, exists, func, or_, select, union_all

from agentsight_server.store import dialect
from agentsight_server.store.dialect import contains
from agentsight_server.store.messages import written
from agentsight_server.store.schema import conversations, items


class Candidates(msgspec.Struct, frozen=True):
    """Items that may have the text, and the number up to which no other has it."""

    items: list[int]
    mark: int


class Named(msgspec.Struct, frozen=True):
    """Conversations that may be called so, and the revision up to which no other is."""

    conversations: list[int]
    revision: int


class Index(Protocol):
    """What narrows down where to look; see search_index.py."""

    def candidates(self, needle: str) -> Candidates | None:
        """Items that may contain `needle`; None where looking at the store itself is better."""

    def named(self, needle: str) -> Named | None:
        """Conversations with `needle` in their id, name or customer; None as above."""


INDEX: ContextVar[Index | None] = ContextVar("search_index", default=None)
"""That of the store that is being read; Database.read() sees to it."""


def says(engine: dialect.Dialect, needle: str) -> ColumnElement[bool]:
    """The condition: somewhere in the conversation `needle` was written, whatever the case, in any language."""
    has = written(items) & contains(engine, items.c.content, needle, indexed=True)
    index = INDEX.get()
    found = index.candidates(needle) if index is not None else None
    if found is None:
        return exists().where(items.c.conversation == conversations.c.id, has).correlate(conversations)
    return conversations.c.id.in_(
        union_all(
            select(items.c.conversation).where(items.c.id.in_(_numbers(found.items)), has),
            # What the index does not have yet.
            select(items.c.conversation).where(items.c.id > found.mark, has),
        )
    )


def is_named(engine: dialect.Dialect, needle: str) -> ColumnElement[bool]:
    """The condition: `needle` is in the conversation's id, its name or its customer's id, whatever the case."""
    index = INDEX.get()
    found = index.named(needle) if index is not None else None
    if found is None:
        return _is_called(engine, conversations, needle)
    # By numbers alone: a row that is not among them is not even read.
    other = conversations.alias()
    has = _is_called(engine, other, needle)
    return conversations.c.id.in_(
        union_all(
            select(other.c.id).where(other.c.id.in_(_numbers(found.conversations)), has),
            select(other.c.id).where(other.c.revision > found.revision, has),
        )
    )


def _is_called(engine: dialect.Dialect, table: FromClause, needle: str) -> ColumnElement[bool]:
    names = (table.c.conversation_id, table.c.name, table.c.customer_id)
    return or_(*(contains(engine, each, needle) for each in names))


def _numbers(values: list[int]) -> Select[tuple[int]]:
    listed = func.json_each(msgspec.json.encode(values).decode()).table_valued(column("value"))
    return select(listed.c.value)
