"""From any wire form to the items that the store takes: the one place where input is judged."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from agentsight_server.attachments.file_types import clean_filename, guess_mime_type, is_media_type
from agentsight_server.contract.fields import MOST_MILLISECONDS, MOST_TOKENS, clean, json_text, timestamp
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.ingest import request_schemas
from agentsight_server.store.append import NewConversation, NewFile, NewItem
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SENDERS,
    TOKEN_USAGE,
)
from agentsight_server.store.votes import About

_WHITESPACE = str.maketrans("", "", " \t\r\n")
_SENDER_NUMBERS = {name: number for number, name in enumerate(SENDERS)}


class PlaceLike(Protocol):
    """Where an address is."""

    @property
    def country(self) -> str | None: ...
    @property
    def city(self) -> str | None: ...
    @property
    def timezone_name(self) -> str | None: ...


class Pending(msgspec.Struct):
    """Bytes that must be in the files store before the rows that name them are committed."""

    sha256: str
    data: bytes


class Normaliser:
    """Turns decoded input into checked items and collects the attachments' bytes on the way.

    One is made for each request. Methods raise `Invalid` naming the field. `archive` is for records of what
    has happened elsewhere: an assistant's empty turn is history there, and a mistake in a live call.
    """

    def __init__(self, locate: Callable[[str | None], PlaceLike | None], *, archive: bool = False) -> None:
        self._locate = locate
        self._archive = archive
        self.files: dict[str, Pending] = {}

    def conversation(self, given: request_schemas.ConversationFields) -> NewConversation:
        """The conversation's own fields, located, without items."""
        fields = NewConversation(
            conversation_id=clean("conversation_id", given.conversation_id),
            name=_text("name", given.name),
            customer_id=_text("customer_id", given.customer_id),
            customer_ip_address=_text("customer_ip_address", given.customer_ip_address),
            device=given.device,
            source=_text("source", given.source),
            language=_text("language", given.language),
            environment=given.environment,
            metadata=given.metadata,
            is_used=given.is_used,
        )
        if given.metadata:
            json_text("metadata", given.metadata)
        began = given.started_at or given.timestamp
        if began is not None:
            fields.started_at = self._time("started_at" if given.started_at else "timestamp", began)
        place = self._place(given, fields.customer_ip_address)
        if place is not None:
            fields.country, fields.city = place.country, place.city
            fields.timezone_name = place.timezone_name
        return fields

    def _place(self, given: request_schemas.ConversationFields, address: str | None) -> PlaceLike | None:
        if self._archive and isinstance(given, request_schemas.ConversationIn):
            told = given.geo_location
            if told is None:
                return None
            if isinstance(told, request_schemas.PlaceIn):
                country = _text("geo_location.country", told.country)
                return request_schemas.PlaceIn(
                    country and country.upper(),  # as codes are looked for
                    _text("geo_location.city", told.city),
                    _text("geo_location.timezone_name", told.timezone_name),
                )
        return self._locate(address)

    def _time(self, field: str, value: datetime) -> int:
        return timestamp(field, value, archived=self._archive)

    def _when(self, value: datetime | None, otherwise: int, field: str = "timestamp") -> int:
        return otherwise if value is None else self._time(field, value)

    def item(self, given: request_schemas.ItemIn, now: int) -> NewItem:
        """One item of any type; `now` (microseconds) is its time when it names none."""
        made: NewItem = _MAKERS[type(given)](self, given, now)
        if made.timestamp == now:
            made.stamped = not self._archive
        return made

    def _message(self, given: request_schemas.MessageIn, now: int) -> NewItem:
        if not given.content.strip() and not given.attachments and not self._archive:
            raise Invalid(Problem("content", Code.BLANK))
        return NewItem(
            MESSAGE,
            self._when(given.timestamp, now),
            _uuid(given.id),
            _SENDER_NUMBERS[given.sender],
            clean("content", given.content),
            None if given.metadata is None else json_text("metadata", given.metadata),
            None,
            self._files(given.attachments) if given.attachments else (),
        )

    def _action(self, given: request_schemas.ActionIn, now: int) -> NewItem:
        if given.action_name == "token_usage":
            return self._token_usage(_as_token_usage(given), now)
        started = None if given.started_at is None else self._time("started_at", given.started_at)
        ended = None if given.ended_at is None else self._time("ended_at", given.ended_at)
        duration = given.duration_ms
        if started is not None and ended is not None:
            if ended < started:
                raise Invalid(Problem("ended_at", Code.BEFORE, "started_at"))
            if duration is None:
                duration = min((ended - started) // 1000, MOST_MILLISECONDS)
        when = ended if ended is not None else started if started is not None else now
        return NewItem(
            ACTION,
            self._when(given.timestamp, when),
            _uuid(given.id),
            AGENT,
            None,
            json_text("metadata", given.metadata),
            (
                clean("action_name", given.action_name),
                started,
                ended,
                duration,
                json_text("tools_used", given.tools_used),
                json_text("response", given.response),
                _text("error_msg", given.error_msg),
            ),
        )

    def _button(self, given: request_schemas.ButtonIn, now: int) -> NewItem:
        detail = (
            clean("button_event", given.button_event),
            clean("label", given.label),
            clean("value", given.value),
        )
        return NewItem(
            BUTTON,
            self._when(given.timestamp, now),
            _uuid(given.id),
            END_USER,
            None,
            json_text("metadata", given.metadata),
            detail,
        )

    def _token_usage(self, given: request_schemas.TokenUsageIn, now: int) -> NewItem:
        prompt, completion = given.prompt_tokens or 0, given.completion_tokens or 0
        total = prompt + completion if given.total_tokens is None else given.total_tokens
        parts = [getattr(given, name) or 0 for name in _PARTS]
        if any(parts):
            _check_parts(given)
        return NewItem(
            TOKEN_USAGE,
            self._when(given.timestamp, now),
            _uuid(given.id),
            None,
            None,
            json_text("metadata", given.metadata),
            (_text("model", given.model), prompt, completion, total, given.embedding_tokens or 0, *parts),
        )

    def _attachments(self, given: request_schemas.AttachmentsIn, now: int) -> NewItem:
        return NewItem(
            ATTACHMENTS,
            self._when(given.timestamp, now),
            _uuid(given.id),
            _SENDER_NUMBERS[given.sender],
            _text("message", given.message),
            json_text("metadata", given.metadata),
            None,
            self._files(given.attachments),
        )

    def feedback(
        self, given: request_schemas.FeedbackIn, now: int, *, source: str, person_id: int | None = None
    ) -> NewItem:
        """Feedback; `source` counts unless the input names its own."""
        said_by = given.source or source
        return NewItem(
            FEEDBACK,
            self._when(given.timestamp, self._when(given.created_at, now, "created_at")),
            _uuid(given.id),
            None,
            None,
            json_text("metadata", given.metadata),
            (given.sentiment, said_by, _text("comment", given.comment), person_id),
            # In an archive stands what was said, also where somebody said two things.
            about=About(self._message_of(given.message), said_by == "customer" and not self._archive),
        )

    def _message_of(self, given: int | str | None) -> bytes | int | None:
        """The message that feedback is about; a number from another database means nothing here."""
        text = given.strip() if isinstance(given, str) else given
        if text is None or text == "":
            return None
        if isinstance(text, int) or (text.isascii() and text.isdigit() and len(text) < 19):
            return None if self._archive else int(text)
        try:
            return _uuid(text)
        except Invalid:
            taken = "the number of a message, or the UUID it was sent with"
            raise Invalid(Problem("message", Code.FORMAT, taken)) from None

    def _customers_feedback(self, given: request_schemas.FeedbackIn, now: int) -> NewItem:
        return self.feedback(given, now, source="customer")

    def _files(self, given: Iterable[request_schemas.FileIn]) -> tuple[NewFile, ...]:
        return tuple(
            self.file(f"attachments.{index}.", file.filename, file.mime_type, _from_base64(index, file.data))
            for index, file in enumerate(given)
        )

    def file(self, field: str, filename: str, mime_type: str | None, data: bytes) -> NewFile:
        """An attachment's row; its bytes are kept until the request is stored."""
        if not data:
            raise Invalid(Problem(field + "data", Code.EMPTY))
        mime = (mime_type or "").strip().lower() or guess_mime_type(filename, data)
        if not is_media_type(mime):
            if not self._archive:
                raise Invalid(Problem(field + "mime_type", Code.FORMAT, "a media type such as image/png"))
            mime = guess_mime_type(
                filename, data
            )  # an older server took anything, and its records stay whole
        name = clean_filename(clean(field + "filename", filename), mime)
        digest = hashlib.sha256(data).hexdigest()
        self.files.setdefault(digest, Pending(digest, data))
        return NewFile(digest, name, clean(field + "mime_type", mime), len(data))


# By type, not by isinstance(): this runs for every item.
_MAKERS: dict[type, Callable[[Normaliser, Any, int], NewItem]] = {
    request_schemas.MessageIn: Normaliser._message,
    request_schemas.ActionIn: Normaliser._action,
    request_schemas.ButtonIn: Normaliser._button,
    request_schemas.AttachmentsIn: Normaliser._attachments,
    request_schemas.TokenUsageIn: Normaliser._token_usage,
    request_schemas.FeedbackIn: Normaliser._customers_feedback,
}


_PARTS = (
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
)
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "embedding_tokens", *_PARTS)


