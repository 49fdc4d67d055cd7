"""Adding to conversations: find or make them, insert their items, keep their summaries right.

The only way by which items reach the database. The inserts are prepared once and given to the driver,
which is a third faster than going through SQLAlchemy for each row.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from agentsight_server.domain.identifiers import uuid7
from agentsight_server.store import dialect, tombstones
from agentsight_server.store.inserts import (
    COLUMNS,
    DETAIL_TABLES,
    FILLED,
    SETTABLE,
    Statements,
    statements_of,
)
from agentsight_server.store.merging import Merged
from agentsight_server.store.messages import is_message
from agentsight_server.store.rows import ConversationRow
from agentsight_server.store.schema import ACTION, BUTTON, END_USER, FEEDBACK
from agentsight_server.store.votes import CLOCK_BACK, About, Votes

FIRST_QUESTION_LENGTH = 300
_ENGAGING = frozenset({ACTION, BUTTON})


# Why a conversation takes nothing.
OLD = -1
"""The number of an item that is from before its conversation was erased."""
Refusal = Literal["deleted", "erased"]


class NewFile(msgspec.Struct, frozen=True, gc=False):
    """An attachment whose bytes are in the files store already."""

    sha256: str
    filename: str
    mime_type: str
    size_bytes: int


class NewItem(msgspec.Struct, gc=False):
    """One thing that happened, checked. `detail` holds the columns of its kind's own table after
    (item, conversation), in the table's order. `stamped`: the time is the server's, for want of its own."""

    kind: int
    timestamp: int
    uuid: bytes | None = None
    sender: int | None = None
    content: str | None = None
    metadata: str | None = None
    detail: tuple[Any, ...] | None = None
    files: tuple[NewFile, ...] = ()
    stamped: bool = False
    about: About | None = None  # of feedback


class Author(msgspec.Struct, frozen=True):
    """A public key that writes. It changes conversations that it began, and others only where it is proven that
    they are its visitor's. `as_customer`: it speaks for the customer alone."""

    key_id: int
    is_proven: bool = False
    as_customer: bool = False

    def may_change(self, row: ConversationRow) -> bool:
        """Whether fields that are empty may be filled, and messages that are there be added to."""
        return self.is_proven or row.begun_by == self.key_id


class NewConversation(msgspec.Struct):
    """A conversation as named by a write, with what is to be added to it.

    `row` names an existing one by its number; else `conversation_id` finds or makes it.
    `is_used` None: engaged when new and not made by feedback alone, else when an item comes from the end user.
    `is_offered` counts for a new one; None: offered when `is_used` is false.
    `author`: the public key that writes; None: one that may do more.
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
    author: Author | None = None
    items: list[NewItem] = []


class Appended(msgspec.Struct):
    """What became of one NewConversation; `id` None: no such row number for this agent.

    `refused` says why nothing of it was stored; `items` is empty then.
    """

    id: int | None
    conversation_id: str | None = None
    created: bool = False
    # (row number, was there already), in order; number 0: feedback on a message that is not there, and OLD: it is
    # from before the conversation was erased.
    items: list[tuple[int, bool]] = []
    left_out: int = 0  # keys of its metadata for which there was no room
    refused: Refusal | None = None


# An agent's number and what is to be added to its conversations.
Addition = tuple[int, Sequence[NewConversation]]


def append(
    connection: Connection, attempt: int, agent_id: int, batch: Sequence[NewConversation]
) -> list[Appended]:
    """Store a request's conversations and items in the running transaction.

    The first attempt inserts without looking; when a unique key objects (the request was sent before, or
    another process was faster) the writer calls again, and then what is there already is looked up first.
    """
    return append_all(connection, attempt, [(agent_id, batch)])[0]


def append_all(connection: Connection, attempt: int, requests: Sequence[Addition]) -> list[list[Appended]]:
    """Store what several requests brought, as one: a dozen statements for all of them instead of for each.

    See append(). Either all are stored or an error is raised; the answers are in the order of the requests.
    """
    statements = statements_of(dialect.of(connection))
    driver = connection.connection.cursor()
    agents: dict[int, _Agent] = {}
    for agent_id, batch in requests:
        agents.setdefault(agent_id, _Agent(agent_id)).batch.extend(batch)
    parts: dict[int, NewConversation | None] = {}
    for agent in agents.values():
        old = tombstones.parts(statements, driver, agent.id, agent.batch)
        if old:
            parts |= old
            agent.batch = [part for each in agent.batch if (part := old.get(id(each), each)) is not None]
        agent.find(statements, driver)
        if attempt:
            agent.find_items(statements, driver)
    revision, conversation_ids, item_ids = dialect.take_numbers(
        driver,
        dialect.of(connection),
        sum(len(agent.missing) for agent in agents.values()),
        sum(len(given.items) for _, batch in requests for given in batch),
    )
    for agent in agents.values():
        agent.make(conversation_ids)

    changed: dict[int, ConversationRow] = {}
    rows, merged = _Rows(Votes(driver, dialect.of(connection))), Merged()
    answers = [
        [_part(agents[agent_id], given, parts, item_ids, rows, changed, merged, revision) for given in batch]
        for agent_id, batch in requests
    ]

    merged.settle()
    new = {number for agent in agents.values() for number in agent.new}
    made = [_values(row, COLUMNS) for row in changed.values() if row.id in new]
    statements.insert(driver, "conversations", made)
    updated = [(*_values(row, SETTABLE), row.id) for row in changed.values() if row.id not in new]
    if updated:
        driver.executemany(statements.update, updated)
    rows.add_feedback()
    statements.insert(driver, "items", rows.items)
    for kind, detail_rows in rows.details.items():
        statements.insert(driver, DETAIL_TABLES[kind].name, detail_rows)
    statements.insert(driver, "attachments", rows.files)
    rows.votes.write_replaced()
    driver.close()
    return answers


class _Rows:
    """What is to be inserted, table by table."""

    def __init__(self, votes: Votes) -> None:
        self.votes = votes
        self.items: list[tuple[Any, ...]] = []
        self.details: dict[int, list[tuple[Any, ...]]] = {}
        self.files: list[tuple[Any, ...]] = []

    def add_detail(self, conversation: int, item: int, kind: int, detail: tuple[Any, ...]) -> None:
        """The row of an item's own kind."""
        self.details.setdefault(kind, []).append((item, conversation, *detail))

    def add_feedback(self) -> None:
        """The rows of feedback, once it is known which of it stands."""
        items, details = self.votes.rows(FEEDBACK)
        if items:
            self.items += items
            self.details.setdefault(FEEDBACK, []).extend(details)


