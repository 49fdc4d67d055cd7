"""The ingest key is in the hands of every visitor: it reads nothing, and plants nothing that passes for others'."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import Agent, ServerProcess

SECRET = "s3cret"
FILE = {"filename": "a.txt", "mime_type": "text/plain", "data": base64.b64encode(b"bytes").decode()}

# Each writing call, with a body that names its conversation by `name`.
CALLS: dict[str, Any] = {
    "conversations": {},
    "track": {"content": "hello", "sender": "end_user"},
    "track as a pair": {"question": "Why?", "answer": "So."},
    "action_logs": {"action_name": "look_up"},
    "action_logs of tokens": {"action_name": "token_usage", "metadata": {"prompt_tokens": 3}},
    "buttons": {"button_event": "choice", "label": "Yes", "value": "yes"},
    "attachments": {"attachments": [FILE]},
    "conversation-feedbacks": {"sentiment": "negative"},
}


def path_of(call: str) -> str:
    return f"/api/{call.split()[0]}/"


@pytest.fixture(scope="module")
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def owner(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


@pytest.fixture
def widget(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client("ingest") as client:
        yield client


@pytest.fixture
def known(owner: httpx.Client) -> tuple[str, int]:
    """A conversation of the bot's own side, full of what nobody else should see: its text id and number."""
    name = f"known-{uuid.uuid4().hex}"
    made = owner.post(
        "/api/conversations/",
        json={
            "conversation_id": name,
            "source": SECRET,
            "customer_ip_address": "81.2.69.142",
            "metadata": {"phone": SECRET},
        },
    )
    owner.post("/api/track/", json={"conversation_id": name, "content": SECRET, "sender": "end_user"})
    owner.post(
        "/api/attachments/",
        json={"conversation_id": name, "attachments": [{**FILE, "filename": f"{SECRET}.txt"}]},
    )
    return name, made.json()["id"]


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_holds_the_three_fields_and_nothing_else(
    widget: httpx.Client, owner: httpx.Client, known: tuple[str, int], call: str
) -> None:
    fresh = f"fresh-{uuid.uuid4().hex}"
    for name, created in ((fresh, True), (fresh, False), (known[0], False)):
        answer = widget.post(path_of(call), json={"conversation_id": name, **CALLS[call]})
        assert answer.status_code == (200 if call == "conversations" and not created else 201), answer.text
        assert set(answer.json()) == {"id", "conversation_id", "created"}
        assert answer.json()["conversation_id"] == name
        assert answer.json()["created"] is created
        assert SECRET not in answer.text
        full = owner.post(path_of(call), json={"conversation_id": name, **CALLS[call]}).json()
        assert len(full) > 3, "a write key is answered in full"


def test_files_in_a_form_are_answered_with_no_address(widget: httpx.Client, known: tuple[str, int]) -> None:
    answer = widget.post(
        "/api/attachments/",
        data={"conversation_id": known[0]},
        files={"attachment_0": ("page.html", b"<h1>hosted</h1>", "text/html")},
    )
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "conversation_id", "created"}


def test_a_batch_is_answered_with_what_was_sent(widget: httpx.Client, known: tuple[str, int]) -> None:
    item = {"type": "message", "id": str(uuid.uuid4()), "sender": "end_user", "content": "hi"}
    wrong = {"type": "message", "sender": "nobody", "content": "hi"}
    body = {"conversations": [{"conversation_id": known[0], "items": [item, wrong]}]}
    for duplicate in (False, True):
        answer = widget.post("/api/ingest/batch/", json=body)
        (outcome,) = answer.json()["conversations"]
        assert set(outcome) == {"conversation_id", "id", "created", "success", "errors", "items"}
        assert (outcome["conversation_id"], outcome["created"], outcome["errors"]) == (known[0], False, None)
        for each in outcome["items"]:
            assert set(each) == {"index", "id", "uuid", "type", "success", "duplicate", "errors"}
        assert [each["duplicate"] for each in outcome["items"]] == [duplicate, False]
        assert SECRET not in answer.text


