"""What a waiting item is, kind by kind.

While it waits it is a plain tuple, because a `track_*` call has no time for an object: kind, time in nanoseconds and
weight, then what its kind has. Which of that stands where is told here alone: each kind has a function that makes
the tuple, and `parts` gives what is in one by the names of that function's arguments.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from agentsight.items.validation import Json

    Item = tuple[Any, ...]
    Files = Sequence[tuple[str, str, str | bytes]]  # name, type, base64 or bytes

__all__ = [
    "ACTION",
    "ANSWER",
    "ATTACHMENTS",
    "BUTTON",
    "FEEDBACK",
    "KIND_NAMES",
    "LIGHT",
    "QUESTION",
    "TOKEN_USAGE",
    "action",
    "attachments",
    "button",
    "feedback",
    "given_id",
    "message",
    "moved",
    "parts",
    "token_usage",
]

# The spool keeps these numbers: new kinds come at the end.
QUESTION, ANSWER, ACTION, BUTTON, ATTACHMENTS, TOKEN_USAGE, FEEDBACK = range(7)
KIND_NAMES = ("question", "answer", "action", "button", "attachments", "token_usage", "feedback")
LIGHT = 1024  # bytes; what is heavier is counted against the outbox's bound on bytes


def message(
    kind: int,
    ns: int,
    weight: int,
    content: str,
    metadata: Json | None,
    attachments: Files | None,
    id: str | None,
) -> Item:
    """A question or an answer. `id`: the UUID that its sender has named it by."""
    return (kind, ns, weight if weight > LIGHT else 0, content, metadata, attachments, id)


def action(
    ns: int,
    weight: int,
    action_name: str,
    started_at: str | None,
    ended_at: str | None,
    duration_ms: int | None,
    tools_used: Json | None,
    response: Json | None,
    error_msg: str | None,
    metadata: Json | None,
) -> Item:
    """A run of a tool."""
    return (
        ACTION,
        ns,
        weight if weight > LIGHT else 0,
        action_name,
        started_at,
        ended_at,
        duration_ms,
        tools_used,
        response,
        error_msg,
        metadata,
    )


def button(ns: int, weight: int, button_event: str, label: str, value: str, metadata: Json | None) -> Item:
    """A click."""
    return (BUTTON, ns, weight if weight > LIGHT else 0, button_event, label, value, metadata)


def attachments(ns: int, weight: int, sender: str, attachments: Files, metadata: Json | None) -> Item:
    """Files without a message. They always count, the small ones too."""
    return (ATTACHMENTS, ns, max(weight, LIGHT), sender, attachments, metadata)


def token_usage(
    ns: int,
    weight: int,
    prompt_tokens: int,
    completion_tokens: int,
    total_tokens: int,
    embedding_tokens: int,
    model: str | None,
    details: Mapping[str, int] | None,
) -> Item:
    """The tokens of one call of a model. `details`: parts of the counts, by their names."""
    return (
        TOKEN_USAGE,
        ns,
        weight,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        embedding_tokens,
        model,
        details,
    )


def feedback(
    ns: int,
    weight: int,
    sentiment: str,
    comment: str | None,
    message: int | str | None,
    metadata: Json | None,
) -> Item:
    """What the customer thought. `message`: of which one, its UUID or database id."""
    return (FEEDBACK, ns, weight if weight > LIGHT else 0, sentiment, comment, message, metadata)


_BEFORE = ("kind", "ns", "weight")
_PARTS = tuple(
    tuple(name for name in maker.__code__.co_varnames[: maker.__code__.co_argcount] if name not in _BEFORE)
    for maker in (message, message, action, button, attachments, token_usage, feedback)
)


def parts(item: Item) -> dict[str, Any]:
    """What an item has, by name, without what it has not.

    Example:
        >>> parts(button(1, 0, "after_chat", "Yes", "yes", None))
        {'button_event': 'after_chat', 'label': 'Yes', 'value': 'yes'}
    """
    names = _PARTS[item[0]]
    return {name: value for name, value in zip(names, item[3:], strict=True) if value is not None}


def given_id(item: Item) -> str | None:
    """The UUID that a message was named by."""
    id: str | None = item[-1] if item[0] <= ANSWER else None
    return id


def moved(item: Item, ns: int) -> Item:
    """The same item at another time."""
    return (item[0], ns, *item[2:])
