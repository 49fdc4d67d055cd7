"""Adding to conversations: find or make them, insert their items, keep their summaries right.

The only way by which items reach the database. The inserts are prepared once and given to the driver,
which is a third faster than going through SQLAlchemy for each row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text

from agentsight.server.store import dialect
from agentsight.server.store.dialect import Dialect
from agentsight.server.store.rows import ConversationRow
from agentsight.server.store.schema import (
    ACTION,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SYSTEM,
    TOKEN_USAGE,
    actions,
    attachments,
    buttons,
    conversations,
    feedbacks,
    items,
    token_usage,
)

FIRST_QUESTION_LENGTH = 300
_ENGAGING = frozenset({ACTION, BUTTON})
_SAID = frozenset({MESSAGE, ATTACHMENTS})


class NewFile(msgspec.Struct, frozen=True):
    """An attachment whose bytes are in the files store already."""

    sha256: str
    filename: str
    mime_type: str
    size_bytes: int


class NewItem(msgspec.Struct):
    """One thing that happened, checked. `detail` holds the columns of its kind's own table after
    (item, conversation), in the table's order."""

    kind: int
    timestamp: int
    uuid: bytes | None = None
    sender: int | None = None
    content: str | None = None
    metadata: str | None = None
    detail: tuple[Any, ...] | None = None
    files: tuple[NewFile, ...] = ()


class NewConversation(msgspec.Struct):
    """A conversation as named by a write, with what is to be added to it.

    `row` names an existing one by its number; else `conversation_id` finds or makes it.
    `is_used` None: engaged when new, else when one of the items comes from the end user.
    `is_offered` counts for a new one; None: offered when it is not used.
    """

    conversation_id: str | None = None
    row: int | None = None
    name: str | None = None
    customer_id: str | None = None
    customer_ip_address: str | None = None
    device: str | None = None
    source: str | None = None
    language: str | None = None
    environment: str | None = None
    metadata: dict[str, Any] | None = None
    country: str | None = None
    city: str | None = None
    timezone_name: str | None = None
    is_used: bool | None = None
    is_offered: bool | None = None
    is_marked: bool = False
    deleted_at: int | None = None
    started_at: int | None = None
    items: list[NewItem] = []


class Appended(msgspec.Struct):
    """What became of one NewConversation; `id` None: no such row number for this agent."""

    id: int | None
    conversation_id: str | None = None
    created: bool = False
    items: list[tuple[int, bool]] = []  # (row number, was there already), in order


FILLED = (
    "name", "customer_id", "customer_ip_address", "device", "source", "language",
    "country", "city", "timezone_name",
)  # fmt: skip
_DETAIL_TABLES = {ACTION: actions, BUTTON: buttons, TOKEN_USAGE: token_usage, FEEDBACK: feedbacks}


_ROWS_AT_ONCE = 128
_COLUMNS = ConversationRow.__struct_fields__
_SETTABLE = (*FILLED, "metadata", "is_used", "ended_at", "first_question", "messages", "revision")


class _Statements:
    """SQL for the driver itself, in its own spelling."""

    def __init__(self, engine: Dialect) -> None:
        mark = dialect.mark(engine)
        listed = ", ".join(_COLUMNS)
        settings = ", ".join(f"{name} = {mark}" for name in _SETTABLE)
        self.mark = mark
        self.find = f"SELECT {listed} FROM conversations WHERE agent_id = {mark} AND conversation_id IN "  # noqa: S608
        self.find_row = f"SELECT {listed} FROM conversations WHERE agent_id = {mark} AND id = {mark}"  # noqa: S608
        self.update = f"UPDATE conversations SET {settings} WHERE id = {mark}"  # noqa: S608
        tables = (conversations, items, attachments, *_DETAIL_TABLES.values())
        self._heads: dict[str, tuple[str, str]] = {}
        for table in tables:
            columns = [column.name for column in table.columns]
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


_statements = cache(_Statements)


