"""What the API answers with. The names and shapes are the contract's."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import msgspec

from agentsight_server.attachments.file_types import file_kind
from agentsight_server.domain.times import to_text
from agentsight_server.security.signing import Signer
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.schema import AGENT, BUTTON, END_USER, SENDERS
from agentsight_server.store.transcripts import (
    TOKEN_COUNTS,
    Entry,
    FeedbackRow,
    FileRow,
    Transcript,
    UsageRow,
)

_EMPTY_OBJECT = msgspec.Raw(b"{}")


class GeoLocation(msgspec.Struct):
    """Where the customer's address is."""

    ip_address: str | None
    city: str | None
    country: str | None
    timezone_name: str | None


class TokenUsage(msgspec.Struct):
    """Tokens of the whole conversation; those from `cached_tokens` on are parts of prompt or completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    embedding_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    input_audio_tokens: int
    reasoning_tokens: int
    output_audio_tokens: int


class Attachment(msgspec.Struct):
    """A stored file; `file_url` works for a while, for whoever has it."""

    id: int
    type: str
    filename: str
    mime_type: str
    size_bytes: int
    file_url: str


class ActionLog(msgspec.Struct):
    """A tool call."""

    id: int
    started_at: str | None
    ended_at: str | None
    duration_ms: int | None
    tools_used: Any
    response: Any
    error_message: str | None
    metadata: Any


class Button(msgspec.Struct):
    """A click."""

    id: int
    button_event: str
    label: str
    value: str
    metadata: Any


class Message(msgspec.Struct):
    """A line of the transcript: what was said, a tool call (`action_logs`) or a click (`button`)."""

    id: int
    timestamp: str
    sender: str
    content: str
    action_name: str | None
    metadata: Any
    attachments: list[Attachment]
    action_logs: list[ActionLog]
    button: Button | None


class Feedback(msgspec.Struct):
    """A judgement; `conversation` and `message` are integer ids, `message` null where it is the whole conversation."""

    id: int
    conversation: int
    sentiment: str
    source: str
    comment: str | None
    metadata: Any
    created_at: str
    message: int | None


class Session(msgspec.Struct):
    """A stretch of a conversation without a long pause: what figures count as one. `number` begins at 1.

    `outreach`: the agent began it, with nobody waiting for an answer.
    """

    number: int
    started_at: str
    ended_at: str
    messages: int
    engaged: bool
    offered: bool
    outreach: bool


class Conversation(msgspec.Struct):
    """A conversation; `messages` and `feedbacks` are left out of a list with `full=false`."""

    id: int
    conversation_id: str
    name: str | None
    customer_id: str | None
    customer_ip_address: str | None
    device: str | None
    source: str | None
    language: str | None
    environment: str
    is_marked: bool
    is_deleted: bool
    is_used: bool
    started_at: str
    ended_at: str
    deleted_at: str | None
    metadata: Any
    geo_location: GeoLocation | None
    token_usage: TokenUsage
    messages: list[Message] | msgspec.UnsetType = msgspec.UNSET
    feedbacks: list[Feedback] | msgspec.UnsetType = msgspec.UNSET
    # Only where the messages are too many for one answer: the address of the next ones.
    messages_next: str | msgspec.UnsetType = msgspec.UNSET
    # Of a conversation asked for alone: its newest sessions, at most 1,000. Not there while figures are being built.
    sessions: list[Session] | msgspec.UnsetType = msgspec.UNSET


# What a link is signed for: a file of a conversation that is there, or also of one that is deleted.
FILE = "file"
DELETED_FILE = "deleted-file"


class FileLinks:
    """Makes the signed addresses of attachments.

    Example:
        >>> links = FileLinks(signer, "https://stats.example.com", 3600)
        >>> links.url(file)
        'https://stats.example.com/files/7/photo.png?expires=…&signature=…'
    """

    def __init__(self, signer: Signer, base_url: str, seconds: int, what: str = FILE) -> None:
        self._signer, self._base, self._seconds, self._what = signer, base_url.rstrip("/"), seconds, what

    def of_deleted(self) -> FileLinks:
        """The links for somebody who may see deleted conversations: others do not open their files."""
        return FileLinks(self._signer, self._base, self._seconds, DELETED_FILE)

    def url(self, file: FileRow) -> str:
        """An address that works for the configured time; rounded, so that caches see the same one."""
        step = max(1, self._seconds // 4)
        expires = (int(time.time()) // step + 1) * step + self._seconds
        signature = self._signer.sign(f"{self._what}:{file.id}", expires)
        name = quote(file.filename, safe="")
        return f"{self._base}/files/{file.id}/{name}?expires={expires}&signature={signature}"


def attachment(file: FileRow, links: FileLinks) -> Attachment:
    """The API's form of an attachment."""
    kind = file_kind(file.mime_type, file.filename)
    return Attachment(file.id, kind, file.filename, file.mime_type, file.size_bytes, links.url(file))


