"""Feedback: of a conversation or of a message, changed or sent again, before and after what it is about."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from agentsight_server.store import append
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.schema import FEEDBACK
from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent):
    with agent.client() as client:
        yield client


def vote(sentiment: str, **more: Any) -> dict[str, Any]:
    return {"type": "feedback", "id": str(uuid.uuid4()), "sentiment": sentiment} | more


def said(content: str, sender: str = "agent", **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": str(uuid.uuid4()), "sender": sender, "content": content} | more


def send(client: httpx.Client, *items: dict[str, Any], name: str = "c", **fields: Any) -> dict[str, Any]:
    body = {"conversations": [{"conversation_id": name, **fields, "items": items}]}
    answer = client.post("/api/ingest/batch/", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["conversations"][0])


def whole(client: httpx.Client, number: int) -> dict[str, Any]:
    return dict(client.get(f"/api/conversations/{number}/").json())


def standing(client: httpx.Client, number: int) -> list[tuple[str, str | None, int | None]]:
    return [
        (each["sentiment"], each["comment"], each["message"]) for each in whole(client, number)["feedbacks"]
    ]


def test_the_customers_next_vote_takes_the_place_of_the_one_before(client: httpx.Client) -> None:
    first = vote("positive", timestamp="2026-03-01T10:00:00Z", comment="fine", metadata={"n": 1})
    second = vote("negative", timestamp="2026-03-01T10:05:00Z", metadata={"n": 2})
    one = send(client, said("Hi"), first)
    two = send(client, second)
    assert two["items"][0]["id"] == one["items"][1]["id"]
    assert two["items"][0]["duplicate"] is False
    [found] = whole(client, one["id"])["feedbacks"]
    assert (found["sentiment"], found["comment"], found["metadata"]) == ("negative", None, {"n": 2})
    assert (found["created_at"], found["message"]) == ("2026-03-01T10:05:00.000000Z", None)
    # Sent again, whichever: nothing changes.
    for again in (first, second):
        assert send(client, again)["items"][0] | {"uuid": None} == {
            "index": 0, "id": found["id"], "uuid": None, "type": "feedback", "success": True, "duplicate": True,
            "errors": None,
        }  # fmt: skip
    late = vote("neutral", timestamp="2026-03-01T10:04:00Z")
    assert send(client, late)["items"][0]["duplicate"] is True
    assert standing(client, one["id"]) == [("negative", None, None)]


def test_votes_in_one_batch_and_in_calls_one_by_one(client: httpx.Client) -> None:
    votes = [
        vote("positive", timestamp=f"2026-03-01T10:0{minute}:00Z", comment=str(minute))
        for minute in (1, 3, 2)
    ]
    number = send(client, *votes)["id"]
    assert standing(client, number) == [("positive", "3", None)]
    for sentiment in ("negative", "neutral"):
        body = {"conversation": number, "sentiment": sentiment}
        answer = client.post("/api/conversation-feedbacks/", json=body)
        assert (answer.status_code, answer.json()["sentiment"]) == (201, sentiment)
    assert standing(client, number) == [("neutral", None, None)]


def test_a_message_has_a_vote_of_its_own(client: httpx.Client) -> None:
    question, answer = said("Open?", "end_user"), said("Until ten.")
    stored = send(client, question, answer, vote("positive"), vote("negative", message=answer["id"]))
    number = stored["items"][1]["id"]
    assert standing(client, stored["id"]) == [("positive", None, None), ("negative", None, number)]
    send(client, vote("neutral", message=number, comment="well"))
    send(client, vote("positive", message=answer["id"].upper().replace("-", ""), comment="good"))
    body = {"conversation_id": "c", "sentiment": "negative", "message": str(stored["items"][0]["id"])}
    written = client.post("/api/conversation-feedbacks/", json=body)
    assert (written.status_code, written.json()["message"]) == (201, stored["items"][0]["id"])
    assert standing(client, stored["id"]) == [
        ("positive", None, None),
        ("positive", "good", number),
        ("negative", None, stored["items"][0]["id"]),
    ]


def test_a_vote_may_come_before_its_message(client: httpx.Client) -> None:
    answer = said("Until ten.")
    stored = send(client, vote("negative", message=answer["id"]))
    assert standing(client, stored["id"]) == [("negative", None, None)]
    assert whole(client, stored["id"])["is_used"] is False
    number = send(client, answer)["items"][0]["id"]
    assert standing(client, stored["id"]) == [("negative", None, number)]
    send(client, vote("positive", message=number))
    assert standing(client, stored["id"]) == [("positive", None, number)]


def test_a_vote_on_no_message_of_the_conversation_is_refused_alone(
    server: ServerProcess, client: httpx.Client
) -> None:
    elsewhere = send(client, said("Hi"), name="d")["items"][0]
    action = send(client, {"type": "action", "action_name": "check"}, name="c")["items"][0]
    with server.agent().client() as other:
        theirs = send(other, said("Hi"))["items"][0]
    wrong = [elsewhere["id"], action["id"], theirs["id"], 0, -1, 2**62]
    outcome = send(client, *(vote("positive", message=each) for each in wrong), vote("neutral"), said("x"))
    assert [each["success"] for each in outcome["items"]] == [False] * len(wrong) + [True, True]
    assert outcome["items"][0]["errors"] == {"message": ["there is no such message in this conversation"]}
    for number in wrong[:4]:
        body = {"conversation": outcome["id"], "sentiment": "positive", "message": number}
        assert client.post("/api/conversation-feedbacks/", json=body).status_code == 404
    # Another's UUID is a message that has not come.
    send(client, vote("negative", message=theirs["uuid"]), vote("negative", message=elsewhere["uuid"]))
    assert standing(client, outcome["id"]) == [("neutral", None, None)] + [("negative", None, None)] * 2
    for text in ("soon", "1" * 20, "0198"[:3] + "x"):
        body = {"conversation": outcome["id"], "sentiment": "positive", "message": text}
        refused = client.post("/api/conversation-feedbacks/", json=body)
        assert (refused.status_code, list(refused.json())) == (400, ["message"]), text
    totals = client.get("/api/ingest/ledger/").json()["totals"]
    assert totals["received"] == totals["accepted"] + totals["duplicate"] + totals["refused"]
    reasons = {(each["field"], each["code"]): each["count"] for each in totals["reasons"]}
    assert reasons["message", "no_such_message"] == len(wrong)


def test_feedback_alone_engages_nobody(client: httpx.Client) -> None:
    body = {"conversation_id": "new", "sentiment": "positive"}
    written = client.post("/api/conversation-feedbacks/", json=body).json()
    found = whole(client, written["conversation"])
    assert (found["is_used"], found["messages"]) == (False, [])
    listed = client.get("/api/conversations/", params={"is_used": "false", "is_offered": "false"}).json()
    assert [each["conversation_id"] for each in listed["results"]] == ["new"]
    client.post("/api/conversations/", json={"conversation_id": "offered", "is_used": False})
    offered = client.post("/api/conversation-feedbacks/", json={**body, "conversation_id": "offered"}).json()
    assert whole(client, offered["conversation"])["is_used"] is False
    send(client, said("Hello", "end_user"), name="new")
    assert whole(client, written["conversation"])["is_used"] is True


def test_what_was_stored_before_stays_and_the_latest_is_replaced(agent: Agent, client: httpx.Client) -> None:
    old = [
        NewItem(FEEDBACK, moment, detail=(sentiment, "customer", None, None))
        for moment, sentiment in ((1_000_000, "positive"), (2_000_000, "neutral"))
    ]
    with agent.server.database.write() as connection:
        [stored] = append.append(connection, 1, agent.id, [NewConversation("old", items=old)])
    assert stored.id is not None
    send(client, vote("negative"), name="old")
    send(client, vote("positive", comment="now"), name="old")
    assert standing(client, stored.id) == [("positive", None, None), ("positive", "now", None)]


def test_figures_follow_a_change_of_mind(client: httpx.Client) -> None:
    def told() -> tuple[int, int]:
        answer = client.get("/api/analytics/", params={"metrics": "feedback"})
        assert answer.status_code == 200, answer.text
        figures = answer.json()["metrics"]["feedback"]
        return figures["positive"], figures["negative"]

    answer = said("Hi")
    number = send(client, said("Hello", "end_user"), answer, vote("positive"))["id"]
    assert told() == (1, 0)
    send(client, vote("negative"))
    assert told() == (0, 1)
    send(client, vote("negative", message=answer["id"]))
    assert told() == (0, 2)
    client.post("/api/conversation-feedbacks/", json={"conversation": number, "sentiment": "positive"})
    assert told() == (1, 1)
