"""How each argument of each call is mended, and what makes sense of what comes out. Used by `lenient`."""

from __future__ import annotations

from agentsight.client.repair import (
    LEFT_OUT,
    REPLACED,
    Notes,
    dictionary,
    first_of,
    identity,
    json_value,
    long_text,
    moment,
    number,
    short_text,
)
from agentsight.exceptions import AgentSightError
from agentsight.items.choices import DEVICES, SENDERS, SENTIMENTS
from agentsight.items.validation import (
    COMMENT_LENGTH,
    CONTENT_LENGTH,
    LABEL_LENGTH,
    MOST_TOKENS,
    NAME_LENGTH,
    message_name,
    message_reference,
)
from agentsight.items.validation import environment as check_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Fix = Callable[[Notes, str, Any], Any]
    Fields = dict[str, Any]

__all__ = ["SENSE", "TABLE", "mend"]

_FILES = 50  # an item
_SENDERS_SAID = {
    "user": "end_user",
    "human": "end_user",
    "customer": "end_user",
    "assistant": "agent",
    "bot": "agent",
}
_SENTIMENTS_SAID = {
    "thumbs_up": "positive",
    "up": "positive",
    "👍": "positive",
    "true": "positive",
    "thumbs_down": "negative",
    "down": "negative",
    "👎": "negative",
    "false": "negative",
}


def _tokens(notes: Notes, field: str, value: object) -> int | None:
    return number(notes, field, value, MOST_TOKENS)


def _one_of(names: tuple[str, ...], others: Mapping[str, str] | None = None) -> Fix:
    """One of some words, in any case, or what is often said instead; anything else is left out."""

    def fix(notes: Notes, field: str, value: Any) -> str | None:
        plain = getattr(value, "value", value)
        spelled = str(plain).strip().lower() if isinstance(plain, (str, bool)) else ""
        found = spelled if spelled in names else (others or {}).get(spelled)
        if found is None:
            notes.add(field, LEFT_OUT)
        elif found != plain:
            notes.add(field, REPLACED)
        return found

    return fix


def _checked(check: Callable[..., Any]) -> Fix:
    """What a strict check takes; its exception leaves the field out."""
    return lambda notes, field, value: check(field, value)


def _environment(notes: Notes, field: str, value: object) -> str:
    return check_environment(value)


def _address(notes: Notes, field: str, value: object) -> str | None:
    """Half an address is none."""
    if not isinstance(value, str) or len(value) > NAME_LENGTH:
        notes.add(field, LEFT_OUT)
        return None
    return short_text(notes, field, value)


def _error_text(notes: Notes, field: str, value: object) -> str | None:
    if isinstance(value, BaseException):
        try:
            value = f"{type(value).__name__}: {value}"
        except Exception:
            value = type(value).__name__
    return short_text(notes, field, value, CONTENT_LENGTH)


_text, _label = long_text(CONTENT_LENGTH), long_text(LABEL_LENGTH)

# How each argument is mended. Attachments, which go with their mode, and conversation ids are below.
_MESSAGE: dict[str, Fix] = {
    "message": _text,
    "question": _text,
    "answer": _text,
    "metadata": dictionary,
    "message_id": _checked(message_name),
}
TABLE: dict[str, dict[str, Fix]] = {
    "track_human_message": _MESSAGE,
    "track_agent_message": _MESSAGE,
    "track_action": {
        "action_name": short_text,
        "started_at": moment,
        "ended_at": moment,
        "duration_ms": number,
        "tools_used": json_value,
        "response": json_value,
        "error_msg": _error_text,
        "metadata": dictionary,
    },
    "track_button": {"button_event": short_text, "label": _label, "value": _label, "metadata": dictionary},
    "track_attachments": {
        "sender": _one_of(SENDERS, _SENDERS_SAID),
        "metadata": dictionary,
    },
    "track_token_usage": {
        "prompt_tokens": _tokens,
        "completion_tokens": _tokens,
        "total_tokens": _tokens,
        "embedding_tokens": _tokens,
        "cached_tokens": _tokens,
        "cache_write_tokens": _tokens,
        "input_audio_tokens": _tokens,
        "reasoning_tokens": _tokens,
        "output_audio_tokens": _tokens,
        "model": short_text,
    },
    "feedback": {
        "sentiment": _one_of(SENTIMENTS, _SENTIMENTS_SAID),
        "comment": long_text(COMMENT_LENGTH),
        "message": _checked(message_reference),
        "metadata": dictionary,
    },
    "get_or_create_conversation": {
        "customer_id": identity,
        "customer_ip_address": _address,
        "device": _one_of(DEVICES),
        "source": short_text,
        "language": short_text,
        "name": short_text,
        "environment": _environment,
        "metadata": dictionary,
    },
}


def mend(method: str, given: Mapping[str, Any], notes: Notes) -> Fields:
    """The arguments that the table names, as far as they can be kept; the others are None."""
    mended: Fields = {}
    for field, fix in TABLE[method].items():
        value = given.get(field)
        if value is None or (type(value) is str and not value):
            mended[field] = None
            continue
        try:
            mended[field] = fix(notes, field, value)
        except Exception:
            notes.add(field, LEFT_OUT)
            mended[field] = None
    return mended