def message(entry: Entry, links: FileLinks) -> Message:
    """The API's form of a transcript's line."""
    metadata = _raw(entry.metadata)
    made = Message(
        id=entry.id,
        timestamp=to_text(entry.timestamp),
        sender=SENDERS[AGENT if entry.sender is None else entry.sender],
        content=entry.content or "",
        action_name=None,
        metadata=metadata,
        attachments=[attachment(file, links) for file in entry.files],
        action_logs=[],
        button=None,
    )
    if entry.action is not None:
        made.sender = SENDERS[AGENT]
        made.content = f"Action {entry.action.action_name} performed"
        made.action_name = entry.action.action_name
        made.action_logs = [action_log(entry)]
    elif entry.kind == BUTTON and entry.button is not None:
        made.sender = SENDERS[END_USER]
        made.content = entry.button.label
        clicked = entry.button
        made.button = Button(entry.id, clicked.button_event, clicked.label, clicked.value, metadata)
    return made


def action_log(entry: Entry) -> ActionLog:
    """The API's form of a tool call."""
    action = entry.action
    assert action is not None
    return ActionLog(
        id=entry.id,
        started_at=_time(action.started_at),
        ended_at=_time(action.ended_at),
        duration_ms=action.duration_ms,
        tools_used=_raw(action.tools_used, None),
        response=_raw(action.response, None),
        error_message=action.error_msg,
        metadata=_raw(entry.metadata),
    )


def feedback(row: FeedbackRow) -> Feedback:
    """The API's form of feedback."""
    return Feedback(
        row.id,
        row.conversation,
        row.sentiment,
        row.source,
        row.comment,
        _raw(row.metadata),
        to_text(row.created_at),
        row.message,
    )


def conversation(
    row: ConversationRow, usage: UsageRow, transcript: Transcript | None, links: FileLinks
) -> Conversation:
    """The API's form of a conversation; without a transcript, without what was said."""
    located = row.country or row.city or row.timezone_name
    return Conversation(
        id=row.id,
        conversation_id=row.conversation_id,
        name=row.name,
        customer_id=row.customer_id,
        customer_ip_address=row.customer_ip_address,
        device=row.device,
        source=row.source,
        language=row.language,
        environment=row.environment,
        is_marked=row.is_marked,
        is_deleted=row.is_deleted,
        is_used=row.is_used,
        started_at=to_text(row.started_at),
        ended_at=to_text(row.ended_at),
        deleted_at=_time(row.deleted_at),
        metadata=_raw(row.metadata),
        geo_location=GeoLocation(row.customer_ip_address, row.city, row.country, row.timezone_name)
        if located
        else None,
        token_usage=TokenUsage(**{name: getattr(usage, name) for name in TOKEN_COUNTS}),
        messages=msgspec.UNSET
        if transcript is None
        else [message(entry, links) for entry in transcript.entries if entry.is_line],
        feedbacks=msgspec.UNSET if transcript is None else [feedback(each) for each in transcript.feedbacks],
    )


def _time(value: int | None) -> str | None:
    return None if value is None else to_text(value)


def _raw(text: str | None, empty: Any = _EMPTY_OBJECT) -> Any:
    return empty if text is None else msgspec.Raw(text.encode())
