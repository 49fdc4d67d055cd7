"""What callers may send, as typed structs: decoding is checking."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Union

from msgspec import UNSET, Meta, Struct, UnsetType

from agentsight_server.contract.fields import (
    ADJUSTED,
    ADJUSTED_COUNT,
    FILES_PER_ITEM,
    Adjustment,
    Comment,
    Content,
    Device,
    Environment,
    FeedbackSource,
    Label,
    LongText,
    Metadata,
    Milliseconds,
    Name,
    OptionalName,
    Sender,
    Sentiment,
    TokenCount,
)

# What old clients send for "no number" in `conversation`.
NO_REFERENCE = frozenset({"", "None", "null"})


class Known(Struct, forbid_unknown_fields=True):
    """A body whose fields are all known: a name that is misspelt is told, not left out without a word."""


class FileIn(Known):
    """One attachment, its bytes as base64."""

    filename: Name
    data: str
    mime_type: Name | None = None


class MessageIn(Known, tag="message", tag_field="type"):
    """A message in bulk writing; whether it may be blank is decided when it is normalised."""

    sender: Sender
    content: LongText
    id: str | None = None
    timestamp: datetime | None = None
    metadata: Metadata | None = None
    attachments: Annotated[list[FileIn], Meta(max_length=FILES_PER_ITEM)] | None = None


class ActionIn(Known, tag="action", tag_field="type"):
    """A tool call. An action named `token_usage` is token usage, not a tool."""

    action_name: Name
    id: str | None = None
    timestamp: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: Milliseconds | None = None
    tools_used: Any = None
    response: Any = None
    error_msg: LongText | None = None
    metadata: Metadata | None = None


class ButtonIn(Known, tag="button", tag_field="type"):
    """A clicked button."""

    button_event: Name
    label: Label
    value: Label
    id: str | None = None
    timestamp: datetime | None = None
    metadata: Metadata | None = None


class AttachmentsIn(Known, tag="attachments", tag_field="type"):
    """Files without a message of their own, or with a caption in `message`."""

    attachments: Annotated[list[FileIn], Meta(min_length=1, max_length=FILES_PER_ITEM)]
    sender: Sender = "end_user"
    id: str | None = None
    timestamp: datetime | None = None
    message: LongText | None = None
    metadata: Metadata | None = None
    mode: Literal["base64", "form_data"] | None = None


class TokenUsageIn(Known, tag="token_usage", tag_field="type"):
    """Tokens that a model call took; `total_tokens` is prompt + completion when it is left out.

    Parts of `prompt_tokens`, counted there as well: those read from the provider's cache, those written into it, and
    audio. Parts of `completion_tokens`: those spent on reasoning, and audio.
    """

    id: str | None = None
    timestamp: datetime | None = None
    model: OptionalName | None = None
    prompt_tokens: TokenCount | None = None
    completion_tokens: TokenCount | None = None
    total_tokens: TokenCount | None = None
    embedding_tokens: TokenCount | None = None
    cached_tokens: TokenCount | None = None
    cache_write_tokens: TokenCount | None = None
    input_audio_tokens: TokenCount | None = None
    reasoning_tokens: TokenCount | None = None
    output_audio_tokens: TokenCount | None = None
    metadata: Metadata | None = None


class FeedbackIn(Known, tag="feedback", tag_field="type"):
    """What a customer thought of the conversation, or of one of its messages: `message` is the message's number, or
    the UUID that it was sent with. It takes the place of what the customer said about the same before."""

    sentiment: Sentiment
    id: str | None = None
    timestamp: datetime | None = None
    created_at: datetime | None = None
    comment: Comment | None = None
    source: FeedbackSource | None = None
    metadata: Metadata | None = None
    message: int | OptionalName | None = None


ItemIn = Union[MessageIn, ActionIn, ButtonIn, AttachmentsIn, TokenUsageIn, FeedbackIn]  # noqa: UP007


class Adjusted(Known):
    """What a lenient client changed before it sent: so often, this was done to that field."""

    field: Annotated[str, Meta(min_length=1, max_length=100)]
    code: Adjustment
    count: Annotated[int, Meta(ge=1, le=ADJUSTED_COUNT)] = 1


class ConversationFields(Known, kw_only=True):
    """A conversation's own fields. `adjusted` is counted in the ledger and kept nowhere else."""

    conversation_id: Name
    customer_id: OptionalName | None = None
    customer_ip_address: OptionalName | None = None
    device: Device | None = None
    source: OptionalName | None = None
    language: OptionalName | None = None
    name: OptionalName | None = None
    environment: Environment | None = None
    metadata: Metadata | None = None
    is_used: bool | None = None
    timestamp: datetime | None = None
    started_at: datetime | None = None
    adjusted: Annotated[list[Adjusted], Meta(max_length=ADJUSTED)] = []


class PlaceIn(Known):
    """Where a conversation came from, in an archive; a live one is located by its address."""

    country: OptionalName | None = None
    city: OptionalName | None = None
    timezone_name: OptionalName | None = None


class ConversationIn(ConversationFields, kw_only=True):
    """A conversation in bulk writing; `items` are decoded one by one, so that a bad one fails alone.

    `conversation_token`: for keys that need one, where the header `X-Conversation-Token` does not fit all.
    `is_offered`: it was begun before the customer said anything, whether or not it was used later; None: when
    `is_used` is false.
    """

    conversation_token: str | None = None
    is_marked: bool = False
    is_offered: bool | None = None
    deleted_at: datetime | None = None
    geo_location: PlaceIn | UnsetType | None = UNSET
    items: list[ItemIn] | UnsetType = UNSET
    feedbacks: list[FeedbackIn] = []


class Reference(Known, kw_only=True):
    """How single calls name the conversation: by number or by its text id."""

    conversation: int | str | None = None
    conversation_id: OptionalName | None = None


class TrackIn(Reference, kw_only=True):
    """A single message, or the pair form with `question` and `answer`."""

    content: Content | None = None
    sender: Sender | None = None
    question: Content | None = None
    answer: Content | None = None
    timestamp: datetime | None = None
    metadata: Metadata | None = None


class ActionCall(Reference, kw_only=True):
    """A single tool call."""

    action_name: Name
    timestamp: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: Milliseconds | None = None
    tools_used: Any = None
    response: Any = None
    error_msg: LongText | None = None
    metadata: Metadata | None = None


class ButtonCall(Reference, kw_only=True):
    """A single click."""

    button_event: Name
    label: Label
    value: Label
    timestamp: datetime | None = None
    metadata: Metadata | None = None


class AttachmentsCall(Reference, kw_only=True):
    """Files in one call. `message`: the number of the message that they belong to, also as digits; other text is
    the text of a message of their own."""

    attachments: Annotated[list[FileIn], Meta(min_length=1, max_length=FILES_PER_ITEM)]
    sender: Sender = "end_user"
    timestamp: datetime | None = None
    message: int | LongText | None = None
    metadata: Metadata | None = None
    mode: Literal["base64", "form_data"] | None = None


class FeedbackCall(Reference, kw_only=True):
    """A single feedback on a conversation or, with `message` (number or UUID), on one of its messages."""

    sentiment: Sentiment
    comment: Comment | None = None
    metadata: Metadata | None = None
    message: int | OptionalName | None = None
    timestamp: datetime | None = None
