"""Looking for what was said: by the index where there is one, else by reading."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

import msgspec
from sqlalchemy import ColumnElement, column, exists, func, select, union_all

from agentsight_server.store import dialect
from agentsight_server.store.dialect import contains
from agentsight_server.store.messages import written
from agentsight_server.store.schema import conversations, items


class Candidates(msgspec.Struct, frozen=True):
    """Items that may have the text, and the number up to which no other has it."""

    items: list[int]
    mark: int


class Index(Protocol):
    """What narrows down where to look; see search_index.py."""

    def candidates(self, needle: str) -> Candidates | None:
        """Items that may contain `needle`; None where looking at the store itself is better."""


INDEX: ContextVar[Index | None] = ContextVar("search_index", default=None)
"""That of the store that is being read; Database.read() sees to it."""


def says(engine: dialect.Dialect, needle: str) -> ColumnElement[bool]:
    """The condition: somewhere in the conversation `needle` was written, whatever the case, in any language."""
    has = written(items) & contains(engine, items.c.content, needle, indexed=True)
    index = INDEX.get()
    found = index.candidates(needle) if index is not None else None
    if found is None:
        return exists().where(items.c.conversation == conversations.c.id, has).correlate(conversations)
    numbers = func.json_each(msgspec.json.encode(found.items).decode()).table_valued(column("value"))
    return conversations.c.id.in_(
        union_all(
            select(items.c.conversation).where(items.c.id.in_(select(numbers.c.value)), has),
            # What the index does not have yet.
            select(items.c.conversation).where(items.c.id > found.mark, has),
        )
    )