def _part(
    agent: _Agent, given: NewConversation, parts: dict[int, NewConversation | None], *more: Any
) -> Appended:
    """Add what of a conversation is not from before its erasure."""
    part = parts.get(id(given), given)
    if part is None:
        return Appended(None, given.conversation_id, refused="erased")
    stored = _add(agent, part, *more)
    if part is not given and stored.refused is None:
        kept = {id(item) for item in part.items}
        outcomes = iter(stored.items)
        stored.items = [next(outcomes) if id(item) in kept else (OLD, False) for item in given.items]
    return stored


def _add(
    agent: _Agent,
    given: NewConversation,
    numbers: Iterator[int],
    rows: _Rows,
    changed: dict[int, ConversationRow],
    merged: Merged,
    revision: int,
) -> Appended:
    row = agent.row_of(given)
    if row is None:
        return Appended(None, given.conversation_id)
    number, agent_id, known = row.id, agent.id, agent.items
    if row.is_deleted and given.deleted_at is None and number not in agent.new:
        # What is deleted stays as it was: restored, it is what somebody deleted. Import brings its own deletion.
        return Appended(number, row.conversation_id, refused="deleted")
    created = number in agent.new and number not in changed
    outcomes: list[tuple[int, bool]] = []
    fresh: list[NewItem] = []
    # Whatever stands in this loop is done for every item that there will ever be.
    for item in given.items:
        uuid = item.uuid or uuid7()
        if uuid in known:
            outcomes.append((known[uuid], True))
            continue
        kind, moment = item.kind, item.timestamp
        if item.stamped and moment < row.ended_at <= moment + CLOCK_BACK:
            # This clock went back, or the clock of earlier items is ahead: what came later is still shown after them.
            moment = item.timestamp = row.ended_at
        if kind == FEEDBACK:
            item_id, idle, replaced = rows.votes.take(
                agent_id, number, item, uuid, known, numbers, is_new=number in agent.new
            )
            outcomes.append((item_id, idle))
            if item_id and not idle:
                fresh.append(item)
                row.rewritten = revision if replaced else row.rewritten
            continue
        item_id = known[uuid] = next(numbers)
        outcomes.append((item_id, False))
        fresh.append(item)
        rows.items.append(
            (item_id, agent_id, number, uuid, kind, moment, item.sender, item.content, item.metadata)
        )
        if item.detail is not None:
            rows.add_detail(number, item_id, kind, item.detail)
        for file in item.files:
            rows.files.append((item_id, number, file.sha256, file.filename, file.mime_type, file.size_bytes))
    before = merged.left_out.get(number, 0)
    if _summarise(row, given, fresh, created, merged) or created:
        row.revision = revision
        changed[number] = row
    left_out = merged.left_out.get(number, 0) - before
    return Appended(number, row.conversation_id, created, outcomes, left_out=left_out)


