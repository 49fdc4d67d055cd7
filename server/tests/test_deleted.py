"""What is deleted is nowhere, for nobody but who may manage it; restored, it is as it was."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving import Agent, ServerProcess

WORDS = "the words of somebody"


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


def item(kind: str, **fields: object) -> dict[str, object]:
    return {"id": str(uuid.uuid4()), "type": kind, **fields}


def fill(client: httpx.Client, name: str) -> int:
    """A conversation with a message, a file and a vote."""
    file = {"filename": "a.txt", "mime_type": "text/plain", "data": base64.b64encode(b"of a file").decode()}
    record = {
        "conversation_id": name,
        "customer_id": "anna",
        "items": [
            item("message", sender="end_user", content=WORDS),
            item("attachments", sender="end_user", attachments=[file]),
            item("feedback", sentiment="positive", comment=WORDS),
        ],
    }
    answer = client.post("/api/ingest/batch/", json={"conversations": [record]}).json()
    return int(answer["conversations"][0]["id"])


def file_path(client: httpx.Client, number: int, query: str = "") -> str:
    files = client.get(f"/api/conversations/{number}/attachments/{query}").json()
    address = urlsplit(files["messages"][0]["attachments"][0]["file_url"])
    return f"{address.path}?{address.query}"


def test_deleted_is_404_everywhere(agent: Agent, client: httpx.Client) -> None:
    number = fill(client, "c")
    kept = fill(client, "other")
    link = file_path(client, number)
    assert httpx.get(agent.server.address + link).content == b"of a file"
    assert client.delete(f"/api/conversations/{number}/delete/").status_code == 200
    with agent.client("read") as reader:
        for each in (client, reader):
            for path in ("", "attachments/"):
                assert each.get(f"/api/conversations/{number}/{path}").status_code == 404, path
            lookup = each.get("/api/conversations/lookup/", params={"conversation_id": "c"})
            assert lookup.status_code == 404
            assert [row["id"] for row in each.get("/api/conversations/").json()["results"]] == [kept]
            assert [row["id"] for row in each.get("/api/conversations/?search=words").json()["results"]] == [
                kept
            ]
            assert each.get("/api/export/").text.count("\n") == 1
        for path in (
            "/api/conversations/?include_deleted=true",
            f"/api/conversations/{number}/?include_deleted=true",
            f"/api/conversations/{number}/attachments/?include_deleted=1",
            "/api/conversations/lookup/?conversation_id=c&include_deleted=true",
            "/api/export/?include_deleted=true",
        ):
            assert reader.get(path).status_code == 403, path
            assert client.get(path).status_code == 200, path
    assert httpx.get(agent.server.address + link).status_code == 404
    # Only who was told of a deleted conversation has links to its files.
    fresh = file_path(client, number, "?include_deleted=true")
    assert httpx.get(agent.server.address + fresh).content == b"of a file"


def test_a_deleted_conversation_takes_nothing_and_comes_back_as_it_was(
    agent: Agent, client: httpx.Client
) -> None:
    number = fill(client, "c")
    before = client.get(f"/api/conversations/{number}/").json()
    link = file_path(client, number)
    client.delete(f"/api/conversations/{number}/delete/")
    late = item("message", sender="end_user", content="late")
    for role in ("ingest", "write"):
        with agent.client(role) as writer:
            answer = writer.post(
                "/api/ingest/batch/",
                json={
                    "conversations": [
                        {"conversation_id": "c", "name": "another", "items": [late]},
                        {
                            "conversation_id": f"new-{role}",
                            "items": [item("message", sender="agent", content="x")],
                        },
                    ]
                },
            ).json()["conversations"]
            assert [each["success"] for each in answer] == [False, True]
            assert answer[0]["errors"] == {
                "conversation_id": ["was deleted; it takes nothing until it is restored"]
            }
            assert answer[0]["id"] is None
            assert answer[0]["items"][0]["errors"]
            single = {"conversation_id": "c", "content": "late", "sender": "end_user"}
            assert writer.post("/api/track/", json=single).status_code == 409
            assert writer.post("/api/conversations/", json={"conversation_id": "c"}).status_code == 409
            vote = {"conversation_id": "c", "sentiment": "negative"}
            assert writer.post("/api/conversation-feedbacks/", json=vote).status_code == 409
    totals = client.get("/api/ingest/ledger/").json()["totals"]
    assert totals["received"] == totals["accepted"] + totals["duplicate"] + totals["refused"]
    with agent.client("read") as reader:
        assert reader.post(f"/api/conversations/{number}/restore/").status_code == 403
    with agent.server.agent().client() as stranger:
        assert stranger.post(f"/api/conversations/{number}/restore/").status_code == 404
    answer = client.post(f"/api/conversations/{number}/restore/")
    assert (answer.status_code, answer.json()["is_deleted"]) == (200, False)
    after = client.get(f"/api/conversations/{number}/").json()
    for each in (before, after):  # links change with the clock
        each["messages"][1]["attachments"][0].pop("file_url")
    assert after == before
    assert httpx.get(agent.server.address + link).content == b"of a file"
    assert client.post(f"/api/conversations/{number}/restore/").status_code == 404
