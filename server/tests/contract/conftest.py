from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentsight_server.store import agents
from agentsight_server.store.database import Database


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """An empty store, brought up to date, on each engine in turn."""
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def agent(database: Database) -> int:
    with database.write() as connection:
        return agents.create(connection, "Concierge")
