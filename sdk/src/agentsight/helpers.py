"""Small things that bots need beside the clients."""

from __future__ import annotations

import os
import time

from agentsight.items.stamps import iso, uuid7

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

__all__ = [
    "generate_conversation_id",
    "generate_message_id",
    "get_iso_timestamp",
    "sign_conversation_token",
]


def generate_conversation_id() -> str:
    """Make a new conversation id: `conv_` and 12 random hex digits.

    Example:
        >>> generate_conversation_id()  # doctest: +SKIP
        'conv_5f2b9c01d3ae'
    """
    return "conv_" + os.urandom(6).hex()


def generate_message_id() -> str:
    """Make a name for a message, a UUID: given to `track_agent_message`, it can be voted on later.

    Each message needs one of its own: a second message of the same name counts as the first one sent twice.

    Example:
        >>> name = generate_message_id()
        >>> tracker.track_agent_message("It is on its way.", message_id=name)  # doctest: +SKIP
        >>> tracker.feedback("positive", message=name)  # doctest: +SKIP
    """
    return uuid7(time.time_ns(), int.from_bytes(os.urandom(8), "big"))


def get_iso_timestamp() -> str:
    """The time now as ISO 8601 text in UTC, as `started_at` and `ended_at` take it.

    Example:
        >>> get_iso_timestamp()  # doctest: +SKIP
        '2026-08-10T08:35:01.792720Z'
    """
    return iso(time.time_ns())


def sign_conversation_token(
    secret: str,
    conversation_id: str,
    expires_in: float | timedelta = 86_400,
    *,
    customer_id: str | int | None = None,
    both_sides: bool = False,
) -> str:
    """Sign what lets a page write into one conversation with a public key, in your backend. No request is made.

    The page sends it as the header `X-Conversation-Token`. It is a JSON Web Token (HS256).

    Args:
        secret: the key's token secret, from `agentsight keys token NUMBER`. It never goes into a page.
        conversation_id: the text id of the visitor's conversation.
        expires_in: seconds, or a timedelta; a day unless given.
        customer_id: who the visitor is, where you know; a page can say it in no other way.
        both_sides: let the page write the agent's messages, actions and tokens, too, not the visitor's side alone.

    Raises:
        InvalidConversationDataException: an argument is wrong.

    Example:
        >>> token = sign_conversation_token("agt_secret", "conv_1", expires_in=3600, customer_id="ana")
        >>> token.count(".")
        2
    """
    import base64
    import hmac
    import json

    from agentsight.exceptions import InvalidConversationDataException

    for name, value in (("secret", secret), ("conversation_id", conversation_id)):
        if not isinstance(value, str) or not value.strip():
            raise InvalidConversationDataException(f"{name} takes text that is not blank")
    seconds = expires_in if isinstance(expires_in, (int, float)) else expires_in.total_seconds()
    if not 0 < seconds < 10**10:
        raise InvalidConversationDataException("expires_in takes seconds above 0, or a timedelta")
    claims: dict[str, Any] = {"conversation_id": conversation_id, "exp": int(time.time() + seconds)}
    if customer_id is not None and str(customer_id).strip():
        claims["customer_id"] = str(customer_id)
    if both_sides:
        claims["both_sides"] = True

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"
