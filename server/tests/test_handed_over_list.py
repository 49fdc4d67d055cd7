"""The list of conversations that were handed to a human."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import httpx
import pytest

from agentsight_server.store import agents
from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture
def owner(sqlite_server: ServerProcess) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, PASSWORD)
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}) as client:
        assert client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 303
        yield client


@pytest.fixture
def agent(sqlite_server: ServerProcess) -> Agent:
    """One conversation with a tool that hands over, one with another tool, one with none."""
    agent = sqlite_server.agent()
    conversations = [
        {
            "conversation_id": name,
            "environment": "production",
            "items": [
                {"id": str(uuid.uuid4()), "type": "message", "sender": "end_user", "content": "?"},
                *({"id": str(uuid.uuid4()), "type": "action", "action_name": tool} for tool in tools),
            ],
        }
        for name, tools in (("ticket", ["open_ticket"]), ("searched", ["search"]), ("plain", []))
    ]
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": conversations}).status_code == 200
    return agent


def shown(owner: httpx.Client, agent: Agent, **parameters: str) -> int:
    page = owner.get(f"/agents/{agent.id}/conversations/", params=parameters)
    assert page.status_code == 200
    return len(re.findall(r'id="conversation-\d+"', page.text))


def test_it_is_what_the_agents_own_set_says(
    sqlite_server: ServerProcess, owner: httpx.Client, agent: Agent
) -> None:
    assert shown(owner, agent) == 3
    assert shown(owner, agent, handed_over="true") == 1
    for names, count in ((["search"], 1), (["search", "open_ticket"], 2), (["other"], 0), ([], 0)):
        with sqlite_server.database.write() as connection:
            agents.set_escalations(connection, agent.id, names)
        assert shown(owner, agent, handed_over="true") == count, names
