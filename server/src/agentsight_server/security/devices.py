"""Browsers that somebody has signed in from: whoever else guesses at an account does not lock them out."""

from __future__ import annotations

import re
import secrets
import time

from agentsight_server.security.signing import Signer

COOKIE = "agentsight_device"
SECONDS = 180 * 86_400
_FORM = re.compile(r"([A-Za-z0-9_-]{16})\.(\d{1,11})\.([A-Za-z0-9_=-]{1,64})", re.ASCII)


def remember(signer: Signer, email: str) -> str:
    """A cookie's value that says: this browser knew the password of that account."""
    identity = secrets.token_urlsafe(12)
    expires = int(time.time()) + SECONDS
    return f"{identity}.{expires}.{signer.sign(_what(identity, email), expires)}"


def known(signer: Signer, value: str, email: str) -> str | None:
    """The device's name, if it is one of that account; None for everybody else.

    Example:
        >>> signer = Signer(b"secret")
        >>> known(signer, remember(signer, "a@b.c"), "other@b.c") is None
        True
    """
    match = _FORM.fullmatch(value)
    if match is None or not signer.check(_what(match[1], email), int(match[2]), match[3]):
        return None
    return match[1]


def _what(identity: str, email: str) -> str:
    return f"device:{identity}:{email.strip().lower()}"
