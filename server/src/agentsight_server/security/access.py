"""The one place that decides who sees what: API, pages, exports and files alike.

Every route names what it asks for in `opt={"access": Access…}`; a route that names nothing is refused.
"""

from __future__ import annotations

import enum
import hmac
import time
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.handlers.base import BaseRouteHandler

from agentsight_server.domain import times
from agentsight_server.domain.errors import RequestError, not_found
from agentsight_server.runtime.executors import ASKING, Executor
from agentsight_server.security import key_settings, keys, sessions
from agentsight_server.security.origin import is_foreign
from agentsight_server.security.quotas import Quotas
from agentsight_server.store import agents, people
from agentsight_server.store.database import Database

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A key is looked up again after this many seconds.
KEY_CACHE_SECONDS = 1.0
# What all keys together allow is needed before a browser shows its key, and may be a little old.
ORIGINS_CACHE_SECONDS = 5.0
LARGEST_ID = 2**63 - 1


class Access(enum.Enum):
    """What a route asks of its caller."""

    PUBLIC = "anybody"
    ANY = "any key, or a person"
    INGEST = "a key that may write items"
    RESPOND = "a key that may write items, or a person who may change things"
    READ = "a key that may read, or a person"
    WRITE = "a key that may manage, or a person who may change things"
    MANAGE = "a key that may manage, or a person who runs the server"
    PERSON = "a signed-in person"
    OWNER = "a person who runs the server"


_KEY_ROLES = {
    Access.ANY: frozenset({"ingest", "read", "write"}),
    Access.INGEST: frozenset({"ingest", "write"}),
    Access.RESPOND: frozenset({"ingest", "write"}),
    Access.READ: frozenset({"read", "write"}),
    Access.WRITE: frozenset({"write"}),
    Access.MANAGE: frozenset({"write"}),
}


# What a person may do only if they may change things.
_CHANGING = frozenset({Access.WRITE, Access.RESPOND})
_OWNERS = frozenset({Access.OWNER, Access.MANAGE})
_WRITING = frozenset({Access.INGEST, Access.RESPOND})


@dataclass(frozen=True)
class Origins:
    """Whose pages may write: `every` one, or those `listed`."""

    IN_SCOPE = "agentsight.origins"

    every: bool
    listed: frozenset[str]

    @classmethod
    def of(cls, *rows: agents.KeyRow) -> Origins:
        """What the keys allow. Without a list, an ingest key allows every page, and a secret one none."""
        listed = frozenset(each for row in rows for each in row.settings.allowed_origins or ())
        return cls(any(row.role == "ingest" and row.settings.allowed_origins is None for row in rows), listed)

    def allow(self, origin: str) -> bool:
        """Whether a page of that origin may."""
        return self.every or key_settings.is_allowed(self.listed, origin)


@dataclass(frozen=True)
class Actor:
    """Who is asking. `agent_ids` None: every agent (an owner)."""

    agent_ids: frozenset[int] | None
    role: str
    agent_id: int | None = None  # a key's own agent
    agent_name: str | None = None
    person: people.Person | None = None
    csrf_token: str | None = None
    key_id: int | None = None
    settings: agents.KeySettings | None = None  # a key's

    @property
    def is_owner(self) -> bool:
        """May manage keys, people and agents."""
        return self.person is not None and self.person.role == "owner"

    @property
    def manages(self) -> bool:
        """May see what is deleted, and erase for good: a key with the role write, or an owner."""
        return self.is_owner or (self.key_id is not None and self.role == "write")

    def sees(self, agent_id: int) -> bool:
        """Whether the agent's rows exist for this actor."""
        return self.agent_ids is None or agent_id in self.agent_ids

    def require_agent(self, agent_id: int) -> int:
        """The agent's number, or a 404 as if there were none."""
        if not self.sees(agent_id):
            raise not_found("no such agent")
        return agent_id


