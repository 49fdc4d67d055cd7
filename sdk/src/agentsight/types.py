"""The types of what the SDK takes and gives, for type checkers and editors.

    from agentsight.types import Attachment, ConversationRecord, SendResult

Nothing here does anything at run time: choices are `Literal`s, options and answers `TypedDict`s. `import agentsight`
does not load this module. A newer server may add keys to its answers, which are then there, but not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from typing import Any, BinaryIO, Literal, TypedDict

from agentsight.config import Config
from agentsight.enums import AttachmentMode, Environment, LogLevel, Sender, Sentiment, TokenHandlerType

__all__ = [
    "ActionRecord",
    "Attachment",
    "AttachmentModeName",
    "AttachmentRecord",
    "Base64Attachment",
    "ButtonRecord",
    "ConversationFiles",
    "ConversationFilters",
    "ConversationPage",
    "ConversationRecord",
    "DeletedRecord",
    "DeviceName",
    "EnvironmentName",
    "EventName",
    "FeedbackRecord",
    "FeedbackSourceName",
    "FileAttachment",
    "FlushResult",
    "GeoLocation",
    "ItemType",
    "LogLevelName",
    "MessageFiles",
    "MessageRecord",
    "Options",
    "SendResult",
    "SendSummary",
    "SenderName",
    "SentItem",
    "SentimentName",
    "SessionRecord",
    "TokenHandlerName",
    "TokenUsage",
    "TrackedItem",
    "TrackedSummary",
    "UsageRecord",
]

# --- choices: as text, or as the member of agentsight.enums ---

DeviceName = Literal["desktop", "mobile", "tablet"]
EnvironmentName = Environment | Literal["production", "development"]
EventName = Literal["message", "answer", "tool", "button", "feedback", "tokens"]
SentimentName = Sentiment | Literal["positive", "neutral", "negative"]
SenderName = Sender | Literal["end_user", "agent", "system"]
AttachmentModeName = AttachmentMode | Literal["base64", "form_data"]
LogLevelName = LogLevel | Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"]
TokenHandlerName = TokenHandlerType | Literal["llamaindex", "langchain"]
FeedbackSourceName = Literal["customer", "platform"]
ItemType = Literal[
    "conversation", "question", "answer", "action", "button", "attachments", "token_usage", "feedback"
]

# --- options ---


class ConversationFilters(TypedDict, total=False):
    """What `fetch_conversations` takes to choose conversations.

    They are those of `GET /api/conversations/`; None: not given.

    `device__isnull=True` and its kin find what has no such value, False what has one. `event` and its kin are about one
    thing that happened, all of them about the same one.
    """

    action_name: str | None
    action_name__in: str | Sequence[str] | None  # one of these, or names with commas between them
    city: str | None
    city__isnull: bool | None
    conversation_id: str | None
    country: str | None
    country__isnull: bool | None
    customer_id: str | int | None
    customer_id__icontains: str | None
    customer_id__isnull: bool | None
    customer_ip_address: str | None
    device: DeviceName | None
    device__isnull: bool | None
    environment: EnvironmentName | None
    event: EventName | None
    event_after: datetime | str | None
    event_before: datetime | str | None
    event_failed: bool | None  # a tool's run
    event_label: str | None  # of a button
    event_name: str | None  # the tool, the button's event, the sentiment, the model
    event_name__isnull: bool | None  # tokens of no named model
    feedback_sentiment: SentimentName | None
    feedback_sentiment__isnull: bool | None
    feedback_source: FeedbackSourceName | None
    has_feedback: bool | None
    has_messages: bool | None
    hour: int | None  # 0 to 23, on the clock of `tz`
    include_deleted: bool | None
    is_helpful: bool | None
    is_marked: bool | None
    is_offered: bool | None
    is_used: bool | None
    language: str | None  # "en" also finds "en-US"
    language__iexact: str | None
    language__isnull: bool | None
    message_contains: str | None
    metadata: (
        str | dict[str, Any] | None
    )  # "key:value,key2:value2", dots reach inside; a dict is written that way
    name: str | None  # is contained in the name
    search: str | None  # in messages, names and ids
    source: str | None
    source__isnull: bool | None
    started_at_after: datetime | str | None
    started_at_before: datetime | str | None
    tz: str | None  # an IANA name
    unanswered: bool | None
    weekday: int | None  # 0 is Monday


class Options(TypedDict, total=False):
    """What every client takes, and its `configure`, and `Config`; by name. None: not given."""

    config: Config | None  # to start from; it is copied
    api_key: str | None
    endpoint: str | None
    environment: EnvironmentName | None
    conversation_id: str | None
    log_level: LogLevelName | None
    strict: bool | None
    token_handler: TokenHandlerName | None
    spool_dir: str | PathLike[str] | None
    auto_send: bool | None
    timeout: float | None  # seconds
    max_pending_items: int | None
    max_pending_bytes: int | None
    spool_max_bytes: int | None


# --- files that are tracked ---


class Base64Attachment(TypedDict):
    """A file in the mode `base64`."""

    filename: str
    mime_type: str
    data: str  # base64


class _FileData(TypedDict):
    data: bytes | bytearray | memoryview | BinaryIO


class FileAttachment(_FileData, total=False):
    """A file in the mode `form_data`; a name or type that is left out is worked out."""

    filename: str | None
    mime_type: str | None
    content_type: str | None  # the same as mime_type


Attachment = Base64Attachment | FileAttachment

# --- what tracking and sending tell ---


class TokenUsage(TypedDict):
    """What `get_token_usage` gives: tokens tracked since the last send."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    embedding_tokens: int


