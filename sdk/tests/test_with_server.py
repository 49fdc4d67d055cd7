"""The SDK against the real server: what one takes, the other takes, and what was tracked can be read back."""

from __future__ import annotations

import contextlib
import contextvars
import re
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsight import AgentSightAPI, ConversationManager, ConversationTracker
from agentsight.delivery.batch_sender import BatchSender
from agentsight.exceptions import (
    AgentSightError,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)
from agentsight.helpers import generate_message_id
from agentsight.items.encoding import prepare
from sdk.tests.test_validation import anything, nested
from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(sqlite_server: ServerProcess) -> Agent:
    return sqlite_server.agent()


@pytest.fixture
def bot(sqlite_server: ServerProcess, agent: Agent) -> ConversationTracker:
    return ConversationTracker(api_key=agent.keys["write"], endpoint=sqlite_server.address)


@pytest.fixture
def api(sqlite_server: ServerProcess, agent: Agent) -> AgentSightAPI:
    return AgentSightAPI(api_key=agent.keys["write"], endpoint=sqlite_server.address)


@pytest.fixture
def manager(sqlite_server: ServerProcess, agent: Agent) -> ConversationManager:
    return ConversationManager(api_key=agent.keys["write"], endpoint=sqlite_server.address)


def test_a_whole_conversation_there_and_back(bot: ConversationTracker, api: AgentSightAPI):
    bot.get_or_create_conversation(
        "conv_1",
        customer_id=42,
        customer_ip_address="41.206.0.1",
        device="mobile",
        source="whatsapp",
        language="hr",
        name="Narudžba",
        environment="production",
        metadata={"plan": "pro", "nested": {"a": [1, None, "x"]}},
    )
    began = datetime.now(timezone.utc)
    bot.track_human_message("Gdje je moja narudžba? 🙂", metadata={"typed": True})
    bot.track_action(
        "check_order",
        started_at=began - timedelta(seconds=1),
        ended_at=began,
        tools_used={"order": 7},
        response={"status": "sent"},
        error_msg="late",
    )
    bot.track_button("after_chat", "Hvala", "thanks")
    bot.track_attachments([{"data": b"%PDF-1.7 x", "filename": "bill.pdf"}], mode="form_data")
    bot.track_token_usage(100, 20, model="gpt-4o")
    bot.track_agent_message(
        "Na putu je.",
        attachments=[{"filename": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}],
    )
    result = bot.send_tracked_data()
    assert [row["success"] for row in result["items"]] == [True] * 7
    assert result["summary"]["errors"] == 0

    stored = api.fetch_conversation("conv_1")
    assert stored["id"] == result["items"][0]["response"]["id"]
    assert stored["customer_id"] == "42"
    assert stored["device"] == "mobile"
    assert stored["language"] == "hr"
    assert stored["name"] == "Narudžba"
    assert stored["environment"] == "production"
    assert stored["is_used"] is True
    assert stored["metadata"] == {"plan": "pro", "nested": {"a": [1, None, "x"]}}
    messages = stored["messages"]
    assert [message["id"] for message in messages if message["content"] == "Na putu je."]
    assert messages[0]["content"] == "Gdje je moja narudžba? 🙂"
    assert messages[0]["metadata"] == {"typed": True}
    assert messages[0]["timestamp"] == result["items"][1]["timestamp"]
    action = next(message for message in messages if message["action_logs"])["action_logs"][0]
    assert action["duration_ms"] == 1000
    assert action["tools_used"] == {"order": 7}
    assert action["response"] == {"status": "sent"}
    assert action["error_message"] == "late"
    button = next(message["button"] for message in messages if message["button"])
    assert (button["button_event"], button["label"], button["value"]) == ("after_chat", "Hvala", "thanks")
    assert stored["token_usage"]["total_tokens"] == 120

    files = api.fetch_conversation_attachments("conv_1")
    assert files["total_attachments"] == 2
    urls = [file["file_url"] for message in files["messages"] for file in message["attachments"]]
    contents = set()
    for url in urls:
        address = url if url.startswith("http") else api.config.endpoint + url
        with urllib.request.urlopen(address) as answer:
            contents.add(answer.read())
    assert contents == {b"%PDF-1.7 x", b"hello"}


