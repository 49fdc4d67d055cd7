"""Conversation tokens: what lets a public key write into one conversation, signed by the bot's own backend.

A token is a JSON Web Token signed with HMAC-SHA256 (HS256), so that any language's library makes one:
`{"conversation_id": …, "exp": …}`, and `customer_id` and `both_sides` where they are wanted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from agentsight_server.domain.problems import Code
from agentsight_server.store.agents import TokenSecret

HEADER = "x-conversation-token"
LONGEST = 4_096
OVERLAP = 86_400_000_000
"""Microseconds for which the old secret still counts after a new one was made."""


class BadToken(Exception):
    """No token, or one that proves nothing: a code, and what it takes."""

    def __init__(self, code: Code, takes: str = "") -> None:
        super().__init__(code, takes)
        self.code, self.takes = code, takes


class Token(msgspec.Struct, frozen=True):
    """What a token says. `customer_id`: who the visitor is; `both_sides`: it may speak as the agent, too."""

    conversation_id: str
    exp: float
    customer_id: Annotated[str, Meta(max_length=255)] | None = None
    both_sides: bool = False


class _Header(msgspec.Struct):
    alg: str


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(Token)


def new_secret() -> str:
    """A secret to sign with: `agt_` and 256 random bits.

    Example:
        >>> len(new_secret())
        68
    """
    return f"agt_{secrets.token_hex(32)}"


def rotated(present: tuple[TokenSecret, ...], secret: str, now: int) -> tuple[TokenSecret, ...]:
    """The secrets with a new one in front; the one before counts for a day, so that no page breaks meanwhile."""
    return (TokenSecret(secret), *(TokenSecret(each.secret, now + OVERLAP) for each in present[:1]))


def read(token: str | None, among: Iterable[TokenSecret], now: int) -> Token:
    """Check a token and say what is in it.

    Args:
        among: secrets, any of which may have signed it.
        now: microseconds.

    Raises:
        BadToken: there is none, it is not signed with a secret of the key, or it has run out.
    """
    if not token:
        raise BadToken(Code.NO_TOKEN)
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    try:
        given = _decode(signature) if len(token) <= LONGEST and token.isascii() else b""
        algorithm = _header.decode(_decode(head)).alg if given else ""
        wanted = [
            hmac.digest(each.secret.encode(), signed.encode(), hashlib.sha256)
            for each in among
            if each.until is None or now < each.until
        ]
        # The algorithm is ours to choose, never the token's.
        if algorithm != "HS256" or not any(hmac.compare_digest(given, each) for each in wanted):
            raise BadToken(Code.BAD_TOKEN, "is not signed with this key's secret")
        found = _claims.decode(_decode(body))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise BadToken(
            Code.BAD_TOKEN, "is no token: a JWT with conversation_id and exp, signed with HS256"
        ) from None
    if found.exp * 1_000_000 <= now:
        raise BadToken(Code.TOKEN_EXPIRED)
    return found


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
