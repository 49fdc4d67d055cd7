"""Keys over the API: made, changed and revoked by owners, and by write keys as far as their own agent goes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agentsight.helpers import sign_conversation_token
from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"
MESSAGE = {"conversation_id": "c", "content": "hi", "sender": "end_user"}


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def writer(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


@pytest.fixture
def owner(server: ServerProcess) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex}@example.com"
    server.person(email, PASSWORD)
    with httpx.Client(base_url=server.address, timeout=30) as client:
        assert client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 303
        found = re.search(
            r'"X-CSRF-Token": ?"([^"]+)"|name="csrf_token" value="([^"]+)"', client.get("/").text
        )
        assert found is not None
        client.headers["X-CSRF-Token"] = found[1] or found[2]
        yield client


def send(agent: Agent, key: str, **headers: str) -> int:
    headers["Authorization"] = f"Api-Key {key}"
    return httpx.post(f"{agent.server.address}/api/track/", json=MESSAGE, headers=headers).status_code


def test_from_making_a_key_to_revoking_it(writer: httpx.Client, agent: Agent) -> None:
    made = writer.post(
        "/api/keys/",
        json={
            "role": "ingest",
            "label": " Shop widget ",
            "allowed_origins": ["https://Shop.example.com/"],
            "items_per_day": 100,
            "expires_at": "2199-01-01T00:00:00Z",
        },
    )
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key, number = made.json()["key"], made.json()["id"]
    assert send(agent, key, Origin="https://shop.example.com") == 201
    assert send(agent, key) == 403
    changed = writer.patch(f"/api/keys/{number}/", json={"allowed_origins": None, "items_per_minute": 5})
    assert changed.status_code == 200
    assert send(agent, key) == 201, "changes hold at once"
    (listed,) = [each for each in writer.get("/api/keys/").json()["keys"] if each["id"] == number]
    assert listed | {"created_at": "", "last_used_at": None} == {
        "id": number, "agent": agent.id, "role": "ingest", "label": "Shop widget", "hint": f"{key[:8]}…{key[-6:]}",
        "created_at": "", "last_used_at": None, "expires_at": "2199-01-01T00:00:00.000000Z", "revoked_at": None,
        "allowed_origins": None, "items_per_minute": 5, "items_per_day": 100, "bytes_per_day": None,
        "needs_conversation_token": False,
    }  # fmt: skip
    assert writer.post(f"/api/keys/{number}/revoke/").status_code == 200
    assert send(agent, key) == 401
    for method, path in (("POST", "revoke/"), ("PATCH", ""), ("POST", "token-secret/")):
        assert writer.request(method, f"/api/keys/{number}/{path}", json={}).status_code == 404
    shown = {each["id"] for each in writer.get("/api/keys/").json()["keys"]}
    every = {each["id"] for each in writer.get("/api/keys/?include_revoked=true").json()["keys"]}
    assert every - shown == {number}


def test_a_token_secret_is_told_once_and_needed_from_then_on(writer: httpx.Client, agent: Agent) -> None:
    made = writer.post("/api/keys/", json={"role": "ingest"}).json()
    answer = writer.post(f"/api/keys/{made['id']}/token-secret/")
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    secret = answer.json()["secret"]
    assert send(agent, made["key"]) == 403
    token = {"X-Conversation-Token": sign_conversation_token(secret, "c")}
    assert send(agent, made["key"], **token) == 201
    assert writer.post(f"/api/keys/{made['id']}/token-secret/").json()["secret"] != secret
    assert send(agent, made["key"], **token) == 201, "the one before counts for another day"
    assert secret not in writer.get("/api/keys/").text
    dropped = writer.delete(f"/api/keys/{made['id']}/token-secret/")
    assert dropped.json()["needs_conversation_token"] is False
    assert send(agent, made["key"]) == 201
    reader = writer.post("/api/keys/", json={"role": "read"}).json()["id"]
    assert list(writer.post(f"/api/keys/{reader}/token-secret/").json()) == ["role"]


def test_a_write_key_makes_and_ends_none_like_itself(writer: httpx.Client, agent: Agent) -> None:
    answer = writer.post("/api/keys/", json={"role": "write"})
    assert (answer.status_code, list(answer.json())) == (403, ["detail"])
    assert writer.post("/api/keys/", json={}).status_code == 403, "write is the usual role"
    keys = {each["role"]: each["id"] for each in writer.get("/api/keys/").json()["keys"]}
    for method, path in (("PATCH", ""), ("POST", "revoke/")):
        assert writer.request(method, f"/api/keys/{keys['write']}/{path}", json={}).status_code == 403
    assert writer.get("/api/me/").status_code == 200


def test_anothers_keys_are_not_there(writer: httpx.Client, server: ServerProcess) -> None:
    other = server.agent()
    with other.client() as client:
        number = client.get("/api/keys/").json()["keys"][0]["id"]
    for method, path in (
        ("PATCH", ""),
        ("POST", "revoke/"),
        ("POST", "token-secret/"),
        ("DELETE", "token-secret/"),
    ):
        assert writer.request(method, f"/api/keys/{number}/{path}", json={}).status_code == 404
    assert writer.get("/api/keys/", params={"agent": other.id}).status_code == 404
    assert writer.post("/api/keys/", json={"role": "ingest", "agent": other.id}).status_code == 404
    assert httpx.get(
        f"{server.address}/api/me/", headers={"Authorization": f"Api-Key {other.keys['ingest']}"}
    ).is_success


def test_an_owner_handles_every_key(owner: httpx.Client, agent: Agent) -> None:
    assert list(owner.get("/api/keys/").json()) == ["agent"]
    made = owner.post("/api/keys/", json={"agent": agent.id, "label": "Bot"})
    assert (made.status_code, made.json()["role"]) == (201, "write")
    assert owner.post(f"/api/keys/{made.json()['id']}/revoke/").status_code == 200
    assert owner.post("/api/keys/", json={"agent": 999_999_999}).status_code == 404
    assert len(owner.get("/api/keys/", params={"agent": agent.id}).json()["keys"]) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "admin"}, "role"), ({"role": "ingest", "items_per_day": 0}, "items_per_day"),
        ({"role": "ingest", "items_per_minute": "5"}, "items_per_minute"),
        ({"role": "ingest", "bytes_per_day": 10**13}, "bytes_per_day"),
        ({"role": "ingest", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"role": "ingest", "expires_at": "soon"}, "expires_at"),
        ({"role": "ingest", "allowed_origins": ["shop"]}, "allowed_origins"),
        ({"role": "ingest", "allowed_origins": "https://a.b"}, "allowed_origins"),
        ({"role": "ingest", "label": "a\nb"}, "label"), ({"role": "ingest", "label": None}, "label"),
    ],
)  # fmt: skip
def test_what_a_key_does_not_take_is_named_and_none_is_made(
    writer: httpx.Client, body: dict[str, Any], field: str
) -> None:
    answer = writer.post("/api/keys/", json=body)
    assert (answer.status_code, list(answer.json())) == (400, [field]), answer.text
    assert len(writer.get("/api/keys/").json()["keys"]) == 3
    unknown = writer.post("/api/keys/", json={"role": "ingest", "colour": "red"})
    assert unknown.status_code == 400
    assert "colour" in unknown.text


def test_what_was_done_to_keys_is_in_the_log(writer: httpx.Client, agent: Agent) -> None:
    number = writer.post("/api/keys/", json={"role": "ingest"}).json()["id"]
    writer.patch(f"/api/keys/{number}/", json={"label": "x"})
    writer.post(f"/api/keys/{number}/revoke/")
    with agent.server.database.read() as connection:
        found = connection.exec_driver_sql(
            f"SELECT action FROM security_events WHERE agent_id = {agent.id} ORDER BY id"
        ).fetchall()
    assert [row[0] for row in found] == ["key_created", "key_changed", "key_revoked"]
