from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentsight_server.settings import Settings
from agentsight_server.store import agents
from agentsight_server.store.database import Database


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """An empty store, brought up to date."""
    url = store_url
    if url.startswith("postgresql"):
        url = Settings(database_url=url).sqlalchemy_url
    database = Database(url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def agent(database: Database) -> int:
    with database.write() as connection:
        return agents.create(connection, "Concierge")
