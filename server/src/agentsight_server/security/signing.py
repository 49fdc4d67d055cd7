"""Signed links: an address that works for a while, for whoever has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time

from sqlalchemy import Connection

from agentsight_server.store import installation

_SECRET = "signing-secret"  # noqa: S105 - the name under which it is kept


class Signer:
    """Signs and checks; the secret belongs to the installation and lies in the store.

    Example:
        >>> signer = Signer(b"secret")
        >>> signer.check("file:1", 2_000_000_000, signer.sign("file:1", 2_000_000_000), now=0)
        True
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of_installation(cls, connection: Connection) -> Signer:
        """The installation's signer; makes its secret when there is none."""
        value = installation.value_of(connection, _SECRET)
        if value is None:
            value = secrets.token_hex(32)
            installation.keep_value(connection, _SECRET, value)
        return cls(bytes.fromhex(value))

    def sign(self, what: str, expires: int) -> str:
        """A signature for `what` until `expires` (seconds since 1970)."""
        digest = hmac.new(self._secret, f"{expires}:{what}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()

    def check(self, what: str, expires: int, signature: str, *, now: float | None = None) -> bool:
        """Whether the signature is right and its time has not passed."""
        if expires < (time.time() if now is None else now):
            return False
        return hmac.compare_digest(self.sign(what, expires).encode(), signature.encode())