# What makes sense of a call's mended arguments together. Each gives the method to call and its arguments, or None
# where there is nothing to keep.


def _message(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    older = "question" if method == "track_human_message" else "answer"
    content = mended["message"] or mended[older]
    if mended["message"] is not None and mended[older] is not None:
        notes.add(older, LEFT_OUT)
    files = _files(given, notes, read)
    if content is not None:
        fields = {"message": content, "metadata": mended["metadata"], "message_id": mended["message_id"]}
        return method, {**fields, "attachments": files, "attachment_mode": "form_data"} if files else fields
    if files:
        sender = "end_user" if method == "track_human_message" else "agent"
        return "track_attachments", {
            "attachments": files,
            "mode": "form_data",
            "sender": sender,
            "metadata": mended["metadata"],
        }
    return None


def _action(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    started, ended = mended["started_at"], mended["ended_at"]
    if started is not None and ended is not None and ended < started:
        notes.add("ended_at", LEFT_OUT)
        mended["ended_at"] = None
    if mended["action_name"] is None:
        if all(value is None for value in mended.values()):
            return None
        notes.add("action_name", REPLACED)
        mended["action_name"] = "unnamed"
    return method, mended


def _button(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    event, label, value = mended["button_event"], mended["label"], mended["value"]
    something = label or value or event
    if something is None:
        return None
    for field, stand_in in (
        ("button_event", "unnamed"),
        ("label", something),
        ("value", something),
    ):
        if mended[field] is None:
            notes.add(field, REPLACED)
            mended[field] = stand_in
    return method, mended


def _attachments(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    files = _files(given, notes, read)
    return (method, {**mended, "attachments": files, "mode": "form_data"}) if files else None


def _token_usage(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    counts = {field: value or 0 for field, value in mended.items() if field != "model"}
    if not any(counts.values()):
        return None
    # Some providers do not count what was cached, or thought, into the whole.
    for whole, parts in (
        ("prompt_tokens", ("cached_tokens", "cache_write_tokens", "input_audio_tokens")),
        ("completion_tokens", ("reasoning_tokens", "output_audio_tokens")),
    ):
        if any(counts[part] > counts[whole] for part in parts):
            counts[whole] = min(counts[whole] + sum(counts[part] for part in parts), MOST_TOKENS)
            notes.add(whole, REPLACED)
    return method, {**counts, "model": mended["model"]}


def _feedback(
    method: str, given: Fields, mended: Fields, notes: Notes, read: Mapping[int, bytes]
) -> tuple[str, Fields] | None:
    if mended["sentiment"] is None:
        if ("sentiment", LEFT_OUT) not in notes.counts:
            notes.add("sentiment", LEFT_OUT)
        return None
    if given["message"] is not None and mended["message"] is None:
        return None  # a vote for an unknown message must not replace the vote for the conversation
    return method, mended


SENSE: dict[str, Callable[..., tuple[str, Fields] | None]] = {
    "track_human_message": _message,
    "track_agent_message": _message,
    "track_action": _action,
    "track_button": _button,
    "track_attachments": _attachments,
    "track_token_usage": _token_usage,
    "feedback": _feedback,
}


def _files(given: Fields, notes: Notes, read: Mapping[int, bytes]) -> list[Fields]:
    """Those attachments that are right, as bytes."""
    attachments = given["attachments"]
    if attachments is None:
        return []
    files: list[Fields] = []
    try:
        several = first_of([attachments] if isinstance(attachments, dict) else attachments, _FILES)
    except Exception:
        notes.add("attachments", LEFT_OUT)
        return []
    for index, each in enumerate(several[:_FILES]):
        try:
            files.append(_file(index + 1, each, notes, read.get(index)))
        except Exception:
            notes.add("attachments", LEFT_OUT)
    if len(several) > _FILES:
        notes.add("attachments", LEFT_OUT)
    return files


def _file(place: int, given: Any, notes: Notes, read: bytes | None) -> Fields:
    from agentsight.items.attachments import check_attachments, media_type

    data = given["data"] if read is None else read
    if isinstance(data, str):
        from base64 import b64decode

        coded = data.partition(";base64,")[2] if data.startswith("data:") else data
        data = b64decode("".join(coded.split()), validate=True)
    names = {}
    for field in ("filename", "mime_type"):
        name = given.get(field)
        names[field] = None if name is None else short_text(notes, "attachments", name)
    if names["mime_type"] is not None:
        try:
            media_type("mime_type", names["mime_type"])
        except AgentSightError:
            notes.add("attachments", REPLACED)  # worked out instead
            names["mime_type"] = None
    [(filename, mime_type, content)], _ = check_attachments([{**names, "data": data}], "form_data")
    if names["filename"] is None and place > 1:
        filename = filename.replace("attachment_1.", f"attachment_{place}.", 1)
    return {"filename": filename, "mime_type": mime_type, "data": content}
