"""Exporting records: what `agentsight import` reads back to the same content, in memory that does not grow.

Conversations are read in pages, each in a short transaction of its own: an export of hours holds nothing up.
A conversation is whole as of the moment when it is reached; those that begin after the export began are left out.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.domain import times
from agentsight_server.domain.filters import Filters
from agentsight_server.store import conversations, transcripts
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    ATTACHMENTS,
    BUTTON,
    FEEDBACK,
    MESSAGE,
    SENDERS,
    TOKEN_USAGE,
)
from agentsight_server.store.transcripts import TOKEN_COUNTS, Entry, FeedbackRow, FileRow, Transcript

CONVERSATIONS_AT_ONCE = 100
EVERYTHING = Filters(include_deleted=True)
_PARTS = frozenset(TOKEN_COUNTS[4:])


@dataclass
class Export:
    """One run over an agent's conversations, oldest first.

    `conversations` and `items` count what has been written; `missing` names the attachments whose bytes are
    not in the files store, as (conversation_id, filename).

    Example:
        >>> export = Export(database, files, agent_id)
        >>> with open("all.jsonl", "wb") as target:
        ...     target.writelines(export.records())
    """

    database: Database
    files: FileStore
    agent_id: int
    filters: Filters = EVERYTHING
    conversations: int = 0
    items: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)

    def total(self) -> int:
        """How many conversations there are to export."""
        with self.database.read() as connection:
            return conversations.count(connection, {self.agent_id}, self.filters)

    def pages(self) -> Iterator[list[tuple[ConversationRow, Transcript]]]:
        """Conversations with their transcripts, some at a time; no transaction is open in between."""
        with self.database.read() as connection:
            up_to = conversations.highest_number(connection)
        cursor: tuple[int, int] | None = None
        while True:
            with self.database.read() as connection:
                rows = conversations.oldest_first(
                    connection,
                    {self.agent_id},
                    self.filters,
                    cursor=cursor,
                    up_to=up_to,
                    limit=CONVERSATIONS_AT_ONCE,
                )
                said = transcripts.load(connection, conversations.ids(rows))
            if not rows:
                return
            yield [(row, said[row.id]) for row in rows]
            cursor = (rows[-1].started_at, rows[-1].id)

    def records(self) -> Iterator[bytes]:
        """The lines of a JSONL file, in pieces: attachments pass through without being held.

        Raises:
            FilesError: the files store does not answer. A file that is not there is noted, not raised.
        """
        for page in self.pages():
            for row, transcript in page:
                yield from self._record(row, transcript)

    def _record(self, row: ConversationRow, transcript: Transcript) -> Iterator[bytes]:
        yield _encode(_fields(row))[:-1] + b',"items":['
        separator = b""
        uuids: dict[int, bytes] = {}
        for entry in transcript.entries:
            if entry.kind == FEEDBACK:
                uuids[entry.id] = entry.uuid
                continue
            files = self._readable(row, entry)
            if entry.kind == ATTACHMENTS and not files and not entry.content:
                continue
            yield separator
            yield from self._item(entry, files)
            separator = b","
        feedbacks = [_feedback(each, uuids[each.id]) for each in transcript.feedbacks]
        yield b'],"feedbacks":' + _encode(feedbacks) + b"}\n"
        self.conversations += 1
        self.items += len(transcript.entries)

    def _readable(self, row: ConversationRow, entry: Entry) -> list[FileRow]:
        found = [file for file in entry.files if self.files.exists(file.sha256)]
        if len(found) < len(entry.files):
            self.missing += [
                (row.conversation_id, file.filename) for file in entry.files if file not in found
            ]
        return found

    def _item(self, entry: Entry, files: list[FileRow]) -> Iterator[bytes]:
        if not files:
            yield _encode(_item(entry, with_files=False))
            return
        yield _encode(_item(entry, with_files=True))[:-1] + b',"attachments":['
        for number, file in enumerate(files):
            head = {"filename": file.filename, "mime_type": file.mime_type}
            yield (b"," if number else b"") + _encode(head)[:-1] + b',"data":"'
            yield from _base64(self.files.stream(file.sha256))
            yield b'"}'
        yield b"]}"


def _fields(row: ConversationRow) -> dict[str, Any]:
    place = {"country": row.country, "city": row.city, "timezone_name": row.timezone_name}
    return {
        "conversation_id": row.conversation_id,
        "name": row.name,
        "customer_id": row.customer_id,
        "customer_ip_address": row.customer_ip_address,
        "device": row.device,
        "source": row.source,
        "language": row.language,
        "environment": row.environment,
        "metadata": msgspec.Raw(row.metadata.encode()),
        "geo_location": place if any(place.values()) else None,
        "is_used": row.is_used,
        "is_offered": row.is_offered,
        "is_marked": row.is_marked,
        "deleted_at": None if row.deleted_at is None else times.to_text(row.deleted_at),
        "started_at": times.to_text(row.started_at),
    }


def _item(entry: Entry, *, with_files: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": str(uuid.UUID(bytes=bytes(entry.uuid))),
        "type": "message",
        "timestamp": times.to_text(entry.timestamp),
    }
    if entry.kind == ATTACHMENTS and with_files:
        made |= {"type": "attachments", "sender": SENDERS[entry.sender or 0], "message": entry.content}
    elif entry.kind in (MESSAGE, ATTACHMENTS):
        made |= {"sender": SENDERS[entry.sender or 0], "content": entry.content or ""}
    elif entry.kind == ACTION and entry.action is not None:
        action = entry.action
        made |= {
            "type": "action",
            "action_name": action.action_name,
            "started_at": None if action.started_at is None else times.to_text(action.started_at),
            "ended_at": None if action.ended_at is None else times.to_text(action.ended_at),
            "duration_ms": action.duration_ms,
            "tools_used": json_value(action.tools_used),
            "response": json_value(action.response),
            "error_msg": action.error_msg,
        }
    elif entry.kind == BUTTON and entry.button is not None:
        made |= {"type": "button", **msgspec.structs.asdict(entry.button)}
    elif entry.kind == TOKEN_USAGE and entry.usage is not None:
        usage = msgspec.structs.asdict(entry.usage)
        made |= {
            "type": "token_usage",
            **{name: usage[name] for name in usage if usage[name] or name not in _PARTS},
        }
    made["metadata"] = json_value(entry.metadata)
    return {name: value for name, value in made.items() if value is not None}


def _feedback(row: FeedbackRow, identity: bytes) -> dict[str, Any]:
    made = {
        "id": str(uuid.UUID(bytes=bytes(identity))),
        "sentiment": row.sentiment,
        "source": row.source,
        "comment": row.comment,
        "created_at": times.to_text(row.created_at),
        "metadata": json_value(row.metadata),
        "message": None if row.message_uuid is None else str(uuid.UUID(bytes=bytes(row.message_uuid))),
    }
    return {name: value for name, value in made.items() if value is not None}


def json_value(text: str | None) -> msgspec.Raw | None:
    """JSON text that is kept as it is inside a larger document."""
    return None if text is None else msgspec.Raw(text.encode())


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        data = rest + bytes(piece)
        whole = len(data) - len(data) % 3  # base64 goes by three bytes
        rest = data[whole:]
        yield base64.b64encode(data[:whole])
    yield base64.b64encode(rest)


_encode = msgspec.json.Encoder().encode
