from __future__ import annotations

import pytest

from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(sqlite_server: ServerProcess) -> Agent:
    """An agent of its own for each test, on the shared server."""
    return sqlite_server.agent()
