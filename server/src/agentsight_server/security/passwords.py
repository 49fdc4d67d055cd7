"""Passwords of people: argon2id."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ffi

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 200
_hasher = PasswordHasher()
# Checked when there is no such person, so that the answer takes as long.
_NOBODY = _hasher.hash("nobody has this password")


_ROWS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
)
_STAND_INS = str.maketrans("013457$@!", "oleastsai")
_LEAST_DIFFERENT = 5


def problem(password: str, about: str = "") -> str | None:
    """Why a new password cannot be taken, or None.

    Args:
        about: what anybody knows of its owner, such as the e-mail address; the password may not be little else.

    Example:
        >>> problem("Passw0rd!2026")
        'is among the first that anybody tries; take several words that do not belong together'
    """
    if len(password) < MINIMUM_LENGTH:
        return f"takes at least {MINIMUM_LENGTH} characters"
    if len(password) > MAXIMUM_LENGTH:
        return f"takes at most {MAXIMUM_LENGTH} characters"
    if _is_common(password.casefold(), about.casefold()):
        return "is among the first that anybody tries; take several words that do not belong together"
    return None


@functools.cache
def _common_words() -> frozenset[str]:
    """What lists of stolen passwords begin with, once digits, marks and stand-ins for letters are off."""
    return frozenset((Path(__file__).parent / "common_passwords.txt").read_text("utf-8").split())


def _is_common(password: str, about: str) -> bool:
    if len(set(password)) < _LEAST_DIFFERENT:
        return True
    if any(password in row + row or password[::-1] in row + row for row in _ROWS):
        return True
    plain = "".join(c for c in password if c.isalpha())
    guessed = "".join(c for c in password.rstrip("0123456789!?.*#$@").translate(_STAND_INS) if c.isalpha())
    common = _common_words()
    for word in (plain, guessed):
        half = word[: len(word) // 2]
        if word in common or (half * 2 == word and half in common):
            return True
    known = [part for part in re.split(r"[^\w]+", about) if len(part) >= 4]
    return any(part in password and len(password) - len(part) < 5 for part in [about, *known] if part)


def hash_password(password: str) -> str:
    """The text to keep."""
    try:
        return _hasher.hash(password)
    finally:
        _overwrite(password)


def matches(password: str, hashed: str | None) -> bool:
    """Whether the password is the one that was hashed; takes the same time when there is none."""
    try:
        _hasher.verify(hashed or _NOBODY, password[:MAXIMUM_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _overwrite(password)
    return hashed is not None


def _overwrite(password: str) -> None:
    """Take the memory that the library has just given back, which is zeroed with that: it copies the password into
    a buffer of its own, in a thread that does little else."""
    size = len(password.encode("utf-8", "replace")) + 1
    taken = [ffi.new("uint8_t[]", size) for _ in range(8)]
    del taken
