"""Writing over HTTP, one at a time and in bulk, against a real server on each engine."""

from __future__ import annotations

import base64
import gc
import gzip
import json
import uuid
from types import FunctionType, ModuleType
from typing import Any

import httpx
import pytest

from agentsight_server.ingest.batch import Batch
from agentsight_server.ingest.normalise import Normaliser
from agentsight_server.ingest.request_schemas import MessageIn
from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent):
    with agent.client() as client:
        yield client


def conversation(client: httpx.Client, number: int) -> dict[str, Any]:
    answer = client.get(f"/api/conversations/{number}/")
    assert answer.status_code == 200
    return answer.json()


def test_begin_a_conversation(client: httpx.Client) -> None:
    body = {
        "conversation_id": "c1", "customer_id": "anna", "customer_ip_address": "8.8.8.8", "device": "mobile",
        "source": "web", "language": "en-US", "name": "First", "environment": "development",
        "metadata": {"tier": "pro", "deep": {"er": [1, 2.5, None, True]}}, "timestamp": "2026-03-01T10:00:00+01:00",
    }  # fmt: skip
    created = client.post("/api/conversations/", json=body)
    assert created.status_code == 201
    found = created.json()
    assert isinstance(found["id"], int)
    assert found["started_at"] == "2026-03-01T09:00:00.000000Z"
    assert found["geo_location"]["country"] == "US"
    assert found["is_used"] is True
    assert {name: found[name] for name in ("metadata", "customer_id", "device", "environment", "name")} == {
        name: body[name] for name in ("metadata", "customer_id", "device", "environment", "name")
    }
    again = client.post(
        "/api/conversations/", json={"conversation_id": "c1", "device": "desktop", "metadata": {"x": 1}}
    )
    assert again.status_code == 200
    assert again.json()["id"] == found["id"]
    assert again.json()["device"] == "mobile"
    assert again.json()["metadata"] == body["metadata"] | {"x": 1}


def test_offered_then_engaged(client: httpx.Client) -> None:
    offered = client.post("/api/conversations/", json={"conversation_id": "c1", "is_used": False}).json()
    assert offered["is_used"] is False
    client.post("/api/track/", json={"conversation": offered["id"], "content": "hi", "sender": "end_user"})
    assert conversation(client, offered["id"])["is_used"] is True


@pytest.mark.parametrize("named", ["number", "digits", "none", "null", "text"])
def test_every_way_to_name_the_conversation(client: httpx.Client, named: str) -> None:
    number = client.post("/api/conversations/", json={"conversation_id": "c1"}).json()["id"]
    reference: dict[str, Any] = {
        "number": {"conversation": number},
        "digits": {"conversation": str(number)},
        "none": {"conversation": "None", "conversation_id": "c1"},
        "null": {"conversation": None, "conversation_id": "c1"},
        "text": {"conversation_id": "c1"},
    }[named]
    written = client.post("/api/track/", json={**reference, "content": "hello", "sender": "end_user"})
    assert written.status_code == 201
    assert written.json()["conversation"] == number
    assert [message["content"] for message in conversation(client, number)["messages"]] == ["hello"]


def test_a_write_makes_the_conversation_it_names(client: httpx.Client) -> None:
    written = client.post(
        "/api/buttons/", json={"conversation_id": "new", "button_event": "e", "label": "l", "value": "v"}
    )
    assert written.status_code == 201
    assert conversation(client, written.json()["conversation"])["conversation_id"] == "new"


def test_question_and_answer_in_one_call(client: httpx.Client) -> None:
    written = client.post(
        "/api/track/", json={"conversation_id": "c1", "question": "Open?", "answer": "Until ten."}
    )
    assert written.status_code == 201
    messages = conversation(client, written.json()["conversation"])["messages"]
    assert [(each["sender"], each["content"]) for each in messages] == [
        ("end_user", "Open?"),
        ("agent", "Until ten."),
    ]
    assert written.json()["id"] == messages[1]["id"]


