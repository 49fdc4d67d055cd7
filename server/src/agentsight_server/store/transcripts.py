"""What was said and done in conversations, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, null, select

from agentsight_server.store import dialect
from agentsight_server.store.messages import written
from agentsight_server.store.schema import (
    ACTION,
    ATTACHMENTS,
    BUTTON,
    MESSAGE,
    TOKEN_USAGE,
    actions,
    attachments,
    buttons,
    conversations,
    feedbacks,
    items,
    token_usage,
)

# How many conversations one query asks for at once.
_SLICE = 500
# How many files are read where texts are cut.
_MOST_FILES = 1_000


class ActionRow(msgspec.Struct, frozen=True):
    """A tool call; `tools_used` and `response` are JSON text, times in microseconds."""

    action_name: str
    started_at: int | None
    ended_at: int | None
    duration_ms: int | None
    tools_used: str | None
    response: str | None
    error_msg: str | None


class ButtonRow(msgspec.Struct, frozen=True):
    """A click."""

    button_event: str
    label: str
    value: str


class FileRow(msgspec.Struct, frozen=True):
    """An attachment; the bytes lie in the files store under `sha256`."""

    id: int
    sha256: str
    filename: str
    mime_type: str
    size_bytes: int


class UsageRow(msgspec.Struct, frozen=True):
    """Tokens that one model call took; those from `cached_tokens` on are parts of prompt or completion."""

    model: str | None
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    embedding_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0


TOKEN_COUNTS = UsageRow.__struct_fields__[1:]
NO_USAGE = UsageRow(None, 0, 0, 0, 0)


class FeedbackRow(msgspec.Struct, frozen=True):
    """A judgement of the conversation, or of one of its messages: by number, and by UUID also before it arrived."""

    id: int
    conversation: int
    sentiment: str
    source: str
    comment: str | None
    person_id: int | None
    metadata: str | None
    created_at: int
    message: int | None = None
    message_uuid: bytes | None = None


class Entry(msgspec.Struct):
    """One line of a transcript. `kind` and `sender` are the numbers of store.schema; `timestamp` is in
    microseconds; `metadata` is JSON text."""

    id: int
    conversation: int
    uuid: bytes
    kind: int
    timestamp: int
    sender: int | None
    content: str | None
    metadata: str | None
    action: ActionRow | None = None
    button: ButtonRow | None = None
    usage: UsageRow | None = None
    files: list[FileRow] = []

    @property
    def is_line(self) -> bool:
        """Whether it stands in the API's messages (token usage and feedback do not)."""
        return self.kind in (MESSAGE, ACTION, BUTTON, ATTACHMENTS)


class Transcript(msgspec.Struct):
    """A conversation's entries in order of time, and its feedback."""

    entries: list[Entry] = []
    feedbacks: list[FeedbackRow] = []


def _entry(longest: int | None = None) -> Select[Any]:
    """What is selected of items; texts cut, where that is asked for."""
    return select(
        items.c.id,
        items.c.conversation,
        items.c.uuid,
        items.c.kind,
        items.c.timestamp,
        items.c.sender,
        _cut(items.c.content, longest),
        _cut(items.c.metadata, longest),
    )


def _cut(column: ColumnElement[Any], longest: int | None) -> ColumnElement[Any]:
    return column if longest is None else func.substr(column, 1, longest + 1)


def load(connection: Connection, conversation_ids: Sequence[int]) -> dict[int, Transcript]:
    """The transcripts of conversations that the caller may see, by their numbers."""
    found = {number: Transcript([], []) for number in conversation_ids}
    for start in range(0, len(conversation_ids), _SLICE):
        numbers = conversation_ids[start : start + _SLICE]
        query = (
            _entry()
            .where(items.c.conversation.in_(numbers))
            .order_by(items.c.conversation, items.c.timestamp, items.c.id)
        )
        entries = [Entry(*row) for row in connection.execute(query)]
        for entry in _with_details(connection, entries, "conversation", numbers):
            found[entry.conversation].entries.append(entry)
        for row in feedback_of(connection, numbers):
            found[row.conversation].feedbacks.append(row)
    return found


