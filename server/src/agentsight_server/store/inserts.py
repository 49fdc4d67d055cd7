"""The statements of the hot path, as SQL for the driver itself: prepared once, and a third faster than going
through SQLAlchemy for each row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from agentsight_server.store import dialect
from agentsight_server.store.dialect import Dialect
from agentsight_server.store.rows import ConversationRow
from agentsight_server.store.schema import (
    ACTION,
    BUTTON,
    FEEDBACK,
    TOKEN_USAGE,
    actions,
    attachments,
    buttons,
    conversations,
    feedbacks,
    items,
    token_usage,
)

# What an existing conversation takes from a write only where it has nothing.
FILLED = (
    "name", "customer_id", "customer_ip_address", "device", "source", "language",
    "country", "city", "timezone_name",
)  # fmt: skip
DETAIL_TABLES = {ACTION: actions, BUTTON: buttons, TOKEN_USAGE: token_usage, FEEDBACK: feedbacks}

_ROWS_AT_ONCE = 512
COLUMNS = ConversationRow.__struct_fields__
SETTABLE = (*FILLED, "metadata", "is_used", "ended_at", "first_question", "messages", "revision", "rewritten")


class Statements:
    """SQL in the driver's own spelling."""

    def __init__(self, engine: Dialect) -> None:
        mark = dialect.mark(engine)
        listed = ", ".join(COLUMNS)
        settings = ", ".join(f"{name} = {mark}" for name in SETTABLE)
        self.mark = mark
        self.find = f"SELECT {listed} FROM conversations WHERE agent_id = {mark} AND conversation_id IN "  # noqa: S608
        self.find_row = f"SELECT {listed} FROM conversations WHERE agent_id = {mark} AND id = {mark}"  # noqa: S608
        self.find_items = f"SELECT uuid, id FROM items WHERE agent_id = {mark} AND uuid IN "  # noqa: S608
        self.erased_any = (
            f"SELECT value FROM installation WHERE name = {mark} "  # noqa: S608
            f"AND EXISTS (SELECT 1 FROM erased WHERE agent_id = {mark})"
        )
        self.find_erased = f"SELECT hash, erased_at FROM erased WHERE agent_id = {mark} AND hash IN "  # noqa: S608
        self.update = f"UPDATE conversations SET {settings} WHERE id = {mark}"  # noqa: S608
        tables = (conversations, items, attachments, *DETAIL_TABLES.values())
        self._heads: dict[str, tuple[str, str]] = {}
        for table in tables:
            columns = [column.name for column in table.columns if column.name != "erasure"]
            if table is attachments:
                columns.remove("id")
            head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "  # noqa: S608
            self._heads[table.name] = (head, self.marks(len(columns)))

    def insert(self, driver: Any, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, many in one statement: each statement gives the interpreter away once, and under
        load getting it back costs more than the insert. Sizes are powers of two, so that few statements
        have to be prepared."""
        head, marks = self._heads[table]
        start = 0
        size = _ROWS_AT_ONCE
        while start < len(rows):
            while size > len(rows) - start:
                size //= 2
            values = list(chain.from_iterable(rows[start : start + size]))
            driver.execute(head + ", ".join([marks] * size), values)
            start += size

    def marks(self, count: int) -> str:
        return f"({', '.join([self.mark] * count)})"


@cache
def statements_of(engine: Dialect) -> Statements:
    """The engine's statements, made once."""
    return Statements(engine)