def test_a_tool_call_stands_in_the_transcript(client: httpx.Client) -> None:
    body = {
        "conversation_id": "c1", "action_name": "check_database", "started_at": "2026-03-01T10:00:00Z",
        "ended_at": "2026-03-01T10:00:00.150Z", "tools_used": {"table": "orders"}, "response": [1, {"a": None}],
        "error_msg": "slow", "metadata": {"m": 1},
    }  # fmt: skip
    written = client.post("/api/action_logs/", json=body)
    assert written.status_code == 201
    assert written.json()["duration_ms"] == 150
    message = conversation(client, written.json()["conversation"])["messages"][0]
    assert message["sender"] == "agent"
    assert message["content"] == "Action check_database performed"
    assert message["action_name"] == "check_database"
    log = message["action_logs"][0]
    assert log["tools_used"] == {"table": "orders"}
    assert log["response"] == [1, {"a": None}]
    assert log["error_message"] == "slow"
    assert log["metadata"] == {"m": 1}


def test_token_usage_as_an_action_is_token_usage(client: httpx.Client) -> None:
    counts = {
        "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "embedding_tokens": 1, "cached_tokens": 2,
        "cache_write_tokens": 3, "input_audio_tokens": 4, "reasoning_tokens": 6, "output_audio_tokens": 1,
    }  # fmt: skip
    written = client.post(
        "/api/action_logs/", json={"conversation_id": "c1", "action_name": "token_usage", "metadata": counts}
    )
    assert written.status_code == 201
    found = conversation(client, written.json()["conversation"])
    assert found["token_usage"] == counts
    assert found["messages"] == []


PARTS = (
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
)


def test_kinds_of_tokens_in_a_batch_add_up(client: httpx.Client) -> None:
    usage = {"type": "token_usage", "model": "gpt-4o", "prompt_tokens": 100, "completion_tokens": 50}
    parts = dict(zip(PARTS, (60, 40, 100, 50, 50), strict=True))
    items = [usage, usage | parts, usage | {"cached_tokens": None, "reasoning_tokens": 1}]
    body = {"conversations": [{"conversation_id": "c1", "items": items}]}
    [outcome] = client.post("/api/ingest/batch/", json=body).json()["conversations"]
    assert all(each["success"] for each in outcome["items"]), outcome
    found = conversation(client, outcome["id"])["token_usage"]
    assert (found["prompt_tokens"], found["total_tokens"]) == (300, 450)
    assert {name: found[name] for name in PARTS} == parts | {"reasoning_tokens": 51}


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"cached_tokens": 101}, "cached_tokens"),
        ({"cached_tokens": 60, "cache_write_tokens": 41}, "cached_tokens"),
        ({"input_audio_tokens": 101}, "input_audio_tokens"),
        ({"reasoning_tokens": 51}, "reasoning_tokens"),
        ({"output_audio_tokens": 51}, "output_audio_tokens"),
        ({"cached_tokens": -1}, "cached_tokens"),
        ({"cached_tokens": 1.5}, "cached_tokens"),
        ({"prompt_tokens": 10**9 + 1}, "prompt_tokens"),
    ],
)
def test_wrong_kinds_of_tokens_are_named(client: httpx.Client, parts: dict[str, Any], field: str) -> None:
    usage = {"type": "token_usage", "prompt_tokens": 100, "completion_tokens": 50, **parts}
    body = {"conversations": [{"conversation_id": "c1", "items": [usage]}]}
    [outcome] = client.post("/api/ingest/batch/", json=body).json()["conversations"]
    assert list(outcome["items"][0]["errors"]) == [field]
    action = {"conversation_id": "c1", "action_name": "token_usage", "metadata": usage}
    assert client.post("/api/action_logs/", json=action).status_code == 400


def test_a_click_stands_in_the_transcript(client: httpx.Client) -> None:
    body = {
        "conversation_id": "c1",
        "button_event": "after_chat",
        "label": "Yes",
        "value": "yes",
        "metadata": {"p": 2},
    }
    written = client.post("/api/buttons/", json=body)
    assert written.status_code == 201
    message = conversation(client, written.json()["conversation"])["messages"][0]
    assert message["sender"] == "end_user"
    button = message["button"]
    assert {name: button[name] for name in ("button_event", "label", "value", "metadata")} == {
        name: body[name] for name in ("button_event", "label", "value", "metadata")
    }


