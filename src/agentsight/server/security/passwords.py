"""Passwords of people: argon2id."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 200
_hasher = PasswordHasher()
# Checked when there is no such person, so that the answer takes as long.
_NOBODY = _hasher.hash("nobody has this password")


def problem(password: str) -> str | None:
    """Why a new password cannot be taken, or None."""
    if len(password) < MINIMUM_LENGTH:
        return f"takes at least {MINIMUM_LENGTH} characters"
    if len(password) > MAXIMUM_LENGTH:
        return f"takes at most {MAXIMUM_LENGTH} characters"
    return None


def hash_password(password: str) -> str:
    """The text to keep."""
    return _hasher.hash(password)


def matches(password: str, hashed: str | None) -> bool:
    """Whether the password is the one that was hashed; takes the same time when there is none."""
    try:
        _hasher.verify(hashed or _NOBODY, password[:MAXIMUM_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None