class _Item(TypedDict):
    index: int
    type: ItemType
    timestamp: str  # UTC, ISO 8601


class TrackedItem(_Item):
    """Something that is pending."""

    data: dict[str, Any]


class TrackedSummary(TypedDict):
    """What `get_tracked_data_summary` gives: `summary` counts by type, and `total`."""

    conversation_id: str | None
    items: list[TrackedItem]
    summary: dict[str, int]


class _Settled(_Item):
    success: bool


class SentItem(_Settled, total=False):
    """What became of an item: `response` is there if `success` is true, otherwise `error`."""

    response: dict[str, Any]
    error: str


class SendSummary(TypedDict):
    """How many were accepted, and how many errors there were."""

    questions: int
    answers: int
    actions: int
    buttons: int
    attachments: int
    errors: int


class _Sent(TypedDict):
    items: list[SentItem]
    summary: SendSummary


class SendResult(_Sent, total=False):
    """What `send_tracked_data` gives."""

    lost: int  # only if items were given up since the last call


class FlushResult(TypedDict):
    """What `flush` and `close` give: numbers of items."""

    sent: int
    unsent: int
    lost: int


# --- what the server answers ---


class GeoLocation(TypedDict):
    """Where the customer's address is."""

    ip_address: str | None
    city: str | None
    country: str | None
    timezone_name: str | None


class AttachmentRecord(TypedDict):
    """A stored file; `file_url` works for a limited time."""

    id: int
    type: Literal["image", "document", "text", "audio", "video", "other"]
    filename: str
    mime_type: str
    size_bytes: int
    file_url: str


class ActionRecord(TypedDict):
    """A tool call."""

    id: int
    started_at: str | None
    ended_at: str | None
    duration_ms: int | None
    tools_used: Any
    response: Any
    error_message: str | None
    metadata: dict[str, Any]


class ButtonRecord(TypedDict):
    """A click."""

    id: int
    button_event: str
    label: str
    value: str
    metadata: dict[str, Any]


class MessageRecord(TypedDict):
    """A line of the transcript: what was said, a tool call (`action_logs`) or a click (`button`)."""

    id: int
    timestamp: str
    sender: Literal["end_user", "agent", "system"]
    content: str
    action_name: str | None
    metadata: dict[str, Any]
    attachments: list[AttachmentRecord]
    action_logs: list[ActionRecord]
    button: ButtonRecord | None


class FeedbackRecord(TypedDict):
    """What somebody thought; `conversation` and `message` are integer ids, no message: of the whole."""

    id: int
    conversation: int
    sentiment: Literal["positive", "neutral", "negative"]
    source: FeedbackSourceName
    comment: str | None
    metadata: dict[str, Any]
    created_at: str
    message: int | None


class UsageRecord(TypedDict):
    """Tokens of a whole conversation; those from `cached_tokens` on are parts of prompt or completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    embedding_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    input_audio_tokens: int
    reasoning_tokens: int
    output_audio_tokens: int


class _Conversation(TypedDict):
    id: int
    conversation_id: str
    name: str | None
    customer_id: str | None
    customer_ip_address: str | None
    device: DeviceName | None
    source: str | None
    language: str | None
    environment: Literal["production", "development"]
    is_marked: bool
    is_deleted: bool
    is_used: bool
    started_at: str
    ended_at: str
    deleted_at: str | None
    metadata: dict[str, Any]
    geo_location: GeoLocation | None
    token_usage: UsageRecord


class SessionRecord(TypedDict):
    """A stretch of a conversation without a long pause: what figures count as one. `number` begins at 1."""

    number: int
    started_at: str
    ended_at: str
    messages: int
    engaged: bool
    offered: bool
    outreach: bool  # the agent began it, with nobody waiting for an answer


class ConversationRecord(_Conversation, total=False):
    """A conversation; `messages` and `feedbacks` are left out with `full=False` and by changes."""

    messages: list[MessageRecord]
    feedbacks: list[FeedbackRecord]
    messages_next: str  # in a list: address of the rest of a very long one
    sessions: list[SessionRecord]  # of one that is asked for alone


class DeletedRecord(TypedDict):
    """What `delete_conversation` answers."""

    id: int
    conversation_id: str
    is_deleted: bool
    deleted_at: str


class _Page(TypedDict):
    count: int
    next: str | None
    previous: str | None
    results: list[ConversationRecord]


class ConversationPage(_Page, total=False):
    """A page of conversations; `next` and `previous` are addresses."""

    left_out: int  # how many results of this page were too large for it, and come with `next`


class MessageFiles(TypedDict):
    """The files of one message."""

    message_id: int
    sender: Literal["end_user", "agent", "system"]
    timestamp: str
    attachments: list[AttachmentRecord]


class _Files(TypedDict):
    conversation_id: str
    conversation: int
    total_attachments: int
    messages: list[MessageFiles]


class ConversationFiles(_Files, total=False):
    """Every file of a conversation, by message; `conversation` is the integer id."""

    attachments_next: str  # over REST: address of the rest of very many; the SDK puts them together