def next_revision(connection: Connection) -> int:
    """The number of this transaction's change. Its row stays locked until the commit, so numbers become
    visible in rising order on every engine: who follows them never skips a late one."""
    return int(
        connection.exec_driver_sql(
            "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value"
        ).scalar_one()
    )


class _Agent:
    """One agent's part of what is written together: its conversations by number and name, made where they
    are missing, and the items that are known to be there."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.batch: list[NewConversation] = []
        self.missing: list[NewConversation] = []
        self.new: set[int] = set()
        self.items: dict[bytes, int] = {}
        self._by_number: dict[int, ConversationRow] = {}
        self._by_name: dict[str | None, ConversationRow] = {}

    def find(self, statements: Statements, driver: Any) -> None:
        """Look up the conversations that are there; the same row for the same name."""
        for number in {given.row for given in self.batch if given.row is not None}:
            driver.execute(statements.find_row, (self.id, number))
            self._remember(driver.fetchall())
        names = list(
            {given.conversation_id for given in self.batch if given.row is None} - set(self._by_name)
        )
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            driver.execute(statements.find + statements.marks(len(some)), (self.id, *some))
            self._remember(driver.fetchall())
        absent: dict[str | None, NewConversation] = {}
        for given in self.batch:
            if given.row is None and given.conversation_id not in self._by_name:
                absent.setdefault(given.conversation_id, given)
        self.missing = list(absent.values())

    def _remember(self, found: Iterable[Sequence[Any]]) -> None:
        for values in found:
            row = ConversationRow(*values)
            row = self._by_number.setdefault(row.id, row)
            self._by_name[row.conversation_id] = row

    def find_items(self, statements: Statements, driver: Any) -> None:
        """Look up which of the items are there already."""
        wanted = [item.uuid for given in self.batch for item in given.items if item.uuid is not None]
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            driver.execute(statements.find_items + statements.marks(len(some)), (self.id, *some))
            self.items.update((bytes(uuid), number) for uuid, number in driver.fetchall())

    def make(self, numbers: Iterator[int]) -> None:
        """Make the missing ones, each with the next number."""
        for given in self.missing:
            number = next(numbers)
            self._by_name[given.conversation_id] = _new_row(number, self.id, given)
            self.new.add(number)

    def row_of(self, given: NewConversation) -> ConversationRow | None:
        """The conversation that is meant; None where a number is not the agent's."""
        return self._by_name[given.conversation_id] if given.row is None else self._by_number.get(given.row)


def _new_row(number: int, agent_id: int, given: NewConversation) -> ConversationRow:
    started_at = given.started_at
    if started_at is None:
        started_at = min((item.timestamp for item in given.items), default=time.time_ns() // 1000)
    is_used = given.is_used
    if is_used is None:
        is_used = not given.items or any(item.kind != FEEDBACK for item in given.items)
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
        is_offered=given.is_used is False if given.is_offered is None else given.is_offered,
        started_at=started_at,
        ended_at=started_at,
        deleted_at=given.deleted_at,
        first_question=None,
        messages=0,
        revision=0,
        begun_by=None if given.author is None else given.author.key_id,
    )


def _summarise(
    row: ConversationRow, given: NewConversation, fresh: list[NewItem], created: bool, merged: Merged
) -> bool:
    """Bring the row up to date with what was added; True when something changed."""
    changed = bool(fresh)
    if not created and (given.author is None or given.author.may_change(row)):
        for name in FILLED:
            value = getattr(given, name)
            if value is not None and getattr(row, name) is None:
                setattr(row, name, value)
                changed = True
        if given.metadata and merged.add(row, given.metadata):
            changed = True
    messages = 0
    engaged = given.is_used is True
    for item in fresh:
        kind, sender = item.kind, item.sender
        if item.timestamp > row.ended_at and kind != FEEDBACK:
            row.ended_at = item.timestamp
        if is_message(kind, sender):
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
