"""The analytics of a running server: an engine, the projector that feeds it, and threads that ask it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import AnalyticsError, Broken, Engine
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.recutting import Progress
from agentsight_server.analytics.scope import Comparison, Scope
from agentsight_server.analytics.threads import Cut, SessionRow, cut_in, sessions_of
from agentsight_server.domain.errors import RequestError
from agentsight_server.domain.filters import Filters
from agentsight_server.runtime.executors import SECONDS, Executor
from agentsight_server.settings import Settings, SettingsError
from agentsight_server.store.database import Database
from agentsight_server.store.installation import identity

T = TypeVar("T")
logger = logging.getLogger(__name__)

# What was acknowledged is in the next answer; after so many seconds the answer comes with what is there.
PATIENCE = 2.0
_THREADS = 4


class Analytics:
    """Answers questions about what the store holds, a moment behind it at most.

    Example:
        >>> analytics = Analytics(database, engine, "store")
        >>> analytics.start()
        >>> await analytics.answer(scope, ["conversations"])
    """

    def __init__(self, database: Database, engine: Engine, store: str, *, seconds: float = SECONDS) -> None:
        self.database = database
        self.engine = engine
        self.store = store
        self.projector = Projector(database, engine)
        self.executor = Executor(
            "questions for figures", threads=_THREADS, waiting=60, each=16, seconds=seconds
        )
        self._opening: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Open the engine and follow the store, in threads: the server answers meanwhile."""
        self._opening = threading.Thread(target=self._open, name="agentsight-analytics", daemon=True)
        self._opening.start()

    def _open(self) -> None:
        wait = 1.0
        while True:
            try:
                self.engine.open(self.store)
                break
            except AnalyticsError as error:
                logger.error("there are no figures: %s", error)
            if self._stopped.wait(wait):
                return
            wait = min(wait * 2, 60.0)
        if not self._stopped.is_set():
            self.projector.start()

    def stop(self) -> None:
        """End the threads and close the engine."""
        self._stopped.set()
        if self._opening is not None:
            self._opening.join()
        self.projector.stop()
        self.executor.shutdown()
        self.engine.close()

    async def answer(
        self, scope: Scope, metrics: Iterable[str], compare: Comparison | None = None
    ) -> dict[str, Any]:
        """The figures of a scope, with everything in them that was acknowledged before the call.

        `behind` is true in the answer when the engine is still being built, could not catch up in time, or counts the
        agent's past anew because its pauses were changed.

        Raises:
            RequestError: 404, there is no such agent.
            AnalyticsError: the engine cannot answer.
        """
        names = list(metrics)
        return await self.run(
            lambda engine, whole: (
                answer(engine, self._known(scope), names, compare)
                | ({} if whole and not any(map(self.recutting, scope.agents)) else {"behind": True})
            )
        )

    async def conversations(self) -> int:
        """How many conversations the engine has, of all agents: the least question that it can be asked.

        Raises:
            RequestError: 503 or 429, too many ask at once, or it took too long.
            AnalyticsError: the engine cannot answer.
        """

        def count(engine: Engine, whole: bool) -> int:
            with engine.reading() as ask:
                return int(ask("SELECT count(*) FROM conversations", ())[0][0])

        return await self.run(count)

    def recutting(self, agent: int) -> Progress | None:
        """How far an agent's past is counted anew after a change of its pauses; None: there is nothing to do."""
        return self.projector.recutting_of(agent)

    def sessions_now(self, conversation: int) -> list[SessionRow]:
        """The sessions of a conversation as far as the engine is; none while it cannot answer. Does not wait."""
        try:
            with self.engine.reading() as execute:
                return sessions_of(execute, conversation)
        except Broken as error:
            self.projector.broken(error)
        except AnalyticsError:
            pass
        return []

    def cut_in(self, agent: int, revision: int, filters: Filters) -> Cut | None:
        """What a list of a period has to know of threads that were cut (threads.cut_in); None while the engine cannot
        answer."""
        self.projector.wait_for(revision, PATIENCE / 2)
        try:
            with self.engine.reading() as execute:
                after, before = filters["started_at_after"], filters["started_at_before"]
                return cut_in(execute, self.engine.functions, agent, after, before, filters)
        except Broken as error:
            self.projector.broken(error)
        except AnalyticsError:
            pass
        return None

    async def sessions(self, conversation: int, revision: int) -> list[SessionRow] | None:
        """The sessions of a conversation, with what the store's revision brought if the engine has it in time; None
        while it cannot answer."""

        def work() -> list[SessionRow]:
            self.projector.wait_for(revision, PATIENCE)
            with self.engine.reading() as execute:
                return sessions_of(execute, conversation)

        try:
            return await self.executor.run(work)
        except (
            AnalyticsError,
            RequestError,
        ):  # it is busy, or being built: the conversation is told without them
            return None

    async def run(self, work: Callable[[Engine, bool], T]) -> T:
        """Run `work(engine, whole)` in a thread, once the engine has what the store has.

        `whole` is false when it had not within PATIENCE.

        Raises:
            RequestError: 503 or 429, too many ask at once, or it took too long.
        """
        return await self.executor.run(lambda: self._run(work))

    def _run(self, work: Callable[[Engine, bool], T]) -> T:
        whole = self.projector.wait_for(self.projector.latest(), PATIENCE)
        try:
            return work(self.engine, whole)
        except Broken as error:
            self.projector.broken(error)
            raise AnalyticsError("they are being built anew; try again in a moment") from None

    def _known(self, scope: Scope) -> Scope:
        with self.database.read() as connection:
            return scope.of_store(connection)


def open_analytics(settings: Settings, database: Database, connection: Connection) -> Analytics:
    """The analytics of an installation; nothing is opened before start().

    Raises:
        SettingsError: analytics_url names no engine that there is.
    """
    return Analytics(
        database, DuckEngine(file_of(settings)), identity(connection), seconds=settings.query_seconds
    )


def file_of(settings: Settings) -> Path:
    """Where the columns are kept.

    Raises:
        SettingsError: analytics_url names no engine that there is.

    Example:
        >>> file_of(Settings(analytics_url="duckdb:///var/lib/agentsight/analytics.duckdb")).name
        'analytics.duckdb'
    """
    address = settings.analytics_url
    if address is None:
        return settings.data_dir / "analytics.duckdb"
    scheme, separator, rest = address.partition("://")
    if not separator:
        return Path(address)
    if scheme != "duckdb" or not rest.strip("/"):
        raise SettingsError("analytics_url: takes duckdb:///folder/analytics.duckdb, or a path")
    return Path(rest)