@pytest.mark.parametrize("call", [call for call in CALLS if call != "conversations"])
def test_a_number_names_no_conversation(
    widget: httpx.Client, owner: httpx.Client, known: tuple[str, int], call: str
) -> None:
    name, number = known
    before = owner.get(f"/api/conversations/{number}/").json()
    refused = []
    for reference in (number, str(number), 999_999_999, 0, -1, 2**70):
        for beside in ({}, {"conversation_id": name}):
            answer = widget.post(path_of(call), json={"conversation": reference, **beside, **CALLS[call]})
            refused.append(answer.text)
            assert answer.status_code == 403, answer.text
            assert list(answer.json()) == ["conversation"]
    assert len(set(refused)) == 1, "what is there and what is not look the same"
    after = owner.get(f"/api/conversations/{number}/").json()
    for file in (*_files(before), *_files(after)):
        del file["file_url"]  # signed anew each time
    assert after == before


def _files(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    return [file for message in conversation["messages"] for file in message["attachments"]]


def test_a_number_in_a_form_names_none_either(widget: httpx.Client, known: tuple[str, int]) -> None:
    answer = widget.post(
        "/api/attachments/",
        data={"conversation": str(known[1])},
        files={"attachment_0": ("a.txt", b"bytes", "text/plain")},
    )
    assert answer.status_code == 403
    assert list(answer.json()) == ["conversation"]


@pytest.mark.parametrize("nothing", [None, "None", "null", "", " None "])
def test_no_number_beside_the_text_id_is_fine(widget: httpx.Client, nothing: str | None) -> None:
    body = {"conversation": nothing, "conversation_id": "beside", "content": "x", "sender": "end_user"}
    assert widget.post("/api/track/", json=body).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"), [("is_marked", True), ("is_offered", True), ("deleted_at", "2026-01-01T00:00:00Z")]
)
def test_what_only_the_owners_side_can_say_is_refused(
    widget: httpx.Client, owner: httpx.Client, field: str, value: Any
) -> None:
    name = f"planted-{uuid.uuid4().hex}"
    item = {"type": "message", "sender": "end_user", "content": "hi"}
    body = {
        "conversations": [{"conversation_id": name, field: value, "items": [item]}, {"conversation_id": name}]
    }
    refused, stored = widget.post("/api/ingest/batch/", json=body).json()["conversations"]
    assert (refused["success"], list(refused["errors"]), refused["id"]) == (False, [field], None)
    assert refused["items"][0]["success"] is False
    assert stored["success"] is True, "the others are stored"
    number = owner.get("/api/conversations/lookup/", params={"conversation_id": name}).json()["id"]
    found = owner.get(f"/api/conversations/{number}/").json()
    assert (found["is_marked"], found["is_deleted"], found["messages"]) == (False, False, [])
    assert owner.post("/api/ingest/batch/", json=body).json()["conversations"][0]["success"] is True


def test_nobody_speaks_as_the_platform(widget: httpx.Client, owner: httpx.Client) -> None:
    name = f"forged-{uuid.uuid4().hex}"
    votes = [
        {"type": "feedback", "sentiment": "positive", "source": "platform"},
        {"type": "feedback", "sentiment": "positive", "source": "customer"},
    ]
    body = {"conversations": [{"conversation_id": name, "items": votes, "feedbacks": [votes[0]]}]}
    (outcome,) = widget.post("/api/ingest/batch/", json=body).json()["conversations"]
    assert [each["success"] for each in outcome["items"]] == [False, True, False]
    assert list(outcome["items"][0]["errors"]) == ["source"]
    single = {"conversation_id": name, "sentiment": "positive", "source": "platform"}
    assert widget.post("/api/conversation-feedbacks/", json=single).status_code in {201, 400, 403}
    found = owner.get(f"/api/conversations/{outcome['id']}/").json()
    assert {each["source"] for each in found["feedbacks"]} == {"customer"}


