"""API keys: `ags_` + 32 hex digits + `_` + 6 hex digits of checksum. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Literal, get_args

Role = Literal["ingest", "read", "write"]
ROLES: tuple[str, ...] = get_args(Role)
_SHAPE = re.compile(r"ags_([0-9a-f]{32})_([0-9a-f]{6})")


def new_key() -> str:
    """Make a key: 128 random bits and a checksum that catches a mistyped one.

    Example:
        >>> is_well_formed(new_key())
        True
    """
    secret = secrets.token_hex(16)
    return f"ags_{secret}_{_checksum(secret)}"


def is_well_formed(key: str) -> bool:
    """Whether the text has a key's shape and its checksum fits."""
    match = _SHAPE.fullmatch(key)
    return match is not None and _checksum(match[1]) == match[2]


def hash_key(key: str) -> bytes:
    """What the store keeps. The key has 128 random bits, so one fast hash is enough."""
    return hashlib.sha256(key.encode()).digest()


def hint(key: str) -> str:
    """Enough of a key to tell it from others: `ags_1f3c…9b0d2a`."""
    return f"{key[:8]}…{key[-6:]}"


def _checksum(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:6]
