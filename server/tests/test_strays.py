"""What was tracked where no conversation was chosen stands on "Connect", by the place in the code."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from html import unescape

import httpx
import pytest

from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def person(server: ServerProcess, agent: Agent) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    server.person(email, PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
    with httpx.Client(base_url=server.address, timeout=30, follow_redirects=True) as client:
        assert client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 200
        yield client


def track(agent: Agent, name: str, days_ago: float, **metadata: object) -> int:
    when = (datetime.now(timezone.utc) - timedelta(days=days_ago)).isoformat()
    items = [{"type": "message", "sender": "agent", "content": "Hi", "timestamp": when}]
    body = {"conversation_id": name, "started_at": when, "metadata": metadata, "items": items}
    with agent.client() as client:
        answer = client.post("/api/ingest/batch/", json={"conversations": [body]}).json()
    return int(answer["conversations"][0]["id"])


def test_strays_are_told_by_place_with_a_way_to_them(agent: Agent, person: httpx.Client) -> None:
    track(agent, "right", 0)
    assert "Not attached" not in person.get(f"/agents/{agent.id}/connect/").text
    at = {"unattached": True, "unattached_at": "bot.py:41 in answer"}
    strays = {str(track(agent, f"a{number}", number, **at)) for number in range(3)}
    track(agent, "b", 2, unattached=True, unattached_at="<b>&.py:7 in f")
    track(agent, "old", 15, unattached=True, unattached_at="old.py:1 in f")
    track(agent, "not so", 0, unattached="true?", unattached_at="not.py:1 in f")
    track(agent, "nowhere", 3, unattached=True)
    page = person.get(f"/agents/{agent.id}/connect/").text
    panel = re.search(r'<section class="card strays".*?</section>', page, re.DOTALL)
    assert panel is not None
    rows = re.findall(
        r"<tr>\s*<th scope=\"row\">(.*?)</th>.*?href=\"(.*?)\"[^>]*>(.*?)</a>", panel[0], re.DOTALL
    )
    told = [(unescape(re.sub(r"<[^>]+>", "", place)), count) for place, _, count in rows]
    # The stray of some other type is no stray: JSON's true alone says so.
    assert told == [
        ("bot.py:41 in answer", "3"),
        ("<b>&.py:7 in f", "1"),
        ("Not told", "1"),
    ]
    listed = person.get(unescape(rows[0][1]))
    assert listed.status_code == 200
    assert set(re.findall(rf"/agents/{agent.id}/conversations/(\d+)/", listed.text)) == strays


def test_a_stray_says_so_in_its_transcript(agent: Agent, person: httpx.Client) -> None:
    stray = track(agent, "stray", 0, unattached=True, unattached_at="bot.py:41 in <answer>")
    right = track(agent, "right", 0, unattached_at="bot.py:41 in answer")
    page = person.get(f"/agents/{agent.id}/conversations/{stray}/").text
    assert "Not attached to a conversation" in page
    assert "bot.py:41 in &lt;answer&gt;" in page
    assert "Not attached" not in person.get(f"/agents/{agent.id}/conversations/{right}/").text
