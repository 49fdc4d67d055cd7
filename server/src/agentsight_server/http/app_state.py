"""What the rooms of the server share while it runs: made once by app.py, reached through `request.app.state`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from agentsight_server.analytics.service import Analytics
from agentsight_server.attachments.blobs import FileStore
from agentsight_server.erasure.eraser import ErasingThread
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.reference.geo import Places
from agentsight_server.runtime.executors import Executors
from agentsight_server.runtime.storage import Storage
from agentsight_server.security import audit
from agentsight_server.security.access import Actor, Authenticator
from agentsight_server.security.sessions import LoginThrottle
from agentsight_server.security.signing import Signer
from agentsight_server.settings import Settings
from agentsight_server.store import agents, erasing
from agentsight_server.store.append import Appended, NewConversation
from agentsight_server.store.database import Database
from agentsight_server.store.ledger import Ledger
from agentsight_server.store.search_follower import SearchFollower
from agentsight_server.store.security_events import Event
from agentsight_server.store.writer import LedgerEntry, Overloaded, Unavailable, Work, Writer

T = TypeVar("T")


@dataclass
class Services:
    """The running server's parts."""

    settings: Settings
    database: Database
    writer: Writer
    files: FileStore
    storage: Storage
    places: Places
    authenticator: Authenticator
    signer: Signer
    login_throttle: LoginThrottle
    analytics: Analytics
    executors: Executors
    eraser: ErasingThread
    search_follower: SearchFollower | None = None

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a reading connection, for a page or a list, in a thread.

        Raises:
            RequestError: 503, too many wait for theirs, or it took too long.

        Example:
            >>> rows = await services.read(lambda connection: agents.listing(connection))
        """
        return await self.executors.pages.run(lambda: self._read(query))

    async def search(self, query: Callable[[Connection], T]) -> T:
        """The same for a query that looks through what was said: few at once, and fewer of one caller.

        Raises:
            RequestError: 503 or 429, as read().
        """
        return await self.executors.searches.run(lambda: self._read(query))

    async def look_up(self, query: Callable[[Connection], T]) -> T:
        """The same for what takes a moment and what everybody waits for: a key, a session, one row."""
        return await self.executors.lookups.run(lambda: self._read(query))

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return query(connection)

    def is_named(self, sha: str) -> bool:
        """Whether a row names the file of that hash; in the thread of the caller."""
        return self._read(lambda connection: erasing.is_named(connection, sha))

    async def write(
        self,
        work: Work[T],
        *,
        weight: int = 1,
        ledger_entry: LedgerEntry[T] | None = None,
        event: Event | Callable[[T], Event | None] | None = None,
    ) -> T:
        """Run work in the writer's next transaction; it is on disk when this returns.

        Args:
            event: what the security log says of it, in the same transaction; a function is given work's result,
                and may answer None when nothing happened.
        """
        if event is None:
            return await self.writer.run(work, weight=weight, ledger_entry=ledger_entry)
        told: list[Event] = []

        def noted(connection: Connection, attempt: int) -> T:
            result = work(connection, attempt)
            told.clear()
            what = event(result) if callable(event) else event
            if what is not None:
                audit.record(connection, what)
                told.append(what)
            return result

        result = await self.writer.run(noted, weight=weight, ledger_entry=ledger_entry)
        for each in told:
            audit.tell(each)
        return result

    async def note(self, event: Event) -> None:
        """Write an event into the security log that no other write goes with; a busy store keeps nobody from it."""
        audit.tell(event)
        with suppress(Overloaded, Unavailable):
            await self.writer.run(lambda connection, _: audit.record(connection, event))

    async def append(
        self,
        agent_id: int,
        batch: Sequence[NewConversation],
        *,
        weight: int,
        ledger_entry: LedgerEntry[list[Appended]] | None = None,
    ) -> list[Appended]:
        """Store conversations and items in the writer's next transaction; they are on disk when this returns."""
        return await self.writer.append(agent_id, batch, weight=weight, ledger_entry=ledger_entry)

    async def settle(self) -> None:
        """Bring to disk what no write takes along, second by second, for as long as the server runs: the ledger, and
        when keys were used."""
        while True:
            await asyncio.sleep(1)
            used = self.authenticator.take_used()
            if self.ledger.is_pending or used:
                with suppress(Overloaded, Unavailable):
                    await self.write(partial(_mark_used, used))

    @property
    def ledger(self) -> Ledger:
        """What keys sent and what became of it, until a transaction takes it along."""
        return self.writer.ledger


def _mark_used(used: dict[int, int], connection: Connection, attempt: int) -> None:
    agents.mark_used(connection, used)


def services_of(request: AnyRequest) -> Services:
    """The server's parts, from a request."""
    found: Services = request.app.state.services
    return found


def actor_of(request: AnyRequest) -> Actor:
    """Who is asking; the guard has let them in."""
    found: Actor = request.state.actor
    return found
