"""The ingest ledger: figures that hold whatever happens, and why: by field and code, never by value."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from agentsight_server.domain import times
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.ingest.ingest_stats import cause_of
from agentsight_server.store import ledger
from agentsight_server.store.database import Database
from agentsight_server.store.ledger import Cause, Counts, Ledger, Refusals
from tests.serving import Agent, ServerProcess
from tests.waiting import until

HELLO = {"type": "message", "sender": "end_user", "content": "a secret text"}


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


def told(agent: Agent, **parameters: Any) -> dict[str, Any]:
    with agent.client("read") as client:
        answer = client.get("/api/ingest/ledger/", params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def figures(answer: dict[str, Any]) -> tuple[int, ...]:
    names = ("requests", "conversations", "received", "accepted", "duplicate", "refused")
    return tuple(answer["totals"][name] for name in names)


def batch(client: httpx.Client, *items: dict[str, Any], name: str = "c", **fields: Any) -> httpx.Response:
    return client.post(
        "/api/ingest/batch/", json={"conversations": [{"conversation_id": name, **fields, "items": items}]}
    )


def test_what_was_sent_is_there_at_once(agent: Agent) -> None:
    assert figures(told(agent)) == (0, 0, 0, 0, 0, 0)
    with agent.client() as client:
        sent = {**HELLO, "id": str(uuid.uuid4())}
        assert batch(client, sent, HELLO).status_code == 200
        assert figures(told(agent)) == (1, 1, 2, 2, 0, 0)
        assert batch(client, sent).status_code == 200
        assert figures(told(agent)) == (2, 1, 3, 2, 1, 0)
        client.post("/api/track/", json={"conversation_id": "c", "question": "a?", "answer": "b"})
        assert figures(told(agent)) == (3, 1, 5, 4, 1, 0)
        client.post("/api/conversations/", json={"conversation_id": "d"})
        assert figures(told(agent)) == (4, 2, 5, 4, 1, 0)


def test_refusals_say_why_and_nothing_else(agent: Agent) -> None:
    with agent.client() as client:
        wrong = {**HELLO, "sender": "a secret sender"}
        assert batch(client, HELLO, wrong, wrong, {**HELLO, "content": " "}).status_code == 200
        assert batch(client, HELLO, HELLO, name="x", device="a secret fridge").status_code == 200
        assert client.post("/api/track/", json={"conversation_id": "c", "content": "x"}).status_code == 400
        assert (
            client.post(
                "/api/track/", json={"conversation": 10**9, "content": "x", "sender": "agent"}
            ).status_code
            == 404
        )
        assert client.post("/api/ingest/batch/", content=b'{"a secret').status_code == 400
        assert (
            client.post("/api/ingest/batch/", content=b"x", headers={"Content-Type": "text/x"}).status_code
            == 415
        )
    until(lambda: figures(told(agent))[0] >= 6)
    answer = told(agent)
    assert figures(answer) == (6, 1, 10, 1, 0, 9)
    told_of = {(each["field"], each["code"]): each for each in answer["totals"]["reasons"]}
    assert sum(each["count"] for each in told_of.values()) == 9
    assert {cause: (each["count"], each["example"]) for cause, each in told_of.items()} == {
        ("sender", "choice"): (2, "takes end_user, agent or system"),
        ("device", "choice"): (2, "takes desktop, mobile or tablet"),
        ("content", "blank"): (1, "must not be blank"),
        ("sender", "required"): (1, "is required: end_user, agent or system"),
        ("", "not_found"): (1, "no such conversation"),
        ("", "malformed_json"): (1, "malformed JSON: Input data was truncated"),
        ("", "media_type"): (1, "send application/json"),
    }
    assert "secret" not in str(answer)


def test_each_key_has_its_own_line_and_other_agents_none(agent: Agent, server: ServerProcess) -> None:
    with agent.client("write") as first, agent.client("ingest") as second:
        batch(first, HELLO)
        batch(second, HELLO, HELLO)
        assert second.get("/api/ingest/ledger/").status_code == 403
    days = told(agent)["days"]
    assert {(each["key"]["role"], each["accepted"]) for each in days} == {("write", 1), ("ingest", 2)}
    assert figures(told(server.agent()))[0] == 0
    with server.agent().client("read") as stranger:
        assert stranger.get("/api/ingest/ledger/", params={"agent": agent.id}).status_code == 404
    assert figures(told(agent, to="2020-01-01")) == (0,) * 6


def test_what_clients_adjusted_is_counted_by_field(agent: Agent) -> None:
    said = {**HELLO, "id": str(uuid.uuid4())}
    adjusted = [
        {"field": "message", "code": "shortened"},
        {"field": "metadata", "code": "left_out", "count": 3},
        {"field": "attachments.2.filename", "code": "cleaned"},
        {"field": "a secret field", "code": "replaced", "count": 2},
    ]
    with agent.client() as client:
        for _ in range(2):  # what is sent again was adjusted once
            assert batch(client, said, adjusted=adjusted).status_code == 200
        wrong = {**HELLO, "sender": "robot"}
        assert batch(client, wrong, adjusted=[{"field": "device", "code": "left_out"}]).status_code == 200
        single = {"conversation_id": "d", "adjusted": [{"field": "device", "code": "left_out"}]}
        assert client.post("/api/conversations/", json=single).status_code == 201
        [found] = client.get("/api/conversations/", params={"conversation_id": "c"}).json()["results"]
    assert "adjusted" not in found
    answer = told(agent)
    assert (answer["totals"]["adjusted"], answer["days"][0]["adjusted"]) == (9, 9)
    told_of = {(each["field"], each["code"]): each["count"] for each in answer["totals"]["adjustments"]}
    assert told_of == {
        ("metadata", "left_out"): 3,
        ("device", "left_out"): 2,
        ("other", "replaced"): 2,
        ("message", "shortened"): 1,
        ("filename", "cleaned"): 1,
    }
    assert figures(answer) == (4, 2, 3, 1, 1, 1)


@pytest.mark.parametrize(
    ("adjusted", "field"),
    [
        ([{"field": "message", "code": "eaten"}], "adjusted.0.code"),
        ([{"field": "message", "code": "shortened", "count": 0}], "adjusted.0.count"),
        ([{"field": "message", "code": "shortened", "count": 10**7}], "adjusted.0.count"),
        ([{"field": "x" * 101, "code": "shortened"}], "adjusted.0.field"),
        ([{"field": "message", "code": "shortened"}] * 101, "adjusted"),
    ],
)
def test_a_wrong_adjustment_is_named(agent: Agent, adjusted: list[dict[str, Any]], field: str) -> None:
    with agent.client() as client:
        [outcome] = batch(client, HELLO, adjusted=adjusted).json()["conversations"]
        single = client.post("/api/conversations/", json={"conversation_id": "c", "adjusted": adjusted})
    assert list(outcome["errors"]) == [field]
    assert (single.status_code, list(single.json())) == (400, [field])


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "yesterday"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "1970-01-01"},
        {"days": "3"},
    ],
)
def test_wrong_periods_are_named(agent: Agent, wrong: dict[str, str]) -> None:
    with agent.client("read") as client:
        answer = client.get("/api/ingest/ledger/", params=wrong)
    assert answer.status_code == 400
    assert list(answer.json()) == [next(iter(wrong))]


def test_the_figures_are_there_after_a_crash(tmp_path: Any) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        with agent.client() as client:
            assert batch(client, HELLO).status_code == 200
        server.kill()
        server.start()
        assert figures(told(agent)) == (1, 1, 1, 1, 0, 0)


def test_what_waits_when_the_server_stops_is_kept(tmp_path: Any) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        with agent.client() as client:
            assert client.post("/api/ingest/batch/", content=b"{").status_code == 400
        server.stop()
        server.start()
        assert figures(told(agent)) == (1, 0, 1, 0, 0, 1)


def test_a_transaction_that_did_not_come_to_be_leaves_its_counts_waiting(tmp_path: Any) -> None:
    book = Ledger()
    book.refuse(1, Cause("name", "blank"), "must not be blank")
    taken = book.take()
    assert not book.is_pending
    book.refuse(1, Cause("name", "blank"), "must not be blank")
    book.put_back(taken)
    (counts,) = book.take().values()
    assert (counts.refused, counts.refusals) == (2, {("name", "blank"): Refusals(2, "must not be blank")})


def test_kinds_of_refusals_are_bounded(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    database.migrate()
    book = Ledger()
    for number in range(500):
        book.refuse(1, Cause(f"field {number}", "blank"), "must not be blank")
    with database.write() as connection:
        ledger.settle(connection, book.take())
        stored = connection.exec_driver_sql("SELECT count(*), sum(count) FROM ingest_refusals").one()
    assert stored[0] <= 51
    assert stored[1] == 500
    database.close()


@pytest.mark.parametrize(
    ("problem", "cause", "example"),
    [
        (Problem("items.3.device", Code.CHOICE, "desktop", "'my secret'"), "device choice", "takes desktop"),
        (Problem("attachments.0.data", Code.FORMAT, "base64"), "data format", "takes base64"),
        (Problem("my secret.data", Code.EMPTY), "data empty", "must not be empty"),
        (Problem("my secret", Code.REQUIRED), "other required", "is required"),
        (
            Problem("my secret", Code.UNKNOWN_FIELD, "a, b"),
            "other unknown_field",
            "a field is not known here; there are: a, b",
        ),
        (
            Problem("items.0.contnet", Code.UNKNOWN_FIELD),
            "other unknown_field",
            "a field is not known here, such as contnet",
        ),
        (Problem("", Code.MEDIA_TYPE, given="my/secret"), " media_type", "send application/json"),
    ],
)
def test_refusals_hold_no_values(problem: Problem, cause: str, example: str) -> None:
    found, said = cause_of(problem)
    assert (f"{found.field} {found.code}", said) == (cause, example)


def test_counts_of_a_day_add_up(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    database.migrate()
    today = times.now() // times.DAY
    with database.write() as connection:
        for _ in range(3):
            ledger.settle(
                connection,
                {(1, today): Counts(1, 0, 5, 3, 1, 1, {Cause("name", "blank"): Refusals(1, "blank")})},
            )
        row = connection.exec_driver_sql("SELECT * FROM ingest_ledger").one()
        (refused,) = connection.exec_driver_sql("SELECT count FROM ingest_refusals").one()
    assert tuple(row) == (1, today, 3, 0, 15, 9, 3, 3)
    assert refused == 3
    database.close()
