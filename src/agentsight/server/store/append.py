"""Adding to conversations: find or make them, insert their items, keep their summaries right.

The only way by which items reach the database. The inserts are prepared once and given to the driver,
which is a third faster than going through SQLAlchemy for each row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, text, update

from agentsight.server.store import dialect
from agentsight.server.store.dialect import Dialect
from agentsight.server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    TOKEN_USAGE,
    actions,
    attachments,
    button_choices,
    buttons,
    conversations,
    feedbacks,
    items,
    token_usage,
)

FIRST_QUESTION_LENGTH = 300
_ENGAGING = frozenset({ACTION, BUTTON})


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
_ITEM_COLUMNS = (
    "id", "agent_id", "conversation", "uuid", "kind", "timestamp", "sender", "content", "metadata",
)  # fmt: skip
_DETAIL_TABLES = {ACTION: actions, BUTTON: buttons, TOKEN_USAGE: token_usage, FEEDBACK: feedbacks}


@cache
def _insert(engine: Dialect, table: str) -> str:
    if table == "items":
        return dialect.insert_sql(engine, items, _ITEM_COLUMNS)
    tables = {each.name: each for each in (*_DETAIL_TABLES.values(), attachments)}
    columns = [column.name for column in tables[table].columns]
    if table == "attachments":
        columns.remove("id")
    return dialect.insert_sql(engine, tables[table], columns)


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
    answers: list[Appended] = []
    merged: list[tuple[NewConversation, Row[Any], Appended, list[NewItem]]] = []
    item_rows: list[tuple[Any, ...]] = []
    details: dict[int, list[tuple[Any, ...]]] = {}
    file_rows: list[tuple[Any, ...]] = []
    choices: set[tuple[int, str, str]] = set()
    known = _known(connection, agent_id, batch) if attempt else {}
    total = sum(len(each.items) for each in batch)
    numbers = iter(dialect.allocate_item_ids(connection, total) if total else ())

    for given in batch:
        row, created = _find_or_make(connection, agent_id, given)
        if row is None:
            answers.append(Appended(None, given.conversation_id))
            continue
        answer = Appended(row.id, row.conversation_id, created, [])
        answers.append(answer)
        fresh: list[NewItem] = []
        for item in given.items:
            uuid = item.uuid or uuid7()
            found = known.get(uuid)
            if found is not None:
                answer.items.append((found, True))
                continue
            number = next(numbers)
            known[uuid] = number
            answer.items.append((number, False))
            fresh.append(item)
            kind = item.kind
            item_rows.append(
                (
                    number,
                    agent_id,
                    row.id,
                    uuid,
                    kind,
                    item.timestamp,
                    item.sender,
                    item.content,
                    item.metadata,
                )
            )
            if item.detail is not None:
                details.setdefault(kind, []).append((number, row.id, *item.detail))
                if kind == BUTTON:
                    choices.add((agent_id, item.detail[0], item.detail[1]))
            for file in item.files:
                file_rows.append(
                    (number, row.id, file.sha256, file.filename, file.mime_type, file.size_bytes)
                )
        merged.append((given, row, answer, fresh))

    if item_rows:
        connection.exec_driver_sql(_insert(engine, "items"), item_rows)
    for kind, rows in details.items():
        connection.exec_driver_sql(_insert(engine, _DETAIL_TABLES[kind].name), rows)
    if file_rows:
        connection.exec_driver_sql(_insert(engine, "attachments"), file_rows)
    for choice in sorted(choices):
        remember_choice(connection, choice)
    revision = next_revision(connection)
    summarised: set[int] = set()
    for given, row, answer, fresh in merged:
        if row.id in summarised:  # named twice in this request
            row = connection.execute(_find_row, {"agent_id": agent_id, "row": row.id}).one()
        summarised.add(row.id)
        _summarise(connection, given, row, answer.created, fresh, revision)
    return answers


def next_revision(connection: Connection) -> int:
    """The number of this transaction's change. Its row stays locked until the commit, so numbers become
    visible in rising order on every engine: who follows them never skips a late one."""
    return int(
        connection.exec_driver_sql(
            "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value"
        ).scalar_one()
    )


_find = text("SELECT * FROM conversations WHERE agent_id = :agent_id AND conversation_id = :name")
_find_row = text("SELECT * FROM conversations WHERE agent_id = :agent_id AND id = :row")


def _find_or_make(
    connection: Connection, agent_id: int, given: NewConversation
) -> tuple[Row[Any] | None, bool]:
    if given.row is not None:
        return connection.execute(_find_row, {"agent_id": agent_id, "row": given.row}).one_or_none(), False
    row = connection.execute(_find, {"agent_id": agent_id, "name": given.conversation_id}).one_or_none()
    if row is not None:
        return row, False
    times = [item.timestamp for item in given.items]
    started_at = (
        given.started_at if given.started_at is not None else min(times, default=time.time_ns() // 1000)
    )
    is_used = given.is_used is not False
    values = {
        "agent_id": agent_id,
        "conversation_id": given.conversation_id,
        "environment": given.environment or "production",
        "metadata": _encode(given.metadata or {}),
        "is_used": is_used,
        "is_offered": not is_used,
        "is_marked": given.is_marked,
        "is_deleted": given.deleted_at is not None,
        "deleted_at": given.deleted_at,
        "started_at": started_at,
        "ended_at": started_at,
        "messages": 0,
        "revision": 0,
        **{name: getattr(given, name) for name in FILLED},
    }
    result = connection.execute(conversations.insert().returning(*conversations.columns), values)
    return result.one(), True


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


def _summarise(
    connection: Connection,
    given: NewConversation,
    row: Row[Any],
    created: bool,
    fresh: list[NewItem],
    revision: int,
) -> None:
    changes: dict[str, Any] = {}
    if not created:
        for name in FILLED:
            value = getattr(given, name)
            if value is not None and getattr(row, name) is None:
                changes[name] = value
        if given.metadata:
            present = msgspec.json.decode(row.metadata)
            missing = {key: value for key, value in given.metadata.items() if key not in present}
            if missing:
                changes["metadata"] = _encode(present | missing)
    engaged = given.is_used is True or any(
        item.kind in _ENGAGING or item.sender == END_USER for item in fresh
    )
    if engaged and not row.is_used:
        changes["is_used"] = True
    if fresh:
        last = max((item.timestamp for item in fresh if item.kind != FEEDBACK), default=row.ended_at)
        if last > row.ended_at:
            changes["ended_at"] = last
        messages = [
            item for item in fresh if item.kind in (MESSAGE, ATTACHMENTS) and item.sender in (END_USER, AGENT)
        ]
        if messages:
            changes["messages"] = row.messages + len(messages)
        if row.first_question is None:
            question = next(
                (item.content for item in messages if item.sender == END_USER and item.content), None
            )
            if question is not None:
                changes["first_question"] = " ".join(question[:1000].split())[:FIRST_QUESTION_LENGTH]
    if created or changes or fresh:
        connection.execute(
            update(conversations).where(conversations.c.id == row.id), {**changes, "revision": revision}
        )


def remember_choice(connection: Connection, choice: tuple[int, str, str]) -> None:
    """Keep a button's label among the choices known for its event."""
    names = dict(zip(("agent_id", "button_event", "label"), choice, strict=True))
    connection.execute(_choice, names)


_choice = text(
    f"INSERT INTO {button_choices.name} (agent_id, button_event, label) "  # noqa: S608
    "VALUES (:agent_id, :button_event, :label) ON CONFLICT DO NOTHING"
)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