def entries_by_id(
    connection: Connection, item_ids: Sequence[int], *, longest: int | None = None
) -> list[Entry]:
    """Single entries, in the order of their numbers.

    Args:
        longest: longer texts come as their first `longest` + 1 characters, and so many files as make a page.
    """
    query = _entry(longest).where(items.c.id.in_(item_ids)).order_by(items.c.id)
    entries = [Entry(*row) for row in connection.execute(query)]
    return list(_with_details(connection, entries, "item", item_ids, longest))


def message_of(connection: Connection, agent_id: int, number: int) -> Entry | None:
    """The agent's message of that number, whoever sent it; None where there is none, or it is another kind of item."""
    query = _entry().where(items.c.id == number, items.c.agent_id == agent_id, written(items))
    entries = [Entry(*row) for row in connection.execute(query)] if 0 < number < 2**63 else []
    return next(_with_details(connection, entries, "item", [number]), None)


def _with_details(
    connection: Connection,
    entries: list[Entry],
    column: str,
    values: Sequence[int],
    longest: int | None = None,
) -> Iterator[Entry]:
    by_id = {entry.id: entry for entry in entries}
    kinds = {entry.kind for entry in entries}

    def rows(query: Select[Any], table: Any) -> Iterator[Any]:
        return iter(connection.execute(query.where(table.c[column].in_(values))))

    if ACTION in kinds:
        large = {"tools_used", "response", "error_msg"}
        found = select(*(_cut(each, longest) if each.name in large else each for each in actions.c))
        for item, _, *rest in rows(found, actions):
            by_id[item].action = ActionRow(*rest)
    if BUTTON in kinds:
        for item, _, *rest in rows(select(buttons), buttons):
            by_id[item].button = ButtonRow(*rest)
    if TOKEN_USAGE in kinds:
        for item, _, *rest in rows(select(token_usage), token_usage):
            by_id[item].usage = UsageRow(*rest)
    if MESSAGE in kinds or ATTACHMENTS in kinds:
        query = select(
            attachments.c.item,
            attachments.c.id,
            attachments.c.sha256,
            attachments.c.filename,
            attachments.c.mime_type,
            attachments.c.size_bytes,
        ).order_by(attachments.c.id)
        if longest is not None:
            query = query.limit(_MOST_FILES)
        for item, *rest in rows(query, attachments):
            entry = by_id[item]
            entry.files = [*entry.files, FileRow(*rest)]
    return iter(entries)


_message = items.alias("message")


def feedback_where(
    connection: Connection, *wanted: ColumnElement[bool], metadata: bool = True, limit: int | None = None
) -> list[FeedbackRow]:
    """Feedback for which the conditions hold, oldest first; `metadata` may be left out where nobody reads it."""
    query: Select[Any] = (
        select(
            feedbacks.c.item,
            feedbacks.c.conversation,
            feedbacks.c.sentiment,
            feedbacks.c.source,
            feedbacks.c.comment,
            feedbacks.c.person_id,
            items.c.metadata if metadata else null(),
            items.c.timestamp,
            _message.c.id,
            feedbacks.c.message,
        )
        .join(items, items.c.id == feedbacks.c.item)
        .outerjoin(
            _message,
            (_message.c.agent_id == items.c.agent_id)
            & (_message.c.uuid == feedbacks.c.message)
            & (_message.c.conversation == feedbacks.c.conversation)
            & written(_message),
        )
        .where(*wanted)
        .order_by(items.c.timestamp, items.c.id)
        .limit(limit)
    )
    return [FeedbackRow(*row) for row in connection.execute(query)]


