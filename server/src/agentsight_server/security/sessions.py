"""Sign-in: server-side sessions, one-time links, and a throttle on guessing."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import OrderedDict, deque

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.security import passwords
from agentsight_server.store import people

COOKIE = "agentsight_session"
FIRST_ACCOUNT = "first-account"
FIRST_ACCOUNT_DAYS = 7
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def is_well_formed(token: str) -> bool:
    """Whether it can be a session's token at all; what cannot is not looked for."""
    return _TOKEN.fullmatch(token) is not None


def hash_token(token: str) -> bytes:
    """What the store keeps of a session or link."""
    return hashlib.sha256(token.encode()).digest()


def open_session(connection: Connection, person_id: int, days: int) -> str:
    """Start a session and return the token for its cookie."""
    token = secrets.token_urlsafe(32)
    people.open_session(
        connection,
        hashed=hash_token(token),
        person_id=person_id,
        csrf_token=secrets.token_urlsafe(24),
        expires_at=times.now() + days * times.DAY,
    )
    return token


def first_account_token(connection: Connection) -> str | None:
    """A new one-time token for the first account; None when there is an account already."""
    if people.count(connection):
        return None
    token = secrets.token_urlsafe(24)
    people.add_link(
        connection,
        hashed=hash_token(token),
        purpose=FIRST_ACCOUNT,
        expires_at=times.now() + FIRST_ACCOUNT_DAYS * times.DAY,
    )
    return token


def create_person(
    connection: Connection,
    *,
    email: str,
    name: str,
    password: str,
    role: str = "owner",
    agent_ids: frozenset[int] = frozenset(),
) -> int:
    """Add a person and return their number.

    Raises:
        Invalid: the address or the password cannot be taken, or the address is taken already.
    """
    if not _EMAIL.fullmatch(email.strip()) or len(email) > 255:
        raise Invalid(Problem("email", Code.FORMAT, "an e-mail address"))
    if len(name) > 255:
        raise Invalid(Problem("name", Code.TOO_LONG, 255))
    problem = passwords.problem(password, email)
    if problem:
        raise Invalid(Problem("password", Code.OTHER, problem))
    try:
        with connection.begin_nested():
            return people.create(
                connection,
                email=email,
                name=name,
                password_hash=passwords.hash_password(password),
                role=role,
                agent_ids=agent_ids,
            )
    except IntegrityError:
        raise Invalid(Problem("email", Code.TAKEN)) from None


class LoginThrottle:
    """Slows down guessing: at most `limit` failures for a name in `seconds`.

    An attempt counts before it is judged, so that many at once are no more than many in turn.

    Example:
        >>> throttle = LoginThrottle(limit=1)
        >>> throttle.attempt("a@b.c")
        >>> throttle.attempt("a@b.c")
        Traceback (most recent call last):
        agentsight_server.domain.errors.RequestError: ...
    """

    def __init__(self, *, limit: int = 8, seconds: float = 300, names: int = 10_000) -> None:
        self.limit, self.seconds, self.names = limit, seconds, names
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, *names: str) -> None:
        """Raise a 429 with Retry-After when one of the names failed too often."""
        now = time.monotonic()
        for name in names:
            failures = self._failures.get(name)
            while failures and failures[0] < now - self.seconds:
                failures.popleft()
            if failures and len(failures) >= self.limit:
                wait = max(1, int(failures[0] + self.seconds - now) + 1)
                raise RequestError(
                    429,
                    {"detail": f"too many attempts; try again in {wait} seconds"},
                    {"Retry-After": str(wait)},
                )

    def attempt(self, *names: str) -> None:
        """Count an attempt as if it failed; take_back() or succeeded() when it turns out otherwise.

        Raises:
            RequestError: 429, one of the names failed too often; nothing is counted then.
        """
        self.check(*names)
        for name in names:
            self._failures.setdefault(name, deque()).append(time.monotonic())
            self._failures.move_to_end(name)
        while len(self._failures) > self.names:
            self._failures.popitem(last=False)

    def take_back(self, *names: str) -> None:
        """An attempt was no failure, or was never judged."""
        for name in names:
            failures = self._failures.get(name)
            if failures:
                failures.pop()

    def succeeded(self, name: str) -> None:
        """Forget a name's failures."""
        self._failures.pop(name, None)
