"""What single fields take at most, and that no sum of them overflows: also of rows that were stored before."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.records import importer
from agentsight_server.reference.geo import Places
from agentsight_server.store import append
from agentsight_server.store.merging import MOST_BYTES, MOST_KEYS
from tests.serving import Agent, ServerProcess

LARGEST = 2**53 - 1
NOW = datetime.now(timezone.utc)


def errors(agent: Agent, item: dict[str, Any]) -> dict[str, Any] | None:
    batch = {"conversations": [{"conversation_id": "bounds", "items": [item]}]}
    with agent.client("ingest") as client:
        found = client.post("/api/ingest/batch/", json=batch).json()
    return found["conversations"][0]["items"][0].get("errors")


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("prompt_tokens", {"type": "token_usage", "prompt_tokens": 10**9 + 1}),
        ("total_tokens", {"type": "token_usage", "total_tokens": LARGEST}),
        ("duration_ms", {"type": "action", "action_name": "a", "duration_ms": LARGEST}),
        (
            "timestamp",
            {"type": "message", "sender": "agent", "content": "a", "timestamp": "2199-01-01T00:00:00Z"},
        ),
        ("started_at", {"type": "action", "action_name": "a", "started_at": "2199-01-01T00:00:00Z"}),
        ("created_at", {"type": "feedback", "sentiment": "positive", "created_at": "2199-01-01T00:00:00Z"}),
    ],
)
def test_what_is_beyond_all_reason_is_refused_by_name(
    sqlite_server: ServerProcess, field: str, item: dict[str, Any]
) -> None:
    found = errors(sqlite_server.agent(), item)
    assert found is not None
    assert list(found) == [field]


def test_a_clock_that_is_ahead_by_hours_is_taken(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    item = {"type": "message", "sender": "agent", "content": "a"}
    assert errors(agent, item | {"timestamp": (NOW + timedelta(hours=23)).isoformat()}) is None
    assert errors(agent, item | {"timestamp": (NOW + timedelta(hours=25)).isoformat()}) == {
        "timestamp": ["takes a time from 1970 on, at most a day ahead"]
    }
    with agent.client() as client:
        begun = {"conversation_id": "later", "started_at": "2199-01-01T00:00:00Z"}
        assert client.post("/api/conversations/", json=begun).json() == {
            "started_at": ["takes a time from 1970 on, at most a day ahead"]
        }


def test_sums_of_what_was_stored_before_the_bounds_do_not_overflow(server: ServerProcess) -> None:
    """1,025 rows of 2^53 - 1 are more than 64 bits hold."""
    agent = server.agent()
    usage = {"type": "token_usage", "prompt_tokens": 7, "total_tokens": 7, "model": "m"}
    record = {"conversation_id": "huge", "environment": "production", "items": [usage] * 1_025}
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": [record]}).status_code == 200
        number = client.get("/api/conversations/lookup/?conversation_id=huge").json()["id"]
        with server.database.write() as connection:
            connection.execute(
                text("UPDATE token_usage SET prompt_tokens = :n, total_tokens = :n WHERE conversation = :c"),
                {"n": LARGEST, "c": number},
            )
            connection.execute(
                text("UPDATE conversations SET revision = :r WHERE id = :c"),
                {"r": append.next_revision(connection), "c": number},
            )
        listed = client.get("/api/conversations/", params={"full": "false"})
        assert listed.status_code == 200, listed.text
        assert listed.json()["results"][0]["token_usage"]["prompt_tokens"] == LARGEST
        assert client.get(f"/api/conversations/{number}/").status_code == 200
        assert client.post(f"/api/conversations/{number}/mark/", json={"is_marked": True}).status_code == 200
        assert client.get("/api/analytics/", params={"metrics": "tokens"}).status_code == 200
        for what in ("conversations", "messages"):
            table = client.get("/api/export/", params={"format": "parquet", "what": what})
            assert table.status_code == 200
            assert table.content[:4] == b"PAR1"
    email = f"huge-{agent.id}@example.com"
    server.person(email)
    with httpx.Client(base_url=server.address, follow_redirects=True, timeout=30) as person:
        person.post("/sign-in/", data={"email": email, "password": "correct horse battery"})
        for path in ("conversations/?event=tokens", f"conversations/{number}/", ""):
            answer = person.get(f"/agents/{agent.id}/{path}")
            assert answer.status_code == 200, path


# ------------------------------------------------------------------ metadata that grows


def test_metadata_grows_up_to_a_bound(server: ServerProcess) -> None:
    agent = server.agent()
    with agent.client() as client:

        def add(**metadata: Any) -> None:
            batch = {"conversations": [{"conversation_id": "grows", "metadata": metadata, "items": []}]}
            answer = client.post("/api/ingest/batch/", json=batch)
            assert answer.status_code == 200
            assert answer.json()["conversations"][0]["success"]

        add(first="1")
        for number in range(5):
            add(**{f"large{number}": "x" * 400_000, f"small{number}": number})
        number = client.get("/api/conversations/lookup/?conversation_id=grows").json()["id"]
        kept = client.get(f"/api/conversations/{number}/").json()["metadata"]
        assert set(kept) == {"first", "large0", "large1", *(f"small{each}" for each in range(5))}
        assert len(json.dumps(kept)) <= MOST_BYTES
        for start in range(0, 1_500, 500):
            add(**{f"key{each}": each for each in range(start, start + 500)})
        kept = client.get(f"/api/conversations/{number}/").json()["metadata"]
        assert len(kept) == MOST_KEYS
        counted = client.get("/api/ingest/ledger/").json()["totals"]["adjustments"]
        assert [(each["field"], each["code"]) for each in counted] == [("metadata", "left_out")]


def test_an_import_keeps_times_ahead(tmp_path: Path, sqlite_server: ServerProcess) -> None:
    """What was stored once comes back whole, whatever is refused today."""
    agent = sqlite_server.agent()
    line = {
        "conversation_id": "old",
        "started_at": "2199-01-01T00:00:00Z",
        "items": [
            {"type": "message", "sender": "agent", "content": "a", "timestamp": "2199-01-01T00:00:00Z"},
        ],
    }
    file = io.BytesIO(json.dumps(line).encode() + b"\n")
    report = importer.import_lines(
        sqlite_server.database, FileStore(tmp_path / "files"), Places(None), agent.id, file
    )
    assert (report.new_conversations, report.items, report.problems) == (1, 1, [])
