"""A key may need a token for each conversation, which only the bot's own backend can sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from agentsight.exceptions import InvalidConversationDataException
from agentsight.helpers import sign_conversation_token
from agentsight_server.domain import times
from agentsight_server.security.conversation_tokens import BadToken, new_secret, read, rotated
from agentsight_server.store.agents import TokenSecret
from server.tests.test_key_settings import key_of
from tests.serving import Agent, ServerProcess

SECRET = new_secret()
FILE = {"filename": "a.txt", "data": base64.b64encode(b"bytes").decode()}


def jwt(claims: Any, secret: str = SECRET, **header: Any) -> str:
    """A token as another library would make it."""
    parts = [{"typ": "JWT", "alg": "HS256", **header}, claims]
    signed = ".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts
    )
    signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.fixture(scope="module")
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture(scope="module")
def key(agent: Agent) -> str:
    return key_of(agent, token_secrets=(TokenSecret(SECRET),))


@pytest.fixture
def post(agent: Agent, key: str) -> Callable[..., httpx.Response]:
    def send(path: str, body: Any = None, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Api-Key {key}"} | ({"X-Conversation-Token": token} if token else {})
        return httpx.post(f"{agent.server.address}/api/{path}/", headers=headers, json=body, **more)

    return send


CALLS: dict[str, Any] = {
    "conversations": {},
    "track": {"content": "hello", "sender": "end_user"},
    "buttons": {"button_event": "choice", "label": "Yes", "value": "yes"},
    "attachments": {"attachments": [FILE]},
    "conversation-feedbacks": {"sentiment": "positive"},
}
AGENTS_SIDE: dict[str, tuple[str, Any]] = {
    "what the agent says": ("track", {"content": "hello", "sender": "agent"}),
    "what the system says": ("track", {"content": "hello", "sender": "system"}),
    "an answer": ("track", {"question": "Why?", "answer": "So."}),
    "an action": ("action_logs", {"action_name": "look_up"}),
    "tokens": ("action_logs", {"action_name": "token_usage", "metadata": {"prompt_tokens": 1}}),
    "the agent's file": ("attachments", {"attachments": [FILE], "sender": "agent"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_written_without_a_token_for_just_this_conversation(
    post: Callable[..., httpx.Response], agent: Agent, call: str
) -> None:
    name = f"c-{uuid.uuid4().hex}"
    body = {"conversation_id": name, **CALLS[call]}
    for token in (
        None,
        "",
        "nonsense",
        "a.b.c",
        "." * 5000,
        sign_conversation_token(SECRET, f"{name}x"),
        sign_conversation_token(new_secret(), name),
        sign_conversation_token(SECRET, name) + "x",
        jwt({"conversation_id": name, "exp": time.time() - 1}),
        jwt({"conversation_id": name}),
        jwt({"exp": time.time() + 60}),
        jwt({"conversation_id": name, "exp": time.time() + 60}, alg="none"),
        jwt({"conversation_id": name, "exp": time.time() + 60}, alg="RS256"),
        jwt({"conversation_id": name, "exp": time.time() + 60, "customer_id": "c" * 256}),
        jwt([name]),
    ):
        answer = post(call, body, token)
        assert answer.status_code == 403, (token, answer.text)
        assert list(answer.json()) == ["conversation_token"]
    with agent.client() as client:
        found = client.get("/api/conversations/lookup/", params={"conversation_id": name})
        assert found.status_code == 404
    answer = post(call, body, sign_conversation_token(SECRET, name))
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"id", "conversation_id", "created"}


@pytest.mark.parametrize("what", AGENTS_SIDE)
def test_a_visitor_speaks_for_the_visitor_alone(post: Callable[..., httpx.Response], what: str) -> None:
    name = f"c-{uuid.uuid4().hex}"
    call, body = AGENTS_SIDE[what]
    body = {"conversation_id": name, **body}
    answer = post(call, body, sign_conversation_token(SECRET, name))
    assert answer.status_code == 403
    assert next(iter(answer.json())) in {"sender", "type"}
    assert post(call, body, sign_conversation_token(SECRET, name, both_sides=True)).status_code == 201


def test_a_form_needs_the_token_too(post: Callable[..., httpx.Response]) -> None:
    form: dict[str, Any] = {
        "data": {"conversation_id": "form"},
        "files": {"attachment_0": ("a.txt", b"bytes", "text/plain")},
    }
    assert post("attachments", None, None, **form).status_code == 403
    assert post("attachments", None, sign_conversation_token(SECRET, "form"), **form).status_code == 201


def test_a_batch_may_bring_a_token_for_each_conversation(
    post: Callable[..., httpx.Response], agent: Agent
) -> None:
    one, two, three = (f"c-{uuid.uuid4().hex}" for _ in range(3))
    said = {"type": "message", "sender": "end_user", "content": "hi"}
    told = {"type": "message", "sender": "agent", "content": "hi"}
    body = {
        "conversations": [
            {"conversation_id": one, "items": [said, told]},
            {"conversation_id": two, "items": [said]},
            {
                "conversation_id": three,
                "items": [said],
                "conversation_token": sign_conversation_token(SECRET, three),
            },
        ]
    }
    answer = post("ingest/batch", body, sign_conversation_token(SECRET, one)).json()["conversations"]
    assert [each["success"] for each in answer] == [True, False, True]
    assert [each["success"] for each in answer[0]["items"]] == [True, False]
    assert list(answer[0]["items"][1]["errors"]) == ["sender"]
    assert list(answer[1]["errors"]) == ["conversation_token"]
    with agent.client() as client:
        assert client.get("/api/conversations/", params={"conversation_id": two}).json()["count"] == 0
        found = client.get(f"/api/conversations/{answer[2]['id']}/")
        assert "conversation_token" not in found.text


def test_who_the_visitor_is_comes_from_the_token(post: Callable[..., httpx.Response], agent: Agent) -> None:
    name = f"c-{uuid.uuid4().hex}"
    with agent.client() as client:
        number = client.post("/api/conversations/", json={"conversation_id": name}).json()["id"]
        plain, ana = (
            sign_conversation_token(SECRET, name),
            sign_conversation_token(SECRET, name, customer_id="ana"),
        )
        for token in (plain, ana):
            answer = post("conversations", {"conversation_id": name, "customer_id": "ceo"}, token)
            assert (answer.status_code, list(answer.json())) == (403, ["customer_id"])
        assert post("track", {"conversation_id": name, **CALLS["track"]}, plain).status_code == 201
        assert client.get(f"/api/conversations/{number}/").json()["customer_id"] is None
        assert post("track", {"conversation_id": name, **CALLS["track"]}, ana).status_code == 201
        assert client.get(f"/api/conversations/{number}/").json()["customer_id"] == "ana"
        assert post("conversations", {"conversation_id": name, "customer_id": "ana"}, ana).status_code == 200


def test_files_join_the_visitors_messages_alone(post: Callable[..., httpx.Response], agent: Agent) -> None:
    name = f"c-{uuid.uuid4().hex}"
    token = sign_conversation_token(SECRET, name)
    with agent.client() as client:
        numbers = {
            sender: client.post(
                "/api/track/", json={"conversation_id": name, "content": "x", "sender": sender}
            ).json()["id"]
            for sender in ("end_user", "agent")
        }
    body = {"conversation_id": name, "attachments": [FILE]}
    assert post("attachments", {**body, "message": numbers["agent"]}, token).status_code == 404
    assert post("attachments", {**body, "message": numbers["end_user"]}, token).status_code == 201


def test_a_key_that_needs_none_ignores_it(agent: Agent) -> None:
    for role in ("ingest", "write"):
        headers = {"Authorization": f"Api-Key {agent.keys[role]}", "X-Conversation-Token": "nonsense"}
        body = {"conversation_id": "free", **CALLS["track"]}
        assert httpx.post(f"{agent.server.address}/api/track/", headers=headers, json=body).status_code == 201


def test_the_old_secret_counts_for_a_day() -> None:
    now = times.now()
    old, new = new_secret(), new_secret()
    both = rotated((TokenSecret(old),), new, now)
    for secret in (old, new):
        assert read(sign_conversation_token(secret, "c", 10**9), both, now).conversation_id == "c"
    with pytest.raises(BadToken):
        read(sign_conversation_token(old, "c", 10**9), both, now + 86_400_000_000)
    assert len(rotated(both, new_secret(), now)) == 2, "at most the last one"


def test_any_library_makes_one() -> None:
    claims = {"conversation_id": "c", "exp": time.time() + 9.5, "customer_id": "ana", "iat": 1, "sub": "x"}
    found = read(jwt(claims), [TokenSecret(SECRET)], times.now())
    assert (found.customer_id, found.both_sides) == ("ana", False)
    with pytest.raises(BadToken):
        read(jwt(claims), [], times.now())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("", "c"), "secret"), ((None, "c"), "secret"),
        ((SECRET, " "), "conversation_id"), ((SECRET, 5), "conversation_id"),
        ((SECRET, "c", 0), "expires_in"), ((SECRET, "c", float("nan")), "expires_in"),
        ((SECRET, "c", timedelta(seconds=-1)), "expires_in"),
    ],
)  # fmt: skip
def test_what_the_helper_does_not_take_is_named(arguments: Any, named: str) -> None:
    with pytest.raises(InvalidConversationDataException, match=named):
        sign_conversation_token(*arguments)


def test_the_helper_takes_a_timedelta() -> None:
    token = sign_conversation_token(SECRET, "c", timedelta(minutes=5), customer_id=7)
    found = read(token, [TokenSecret(SECRET)], times.now())
    assert found.customer_id == "7"
    assert 290 < found.exp - time.time() <= 300
