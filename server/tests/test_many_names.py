"""5,000 tools, labels, models, channels and languages: pages and answers list the first and add up the others."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.serving import Agent, ServerProcess

MANY = 5_000


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "type": kind, **fields}


@pytest.fixture(scope="module")
def crowded(sqlite_server: ServerProcess) -> Agent:
    agent = sqlite_server.agent()
    tools = [item("action", action_name=f"tool {each}") for each in range(MANY)]
    tools += [item("action", action_name="tool 4000", error_msg="no") for _ in range(5)]
    clicks = [
        item("button", button_event=f"event {each % 3}", label=f"label {each}", value="v")
        for each in range(MANY)
    ]
    usage = [item("token_usage", model=f"model {each}", total_tokens=2) for each in range(MANY)]
    began = [
        {
            "conversation_id": f"c{each}",
            "source": f"source {each}",
            "language": f"l{each % 2_000}-R{each}",
            "items": [item("message", sender="end_user", content="Hi")],
        }
        for each in range(MANY)
    ]
    began.append({"conversation_id": "none", "items": [item("message", sender="end_user", content="Hi")]})
    with agent.client() as client:
        for records in (
            *([{"conversation_id": "c0", "items": each}] for each in (tools, clicks, usage)),
            began,
        ):
            client.post("/api/ingest/batch/", json={"conversations": records}).raise_for_status()
    return agent


def test_the_api_lists_the_first_thousand_and_says_what_is_left(crowded: Agent) -> None:
    with crowded.client("read") as client:
        answer = client.get("/api/analytics/")
    assert len(answer.content) < 1_500_000
    found = answer.json()["metrics"]
    for name, listed, count, total in (
        ("tools", "rows", "runs", MANY + 5),
        ("sources", "rows", "conversations", MANY + 1),
        ("languages", "rows", "conversations", MANY + 1),
        ("buttons", "rows", "clicks", MANY),
        ("tokens", "by_model", "total", 2 * MANY),
    ):
        rows, others = found[name][listed], found[name]["others"]
        assert 0 < len(rows) <= 1_000, name
        assert sum(row[count] for row in rows) + others[count] == total, name
    assert found["tools"]["rows"][0]["action_name"] == "tool 4000"
    assert found["tools"]["others"] == {"values": 4_000, "runs": 4_000, "errors": 0}
    assert found["sources"]["rows"][-1] == {"value": None, "conversations": 1}
    assert found["sources"]["others"]["values"] == 4_001
    # An event's labels do not push out the other events.
    assert {row["button_event"] for row in found["buttons"]["rows"]} == {"event 0", "event 1", "event 2"}
    beside = found["buttons"]["others"]["events"]
    assert sum(each["clicks"] for each in beside) == found["buttons"]["others"]["clicks"] == MANY - 300
    assert found["tokens"]["total"] == 2 * MANY
    assert found["cost"]["unpriced_tokens"] == 2 * MANY
    assert found["cost"]["others"]["values"] == 4_000
    assert "others" not in found["devices"]
    with crowded.client("read") as client:
        table = client.get("/api/analytics/?metrics=tools&format=csv").text.splitlines()
    assert len(table) == 1_002
    assert table[-1].startswith("4000 others,4000,0")


def test_the_page_shows_a_hundred_and_the_sum_of_the_others(crowded: Agent) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    crowded.server.person(email)
    with httpx.Client(base_url=crowded.server.address, headers={"Accept": "text/html"}, timeout=30) as client:
        client.post("/sign-in", data={"email": email, "password": "correct horse battery"})
        page = client.get(f"/agents/{crowded.id}/").text
        settings = client.get(f"/agents/{crowded.id}/settings/").text
        listed = client.get(f"/agents/{crowded.id}/conversations/").text
    assert len(page) < 1_200_000
    said = [re.sub(r"<[^>]+>", "", each) for each in re.findall(r'<p class="others[^>]*>(.*?)</p>', page)]
    assert "4,900 others 4,900 runs" in said
    assert "4,901 others 4,901 conversations" in said
    assert "4,900 others 9,800 tokens" in said
    assert page.count("tool 1") < 400
    assert len(settings) < 200_000
    assert len(listed) < 300_000