def feedback_of(connection: Connection, conversation_ids: Sequence[int]) -> list[FeedbackRow]:
    """Feedback on conversations that the caller may see, oldest first."""
    return feedback_where(connection, feedbacks.c.conversation.in_(conversation_ids))


def usage_of(connection: Connection, conversation_ids: Sequence[int]) -> dict[int, list[UsageRow]]:
    """For each conversation the tokens that it took, added up by model."""
    engine = dialect.of(connection)
    columns = [token_usage.c[name] for name in TOKEN_COUNTS]
    query = (
        select(
            token_usage.c.conversation,
            token_usage.c.model,
            *(dialect.total(engine, each) for each in columns),
        )
        .where(token_usage.c.conversation.in_(conversation_ids))
        .group_by(token_usage.c.conversation, token_usage.c.model)
        .order_by(dialect.total(engine, token_usage.c.total_tokens).desc())
    )
    found: dict[int, list[UsageRow]] = {}
    for number, model, *counts in connection.execute(query):
        found.setdefault(number, []).append(UsageRow(model, *map(dialect.whole, counts)))
    return found


def total_usage(rows: Iterable[UsageRow]) -> UsageRow:
    """The rows added up, over all models."""
    counts = [msgspec.structs.astuple(row)[1:] for row in rows]
    sums = (dialect.whole(sum(column)) for column in zip(*counts, strict=True))
    return UsageRow(None, *sums) if counts else NO_USAGE


def stored_bytes(connection: Connection, agent_id: int) -> int:
    """The bytes of an agent's attachments; a file that came twice counts twice."""
    query = (
        select(func.coalesce(func.sum(attachments.c.size_bytes), 0))
        .join(conversations, conversations.c.id == attachments.c.conversation)
        .where(conversations.c.agent_id == agent_id)
    )
    return int(connection.execute(query).scalar_one())


class MessageFilesRow(msgspec.Struct):
    """A message that has files, by its item's number; `timestamp` in microseconds."""

    id: int
    sender: int | None
    timestamp: int
    files: list[FileRow]


def files_of_conversation(
    connection: Connection, conversation: int, after: int, most: int
) -> tuple[list[MessageFilesRow], int | None]:
    """The messages of a conversation that have files, oldest first, without their words.

    Args:
        after: number of the last file that the caller has; 0: from the first one.
        most: files.

    Returns:
        The messages, and the number of the last file when there are more.
    """
    query = (
        select(
            items.c.id,
            items.c.sender,
            items.c.timestamp,
            attachments.c.id,
            attachments.c.sha256,
            attachments.c.filename,
            attachments.c.mime_type,
            attachments.c.size_bytes,
        )
        .join(items, items.c.id == attachments.c.item)
        .where(attachments.c.conversation == conversation, attachments.c.id > after)
        .order_by(attachments.c.id)
        .limit(most + 1)
    )
    rows = connection.execute(query).all()
    found: dict[int, MessageFilesRow] = {}
    for number, sender, timestamp, *file in rows[:most]:
        found.setdefault(number, MessageFilesRow(number, sender, timestamp, [])).files.append(FileRow(*file))
    ordered = sorted(found.values(), key=lambda each: (each.timestamp, each.id))
    return ordered, rows[most - 1][3] if len(rows) > most else None


def number_of_files(connection: Connection, conversation: int) -> int:
    """How many files a conversation has."""
    query = select(func.count()).select_from(attachments).where(attachments.c.conversation == conversation)
    return int(connection.execute(query).scalar_one())


def file_of(connection: Connection, attachment_id: int) -> tuple[int, FileRow] | None:
    """The conversation that an attachment belongs to, and the attachment."""
    row = connection.execute(
        select(
            attachments.c.conversation,
            attachments.c.id,
            attachments.c.sha256,
            attachments.c.filename,
            attachments.c.mime_type,
            attachments.c.size_bytes,
        ).where(attachments.c.id == attachment_id)
    ).one_or_none()
    return (row[0], FileRow(*row[1:])) if row else None