def uuid7() -> bytes:
    """A new time-ordered UUID (version 7) as 16 bytes: random ones would halve the rate of inserts."""
    value = int.from_bytes(os.urandom(10), "big") | (time.time_ns() // 1_000_000) << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    return (value & ~(0x3 << 62) | 0x2 << 62).to_bytes(16, "big")


def append(
    connection: Connection, attempt: int, agent_id: int, batch: Sequence[NewConversation]
) -> list[Appended]:
    """Store a request's conversations and items in the running transaction.

    The first attempt inserts without looking; when a unique key objects (the request was sent before, or
    another process was faster) the writer calls again, and then what is there already is looked up first.
    """
    engine = dialect.of(connection)
    statements = _statements(engine)
    driver = connection.connection.cursor()
    rows, new = _find_or_make(connection, statements, driver, agent_id, batch)
    known = _known(connection, agent_id, batch) if attempt else {}
    total = sum(len(each.items) for each in batch)
    numbers = iter(dialect.allocate_ids(connection, items, total) if total else ())
    revision = next_revision(connection)

    answers: list[Appended] = []
    changed: dict[int, ConversationRow] = {}
    item_rows: list[tuple[Any, ...]] = []
    details: dict[int, list[tuple[Any, ...]]] = {}
    file_rows: list[tuple[Any, ...]] = []
    for given, row in zip(batch, rows, strict=True):
        if row is None:
            answers.append(Appended(None, given.conversation_id))
            continue
        number = row.id
        created = number in new and number not in changed
        outcomes: list[tuple[int, bool]] = []
        answers.append(Appended(number, row.conversation_id, created, outcomes))
        fresh: list[NewItem] = []
        for item in given.items:
            uuid = item.uuid or uuid7()
            found = known.get(uuid)
            if found is not None:
                outcomes.append((found, True))
                continue
            item_id = known[uuid] = next(numbers)
            outcomes.append((item_id, False))
            fresh.append(item)
            kind = item.kind
            item_rows.append(
                (
                    item_id,
                    agent_id,
                    number,
                    uuid,
                    kind,
                    item.timestamp,
                    item.sender,
                    item.content,
                    item.metadata,
                )
            )
            if item.detail is not None:
                details.setdefault(kind, []).append((item_id, number, *item.detail))
            for file in item.files:
                file_rows.append(
                    (item_id, number, file.sha256, file.filename, file.mime_type, file.size_bytes)
                )
        if _summarise(row, given, fresh, created) or created:
            row.revision = revision
            changed[number] = row

    made = [_values(row, _COLUMNS) for row in changed.values() if row.id in new]
    statements.insert(driver, "conversations", made)
    updated = [(*_values(row, _SETTABLE), row.id) for row in changed.values() if row.id not in new]
    if updated:
        driver.executemany(statements.update, updated)
    statements.insert(driver, "items", item_rows)
    for kind, detail_rows in details.items():
        statements.insert(driver, _DETAIL_TABLES[kind].name, detail_rows)
    statements.insert(driver, "attachments", file_rows)
    driver.close()
    for choice in sorted({(row[2], row[3]) for row in details.get(BUTTON, ()) if _fits_an_index(row)}):
        connection.execute(
            _choice, dict(zip(("agent_id", "button_event", "label"), (agent_id, *choice), strict=True))
        )
    return answers


def _fits_an_index(button: tuple[Any, ...]) -> bool:
    """PostgreSQL keeps at most some 2,700 bytes in a row of an index; a label of that length is no choice."""
    return len(button[2].encode()) + len(button[3].encode()) <= 2_000


_choice = text(
    "INSERT INTO button_choices (agent_id, button_event, label) VALUES (:agent_id, :button_event, :label) "
    "ON CONFLICT DO NOTHING"
)


def next_revision(connection: Connection) -> int:
    """The number of this transaction's change. Its row stays locked until the commit, so numbers become
    visible in rising order on every engine: who follows them never skips a late one."""
    return int(
        connection.exec_driver_sql(
            "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value"
        ).scalar_one()
    )


def _find_or_make(
    connection: Connection,
    statements: _Statements,
    driver: Any,
    agent_id: int,
    batch: Sequence[NewConversation],
) -> tuple[list[ConversationRow | None], set[int]]:
    """A row for each of the batch, and the numbers of those that are new; the same row for the same name."""
    by_number: dict[int, ConversationRow] = {}
    by_name: dict[str | None, ConversationRow] = {}

    def remember(values: Sequence[Any]) -> None:
        row = ConversationRow(*values)
        row = by_number.setdefault(row.id, row)
        by_name[row.conversation_id] = row

    for number in {given.row for given in batch if given.row is not None}:
        driver.execute(statements.find_row, (agent_id, number))
        for values in driver.fetchall():
            remember(values)
    names = list({given.conversation_id for given in batch if given.row is None} - set(by_name))
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        driver.execute(statements.find + statements.marks(len(some)), (agent_id, *some))
        for values in driver.fetchall():
            remember(values)
    missing = [given for given in batch if given.row is None and given.conversation_id not in by_name]
    new: set[int] = set()
    if missing:
        numbers = dialect.allocate_ids(connection, conversations, len(missing))
        for number, given in zip(numbers, missing, strict=True):
            if given.conversation_id not in by_name:
                by_name[given.conversation_id] = _new_row(number, agent_id, given)
                new.add(number)
    return [
        by_name[given.conversation_id] if given.row is None else by_number.get(given.row) for given in batch
    ], new


def _new_row(number: int, agent_id: int, given: NewConversation) -> ConversationRow:
    started_at = given.started_at
    if started_at is None:
        started_at = min((item.timestamp for item in given.items), default=time.time_ns() // 1000)
    is_used = given.is_used is not False
    return ConversationRow(
        id=number,
        agent_id=agent_id,
        conversation_id=given.conversation_id or "",
        name=given.name,
        customer_id=given.customer_id,
        customer_ip_address=given.customer_ip_address,
        device=given.device,
        source=given.source,
        language=given.language,
        environment=given.environment or "production",
        metadata=_encode(given.metadata or {}),
        country=given.country,
        city=given.city,
        timezone_name=given.timezone_name,
        is_marked=given.is_marked,
        is_deleted=given.deleted_at is not None,
        is_used=is_used,
        is_offered=bool(given.is_offered) or not is_used,
        started_at=started_at,
        ended_at=started_at,
        deleted_at=given.deleted_at,
        first_question=None,
        messages=0,
        revision=0,
    )


def _known(connection: Connection, agent_id: int, batch: Iterable[NewConversation]) -> dict[bytes, int]:
    wanted = [item.uuid for given in batch for item in given.items if item.uuid is not None]
    found: dict[bytes, int] = {}
    for start in range(0, len(wanted), 500):
        rows = connection.execute(
            select(items.c.uuid, items.c.id).where(
                items.c.agent_id == agent_id, items.c.uuid.in_(wanted[start : start + 500])
            )
        )
        found.update((bytes(uuid), number) for uuid, number in rows)
    return found


def _summarise(row: ConversationRow, given: NewConversation, fresh: list[NewItem], created: bool) -> bool:
    """Bring the row up to date with what was added; True when something changed."""
    changed = bool(fresh)
    if not created:
        for name in FILLED:
            value = getattr(given, name)
            if value is not None and getattr(row, name) is None:
                setattr(row, name, value)
                changed = True
        if given.metadata:
            present = msgspec.json.decode(row.metadata)
            missing = {key: value for key, value in given.metadata.items() if key not in present}
            if missing:
                row.metadata = _encode(present | missing)
                changed = True
    messages = 0
    engaged = given.is_used is True
    for item in fresh:
        kind, sender = item.kind, item.sender
        if item.timestamp > row.ended_at and kind != FEEDBACK:
            row.ended_at = item.timestamp
        if kind in _SAID and sender != SYSTEM:
            messages += 1
            if sender == END_USER and row.first_question is None and item.content:
                row.first_question = " ".join(item.content[:1000].split())[:FIRST_QUESTION_LENGTH]
        engaged = engaged or sender == END_USER or kind in _ENGAGING
    row.messages += messages
    if engaged and not row.is_used:
        row.is_used = changed = True
    return changed


def _values(row: ConversationRow, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple([getattr(row, name) for name in names])


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