def test_files_as_base64_come_back_byte_for_byte(client: httpx.Client) -> None:
    data = bytes(range(256)) * 3
    body = {
        "conversation_id": "c1", "mode": "base64", "sender": "agent", "message": "Here you are",
        "attachments": [{"filename": "../../etc/päss wd.png", "mime_type": "image/png",
                         "data": base64.b64encode(data).decode()}],
    }  # fmt: skip
    written = client.post("/api/attachments/", json=body)
    assert written.status_code == 201
    stored = written.json()["attachments"][0]
    assert stored["type"] == "image"
    assert stored["size_bytes"] == len(data)
    assert "/" not in stored["filename"]
    served = httpx.get(stored["file_url"])
    assert served.status_code == 200
    assert served.content == data
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    part = httpx.get(stored["file_url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    message = conversation(client, written.json()["conversation"])["messages"][0]
    assert message["content"] == "Here you are"
    assert message["attachments"][0]["id"] == stored["id"]


def test_files_join_the_message_whose_number_is_given(server: ServerProcess, client: httpx.Client) -> None:
    sent = {"conversation_id": "c1", "content": "See this", "sender": "end_user", "metadata": {"a": 1}}
    written = client.post("/api/track/", json=sent).json()
    number, place = written["id"], written["conversation"]
    file = {"filename": "a.txt", "mime_type": "text/plain", "data": base64.b64encode(b"first").decode()}
    # Twice, as a client does whose first answer was lost.
    for name in ({"conversation": place}, {"conversation_id": "c1"}):
        body = name | {"message": number, "attachments": [file], "metadata": {"a": 2, "b": 3}}
        joined = client.post("/api/attachments/", json=body)
        assert joined.status_code == 201, joined.text
        assert (joined.json()["message_id"], joined.json()["sender"]) == (number, "end_user")
        assert [each["filename"] for each in joined.json()["attachments"]] == ["a.txt"]
    form = {"conversation": str(place), "message": str(number), "sender": "agent"}
    second = {"attachment_0": ("b.txt", b"second", "text/plain")}
    assert client.post("/api/attachments/", data=form, files=second).json()["message_id"] == number
    [message] = conversation(client, place)["messages"]
    assert (message["content"], message["sender"]) == ("See this", "end_user")
    assert message["metadata"] == {"a": 1, "b": 3}
    assert [httpx.get(each["file_url"]).text for each in message["attachments"]] == ["first", "second"]
    # A text beside files is one as ever.
    texted = client.post(
        "/api/attachments/", json={"conversation": place, "message": "No. 12", "attachments": [file]}
    )
    assert texted.json()["message_id"] != number
    assert [each["content"] for each in conversation(client, place)["messages"]] == ["See this", "No. 12"]


def test_files_join_no_message_of_anybody_else(
    server: ServerProcess, agent: Agent, client: httpx.Client
) -> None:
    def write(to: httpx.Client, name: str) -> dict[str, Any]:
        body = {"conversation_id": name, "content": "mine", "sender": "agent"}
        return dict(to.post("/api/track/", json=body).json())

    mine = write(client, "c1")
    elsewhere = write(client, "c2")
    click = {"conversation_id": "c1", "button_event": "e", "label": "l", "value": "v"}
    button = client.post("/api/buttons/", json=click).json()
    with server.agent().client() as other:
        theirs = write(other, "c1")
    file = {"filename": "a.txt", "mime_type": "text/plain", "data": base64.b64encode(b"x").decode()}
    for number in (elsewhere["id"], theirs["id"], button["id"], 0, -1, 2**58, 10**25):
        for name in ({"conversation": mine["conversation"]}, {"conversation_id": "c1"}):
            body = name | {"message": number, "attachments": [file]}
            answer = client.post("/api/attachments/", json=body)
            assert answer.status_code == 404, answer.text
            form = {key: str(value) for key, value in body.items() if key != "attachments"}
            files = {"attachment_0": ("a.txt", b"x", "text/plain")}
            if number >= 0:
                assert client.post("/api/attachments/", data=form, files=files).status_code == 404
    body = {"conversation_id": "never", "message": mine["id"], "attachments": [file]}
    assert client.post("/api/attachments/", json=body).status_code == 404
    assert client.get("/api/conversations/", params={"conversation_id": "never"}).json()["count"] == 0
    for place in (mine["conversation"], elsewhere["conversation"]):
        assert client.get(f"/api/conversations/{place}/attachments/").json()["total_attachments"] == 0
    # A key that is public may not try numbers.
    with agent.client("ingest") as public:
        refused = public.post("/api/attachments/", json={"message": mine["id"], "attachments": [file]})
    assert (refused.status_code, list(refused.json())) == (400, ["conversation_id"])


_SINGLE: dict[str, dict[str, Any]] = {
    "/api/conversations/": {"conversation_id": "c1"},
    "/api/track/": {"conversation_id": "c1", "content": "x", "sender": "agent"},
    "/api/action_logs/": {"conversation_id": "c1", "action_name": "check"},
    "/api/buttons/": {"conversation_id": "c1", "button_event": "e", "label": "l", "value": "v"},
    "/api/attachments/": {"conversation_id": "c1", "attachments": [{"filename": "a.txt", "data": "eA=="}]},
    "/api/conversation-feedbacks/": {"conversation_id": "c1", "sentiment": "positive"},
}


@pytest.mark.parametrize("path", _SINGLE)
def test_fields_that_are_not_known_are_named(client: httpx.Client, path: str) -> None:
    body = _SINGLE[path]
    refused = client.post(path, json=body | {"enviroment": "development"})
    assert (refused.status_code, list(refused.json())) == (400, ["enviroment"])
    assert "conversation_id" in refused.json()["enviroment"][0]
    assert client.get("/api/conversations/").json()["count"] == 0
    assert client.post(path, json=body).status_code == 201


def test_unknown_fields_deeper_in_a_body_are_named(client: httpx.Client) -> None:
    file = {"filename": "a.txt", "data": "eA==", "mimetype": "text/plain"}
    refused = client.post("/api/attachments/", json={"conversation_id": "c", "attachments": [file]})
    assert (refused.status_code, list(refused.json())) == (400, ["attachments.0.mimetype"])
    form = {"conversation_id": "c", "colour": "red"}
    refused = client.post(
        "/api/attachments/", data=form, files={"attachment_0": ("a.txt", b"x", "text/plain")}
    )
    assert (refused.status_code, list(refused.json())) == (400, ["colour"])
    number = client.post("/api/conversations/", json={"conversation_id": "c"}).json()["id"]
    for method, path, body in (
        ("POST", "mark", {"is_marked": True}),
        ("PATCH", "rename", {"name": "n"}),
        ("PATCH", "update", {"name": "n"}),
    ):
        refused = client.request(method, f"/api/conversations/{number}/{path}/", json=body | {"nmae": "n"})
        assert (refused.status_code, list(refused.json())) == (400, ["nmae"]), path
    assert conversation(client, number)["name"] is None
    strange = "`" * 5_000 + " - at `$.x`"
    refused = client.post("/api/track/", content=json.dumps({"conversation_id": "c", strange: 1}))
    assert refused.status_code == 400
    assert len(refused.text) < 1_000


def test_unknown_fields_in_a_batch_refuse_what_has_them(client: httpx.Client) -> None:
    message = {"type": "message", "sender": "agent", "content": "x"}
    conversations = [
        {"conversation_id": "a", "items": [message, message | {"colour": "red"}]},
        {"conversation_id": "b", "items": [message], "enviroment": "development"},
        {"conversation_id": "c", "items": [message]},
    ]
    answer = client.post("/api/ingest/batch/", json={"conversations": conversations})
    first, second, third = answer.json()["conversations"]
    assert [each["success"] for each in first["items"]] == [True, False]
    assert first["items"][1]["errors"] == {"colour": ["is not known here"]}
    assert (second["success"], list(second["errors"])) == (False, ["enviroment"])
    assert third["success"]
    refused = client.post("/api/ingest/batch/", json={"conversations": [], "colour": "red"})
    assert (refused.status_code, list(refused.json())) == (400, ["colour"])
    [reason] = client.get("/api/ingest/ledger/").json()["totals"]["reasons"]
    assert (reason["field"], reason["code"], reason["count"]) == ("other", "unknown_field", 2)
    assert reason["example"].startswith("a field is not known here, such as "), "it names what is misspelt"


def test_files_as_a_form_keep_their_order(client: httpx.Client) -> None:
    files = {f"attachment_{n}": (f"{n}.txt", f"file {n}".encode(), "text/plain") for n in (0, 1, 2, 10)}
    fields = {"conversation": "None", "conversation_id": "c1", "sender": "end_user", "mode": "form_data",
              "metadata": '{"k": "v"}', "timestamp": "2026-03-01T10:00:00Z"}  # fmt: skip
    written = client.post("/api/attachments/", data=fields, files=files)
    assert written.status_code == 201
    answer = written.json()
    assert [each["filename"] for each in answer["attachments"]] == ["0.txt", "1.txt", "2.txt", "10.txt"]
    assert answer["timestamp"] == "2026-03-01T10:00:00.000000Z"
    listed = client.get(f"/api/conversations/{answer['conversation']}/attachments/").json()
    assert listed["total_attachments"] == 4
    assert listed["conversation_id"] == "c1"
    assert listed["messages"][0]["attachments"][3]["type"] == "text"
    assert httpx.get(listed["messages"][0]["attachments"][3]["file_url"]).text == "file 10"
    assert conversation(client, answer["conversation"])["messages"][0]["metadata"] == {"k": "v"}


def test_a_web_page_as_a_file_is_never_shown_as_one(client: httpx.Client) -> None:
    files = {"attachment_0": ("x.html", b"<script>alert(1)</script>", "text/html")}
    stored = client.post("/api/attachments/", data={"conversation_id": "c1"}, files=files).json()[
        "attachments"
    ][0]
    served = httpx.get(stored["file_url"])
    assert served.headers["content-type"].split(";")[0] in {"application/octet-stream", "text/plain"}
    assert (
        served.headers["content-disposition"].startswith("attachment")
        or "text/plain" in served.headers["content-type"]
    )


def test_a_link_to_a_file_cannot_be_made_up(client: httpx.Client) -> None:
    files = {"attachment_0": ("x.txt", b"secret", "text/plain")}
    url = client.post("/api/attachments/", data={"conversation_id": "c1"}, files=files).json()["attachments"][
        0
    ]["file_url"]
    assert httpx.get(url.replace("signature=", "signature=x")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403
    expires = url.partition("expires=")[2].partition("&")[0]
    assert httpx.get(url.replace(expires, str(int(expires) + 9999))).status_code == 403


def test_feedback_from_a_key_is_the_customers(client: httpx.Client) -> None:
    body = {"conversation_id": "c1", "sentiment": "positive", "comment": "Great", "metadata": {"stars": 5}}
    written = client.post("/api/conversation-feedbacks/", json=body)
    assert written.status_code == 201
    feedback = written.json()
    assert feedback["source"] == "customer"
    found = conversation(client, feedback["conversation"])
    assert found["feedbacks"] == [feedback]
    assert found["messages"] == []
    assert feedback["metadata"] == {"stars": 5}


def batch(*conversations: dict[str, Any]) -> dict[str, Any]:
    return {"conversations": list(conversations)}


def message(content: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "type": "message", "sender": "end_user", "content": content, **more}


def test_a_batch_stores_everything_and_answers_in_order(client: httpx.Client) -> None:
    sent = batch(
        {
            "conversation_id": "c1", "device": "tablet", "started_at": "2026-03-01T10:00:00Z",
            "items": [
                message("hi", timestamp="2026-03-01T10:00:01Z"),
                {"type": "action", "action_name": "t", "duration_ms": 4, "timestamp": "2026-03-01T10:00:02Z"},
                {"type": "button", "button_event": "e", "label": "l", "value": "v",
                 "timestamp": "2026-03-01T10:00:03Z"},
                {"type": "attachments", "timestamp": "2026-03-01T10:00:04Z",
                 "attachments": [{"filename": "a.txt", "data": base64.b64encode(b"a").decode()}]},
                {"type": "token_usage", "prompt_tokens": 1, "completion_tokens": 2, "model": "gpt-4o"},
                {"type": "feedback", "sentiment": "negative"},
            ],
        },
        {"conversation_id": "c2"},
    )  # fmt: skip
    answer = client.post("/api/ingest/batch/", content=gzip.compress(json.dumps(sent).encode()),
                         headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})  # fmt: skip
    assert answer.status_code == 200
    first, second = answer.json()["conversations"]
    assert [each["type"] for each in first["items"]] == [
        "message", "action", "button", "attachments", "token_usage", "feedback",
    ]  # fmt: skip
    assert all(each["success"] and isinstance(each["id"], int) for each in first["items"])
    assert second["created"]
    assert second["items"] == []
    found = conversation(client, first["id"])
    assert [each["content"] for each in found["messages"]] == ["hi", "Action t performed", "l", ""]
    assert found["token_usage"]["total_tokens"] == 3
    assert found["feedbacks"][0]["sentiment"] == "negative"
    assert found["started_at"] == "2026-03-01T10:00:00.000000Z"


def test_a_batch_sent_twice_is_stored_once(client: httpx.Client) -> None:
    sent = batch({"conversation_id": "c1", "items": [message("a"), message("b")]})
    first = client.post("/api/ingest/batch/", json=sent).json()["conversations"][0]
    second = client.post("/api/ingest/batch/", json=sent).json()["conversations"][0]
    assert [each["duplicate"] for each in first["items"]] == [False, False]
    assert [each["duplicate"] for each in second["items"]] == [True, True]
    assert [each["id"] for each in first["items"]] == [each["id"] for each in second["items"]]
    assert all(each["success"] for each in second["items"])
    assert len(conversation(client, first["id"])["messages"]) == 2


def test_what_is_wrong_in_a_batch_is_named_and_the_rest_is_stored(client: httpx.Client) -> None:
    sent = batch(
        {"conversation_id": "bad", "device": "fridge", "items": [message("lost")]},
        {
            "conversation_id": "good",
            "items": [
                message("kept"),
                message("   "),
                {"type": "action", "action_name": "t", "duration_ms": -1},
                {"type": "wish"},
                message("late", timestamp="yesterday"),
                {"type": "attachments", "attachments": [{"filename": "a", "data": "%%%"}]},
                message("no id") | {"id": "17"},
                message("nul \0"),
                [],
            ],
        },
        {"items": []},
        "nothing",
    )
    answer = client.post("/api/ingest/batch/", json=sent)
    assert answer.status_code == 200
    bad, good, nameless, nothing = answer.json()["conversations"]
    assert not bad["success"]
    assert list(bad["errors"]) == ["device"]
    assert not bad["items"][0]["success"]
    assert [list(each["errors"] or []) for each in good["items"]] == [
        [], ["content"], ["duration_ms"], ["type"], ["timestamp"], ["attachments.0.data"], ["id"], ["content"],
        ["detail"],
    ]  # fmt: skip
    assert list(nameless["errors"]) == ["conversation_id"]
    assert not nothing["success"]
    assert [each["content"] for each in conversation(client, good["id"])["messages"]] == ["kept"]
    assert client.get("/api/conversations/lookup/?conversation_id=bad").status_code == 404


HOSTILE = [
    ("malformed JSON", b'{"conversations": [', 400, "detail"),
    ("no object", b"[]", 400, "detail"),
    ("nothing", b"", 400, "detail"),
    ("no conversations", b"{}", 400, "conversations"),
    ("not UTF-8", b'{"conversations": [{"conversation_id": "\xff"}]}', 400, "detail"),
    ("too deep", b'{"conversations": ' + b"[" * 100_000, 400, "detail"),
]


@pytest.mark.parametrize(("name", "body", "status", "field"), HOSTILE, ids=[each[0] for each in HOSTILE])
def test_a_body_that_cannot_be_read(
    client: httpx.Client, name: str, body: bytes, status: int, field: str
) -> None:
    answer = client.post("/api/ingest/batch/", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert field in answer.json()


BAD = [
    ("/api/conversations/", {"conversation_id": "c", "device": "fridge"}, "device"),
    ("/api/conversations/", {"conversation_id": "c", "environment": "staging"}, "environment"),
    ("/api/conversations/", {"conversation_id": "c", "name": "x" * 300}, "name"),
    ("/api/conversations/", {"conversation_id": "c", "metadata": [1]}, "metadata"),
    ("/api/conversations/", {"conversation_id": "c", "timestamp": "soon"}, "timestamp"),
    ("/api/conversations/", {"conversation_id": "c", "timestamp": "1823-01-01T00:00:00Z"}, "timestamp"),
    ("/api/conversations/", {"conversation_id": ""}, "conversation_id"),
    ("/api/conversations/", {"conversation_id": 5}, "conversation_id"),
    ("/api/conversations/", {}, "conversation_id"),
    ("/api/conversations/", {"conversation_id": "a\0b"}, "conversation_id"),
    ("/api/conversations/", {"conversation_id": "c", "metadata": {"a": {"b": "\0"}}}, "metadata"),
    ("/api/track/", {"conversation_id": "c", "content": "  \n", "sender": "end_user"}, "content"),
    ("/api/track/", {"conversation_id": "c", "content": "x" * 1_048_577, "sender": "end_user"}, "content"),
    ("/api/track/", {"conversation_id": "c", "content": "x"}, "sender"),
    ("/api/track/", {"conversation_id": "c", "sender": "agent"}, "content"),
    ("/api/track/", {"conversation_id": "c", "content": "x", "sender": "robot"}, "sender"),
    ("/api/track/", {"conversation_id": "c", "question": " "}, "question"),
    ("/api/track/", {"content": "x", "sender": "agent"}, "conversation_id"),
    ("/api/track/", {"conversation": "abc", "content": "x", "sender": "agent"}, "conversation"),
    ("/api/action_logs/", {"conversation_id": "c", "action_name": "t", "duration_ms": -5}, "duration_ms"),
    ("/api/action_logs/", {"conversation_id": "c", "action_name": "t", "duration_ms": 1.5}, "duration_ms"),
    ("/api/action_logs/", {"conversation_id": "c", "action_name": " "}, "action_name"),
    ("/api/action_logs/", {"conversation_id": "c", "action_name": "t", "started_at": "2026-01-02T00:00:00Z",
                           "ended_at": "2026-01-01T00:00:00Z"}, "ended_at"),
    ("/api/action_logs/", {"conversation_id": "c", "action_name": "token_usage",
                           "metadata": {"prompt_tokens": -1}}, "metadata"),
    ("/api/buttons/", {"conversation_id": "c", "button_event": "e", "label": "", "value": "v"}, "label"),
    ("/api/buttons/", {"conversation_id": "c", "button_event": "e", "label": "l"}, "value"),
    ("/api/attachments/", {"conversation_id": "c", "attachments": []}, "attachments"),
    ("/api/attachments/", {"conversation_id": "c", "attachments": [{"filename": "a", "data": "no!"}]},
     "attachments.0.data"),
    ("/api/conversation-feedbacks/", {"conversation_id": "c", "sentiment": "great"}, "sentiment"),
    ("/api/conversation-feedbacks/", {"conversation_id": "c", "sentiment": "positive", "comment": "x" * 5001},
     "comment"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "field"), BAD, ids=[f"{path}{field}" for path, _, field in BAD])
def test_bad_input_is_named_and_nothing_is_stored(
    client: httpx.Client, path: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert answer.json()[field][0]
    assert client.get("/api/conversations/?include_deleted=true").json()["count"] == 0


def test_a_lone_surrogate_is_refused(client: httpx.Client) -> None:
    body = b'{"conversation_id": "c", "content": "a \\ud800 b", "sender": "end_user"}'
    answer = client.post("/api/track/", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "surrogate" in answer.json()["content"][0]


def test_a_lone_surrogate_in_a_batch_refuses_its_item_alone(client: httpx.Client) -> None:
    """Text that was cut in the midst of an emoji: usual in browsers, and no reason to lose the rest."""
    body = rb"""{"conversations": [
        {"conversation_id": "c", "items": [
            {"type": "message", "sender": "agent", "content": "cut \ud83d"},
            {"type": "message", "sender": "agent", "content": "whole \ud83d\ude00, a path: C:\\ud800"},
            {"type": "message", "sender": "agent", "content": "x", "metadata": {"a": {"b\uDC00": 1}}}]},
        {"conversation_id": "d\udfff", "items": [{"type": "message", "sender": "agent", "content": "x"}]}]}"""
    answer = client.post("/api/ingest/batch/", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["conversations"]
    assert [each["success"] for each in first["items"]] == [False, True, False]
    assert [list(first["items"][index]["errors"]) for index in (0, 2)] == [["content"], ["metadata"]]
    assert "surrogate" in first["items"][0]["errors"]["content"][0]
    assert list(second["errors"]) == ["conversation_id"]
    [message] = conversation(client, first["id"])["messages"]
    assert message["content"] == "whole \N{GRINNING FACE}, a path: C:\\ud800"


def test_deeply_nested_metadata_is_refused(client: httpx.Client) -> None:
    nested: Any = {}
    for _ in range(70):
        nested = {"a": nested}
    answer = client.post("/api/conversations/", json={"conversation_id": "c", "metadata": nested})
    assert answer.status_code == 400
    assert "64 levels" in answer.json()["metadata"][0]


def test_a_message_of_a_megabyte_is_kept_whole(client: httpx.Client) -> None:
    text = "ž" * 1_000_000
    written = client.post("/api/track/", json={"conversation_id": "c", "content": text, "sender": "end_user"})
    assert written.status_code == 201
    assert conversation(client, written.json()["conversation"])["messages"][0]["content"] == text


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/ingest/batch/", content=b" " * (33 * 1024 * 1024),
                         headers={"Content-Type": "application/json"})  # fmt: skip
    assert answer.status_code == 413


def test_a_gzip_bomb_stops_at_the_limit(client: httpx.Client) -> None:
    bomb = gzip.compress(b" " * (200 * 1024 * 1024))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post("/api/ingest/batch/", content=bomb, headers=headers)
    assert answer.status_code == 413
    broken = client.post("/api/ingest/batch/", content=bomb[: len(bomb) // 2][:100], headers=headers)
    assert broken.status_code == 400
    plain = client.post("/api/ingest/batch/", content=b"{}", headers=headers)
    assert plain.status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip, gzip"},
    ],
)
def test_other_types_and_encodings_are_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post("/api/track/", content=b"{}", headers=headers)
    assert answer.status_code == 415


def test_a_form_with_bad_fields_names_them(client: httpx.Client) -> None:
    files = {"attachment_0": ("x.txt", b"data", "text/plain")}
    for fields, field in [
        ({"conversation_id": "c", "metadata": "{"}, "metadata"),
        ({"conversation_id": "c", "metadata": "[1]"}, "metadata"),
        ({"conversation_id": "c", "timestamp": "soon"}, "timestamp"),
        ({"conversation_id": "c", "sender": "robot"}, "sender"),
        ({"conversation_id": "c", "mode": "pigeon"}, "mode"),
        ({}, "conversation_id"),
    ]:
        answer = client.post("/api/attachments/", data=fields, files=files)
        assert (answer.status_code, list(answer.json())) == (400, [field])
    empty = client.post(
        "/api/attachments/", data={"conversation_id": "c"}, files={"attachment_0": ("x", b"")}
    )
    assert empty.status_code == 400
    assert client.get("/api/conversations/").json()["count"] == 0


def test_what_waits_for_its_answer_does_not_hold_what_was_sent() -> None:
    items = [{"type": "message", "sender": "agent", "content": f"Hi {number}"} for number in range(20)]
    body = json.dumps({"conversations": [{"conversation_id": "c", "items": items}]}).encode()
    batch = Batch(Normaliser(lambda address: None), body)
    assert len(batch.accepted[0].items) == 20
    things, seen = [batch], set[int]()
    while things:
        thing = things.pop()
        assert not isinstance(thing, MessageIn)
        if id(thing) not in seen and not isinstance(thing, (type, ModuleType, FunctionType)):
            seen.add(id(thing))
            things.extend(gc.get_referents(thing))