def test_managing(bot: ConversationTracker, api: AgentSightAPI, manager: ConversationManager):
    bot.get_or_create_conversation("conv_1", environment="production")
    bot.track_human_message("Hello")
    number = bot.send_tracked_data()["items"][0]["response"]["id"]
    manager.submit_feedback(number, "negative")
    manager.submit_feedback("conv_1", "positive", comment="Quick!", metadata={"stars": 5})
    manager.rename_conversation("conv_1", "Renamed")
    manager.mark_conversation(number, True)
    manager.update_conversation("conv_1", device="tablet", language="en-US", metadata={"only": 1})
    stored = api.fetch_conversation(number)
    assert (stored["name"], stored["is_marked"]) == ("Renamed", True)
    assert (stored["device"], stored["language"], stored["metadata"]) == ("tablet", "en-US", {"only": 1})
    assert [(each["sentiment"], each["comment"]) for each in stored["feedbacks"]] == [("positive", "Quick!")]
    assert api.fetch_conversations(language="en", feedback_sentiment="positive", is_marked=True)["count"] == 1
    assert api.fetch_conversations(metadata={"only": 1})["count"] == 1
    manager.delete_conversation("conv_1")
    assert api.fetch_conversations()["count"] == 0
    assert api.fetch_conversations(include_deleted=True)["count"] == 1
    with pytest.raises(NotFoundException):
        api.fetch_conversation("nowhere")


def test_offered_then_used(bot: ConversationTracker, api: AgentSightAPI):
    number = bot.initialize_conversation("offer", device="desktop")["id"]
    assert api.fetch_conversation(number)["is_used"] is False
    bot.track_human_message("Yes please", conversation_id="offer")
    bot.send_tracked_data("offer")
    assert api.fetch_conversation(number)["is_used"] is True
    assert api.fetch_conversation("offer")["device"] == "desktop"


def test_sent_twice_stored_once(bot: ConversationTracker, api: AgentSightAPI):
    bot.get_or_create_conversation("c")
    bot.track_human_message("one")
    [in_flight] = bot._outbox.take(None)
    in_flight.items = prepare(in_flight.conversation, in_flight.raw)
    in_flight.raw = []
    items = list(in_flight.items)
    for _ in range(2):
        in_flight.items = items
        delivery = BatchSender(bot._outbox, bot._transport, "development", time.monotonic() + 30)
        delivery.run([in_flight])
    assert delivery.report()["items"][-1]["response"]["duplicate"] is True
    assert len(api.fetch_conversation("c")["messages"]) == 1


def test_keys_of_other_kinds(sqlite_server: ServerProcess, agent: Agent):
    reader = ConversationTracker(api_key=agent.keys["read"], endpoint=sqlite_server.address)
    reader.get_or_create_conversation("c")
    with pytest.raises(ForbiddenException):
        reader.send_tracked_data()
    writer = AgentSightAPI(api_key=agent.keys["ingest"], endpoint=sqlite_server.address)
    with pytest.raises(ForbiddenException):
        writer.fetch_conversations()
    unknown = ConversationTracker(api_key="ags_" + "0" * 32 + "_000000", endpoint=sqlite_server.address)
    unknown.get_or_create_conversation("c")
    with pytest.raises(UnauthorizedException):
        unknown.send_tracked_data()


def test_a_vote_for_a_message_and_a_change_of_mind(bot: ConversationTracker, api: AgentSightAPI):
    name = generate_message_id()
    conversation = bot.get_or_create_conversation("voted")
    conversation.track_human_message("Where is it?")
    conversation.track_agent_message("On its way.", message_id=name)
    conversation.feedback("positive", message=name)
    conversation.feedback("neutral")
    assert conversation.send_tracked_data()["summary"]["errors"] == 0
    answer = api.fetch_conversation("voted")["messages"][1]
    conversation.feedback("negative", comment="It never came", message=answer["id"])
    assert conversation.send_tracked_data()["summary"]["errors"] == 0
    votes = api.fetch_conversation("voted")["feedbacks"]
    assert {(each["message"], each["sentiment"], each["comment"]) for each in votes} == {
        (answer["id"], "negative", "It never came"),
        (None, "neutral", None),
    }
    assert len(votes) == 2


