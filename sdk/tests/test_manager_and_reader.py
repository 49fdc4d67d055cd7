"""ConversationManager and AgentSightAPI: what they ask, and which errors they raise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentsight import AgentSightAPI, ConversationManager
from agentsight.enums import Sentiment
from agentsight.exceptions import (
    ConversationApiException,
    ConversationNetworkException,
    ForbiddenException,
    InvalidConversationDataException,
    MissingConversationIdException,
    NoApiKeyException,
    NotFoundException,
    UnauthorizedException,
)
from sdk.tests.capture import KEY, CaptureServer, Scripted

LOOKUP = "/api/conversations/lookup/"


@pytest.fixture
def manager(server: CaptureServer) -> Iterator[ConversationManager]:
    server.conversations = {"conv_1": 7, "12": 8}
    made = ConversationManager(api_key=KEY, endpoint=server.endpoint)
    yield made
    made.close()


@pytest.fixture
def api(server: CaptureServer) -> Iterator[AgentSightAPI]:
    server.conversations = {"conv_1": 7, "12": 8}
    made = AgentSightAPI(api_key=KEY, endpoint=server.endpoint)
    yield made
    made.close()


def asked(server: CaptureServer) -> list[tuple[str, str, Any]]:
    return [(request.method, request.path, request.body) for request in server.requests]


def test_feedback(server: CaptureServer, manager: ConversationManager):
    manager.submit_feedback("conv_1", "positive", comment="Quick!", metadata={"stars": 5})
    manager.submit_feedback(7, Sentiment.NEGATIVE)
    manager.submit_feedback("12", "neutral", comment=" ")
    path = "/api/conversation-feedbacks/"
    assert asked(server) == [
        (
            "POST",
            path,
            {
                "sentiment": "positive",
                "conversation_id": "conv_1",
                "comment": "Quick!",
                "metadata": {"stars": 5},
            },
        ),
        ("POST", path, {"sentiment": "negative", "conversation": 7}),
        ("POST", path, {"sentiment": "neutral", "conversation_id": "12"}),
    ]


def test_changes_by_text_id_and_by_number(server: CaptureServer, manager: ConversationManager):
    assert manager.rename_conversation("conv_1", "  New name ")["body"] == {"name": "New name"}
    manager.mark_conversation(7, True)
    manager.update_conversation(
        "12",
        name="N",
        is_marked=False,
        customer_id=5,
        device="tablet",
        language="hr",
        metadata={"a": dt.date(2026, 8, 1)},
    )
    manager.update_conversation(7, metadata={})
    manager.delete_conversation("conv_1")
    assert asked(server) == [
        ("GET", LOOKUP, None),
        ("PATCH", "/api/conversations/7/rename/", {"name": "New name"}),
        ("POST", "/api/conversations/7/mark/", {"is_marked": True}),
        ("GET", LOOKUP, None),
        (
            "PATCH",
            "/api/conversations/8/update/",
            {
                "name": "N",
                "is_marked": False,
                "customer_id": "5",
                "device": "tablet",
                "language": "hr",
                "metadata": {"a": "2026-08-01"},
            },
        ),
        ("PATCH", "/api/conversations/7/update/", {"metadata": {}}),
        ("GET", LOOKUP, None),
        ("DELETE", "/api/conversations/7/delete/", None),
    ]
    assert [request.params for request in server.requests if request.path == LOOKUP] == [
        {"conversation_id": name} for name in ("conv_1", "12", "conv_1")
    ]


def test_an_id_with_odd_characters_is_looked_up_as_it_is(server: CaptureServer, api: AgentSightAPI):
    odd = "a/b?c=d&e #č +385"
    server.conversations[odd] = 9
    assert api.fetch_conversation(odd)["path"] == "/api/conversations/9/"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.submit_feedback("c", "great"), "sentiment takes positive, neutral or negative"),
        (lambda m: m.submit_feedback("c", None), "sentiment takes"),
        (lambda m: m.submit_feedback("c", "neutral", comment="x" * 5001), "comment takes at most 5,000"),
        (lambda m: m.submit_feedback("c", "neutral", comment=5), "comment takes text"),
        (lambda m: m.submit_feedback("c", "neutral", metadata="x"), "metadata takes a dict"),
        (lambda m: m.rename_conversation("c", ""), "name takes text that is not blank"),
        (lambda m: m.rename_conversation("c", "x" * 256), "name takes at most 255"),
        (lambda m: m.rename_conversation("c", None), "name takes text"),
        (lambda m: m.mark_conversation("c", "yes"), "is_marked takes True or False"),
        (lambda m: m.update_conversation("c"), "at least one of name"),
        (lambda m: m.update_conversation("c", device="fridge"), "device takes desktop, mobile or tablet"),
        (lambda m: m.update_conversation("c", is_marked=1), "is_marked takes True or False"),
        (
            lambda m: m.update_conversation("c", metadata={"a": float("nan")}),
            "metadata takes values that fit JSON",
        ),
        (lambda m: m.delete_conversation(2.5), "conversation_id takes a text id or a database id, not float"),
        (lambda m: m.delete_conversation(True), "conversation_id takes a text id or a database id, not bool"),
        (lambda m: m.delete_conversation(0), "database id from 1"),
        (lambda m: m.delete_conversation(-3), "database id from 1"),
    ],
)
def test_wrong_arguments_send_nothing(
    server: CaptureServer, manager: ConversationManager, call: Callable[[Any], Any], says: str
):
    with pytest.raises(InvalidConversationDataException, match=says):
        call(manager)
    assert server.requests == []


@pytest.mark.parametrize("wrong", ["", "  ", None])
def test_a_missing_id(server: CaptureServer, manager: ConversationManager, api: AgentSightAPI, wrong: Any):
    for call in (
        lambda: manager.submit_feedback(wrong, "neutral"),
        lambda: manager.rename_conversation(wrong, "x"),
        lambda: manager.mark_conversation(wrong, True),
        lambda: manager.update_conversation(wrong, name="x"),
        lambda: manager.delete_conversation(wrong),
        lambda: api.fetch_conversation(wrong),
        lambda: api.fetch_conversation_attachments(wrong),
    ):
        with pytest.raises(MissingConversationIdException):
            call()
    assert server.requests == []


def test_reading(server: CaptureServer, api: AgentSightAPI):
    assert api.fetch_conversation(7)["path"] == "/api/conversations/7/"
    assert api.fetch_conversation("conv_1")["path"] == "/api/conversations/7/"
    assert api.fetch_conversation_attachments("conv_1")["path"] == "/api/conversations/7/attachments/"
    assert api.fetch_conversations()["params"] == {}


def test_filters(server: CaptureServer, api: AgentSightAPI):
    zone = dt.timezone(dt.timedelta(hours=2))
    params = api.fetch_conversations(
        2,
        50,
        ordering="started_at",
        full=False,
        conversation_id="conv_1",
        customer_id=42,
        customer_id__icontains="cu",
        name="refund",
        language="en",
        device="mobile",
        source="web",
        country="HR",
        environment="production",
        customer_ip_address="203.0.113.9",
        is_marked=True,
        include_deleted=False,
        started_at_after=dt.datetime(2026, 8, 1, 2, tzinfo=zone),
        started_at_before="2026-08-31",
        has_messages=True,
        message_contains="où est & ?",
        action_name="open_ticket",
        has_feedback=False,
        feedback_sentiment=Sentiment.NEGATIVE,
        feedback_source="customer",
        metadata={"analysis.sentiment": "positive", "tier": 2},
        search="hello",
        device__isnull=False,
        action_name__in=["open ticket", "ask"],
        event="tool",
        event_name="look up",
        event_after=dt.datetime(2026, 8, 1, 2, tzinfo=zone),
        hour=0,
        tz="Europe/Zagreb",
        city="Split",
        something_new="passes",
    )["params"]
    assert params == {
        "page": "2",
        "page_size": "50",
        "ordering": "started_at",
        "full": "false",
        "conversation_id": "conv_1",
        "customer_id": "42",
        "customer_id__icontains": "cu",
        "name": "refund",
        "language": "en",
        "device": "mobile",
        "source": "web",
        "country": "HR",
        "environment": "production",
        "customer_ip_address": "203.0.113.9",
        "is_marked": "true",
        "include_deleted": "false",
        "started_at_after": "2026-08-01T00:00:00Z",
        "started_at_before": "2026-08-31",
        "has_messages": "true",
        "message_contains": "où est & ?",
        "action_name": "open_ticket",
        "has_feedback": "false",
        "feedback_sentiment": "negative",
        "feedback_source": "customer",
        "metadata": "analysis.sentiment:positive,tier:2",
        "search": "hello",
        "device__isnull": "false",
        "action_name__in": "open ticket,ask",
        "event": "tool",
        "event_name": "look up",
        "event_after": "2026-08-01T00:00:00Z",
        "hour": "0",
        "tz": "Europe/Zagreb",
        "city": "Split",
        "something_new": "passes",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"page": 0}, "page takes a whole number from 1"),
        ({"page_size": "10"}, "page_size takes a whole number from 1"),
        ({"page": True}, "page takes"),
        ({"started_at_after": dt.datetime(2026, 8, 1)}, "started_at_after takes .* no time zone"),
        ({"device": "fridge"}, "device takes"),
        ({"environment": "staging"}, "environment takes"),
        ({"feedback_sentiment": "great"}, "feedback_sentiment takes"),
        ({"feedback_source": "robot"}, "feedback_source takes customer or platform"),
        ({"metadata": {"a": "b,c"}}, "metadata"),
        ({"name": ["x"]}, "name takes text"),
        ({"event": "click"}, "event takes message, answer, tool, button, feedback or tokens"),
        ({"action_name__in": ["a,b"]}, "action_name__in takes names without commas"),
    ],
)
def test_wrong_filters_ask_nothing(
    server: CaptureServer, api: AgentSightAPI, arguments: dict[str, Any], says: str
):
    with pytest.raises(InvalidConversationDataException, match=says):
        api.fetch_conversations(**arguments)
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (401, {"detail": "unknown key"}, UnauthorizedException, "401: unknown key"),
        (403, {"detail": "read only"}, ForbiddenException, "403: read only"),
        (404, {"detail": "no such conversation"}, NotFoundException, "404: no such conversation"),
        (400, {"name": ["is too long"]}, ConversationApiException, "400: name: is too long"),
        (409, {"detail": "conflict"}, ConversationApiException, "409: conflict"),
        (500, {"detail": "oops"}, ConversationApiException, "500: oops"),
    ],
)
def test_errors(
    server: CaptureServer,
    api: AgentSightAPI,
    manager: ConversationManager,
    status: int,
    body: dict[str, Any],
    kind: type[ConversationApiException],
    says: str,
):
    for call in (lambda: api.fetch_conversation(7), lambda: manager.mark_conversation(7, True)):
        server.script = [Scripted(status, body)] * 3
        with pytest.raises(kind, match=says) as caught:
            call()
        assert type(caught.value) is kind
        assert caught.value.status_code == status
        assert caught.value.response_data == body
        server.script = []


def test_a_text_id_that_is_not_there(server: CaptureServer, api: AgentSightAPI, manager: ConversationManager):
    with pytest.raises(NotFoundException):
        api.fetch_conversation("nowhere")
    with pytest.raises(NotFoundException):
        manager.delete_conversation("7")  # digits in text are a text id: this must not delete number 7
    assert {request.path for request in server.requests} == {LOOKUP}


def test_reading_is_tried_again_and_feedback_is_not(
    server: CaptureServer, api: AgentSightAPI, manager: ConversationManager
):
    server.script = [Scripted(503), Scripted(drop=True)]
    assert api.fetch_conversation(7)["path"] == "/api/conversations/7/"
    server.script = [Scripted(503, {"detail": "busy"})]
    with pytest.raises(ConversationApiException, match="busy"):
        manager.submit_feedback(7, "positive")
    server.script = [Scripted(drop=True)]
    with pytest.raises(ConversationNetworkException):
        manager.submit_feedback(7, "positive")


def test_an_answer_that_is_not_json(server: CaptureServer, api: AgentSightAPI):
    server.script = [Scripted(200, raw=b"<html>sign in</html>")]
    with pytest.raises(ConversationApiException, match="AGENTSIGHT_API_ENDPOINT") as caught:
        api.fetch_conversation(7)
    assert caught.value.response_data == "<html>sign in</html>"
    server.script = [Scripted(200, raw=b"[]")]
    with pytest.raises(ConversationApiException, match="no id"):
        api.fetch_conversation("conv_1")


def test_a_redirect_is_explained_and_the_key_not_taken_along(server: CaptureServer, api: AgentSightAPI):
    server.script = [Scripted(301, None, {"Location": "https://elsewhere.example/"})]
    with pytest.raises(ConversationApiException, match=r"moved to https://elsewhere.example/"):
        api.fetch_conversation(7)
    assert len(server.requests) == 1


def test_a_long_conversation_that_never_ends_is_an_error(
    server: CaptureServer, monkeypatch: pytest.MonkeyPatch
):
    again = "http://elsewhere/api/conversations/7/?messages_after=5"
    part = {"id": 7, "messages": [{"id": 1}], "feedbacks": [], "messages_next": again}
    api = AgentSightAPI(api_key=KEY, endpoint=server.endpoint)
    server.script = [Scripted(200, part)] * 3
    with pytest.raises(ConversationApiException, match="does not go on"):
        api.fetch_conversation(7)
    assert len(server.requests) == 2
    files = {"conversation": 7, "messages": [], "attachments_next": again}
    server.script = [Scripted(200, files)] * 3
    with pytest.raises(ConversationApiException, match="does not go on"):
        api.fetch_conversation_attachments(7)
    server.script = [Scripted(200, part), Scripted(200, {"detail": "what?"})]
    with pytest.raises(ConversationApiException, match="does not go on"):
        api.fetch_conversation(7)


def test_no_key_and_no_server(server: CaptureServer):
    with pytest.raises(NoApiKeyException):
        AgentSightAPI(endpoint=server.endpoint).fetch_conversations()
    with pytest.raises(NoApiKeyException):
        ConversationManager(endpoint=server.endpoint).delete_conversation(7)
    assert server.requests == []
    away = AgentSightAPI(api_key=KEY, endpoint="http://127.0.0.1:9")
    with pytest.raises(ConversationNetworkException, match=r"http://127.0.0.1:9 cannot be reached"):
        away.fetch_conversation(7)


def test_the_ready_made_clients_use_the_environment(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    from agentsight import agentsight_api, conversation_manager, conversation_tracker

    monkeypatch.setenv("AGENTSIGHT_API_KEY", KEY)
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", server.endpoint)
    with conversation_tracker.get_or_create_conversation("ready") as conversation:
        conversation.track_human_message("made")
        conversation_tracker.send_tracked_data()
    assert agentsight_api.fetch_conversation("ready")["path"] == "/api/conversations/1/"
    conversation_manager.mark_conversation("ready", True)
    assert server.contents("ready") == ["made"]
    for client in (conversation_tracker, agentsight_api, conversation_manager):
        client.close()
