"""Reading back and managing over HTTP, on each engine; the statements themselves are tested in contract/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


@pytest.fixture
def twelve(client: httpx.Client) -> list[int]:
    """Twelve conversations, a day apart, every third one on a phone."""
    batch = [
        {
            "conversation_id": f"c{number}",
            "started_at": f"2026-03-{number + 1:02}T10:00:00Z",
            "device": "mobile" if number % 3 == 0 else "desktop",
            "metadata": {"analysis": {"sentiment": "positive" if number % 2 else "negative"}},
            "items": [{"type": "message", "sender": "end_user", "content": f"Message {number}"}],
        }
        for number in range(12)
    ]
    answer = client.post("/api/ingest/batch/", json={"conversations": batch}).json()
    return [each["id"] for each in answer["conversations"]]


def names(page: dict[str, Any]) -> list[str]:
    return [each["conversation_id"] for each in page["results"]]


def test_pages_follow_each_other_newest_first(client: httpx.Client, twelve: list[int]) -> None:
    first = client.get("/api/conversations/").json()
    assert first["count"] == 12
    assert names(first) == [f"c{number}" for number in range(11, 1, -1)]
    assert first["previous"] is None
    second = client.get(first["next"]).json()
    assert names(second) == ["c1", "c0"]
    assert second["next"] is None
    assert client.get(second["previous"]).json() == first
    assert client.get("/api/conversations/?page=3").status_code == 404


def test_filters_stay_in_the_links_to_other_pages(client: httpx.Client, twelve: list[int]) -> None:
    page = client.get(
        "/api/conversations/?device=mobile&page_size=3&metadata=analysis.sentiment:positive"
    ).json()
    assert (page["count"], names(page)) == (2, ["c9", "c3"])
    page = client.get("/api/conversations/?device=mobile&page_size=3&ordering=started_at").json()
    assert names(page) == ["c0", "c3", "c6"]
    assert "device=mobile" in urlsplit(page["next"]).query
    assert names(client.get(page["next"]).json()) == ["c9"]


def test_full_false_leaves_out_what_was_said(client: httpx.Client, twelve: list[int]) -> None:
    full = client.get("/api/conversations/?page_size=1").json()["results"][0]
    short = client.get("/api/conversations/?page_size=1&full=false").json()["results"][0]
    assert full["messages"][0]["content"] == "Message 11"
    assert full["feedbacks"] == []
    assert set(full) - set(short) == {"messages", "feedbacks"}
    one = client.get(f"/api/conversations/{twelve[0]}/", params={"full": "false"}).json()
    assert "messages" not in one
    assert client.get(f"/api/conversations/{twelve[0]}/?full=maybe").status_code == 400


def test_one_conversation_has_the_contracts_fields(client: httpx.Client, twelve: list[int]) -> None:
    found = client.get(f"/api/conversations/{twelve[0]}/").json()
    assert set(found) == {
        "id", "conversation_id", "name", "customer_id", "customer_ip_address", "device", "source", "language",
        "environment", "is_marked", "is_deleted", "is_used", "started_at", "ended_at", "deleted_at", "metadata",
        "geo_location", "token_usage", "messages", "feedbacks", "sessions",
    }  # fmt: skip
    assert set(found["messages"][0]) == {
        "id", "timestamp", "sender", "content", "action_name", "metadata", "attachments", "action_logs", "button",
    }  # fmt: skip
    assert found["geo_location"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"), ("page=x", "page"), ("page_size=101", "page_size"), ("page_size=-1", "page_size"),
        ("ordering=secret", "ordering"), ("full=maybe", "full"), ("device=fridge", "device"),
        ("is_marked=perhaps", "is_marked"), ("started_at_after=soon", "started_at_after"),
        ("environment=staging", "environment"), ("feedback_sentiment=great", "feedback_sentiment"),
        ("metadata=nothing", "metadata"), ("unknown=1", "unknown"), ("search=a%00b", "search"),
    ],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_named(client: httpx.Client, query: str, field: str) -> None:
    answer = client.get(f"/api/conversations/?{query}")
    assert answer.status_code == 400
    assert list(answer.json()) == [field]


def test_a_parameter_given_twice_is_a_list_or_refused(client: httpx.Client, twelve: list[int]) -> None:
    for number, tool in ((twelve[0], "check"), (twelve[1], "search"), (twelve[2], "other")):
        body = {"conversation": number, "action_name": tool}
        assert client.post("/api/action_logs/", json=body).status_code == 201
    found = client.get("/api/conversations/?action_name__in=check&action_name__in=search&page_size=1").json()
    assert found["count"] == 2
    assert names(client.get(found["next"]).json()) == ["c0"]
    both = "metadata=analysis.sentiment:positive&metadata=analysis.sentiment:negative"
    assert client.get(f"/api/conversations/?{both}").json()["count"] == 0
    figures = client.get("/api/analytics/?metrics=conversations&metrics=tools").json()
    assert set(figures["metrics"]) == {"conversations", "tools"}
    for address, name in (
        ("/api/conversations/?device=mobile&device=mobile", "device"),
        ("/api/conversations/?page=1&page=2", "page"),
        (f"/api/conversations/{twelve[0]}/?full=true&full=false", "full"),
        ("/api/analytics/?tz=UTC&tz=UTC", "tz"),
        ("/api/ingest/ledger/?from=2026-01-01&from=2026-01-02", "from"),
    ):
        refused = client.get(address)
        assert (refused.status_code, list(refused.json())) == (400, [name]), address


def test_times_may_have_any_zone(client: httpx.Client, twelve: list[int]) -> None:
    for text in (
        "2026-03-12T10:00:00Z",
        "2026-03-12T12:00:00+02:00",
        "2026-03-12T12:00:00%2B02:00",
        "2026-03-12",
    ):
        assert names(client.get(f"/api/conversations/?started_at_after={text}").json()) == ["c11"]
    both = client.get(
        "/api/conversations/?started_at_after=2026-03-11T10:00:00Z&started_at_before=2026-03-11T10:00:00Z"
    )
    assert names(both.json()) == ["c10"]


def test_lookup_by_text_id(client: httpx.Client, twelve: list[int]) -> None:
    assert client.get("/api/conversations/lookup/", params={"conversation_id": "c4"}).json() == {
        "id": twelve[4],
        "conversation_id": "c4",
    }
    assert client.get("/api/conversations/lookup/", params={"conversation_id": "nope"}).status_code == 404
    assert list(client.get("/api/conversations/lookup/").json()) == ["conversation_id"]


def test_mark_rename_update_delete(client: httpx.Client, twelve: list[int]) -> None:
    address = f"/api/conversations/{twelve[0]}/"
    assert client.post(address + "mark/", json={"is_marked": True}).json()["is_marked"] is True
    assert names(client.get("/api/conversations/?is_marked=true").json()) == ["c0"]
    assert (
        client.patch(address + "rename/", json={"name": "Ein neuer Name"}).json()["name"] == "Ein neuer Name"
    )
    changes = {"customer_id": "anna", "device": "tablet", "language": "de", "metadata": {"only": "this"}}
    client.patch(address + "update/", json=changes)
    found = client.get(address).json()
    assert {name: found[name] for name in changes} == changes
    assert (found["name"], found["is_marked"]) == ("Ein neuer Name", True)
    assert client.patch(address + "update/", json={"is_marked": False, "name": None}).json()["name"] is None
    gone = client.delete(address + "delete/")
    assert gone.status_code == 200
    assert gone.json()["is_deleted"] is True
    assert gone.json()["deleted_at"].endswith("Z")
    assert client.get("/api/conversations/").json()["count"] == 11
    assert client.get("/api/conversations/?include_deleted=true").json()["count"] == 12
    assert client.get(address).status_code == 404
    assert client.get(address + "?include_deleted=true").json()["is_deleted"] is True
    assert client.delete(address + "delete/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "mark/", {"is_marked": "yes"}, "is_marked"),
        ("POST", "mark/", {}, "is_marked"),
        ("PATCH", "rename/", {"name": "x" * 256}, "name"),
        ("PATCH", "rename/", {"name": " "}, "name"),
        ("PATCH", "update/", {"device": "fridge"}, "device"),
        ("PATCH", "update/", {"metadata": "text"}, "metadata"),
        ("PATCH", "update/", {}, "detail"),
        ("PATCH", "update/", {"secret": 1}, "secret"),
    ],
)
def test_a_change_that_does_not_fit_is_named_and_not_made(
    client: httpx.Client, twelve: list[int], method: str, path: str, body: dict[str, Any], field: str
) -> None:
    before = client.get(f"/api/conversations/{twelve[0]}/").json()
    answer = client.request(method, f"/api/conversations/{twelve[0]}/{path}", json=body)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert client.get(f"/api/conversations/{twelve[0]}/").json() == before


def test_me(agent: Agent) -> None:
    for role in ("ingest", "read", "write"):
        with agent.client(role) as client:
            found = client.get("/api/me/").json()
        assert found["agent"]["id"] == agent.id
        assert found["role"] == role
        assert found["environments"] == ["production", "development"]


def test_addresses_work_with_and_without_the_last_slash(client: httpx.Client, twelve: list[int]) -> None:
    for path in ("/api/me", "/api/conversations", f"/api/conversations/{twelve[0]}"):
        assert client.get(path).json() == client.get(path + "/").json()


def test_what_is_not_there_and_what_is_not_allowed(client: httpx.Client) -> None:
    assert client.get("/api/nothing/").status_code == 404
    assert client.get("/api/nothing/").json()["detail"]
    assert client.put("/api/conversations/").status_code == 405
    assert client.get("/api/conversations/99999999/").status_code == 404
    assert client.get("/api/conversations/9999999999999999999999/").status_code == 404


def test_the_openapi_document_names_every_contract_path(server: ServerProcess) -> None:
    document = httpx.get(f"{server.address}/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    contract = {
        ("post", "/api/conversations/"), ("post", "/api/track/"), ("post", "/api/action_logs/"),
        ("post", "/api/buttons/"), ("post", "/api/attachments/"), ("post", "/api/conversation-feedbacks/"),
        ("post", "/api/ingest/batch/"), ("get", "/api/conversations/"), ("get", "/api/conversations/{id}/"),
        ("get", "/api/conversations/lookup/"), ("get", "/api/conversations/{id}/attachments/"),
        ("post", "/api/conversations/{id}/mark/"), ("patch", "/api/conversations/{id}/rename/"),
        ("patch", "/api/conversations/{id}/update/"), ("delete", "/api/conversations/{id}/delete/"),
        ("get", "/api/me/"),
    }  # fmt: skip
    found = {(method, path) for path, item in document["paths"].items() for method in item}
    assert contract <= found
    filters = {each["name"] for each in document["paths"]["/api/conversations/"]["get"]["parameters"]}
    assert {"message_contains", "metadata", "page", "full", "customer_id__icontains"} <= filters


def test_the_openapi_document_reads_well_in_generated_clients(sqlite_server: ServerProcess) -> None:
    document = httpx.get(f"{sqlite_server.address}/api/openapi.json").json()
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)
    verbs = r"(get|list|find|create|write|update|rename|mark|delete|restore|revoke|export|erase|count|set)_[a-z_]+"
    assert [name for name in names if not re.fullmatch(verbs, name)] == []
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert len(set(titles)) == len(titles)


def test_a_widget_on_another_site_may_write(agent: Agent) -> None:
    preflight = httpx.options(
        f"{agent.server.address}/api/track/",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code in {200, 204}
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in preflight.headers
