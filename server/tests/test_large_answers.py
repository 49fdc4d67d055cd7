"""Answers of the API stay small enough to be read, and nothing is lost or doubled on the way."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from agentsight import AgentSightAPI
from tests.serving import Agent, ServerProcess

LARGEST = 8_500_000  # what an answer may be, its frame included


def message(place: int, content: str, **fields: Any) -> dict[str, Any]:
    at = f"2026-08-01T12:{place // 60:02}:{place % 60:02}Z"
    one = {"id": str(uuid.uuid4()), "type": "message", "sender": "agent", "timestamp": at, "content": content}
    return one | fields


def send(agent: Agent, records: list[dict[str, Any]]) -> list[int]:
    with agent.client() as client:
        answer = client.post("/api/ingest/batch/", json={"conversations": records}).raise_for_status()
    return [each["id"] for each in answer.json()["conversations"]]


def read(client: httpx.Client, address: str) -> dict[str, Any]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.content) < LARGEST
    return dict(answer.json())


@pytest.fixture(scope="module")
def full(server: ServerProcess) -> tuple[Agent, list[int], int]:
    """30 conversations, ten of them of a megabyte each, and the number of one with 12 megabytes."""
    agent = server.agent()
    records = [
        {
            "conversation_id": f"c{place:02}",
            "timestamp": f"2026-08-01T11:{place:02}:00Z",
            "items": [
                message(0, ("word " if place % 3 else "wörter!\n") * (120_000 if place % 3 == 0 else 3))
            ],
        }
        for place in range(30)
    ]
    items = [message(place, f"{place}: " + "x" * 300_000) for place in range(40)]
    items[7] |= {"metadata": {"note": "m" * 1_000}}
    tools = {"action_name": "t", "response": {"rows": ["y" * 1_000] * 300}}
    items[20] = {"id": items[20]["id"], "type": "action", "timestamp": items[20]["timestamp"], **tools}
    items.append({"id": str(uuid.uuid4()), "type": "feedback", "sentiment": "positive", "comment": "Good",
                  "timestamp": "2026-08-01T12:59:00Z"})  # fmt: skip
    numbers = send(agent, records)
    long = {"conversation_id": "long", "timestamp": "2026-08-01T10:00:00Z"}
    for start in range(0, 41, 20):
        (number,) = send(agent, [{**long, "items": items[start : start + 20]}])
    return agent, numbers, number


@pytest.mark.parametrize("size", [100, 7])
def test_who_follows_next_gets_every_conversation_once(full: tuple[Agent, list[int], int], size: int) -> None:
    agent, numbers, long = full
    found: list[int] = []
    with agent.client("read") as client:
        address: str | None = f"/api/conversations/?page_size={size}&has_messages=true"
        shortened = 0
        while address:
            page = read(client, address)
            assert page["count"] == 31
            assert page["results"]
            found += [each["id"] for each in page["results"]]
            shortened += "left_out" in page
            if "left_out" in page:
                assert page["left_out"] > 0
                assert "skip=" in page["next"]
            address = page["next"]
    assert found == [*reversed(numbers), long]
    assert shortened


def test_an_answer_that_is_not_shortened_says_nothing_of_it(full: tuple[Agent, list[int], int]) -> None:
    agent, _, _ = full
    with agent.client("read") as client:
        page = read(client, "/api/conversations/?page_size=100&full=false")
        assert set(page) == {"count", "next", "previous", "results"}
        assert len(page["results"]) == 31
        assert page["next"] is None
        assert "messages_next" not in read(client, f"/api/conversations/{page['results'][0]['id']}/")
        assert client.get("/api/conversations/?skip=100").status_code == 400
        assert client.get("/api/conversations/?skip=x").status_code == 400


def test_a_conversation_of_any_length_is_had_in_parts(full: tuple[Agent, list[int], int]) -> None:
    agent, _, long = full
    with agent.client("read") as client:
        address: str | None = f"/api/conversations/{long}/"
        messages: list[dict[str, Any]] = []
        feedbacks: list[dict[str, Any]] = []
        parts = 0
        while address:
            part = read(client, address)
            assert part["conversation_id"] == "long"
            messages += part["messages"]
            feedbacks += part["feedbacks"]
            address = part.get("messages_next")
            parts += 1
        assert parts == 2
        assert len({each["id"] for each in messages}) == len(messages) == 40
        assert [each["content"].partition(":")[0] for each in messages if not each["action_name"]] == [
            str(place) for place in range(40) if place != 20
        ]
        assert messages[20]["action_logs"][0]["response"] == {"rows": ["y" * 1_000] * 300}
        assert messages[7]["metadata"] == {"note": "m" * 1_000}
        assert [each["comment"] for each in feedbacks] == ["Good"]
        # In a list it comes with its beginning too.
        listed = read(client, "/api/conversations/?conversation_id=long")["results"][0]
        assert 0 < len(listed["messages"]) < 40
        assert f"/api/conversations/{long}/?messages_after=" in listed["messages_next"]
        for wrong in ("0x", "-1", str(2**62)):
            answer = client.get(f"/api/conversations/{long}/?messages_after={wrong}")
            assert answer.status_code == 400, wrong
            assert "messages_after" in answer.json()


def test_the_sdk_puts_the_parts_together(full: tuple[Agent, list[int], int]) -> None:
    agent, _, long = full
    api = AgentSightAPI(api_key=agent.keys["read"], endpoint=agent.server.address)
    found = api.fetch_conversation(long)
    assert len({each["id"] for each in found["messages"]}) == len(found["messages"]) == 40
    assert len(found["feedbacks"]) == 1
    assert "messages_next" not in found


def test_a_foreign_item_is_no_place_to_go_on_from(full: tuple[Agent, list[int], int]) -> None:
    agent, numbers, long = full
    with agent.client("read") as client:
        foreign = read(client, f"/api/conversations/{numbers[0]}/")["messages"][0]["id"]
        assert client.get(f"/api/conversations/{long}/?messages_after={foreign}").status_code == 400


def test_one_message_is_never_cut(server: ServerProcess) -> None:
    agent = server.agent()
    text = "\u0001" * 1_048_576  # six times as long in JSON
    record = {"conversation_id": "big", "items": [message(0, text), message(1, text)]}
    (number,) = send(agent, [json.loads(json.dumps(record))])
    with agent.client("read") as client:
        first = read(client, f"/api/conversations/{number}/")
        assert [each["content"] for each in first["messages"]] == [text]
        second = read(client, first["messages_next"])
        assert [each["content"] for each in second["messages"]] == [text]
        assert "messages_next" not in second


def test_more_files_than_fit_are_read_in_parts(server: ServerProcess) -> None:
    agent = server.agent()
    file = {"filename": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}
    items = [
        {"id": str(uuid.uuid4()), "type": "attachments", "attachments": [file] * 20,
         "timestamp": f"2026-08-01T11:{place // 60:02}:{place % 60:02}Z"}
        for place in range(265)
    ]  # fmt: skip
    for start in range(0, 265, 100):
        (number,) = send(agent, [{"conversation_id": "album", "items": items[start : start + 100]}])
    with agent.client("read") as client:
        first = read(client, f"/api/conversations/{number}/attachments/")
        assert first["total_attachments"] == 5_300
        assert sum(len(each["attachments"]) for each in first["messages"]) == 5_000
        rest = read(client, first["attachments_next"])
        assert sum(len(each["attachments"]) for each in rest["messages"]) == 300
        assert "attachments_next" not in rest
    api = AgentSightAPI(api_key=agent.keys["read"], endpoint=server.address)
    found = api.fetch_conversation_attachments("album")
    assert len({file["id"] for each in found["messages"] for file in each["attachments"]}) == 5_300
    assert len(found["messages"]) == 265
    assert "attachments_next" not in found
