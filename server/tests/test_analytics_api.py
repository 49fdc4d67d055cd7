"""GET /api/analytics/ on a running server, on both databases."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from agentsight_server.analytics import shapes
from agentsight_server.analytics.metrics import METRICS
from tests.serving import Agent, ServerProcess

AUGUST = {"from": "2026-08-01", "to": "2026-08-31", "tz": "Europe/Zagreb"}


@pytest.fixture(scope="module")
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


def ask(client: httpx.Client, **parameters: str) -> dict[str, Any]:
    response = client.get("/api/analytics/", params=parameters)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def refused(client: httpx.Client, **parameters: str) -> dict[str, list[str]]:
    response = client.get("/api/analytics/", params=parameters)
    assert response.status_code == 400, response.text
    found: dict[str, list[str]] = response.json()
    return found


@pytest.fixture(scope="module")
def told(agent: Agent) -> dict[str, Any]:
    """Three conversations of August and one of July, tracked; what the figures say right after."""
    conversations = [
        {
            "conversation_id": "a",
            "customer_id": "anna",
            "device": "mobile",
            "language": "en-US",
            "environment": "production",
            "started_at": "2026-08-03T08:00:00Z",
            "metadata": {"plan": "pro"},
            "items": [
                {"type": "message", "sender": "end_user", "content": "?", "timestamp": "2026-08-03T08:00:00Z"},
                {"type": "action", "action_name": "search", "duration_ms": 40, "timestamp": "2026-08-03T08:00:01Z"},
                {"type": "message", "sender": "agent", "content": "!", "timestamp": "2026-08-03T08:00:02Z"},
                {"type": "button", "button_event": "end", "label": "=1+1", "value": "y",
                 "timestamp": "2026-08-03T08:00:03Z"},
                {"type": "feedback", "sentiment": "positive", "timestamp": "2026-08-03T08:00:04Z"},
                {"type": "token_usage", "model": "gpt-4o-mini", "prompt_tokens": 1000, "completion_tokens": 500,
                 "timestamp": "2026-08-03T08:00:02Z"},
            ],
        },
        {
            "conversation_id": "b",
            "environment": "production",
            "started_at": "2026-07-31T22:30:00Z",  # August in Zagreb
            "items": [
                {"type": "message", "sender": "end_user", "content": "?", "timestamp": "2026-07-31T22:30:00Z"},
                {"type": "action", "action_name": "open_ticket", "error_msg": "down",
                 "timestamp": "2026-07-31T22:31:00Z"},
            ],
        },
        {
            "conversation_id": "c",
            "environment": "development",
            "started_at": "2026-08-04T08:00:00Z",
            "items": [
                {"type": "message", "sender": "end_user", "content": "?", "timestamp": "2026-08-04T08:00:00Z"}
            ],
        },
        {
            "conversation_id": "d",
            "customer_id": "anna",
            "environment": "production",
            "started_at": "2026-07-10T08:00:00Z",
            "items": [
                {"type": "message", "sender": "end_user", "content": "?", "timestamp": "2026-07-10T08:00:00Z"}
            ],
        },
    ]  # fmt: skip
    for number, each in enumerate(
        item
        for conversation in conversations
        for item in conversation["items"]  # type: ignore[attr-defined]
    ):
        each["id"] = f"00000000-0000-7000-8000-{number:012d}"
    with agent.client() as client:
        sent = client.post("/api/ingest/batch/", json={"conversations": conversations})
        assert sent.status_code == 200, sent.text
        return ask(client, **AUGUST, compare="previous")


def test_every_figure_is_answered_in_its_documented_form(told: dict[str, Any]) -> None:
    assert set(told["metrics"]) == set(METRICS)
    msgspec.convert(told, shapes.Answer, strict=True)
    figures = told["metrics"]
    assert figures["conversations"] == {"value": 2, "threads": 2, "previous": 1, "change": 1.0}
    assert figures["users"] == {"value": 1, "anonymous_conversations": 1, "previous": 1, "change": 0.0}
    assert figures["response_time"]["mean_ms"] == 2000
    assert figures["escalation_rate"]["value"] == 0.5
    assert figures["returning_users"] == {
        "value": 1.0, "numerator": 1, "denominator": 1, "previous": 0.0, "change": None
    }  # fmt: skip
    assert figures["tokens"]["total"] == 1500
    assert figures["cost"]["value"] == pytest.approx(0.00045)
    assert figures["tools"]["rows"][0]["action_name"] == "open_ticket"
    assert told["scope"]["compared_with"] == {"from": "2026-07-01", "to": "2026-07-31"}


def test_what_was_acknowledged_is_counted_at_once(server: ServerProcess) -> None:
    with server.agent().client() as client:
        for each in range(1, 15):
            message = {"conversation_id": f"now {each}", "sender": "end_user", "content": "hello"}
            assert client.post("/api/track/", json=message).status_code == 201
            found = ask(client, metrics="conversations,messages")
            assert "behind" not in found
            assert found["metrics"] == {
                "conversations": {"value": each, "threads": each},
                "messages": {"value": each},
            }


def test_only_what_is_asked_for_is_answered_and_named(client: httpx.Client, told: dict[str, Any]) -> None:
    found = ask(client, **AUGUST, metrics="users, tools,users", device="mobile", metadata="plan:pro")
    assert list(found["metrics"]) == ["users", "tools"]
    assert found["scope"]["filters"] == {"device": "mobile", "metadata": {"plan": "pro"}}
    assert found["metrics"]["users"]["value"] == 1


def test_filters_have_the_names_of_the_list_as_well(client: httpx.Client, told: dict[str, Any]) -> None:
    for one, other in (
        ("customer", "customer_id"),
        ("feedback", "feedback_sentiment"),
        ("action", "action_name"),
    ):
        value = {"customer": "anna", "feedback": "positive", "action": "search"}[one]
        by_name = ask(client, **AUGUST, metrics="conversations", **{one: value})
        assert by_name == ask(client, **AUGUST, metrics="conversations", **{other: value})
        assert by_name["metrics"]["conversations"]["value"] == 1


def test_the_environment_is_production_unless_it_is_named(client: httpx.Client, told: dict[str, Any]) -> None:
    found = ask(client, **AUGUST, metrics="conversations", environment="development")
    assert found["metrics"]["conversations"]["value"] == 1
    assert found["scope"]["environment"] == "development"


@pytest.mark.parametrize(
    ("parameters", "field", "says"),
    [
        ({"metrics": "conversations,nonsense"}, "metrics", "not nonsense"),
        ({"colour": "red"}, "colour", "there are: "),
        ({"tz": "Mars/Olympus"}, "tz", "Europe/Zagreb"),
        ({"tz": "../../etc/passwd"}, "tz", "IANA"),
        ({"from": "2026-08-31", "to": "2026-08-01"}, "from", "must not be after"),
        ({"from": "2026-02-30"}, "from", "a day such as"),
        ({"to": "yesterday"}, "to", "a day such as"),
        ({"from": "1900-01-01"}, "from", "from 1970-01-02"),
        ({"from": "2000-01-01", "to": "2200-01-01"}, "to", "1,830 days"),
        ({"environment": "staging"}, "environment", "production or development"),
        ({"compare": "month"}, "compare", "previous or year"),
        ({"device": "fridge"}, "device", "desktop, mobile or tablet"),
        ({"feedback": "angry"}, "feedback", "positive, neutral or negative"),
        ({"device__isnull": "perhaps"}, "device__isnull", "true or false"),
        ({"metadata": "plan"}, "metadata", "key:value"),
        ({"source": "a\0b"}, "source", "NUL"),
        ({"customer": "x" * 3000}, "customer", "2,000"),
        ({"agent": "mine"}, "agent", "number"),
        ({"format": "xml"}, "format", "json or csv"),
        ({"format": "csv"}, "metrics", "one name"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    client: httpx.Client, parameters: dict[str, str], field: str, says: str
) -> None:
    errors = refused(client, **parameters)
    assert list(errors) == [field]
    assert says in errors[field][0]


def test_keys_see_their_own_agent_alone(server: ServerProcess, agent: Agent) -> None:
    other = server.agent()
    with agent.client("read") as client:
        assert ask(client, metrics="messages", agent=str(agent.id))["scope"]["agent"] == agent.id
        assert client.get("/api/analytics/", params={"agent": str(other.id)}).status_code == 404
        assert client.get("/api/analytics/", params={"agent": "999999"}).status_code == 404
    with agent.client("ingest") as client:
        assert client.get("/api/analytics/").status_code == 403
    assert httpx.get(f"{server.address}/api/analytics/").status_code == 401


def test_a_figure_is_also_a_table(client: httpx.Client, told: dict[str, Any]) -> None:
    response = client.get("/api/analytics/", params={**AUGUST, "metrics": "buttons", "format": "csv"})
    assert response.headers["content-type"].startswith("text/csv")
    assert "buttons_2026-08-01_2026-08-31.csv" in response.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows == [["button_event", "label", "clicks", "share"], ["end", "'=1+1", "1", "1.0"]]
    response = client.get("/api/analytics/", params={**AUGUST, "metrics": "response_time", "format": "csv"})
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows[1] == ["response_time", "2000.0", "2000.0", "2000.0", "1"]


def test_every_figure_makes_a_table(client: httpx.Client, told: dict[str, Any]) -> None:
    for period in (AUGUST, {"from": "2020-01-01", "to": "2020-01-02"}):
        for name in METRICS:
            response = client.get("/api/analytics/", params={**period, "metrics": name, "format": "csv"})
            rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
            assert rows[0], name
            assert {len(row) for row in rows} == {len(rows[0])}, name


def test_the_document_names_every_figure_and_parameter(server: ServerProcess) -> None:
    document = httpx.get(f"{server.address}/api/openapi.json").json()
    operation = document["paths"]["/api/analytics/"]["get"]
    names = {each["name"] for each in operation["parameters"]}
    assert {"metrics", "from", "to", "tz", "compare", "device", "device__isnull", "agent"} <= names
    assert set(document["components"]["schemas"]["Metrics"]["properties"]) == set(METRICS)


# The list of conversations shows what a figure counted.


def listed(client: httpx.Client, **parameters: str) -> int:
    response = client.get("/api/conversations/", params={"full": "false", **parameters})
    assert response.status_code == 200, response.text
    found: int = response.json()["count"]
    return found


def period_of(client: httpx.Client) -> dict[str, str]:
    return {
        "environment": "production",
        "is_used": "true",
        "started_at_after": "2026-07-31T22:00:00Z",
        "started_at_before": "2026-08-31T21:59:59.999999Z",
    }


@pytest.mark.parametrize(
    ("metric", "column"),
    [("devices", "device"), ("sources", "source"), ("languages", "language"), ("countries", "country")],
)
def test_each_row_of_a_breakdown_opens_as_many_conversations(
    client: httpx.Client, told: dict[str, Any], metric: str, column: str
) -> None:
    rows = told["metrics"][metric]["rows"]
    assert rows
    for row in rows:
        chosen = {column: row["value"]} if row["value"] is not None else {f"{column}__isnull": "true"}
        assert listed(client, **period_of(client), **chosen) == row["conversations"]


def test_each_hour_of_the_week_opens_as_many_conversations(
    client: httpx.Client, told: dict[str, Any]
) -> None:
    cells = [cell for cell in told["metrics"]["peak_hours"]["rows"] if cell["conversations"]]
    assert len(cells) == 2
    for cell in cells:
        clock = {"weekday": str(cell["weekday"]), "hour": str(cell["hour"]), "tz": "Europe/Zagreb"}
        assert listed(client, **period_of(client), **clock) == cell["conversations"]


def test_headline_figures_open_as_many_conversations(client: httpx.Client, told: dict[str, Any]) -> None:
    figures = told["metrics"]
    period = period_of(client)
    assert listed(client, **period) == figures["conversations"]["value"]
    assert listed(client, **period, unanswered="true") == figures["unanswered"]["value"] == 1
    escalations = "fallback_to_human,open_ticket,ticket,contact_human"
    handed = listed(client, **period, action_name__in=escalations)
    assert handed == figures["escalation_rate"]["numerator"]
    assert listed(client, **period, customer_id__isnull="true") == figures["users"]["anonymous_conversations"]
    rated = listed(client, **period, has_feedback="true", feedback_source="customer")
    assert rated == figures["feedback"]["response_rate"]["numerator"]
    assert listed(client, **period, has_feedback="false", feedback_source="customer") == 2 - rated
    clicked = {
        "event": "button",
        "event_name": "end",
        "event_label": "=1+1",
        "event_after": "2026-08-01",
    }
    assert listed(client, **clicked) == 1
    assert listed(client, **clicked | {"event_after": "2026-08-04"}) == 0