def _check_parts(given: request_schemas.TokenUsageIn) -> None:
    """Parts are no more than the whole. Some providers count them apart from it; priced as they come, figures would
    be far too low, and nobody would notice."""
    for whole, *alone in (
        ("prompt_tokens", "cached_tokens", "cache_write_tokens"),
        ("prompt_tokens", "input_audio_tokens"),
        ("completion_tokens", "reasoning_tokens"),
        ("completion_tokens", "output_audio_tokens"),
    ):
        most = getattr(given, whole) or 0
        if sum(getattr(given, name) or 0 for name in alone) > most:
            said = "is a part of" if len(alone) == 1 else f"and {alone[1]} are parts of"
            raise Invalid(Problem(alone[0], Code.NOT_A_PART, f"{said} {whole}"))


def _as_token_usage(given: request_schemas.ActionIn) -> request_schemas.TokenUsageIn:
    counts = given.metadata or {}
    names = (*_COUNTS, "model")
    try:
        usage = msgspec.convert(
            {name: counts[name] for name in names if counts.get(name) is not None} | {"type": "token_usage"},
            request_schemas.TokenUsageIn,
        )
    except msgspec.ValidationError:
        counted = f"{', '.join(_COUNTS[:-1])} and {_COUNTS[-1]}"
        taken = f"whole numbers from 0 to {MOST_TOKENS:,} in {counted}"
        raise Invalid(Problem("metadata", Code.RANGE, taken)) from None
    usage.id, usage.timestamp = given.id, given.timestamp or given.ended_at or given.started_at
    rest = {key: value for key, value in counts.items() if key not in names}
    usage.metadata = rest or None
    return usage


def _uuid(value: str | None) -> bytes | None:
    if value is None:
        return None
    try:
        parsed = bytes.fromhex(value.replace("-", ""))
    except ValueError:
        parsed = b""
    if len(parsed) != 16:
        raise Invalid(Problem("id", Code.FORMAT, "a UUID such as 018f3b5e-9d2a-7c31-8a4b-2f6d1c0e9b77"))
    return parsed


def _text(field: str, value: str | None) -> str | None:
    if value is None or not value.strip():
        return None
    return clean(field, value)


def _from_base64(index: int, text: str) -> bytes:
    if text.startswith("data:") and ";base64," in text[:300]:
        text = text.partition(";base64,")[2]
    try:
        return base64.b64decode(text.translate(_WHITESPACE), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(Problem(f"attachments.{index}.data", Code.FORMAT, "base64")) from None