def test_it_fills_what_it_began_itself_and_nothing_of_others(
    widget: httpx.Client, owner: httpx.Client, known: tuple[str, int], server: ServerProcess
) -> None:
    given = {"name": "Planted", "customer_id": "ceo@example.com", "metadata": {"planted": True}}
    name, number = known
    for body in ({"conversation_id": name, **given}, {"conversation_id": f"own-{name}"}):
        assert widget.post("/api/conversations/", json=body).status_code in {200, 201}
    body = {
        "conversations": [{"conversation_id": name, **given}, {"conversation_id": f"own-{name}", **given}]
    }
    theirs, own = widget.post("/api/ingest/batch/", json=body).json()["conversations"]
    assert theirs["success"]
    assert own["success"]
    found = owner.get(f"/api/conversations/{number}/").json()
    assert (found["name"], found["customer_id"], found["metadata"]) == (None, None, {"phone": SECRET})
    found = owner.get(f"/api/conversations/{own['id']}/").json()
    assert (found["name"], found["customer_id"]) == ("Planted", "ceo@example.com")
    assert found["metadata"] == {"planted": True}
    owner.post("/api/conversations/", json={"conversation_id": name, **given})
    assert owner.get(f"/api/conversations/{number}/").json()["name"] == "Planted", "a write key fills all"


def test_a_refusal_tells_nothing_that_is_stored(widget: httpx.Client, known: tuple[str, int]) -> None:
    name, number = known
    bodies: list[Any] = [
        {"conversation": number},
        {"conversation_id": name, "content": "", "sender": "x"},
        {"conversation_id": name, "sentiment": "great"},
        {"conversation_id": [name]},
        {"conversation_id": name, "attachments": [], "message": number},
        {"conversation_id": name, "device": "fridge"},
    ]
    for call in CALLS:
        for body in bodies:
            answer = widget.post(path_of(call), json=body)
            assert SECRET not in answer.text
            if answer.status_code < 300:
                assert set(answer.json()) == {"id", "conversation_id", "created"}


def test_it_reads_nothing(widget: httpx.Client, known: tuple[str, int]) -> None:
    name, number = known
    for path in (
        "/api/conversations/",
        f"/api/conversations/{number}/",
        f"/api/conversations/{number}/attachments/",
        f"/api/conversations/lookup/?conversation_id={name}",
        "/api/export/",
        "/api/analytics/",
        "/api/ingest/ledger/",
    ):
        answer = widget.get(path)
        assert answer.status_code == 403, path
        assert SECRET not in answer.text


def test_what_it_is_not_allowed_is_counted_for_the_owner(server: ServerProcess) -> None:
    agent = server.agent()
    with agent.client("ingest") as widget, agent.client("read") as reader:
        widget.post("/api/track/", json={"conversation": 1, "content": "x", "sender": "end_user"})
        widget.post("/api/track/", json={"conversation_id": "after", "content": "x", "sender": "end_user"})
        days = reader.get("/api/ingest/ledger/").json()["days"]
        while not days or not days[0]["refused"]:
            days = reader.get("/api/ingest/ledger/").json()["days"]
    [reason] = days[0]["reasons"]
    assert (reason["field"], reason["code"], reason["count"]) == ("conversation", "by_number", 1)
    assert reason["example"].startswith("by number is for a key with the role write")


def test_files_join_messages_of_conversations_that_it_began(
    widget: httpx.Client, owner: httpx.Client, known: tuple[str, int]
) -> None:
    name, number = known
    theirs = owner.get(f"/api/conversations/{number}/").json()["messages"][0]["id"]
    own = widget.post(
        "/api/track/", json={"conversation_id": f"own-{name}", "content": "x", "sender": "end_user"}
    ).json()["id"]
    files = {"attachments": [FILE]}
    for reference, message, status in (
        ({"conversation_id": f"own-{name}"}, own, 201),
        ({"conversation_id": name}, theirs, 404),
        ({"conversation_id": f"own-{name}"}, theirs, 404),
        ({}, own, 400),
        ({"conversation": number}, theirs, 403),
    ):
        answer = widget.post("/api/attachments/", json={**reference, **files, "message": message})
        assert answer.status_code == status, answer.text
    assert len(_files(owner.get(f"/api/conversations/{number}/").json())) == 1
