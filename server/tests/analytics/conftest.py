from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import Engine
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


@pytest.fixture(params=["duckdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty engine; a second kind joins the list above."""
    engine = DuckEngine(tmp_path / "analytics.duckdb", threads=1)
    engine.open("store")
    yield engine
    engine.close()
