"""A stranger's values in every field of every write: the answer names the field and what it takes, and nothing of the
call is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import Agent, ServerProcess

JSON = {"Content-Type": "application/json"}
# As they stand in a body: for some of it there is no Python value.
VALUES = [
    "null", "true", "-1", "1.5", "1e999", "9" * 30, "9" * 5000, '""', '" "', '"x"', f'"{"y" * 300}"', r'"a\u0000b"',
    r'"cut \ud83d"', "[]", "{}", "[[]]", "[1]", '{"a": {"b": 1e999}}', r'{"\u0000": 1}', "[" * 70 + "]" * 70,
    '{"a": ' * 70 + "1" + "}" * 70, '"2026-13-45T00:00:00Z"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"',
]  # fmt: skip
SAID = {"conversation_id": '"c"', "conversation": "null", "timestamp": "null", "metadata": "{}"}
CALLS: dict[str, dict[str, str]] = {
    "POST /api/conversations/": {
        "conversation_id": '"c"', "customer_id": '"u"', "customer_ip_address": '"8.8.8.8"', "device": '"mobile"',
        "source": '"web"', "language": '"en"', "name": '"n"', "environment": '"production"', "metadata": "{}",
        "is_used": "true", "timestamp": "null", "started_at": "null", "adjusted": "[]",
    },
    "POST /api/track/": SAID | {"content": '"x"', "sender": '"agent"'},
    "POST /api/action_logs/": SAID
    | {"action_name": '"a"', "started_at": "null", "ended_at": "null", "duration_ms": "1", "tools_used": "1",
       "response": "1", "error_msg": '""'},
    "POST /api/buttons/": SAID | {"button_event": '"b"', "label": '"l"', "value": '"v"'},
    "POST /api/attachments/": SAID
    | {"attachments": '[{"filename": "a.txt", "data": "aGk="}]', "sender": '"agent"', "message": '"x"',
       "mode": '"base64"'},
    "POST /api/conversation-feedbacks/": SAID
    | {"sentiment": '"positive"', "comment": '"c"', "message": "null"},
    "POST /api/conversations/{id}/mark/": {"is_marked": "true"},
    "PATCH /api/conversations/{id}/rename/": {"name": '"n"'},
    "PATCH /api/conversations/{id}/update/": {
        "name": '"n"', "is_marked": "true", "customer_id": '"u"', "device": '"mobile"', "language": '"en"',
        "metadata": "{}",
    },
    "POST /api/keys/": {
        "role": '"ingest"', "label": '"l"', "agent": "null", "allowed_origins": "null", "items_per_minute": "null",
        "bytes_per_day": "null", "expires_at": "null",
    },
    "POST /api/erasures/ by number": {"conversation": "1", "dry_run": "true"},
    "POST /api/erasures/": {"customer_id": '"u"', "dry_run": "true", "agent": "null", "expect": "null"},
    "PUT /api/retention/": {"production": "null", "development": "30", "dry_run": "true", "agent": "null"},
}  # fmt: skip
MANAGING = (
    "/api/conversations/",
    "/api/keys/",
    "/api/erasures/",
    "/api/retention/",
)  # nothing that counts as an item
ITEMS: dict[str, dict[str, str]] = {
    "message": {"sender": '"agent"', "content": '"x"', "attachments": "null"},
    "action": CALLS["POST /api/action_logs/"],
    "button": CALLS["POST /api/buttons/"],
    "attachments": CALLS["POST /api/attachments/"],
    "token_usage": {"model": '"m"', "prompt_tokens": "1", "total_tokens": "2", "cached_tokens": "0"},
    "feedback": {
        "created_at": "null",
        "sentiment": '"positive"',
        "comment": '"c"',
        "source": '"customer"',
        "message": "null",
    },
}


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


def text(fields: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"


def names(errors: dict[str, Any], field: str) -> bool:
    return any(name == field or name.startswith(f"{field}.") for name in errors)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_value_is_named_and_nothing_of_the_call_is_stored(client: httpx.Client, call: str) -> None:
    method, path, *_ = call.split(" ")
    number = client.post("/api/conversations/", json={"conversation_id": "c"}).json()["id"]
    path, fields = path.format(id=number), CALLS[call]
    if fields.get("conversation", "null") != "null":
        fields = fields | {"conversation": str(number)}
    right = client.request(method, path, content=text(fields), headers=JSON)
    assert right.status_code in {200, 201}, right.text
    taken = [right]
    for field in [*fields, "colour"]:
        for value in VALUES:
            answer = client.request(method, path, content=text(fields | {field: value}), headers=JSON)
            if answer.status_code < 300:
                assert field != "colour", "a field that is not known is told"
                taken.append(answer)
                continue
            assert answer.status_code in {400, 404}, (field, value[:60], answer.text)
            if answer.status_code == 400:
                said = answer.json()
                # Without a criterion it is the whole that lacks one.
                nothing_named = path == "/api/erasures/" and value == "null"
                assert names(said, field) or nothing_named, (field, value[:60], said)
    totals = client.get("/api/ingest/ledger/").json()["totals"]
    begun = sum(answer.status_code == 201 for answer in taken) if path == "/api/conversations/" else 0
    items = 0 if path.startswith(MANAGING) else len(taken)
    assert totals["accepted"] == items
    if path.startswith(MANAGING):
        assert totals["conversations"] == 1 + begun


@pytest.mark.parametrize("kind", ITEMS)
def test_a_wrong_item_is_named_and_its_neighbour_stored(client: httpx.Client, kind: str) -> None:
    fields = {
        "id": "null",
        **{name: value for name, value in ITEMS[kind].items() if "conversation" not in name},
    }
    neighbour = '{"type": "message", "sender": "agent", "content": "y"}'
    for field in [*fields, "type", "colour"]:
        wrong = [text({"type": f'"{kind}"'} | fields | {field: value}) for value in VALUES]
        body = (
            f'{{"conversations": [{{"conversation_id": "c", "items": [{", ".join([*wrong, neighbour])}]}}]}}'
        )
        answer = client.post("/api/ingest/batch/", content=body, headers=JSON)
        assert answer.status_code == 200, answer.text
        *judged, last = answer.json()["conversations"][0]["items"]
        assert last["success"]
        for value, each in zip(VALUES, judged, strict=True):
            assert each["success"] or names(each["errors"], field), (field, value[:60], each)
            assert field not in {"colour", "type"} or not each["success"]
