"""A store with an engine behind it, as the server has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import Engine
from agentsight_server.analytics.projector import Projector
from agentsight_server.store import agents
from agentsight_server.store.database import Database


class World:
    """A store, an engine behind it, and a new agent for every corpus."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = Database(url)
        self.database.migrate()
        self.engine: Engine = DuckEngine(folder / "analytics.duckdb", threads=1)
        self.engine.open("store")
        self.projector = Projector(self.database, self.engine, batch=3)
        self.agents = 0

    def agent(self) -> int:
        self.agents += 1
        with self.database.write() as connection:
            return agents.create(connection, f"Agent {self.agents}")

    def close(self) -> None:
        self.engine.close()
        self.database.close()


def near(value: Any) -> Any:
    """Equal but for the last digits of a float."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-9, abs=1e-9)
    if isinstance(value, dict):
        return {key: near(each) for key, each in value.items()}
    if isinstance(value, list):
        return [near(each) for each in value]
    return value