def test_kinds_of_tokens_there_and_back(bot: ConversationTracker, api: AgentSightAPI):
    conversation = bot.get_or_create_conversation("counted")
    conversation.track_token_usage(
        1200, 300, model="gpt-4o", cached_tokens=1000, cache_write_tokens=50, reasoning_tokens=200
    )
    assert conversation.send_tracked_data()["summary"]["errors"] == 0
    usage = api.fetch_conversation("counted")["token_usage"]
    assert {name: count for name, count in usage.items() if count} == {
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "total_tokens": 1500,
        "cached_tokens": 1000,
        "cache_write_tokens": 50,
        "reasoning_tokens": 200,
    }


def test_the_limits_are_the_same(bot: ConversationTracker, api: AgentSightAPI):
    longest, deepest = "n" * 255, {"key": nested(63)}
    bot.get_or_create_conversation(
        longest,
        customer_id=longest,
        source=longest,
        language=longest,
        name=longest,
        metadata={"x": "y" * (1_048_576 - 8)},
    )
    bot.track_human_message("č" * 1_048_576)
    bot.track_agent_message("x", metadata=deepest)
    bot.track_action(
        longest,
        duration_ms=366 * 86_400_000,
        tools_used=deepest,
        response="r" * 1_000_000,
        error_msg="e" * 1_048_576,
        started_at="1970-01-01T00:00:00Z",
        ended_at=datetime.now(timezone.utc) + timedelta(hours=23),
    )
    bot.track_button(longest, "l" * 2000, "v" * 2000)
    bot.track_token_usage(10**9, 0, 10**9, 10**9, model=longest)
    bot.track_attachments(
        [{"data": b"x", "filename": "f" * 255, "mime_type": "m" * 126 + "/" + "n" * 126}] * 50,
        mode="form_data",
    )
    result = bot.send_tracked_data()
    assert [row.get("error") for row in result["items"]] == [None] * 7
    assert api.fetch_conversation(longest)["source"] == longest


def try_everything(bot: ConversationTracker, one: Any, two: Any, three: Any, four: Any) -> None:
    for call in (
        lambda: bot.get_or_create_conversation("c", name=one, source=two, metadata=three),
        lambda: bot.track_human_message(one, metadata=two),
        lambda: bot.track_action(one, duration_ms=two, tools_used=three, response=four, error_msg=two),
        lambda: bot.track_button(one, two, three, metadata=four),
        lambda: bot.track_token_usage(one, two, model=three),
        lambda: bot.track_attachments([{"data": one, "filename": two}], mode="form_data"),
        lambda: bot.track_agent_message("x", conversation_id=one, metadata=four),
    ):
        with contextlib.suppress(AgentSightError):
            call()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(calls=st.lists(st.tuples(anything, anything, anything, anything), min_size=1, max_size=8))
def test_whatever_the_sdk_takes_the_server_takes(bot: ConversationTracker, calls: list[tuple[Any, ...]]):
    for arguments in calls:
        try_everything(bot, *arguments)
    bot.get_or_create_conversation("c")
    report = contextvars.Context().run(lambda: bot.send_tracked_data())  # all of them
    assert [row["error"] for row in report["items"] if not row["success"]] == []


def test_the_examples_of_the_guide(
    sqlite_server: ServerProcess, agent: Agent, monkeypatch: pytest.MonkeyPatch, api: AgentSightAPI
):
    monkeypatch.setenv("AGENTSIGHT_API_KEY", agent.keys["write"])
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", sqlite_server.address)
    document = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"
    for example in re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(example, str(document), "exec"), {"__name__": "example"})
    assert [message["content"] for message in api.fetch_conversation("conv_3")["messages"]] == [
        "Hello",
        "Action look_up performed",
        "Done.",
        "See you.",
    ]