class Authenticator:
    """Finds out who is asking, and lets them in or not.

    Example:
        >>> app = Litestar(route_handlers=[...], guards=[Authenticator(database, executors.lookups).guard])
        >>> actor = request.state.actor
    """

    def __init__(self, database: Database, lookups: Executor) -> None:
        self.database = database
        self._lookups = lookups
        self.quotas = Quotas()
        self._cache: dict[str, tuple[float, agents.KeyRow]] = {}
        self._used: dict[int, int] = {}
        self._origins: tuple[float, Origins] | None = None

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Litestar's guard for every route."""
        access = handler.opt.get("access")
        if not isinstance(access, Access):
            raise RequestError(403, {"detail": "this address is open to nobody"})
        numbers = (value for value in connection.path_params.values() if isinstance(value, int))
        if any(not 0 <= number <= LARGEST_ID for number in numbers):
            raise not_found()
        connection.state.actor = None
        header = connection.headers.get("authorization")
        cookie = connection.cookies.get(sessions.COOKIE)
        if access is Access.PUBLIC:
            # Public pages still know who is there, but a broken cookie or key does not close them.
            if cookie:
                connection.state.actor = await self._by_cookie(cookie)
            return
        if header is not None:
            connection.state.actor = await self._by_key(connection, header, access)
            return
        actor = await self._by_cookie(cookie) if cookie else None
        if actor is None:
            raise RequestError(
                401,
                {"detail": "sign in, or send a key: Authorization: Api-Key ags_…"},
                {"WWW-Authenticate": "Api-Key"},
            )
        if connection.scope.get("method") not in SAFE_METHODS:
            await _check_csrf(connection, actor)
        if access is Access.INGEST:
            raise RequestError(403, {"detail": "this takes an API key"})
        if access in _OWNERS and not actor.is_owner:
            raise RequestError(403, {"detail": "only an owner may do this"})
        if access in _CHANGING and actor.role == "viewer":
            raise RequestError(403, {"detail": "your account may look, not change"})
        connection.state.actor = actor

    async def _by_key(
        self, connection: ASGIConnection[Any, Any, Any, Any], header: str, access: Access
    ) -> Actor:
        scheme, _, key = header.partition(" ")
        key = key.strip()
        if scheme.lower() not in {"api-key", "bearer"}:
            raise _unauthorized("send the key as: Authorization: Api-Key ags_…")
        found = await self.key(key)
        if found is None:
            raise _unauthorized("this key is not known, or it was revoked")
        now = times.now()
        if not found.is_usable(now):
            raise _unauthorized("this key has run out")
        connection.scope[Origins.IN_SCOPE] = Origins.of(found)  # type: ignore[literal-required]
        if found.settings.allowed_origins is not None:
            origin = connection.headers.get("origin")
            if origin is None or not key_settings.is_allowed(found.settings.allowed_origins, origin):
                raise RequestError(403, {"detail": "this key is for pages of other addresses (Origin)"})
        allowed = _KEY_ROLES.get(access)
        if allowed is None:
            raise RequestError(403, {"detail": "this takes a signed-in person, not a key"})
        if found.role not in allowed:
            raise RequestError(
                403,
                {
                    "detail": f"this takes a key with the role {' or '.join(sorted(allowed))}, not {found.role}"
                },
            )
        _counts_for(f"key {found.id}")
        if access in _WRITING:
            self.quotas.check(found.id, found.settings)
        if now - (found.last_used_at or 0) > agents.LAST_USE_STEP:
            self._used[found.id] = now
        return Actor(
            frozenset({found.agent_id}),
            found.role,
            found.agent_id,
            found.agent_name,
            key_id=found.id,
            settings=found.settings,
        )

    async def key(self, key: str) -> agents.KeyRow | None:
        """The key's row while it is in use."""
        now = time.monotonic()
        cached = self._cache.get(key)
        if cached is not None and cached[0] > now:
            return cached[1]
        self._cache.pop(key, None)
        if not keys.is_well_formed(key):
            return None
        hashed = keys.hash_key(key)
        row = await self._lookups.run(lambda: self._read_key(hashed))
        if row is None or row.revoked_at is not None:
            return None
        if len(self._cache) > 10_000:
            self._cache.clear()
        self._cache[key] = (now + KEY_CACHE_SECONDS, row)
        return row

    def forget_keys(self) -> None:
        """Look every key up again: one was revoked."""
        self._cache.clear()
        self._origins = None

    def take_used(self) -> dict[int, int]:
        """Keys that were used and whose row says an older time: {key: microseconds}. They are told once."""
        used, self._used = self._used, {}
        return used

    async def origins(self) -> Origins:
        """What all usable keys allow together."""
        now = time.monotonic()
        if self._origins is None or self._origins[0] <= now:
            self._origins = (now + ORIGINS_CACHE_SECONDS, await self._lookups.run(self._read_origins))
        return self._origins[1]

    def _read_origins(self) -> Origins:
        now = times.now()
        with self.database.read() as connection:
            return Origins.of(*(row for row in agents.keys(connection) if row.is_usable(now)))

    def _read_key(self, hashed: bytes) -> agents.KeyRow | None:
        with self.database.read() as connection:
            return agents.key_by_hash(connection, hashed)

    async def _by_cookie(self, token: str) -> Actor | None:
        if not sessions.is_well_formed(token):
            return None
        hashed = sessions.hash_token(token)
        row = await self._lookups.run(lambda: self._read_session(hashed))
        if row is None:
            return None
        person = row.person
        _counts_for(f"person {person.id}")
        return Actor(person.agent_ids, person.role, person=person, csrf_token=row.csrf_token)

    def _read_session(self, hashed: bytes) -> people.SessionRow | None:
        with self.database.read() as connection:
            return people.session(connection, hashed)


def _counts_for(caller: str) -> None:
    """What the request does from now on counts for them, no longer for an address."""
    asking = ASKING.get()
    if asking is not None:
        asking.identify(caller)


async def _check_csrf(connection: ASGIConnection[Any, Any, Any, Any], actor: Actor) -> None:
    sent: Any = connection.headers.get("x-csrf-token")
    if sent is None and isinstance(connection, Request):
        kind = connection.headers.get("content-type", "")
        if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
            sent = (await connection.form()).get("csrf_token")
    foreign = is_foreign(connection.headers, connection.app.state.services.settings.public_url)
    if foreign or not hmac.compare_digest(str(sent or "").encode(), (actor.csrf_token or "").encode()):
        raise RequestError(403, {"detail": "the form is out of date: reload the page and try again"})


def _unauthorized(detail: str) -> RequestError:
    return RequestError(401, {"detail": detail}, {"WWW-Authenticate": "Api-Key"})
