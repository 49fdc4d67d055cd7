"""A changed pause holds for the whole past: an agent's sessions are cut anew in the background.

What is new is made beside what is there, a batch at a time, and takes its place in one step. Until then figures are
what they were, and the projector follows with the pauses that they were made with.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agentsight_server.analytics import facts
from agentsight_server.analytics.engine import Columns, Engine
from agentsight_server.store import changes, conversations
from agentsight_server.store.database import Database


class Progress(msgspec.Struct, frozen=True):
    """How far it is: conversations taken of all that the agent has."""

    agent: int
    done: int
    total: int


class Recutting:
    """One agent's sessions, cut anew; advance() until it is done.

    Example:
        >>> job = Recutting(database, engine, agent=1, pauses={"whatsapp": 12 * HOUR}, batch=2_000)
        >>> while not job.advance():
        ...     print(job.progress)
    """

    def __init__(
        self, database: Database, engine: Engine, agent: int, pauses: Mapping[str, int], batch: int
    ) -> None:
        self.database = database
        self.engine = engine
        self.agent = agent
        self.pauses = dict(pauses)
        self.batch = batch
        # The last conversation taken, and the revision from which on what was taken may have changed.
        self._taken: int | None = 0
        self._since = -1
        self._done = 0
        self._total = 0
        self.rows = 0

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self.agent, min(self._done, self._total), self._total)

    def advance(self) -> bool:
        """Take a batch; True when what is new has taken the place of what was there."""
        if self._taken is not None:
            self._take(self._taken)
            return False
        return self._catch_up()

    def _take(self, above: int) -> None:
        with self.database.read() as connection:
            if self._since < 0:
                self._since = conversations.latest_revision(connection)
                self._total = changes.total(connection, self.agent)
            rows = changes.of_agent(connection, self.agent, above, limit=self.batch)
            tables = facts.fresh(connection, rows, {self.agent: self.pauses})
        self._stage(tables, [])
        self._done += len(rows)
        self._taken = rows[-1].id if len(rows) == self.batch else None

    def _catch_up(self) -> bool:
        """What has changed meanwhile; the last of it together with the exchange."""
        with self.database.read() as connection:
            found = changes.since(connection, self._since, limit=self.batch)
            rows = [row for row in found.rows if row.agent_id == self.agent]
            tables = facts.fresh(connection, rows, {self.agent: self.pauses})
        self._since = found.upto
        self._stage(tables, [*(row.id for row in rows), *found.gone])
        if found.more:
            return False
        self.engine.exchange(self.agent, self.pauses)
        return True

    def _stage(self, tables: dict[str, Columns], replaced: list[int]) -> None:
        self.rows += sum(len(next(iter(columns.values()))) for columns in tables.values())
        self.engine.stage(tables, replaced)
