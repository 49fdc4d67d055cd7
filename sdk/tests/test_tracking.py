"""From a `track_*` call to the request, and what comes back."""

from __future__ import annotations

import re
import time
import uuid
from datetime import datetime, timezone

import pytest

from agentsight import ConversationTracker
from agentsight.enums import Sender
from agentsight.exceptions import NoApiKeyException, NoDataToSendException
from sdk.tests.capture import BATCH, KEY, CaptureServer, Scripted

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_everything_of_a_conversation_goes_in_one_request(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation(
        "conv_1",
        customer_id="cust-1",
        customer_ip_address="203.0.113.9",
        device="mobile",
        source="whatsapp",
        language="hr",
        name="Narudžba",
        environment="production",
        metadata={"plan": "pro"},
    )
    tracker.track_human_message("Gdje je moja narudžba?", metadata={"typed": True})
    tracker.track_action(
        "check_order",
        started_at="2026-08-10T08:34:58Z",
        ended_at=datetime(2026, 8, 10, 8, 34, 59, 500_000, tzinfo=timezone.utc),
        duration_ms=1500,
        tools_used={"order": 7},
        response={"status": "sent"},
        error_msg="late",
        metadata={"attempt": 1},
    )
    tracker.track_agent_message("Na putu je.")
    tracker.track_button("after_chat", "Hvala", "thanks", metadata={"row": 1})
    tracker.track_attachments(
        [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGk="}], sender=Sender.AGENT
    )
    tracker.track_token_usage(100, 20, 120, 5, model="gpt-4o")
    assert server.requests == []

    result = tracker.send_tracked_data()

    assert [request.path for request in server.requests] == [BATCH]
    request = server.requests[0]
    assert request.headers["authorization"] == f"Api-Key {KEY}"
    assert request.headers["content-type"] == "application/json"
    [conversation] = request.body["conversations"]
    items = conversation.pop("items")
    assert ISO.fullmatch(conversation.pop("timestamp"))
    assert conversation == {
        "conversation_id": "conv_1",
        "customer_id": "cust-1",
        "customer_ip_address": "203.0.113.9",
        "device": "mobile",
        "source": "whatsapp",
        "language": "hr",
        "name": "Narudžba",
        "environment": "production",
        "metadata": {"plan": "pro"},
    }
    times = [item.pop("timestamp") for item in items]
    assert times == sorted(set(times))
    assert all(ISO.fullmatch(each) for each in times)
    ids = [uuid.UUID(item.pop("id")) for item in items]
    assert len(set(ids)) == len(ids)
    assert {each.version for each in ids} == {7}
    assert ids == sorted(ids)
    assert items == [
        {
            "type": "message",
            "sender": "end_user",
            "content": "Gdje je moja narudžba?",
            "metadata": {"typed": True},
        },
        {
            "type": "action",
            "action_name": "check_order",
            "started_at": "2026-08-10T08:34:58Z",
            "ended_at": "2026-08-10T08:34:59.500000Z",
            "duration_ms": 1500,
            "tools_used": {"order": 7},
            "response": {"status": "sent"},
            "error_msg": "late",
            "metadata": {"attempt": 1},
        },
        {"type": "message", "sender": "agent", "content": "Na putu je."},
        {
            "type": "button",
            "button_event": "after_chat",
            "label": "Hvala",
            "value": "thanks",
            "metadata": {"row": 1},
        },
        {
            "type": "attachments",
            "sender": "agent",
            "attachments": [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGk="}],
        },
        {
            "type": "token_usage",
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "embedding_tokens": 5,
            "model": "gpt-4o",
        },
    ]

    assert result["summary"] == {
        "questions": 1,
        "answers": 1,
        "actions": 1,
        "buttons": 1,
        "attachments": 1,
        "errors": 0,
    }
    assert set(result) == {"items", "summary"}
    rows = result["items"]
    assert [row["index"] for row in rows] == list(range(7))
    assert [row["type"] for row in rows] == [
        "conversation",
        "question",
        "action",
        "answer",
        "button",
        "attachments",
        "token_usage",
    ]
    assert all(
        row["success"] and set(row) == {"index", "type", "timestamp", "success", "response"} for row in rows
    )
    assert rows[0]["response"] == {"id": 1, "conversation_id": "conv_1", "created": True}
    assert [row["timestamp"] for row in rows[1:]] == times
    assert [row["response"]["id"] for row in rows[1:]] == [1, 2, 3, 4, 5, 6]


def test_time_is_taken_when_tracked(server: CaptureServer, tracker: ConversationTracker):
    before = datetime.now(timezone.utc)
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("now")
    after = datetime.now(timezone.utc)
    server.script = [Scripted(503, {"detail": "busy"})] * 3
    tracker.send_tracked_data()
    tracker.send_tracked_data()
    sent = datetime.fromisoformat(server.items["c"][0]["timestamp"].replace("Z", "+00:00"))
    assert before <= sent <= after


def test_a_burst_keeps_its_order_and_has_a_time_for_each(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    for number in range(500):
        tracker.track_human_message(str(number))
    tracker.send_tracked_data()
    times = [item["timestamp"] for item in server.items["c"]]
    assert server.contents("c") == [str(number) for number in range(500)]
    assert times == sorted(set(times))
    ids = [item["id"] for item in server.items["c"]]
    assert ids == sorted(ids)


def test_a_clock_that_is_set_back_a_little_does_not_turn_a_transcript_round(
    server: CaptureServer, tracker: ConversationTracker, monkeypatch: pytest.MonkeyPatch
):
    times = iter([1_800_000_000_000_000_000, 1_799_999_999_700_000_000, 1_800_000_000_100_000_000])
    monkeypatch.setattr("agentsight.client.track_methods.time_ns", lambda: next(times))
    tracker.get_or_create_conversation("c")
    for word in ("one", "two", "three"):
        tracker.track_human_message(word)
    tracker.send_tracked_data()
    shown = [item["timestamp"] for item in server.items["c"]]
    assert shown == sorted(set(shown))


def test_older_spellings_of_message(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message(question="Hello?")
    tracker.track_agent_message(answer="Hi.")
    tracker.send_tracked_data()
    assert server.contents("c") == ["Hello?", "Hi."]


def test_a_conversation_without_items_is_sent(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c", device="desktop")
    result = tracker.send_tracked_data()
    assert [row["type"] for row in result["items"]] == ["conversation"]
    assert server.fields["c"]["device"] == "desktop"
    assert server.batches[0]["conversations"][0]["items"] == []


def test_fields_given_later_fill_what_was_empty_and_change_nothing(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("c", name="First", metadata={"a": 1})
    tracker.get_or_create_conversation("c", name="Second", device="tablet", metadata={"a": 2, "b": 3})
    tracker.send_tracked_data()
    [sent] = server.batches[0]["conversations"]
    assert (sent["name"], sent["device"], sent["metadata"]) == ("First", "tablet", {"a": 1, "b": 3})

    tracker.get_or_create_conversation("c", name="Third", language="en", metadata={"c": 4})
    tracker.send_tracked_data()
    [sent] = server.batches[1]["conversations"]
    assert "name" not in sent
    assert (sent["language"], sent["metadata"]) == ("en", {"c": 4})


def test_fields_of_a_failed_send_are_sent_again(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c", name="First", metadata={"a": 1})
    server.script = [Scripted(500)] * 3
    assert tracker.send_tracked_data()["summary"]["errors"] == 1
    tracker.get_or_create_conversation("c", device="mobile", metadata={"a": 9, "b": 2})
    tracker.send_tracked_data()
    assert server.fields["c"]["name"] == "First"
    assert server.fields["c"]["device"] == "mobile"
    assert server.fields["c"]["metadata"] == {"a": 1, "b": 2}


def test_blank_fields_count_as_not_given(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c", customer_id="", name=" ", device="", source=None, metadata={})
    tracker.send_tracked_data()
    assert set(server.fields["c"]) == {"conversation_id", "environment", "timestamp"}


def test_numbers_and_enum_members_where_people_have_them(server: CaptureServer, tracker: ConversationTracker):
    from agentsight.enums import Environment

    tracker.get_or_create_conversation("c", customer_id=42, environment=Environment.PRODUCTION)
    tracker.send_tracked_data()
    assert server.fields["c"]["customer_id"] == "42"
    assert server.fields["c"]["environment"] == "production"


def test_naming_a_conversation_in_the_call_does_not_change_the_current_one(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("a")
    tracker.track_human_message("to b", conversation_id="b")
    tracker.track_human_message("to a")
    tracker.send_tracked_data()
    assert list(server.items) == ["a"]
    tracker.send_tracked_data(conversation_id="b")
    assert server.contents("a") == ["to a"]
    assert server.contents("b") == ["to b"]
    # A conversation that was only named is no get-or-create: there is no row for it.
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data("b")


def test_nothing_pending(server: CaptureServer, tracker: ConversationTracker):
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()
    tracker.get_or_create_conversation("c")
    tracker.send_tracked_data()
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data("never heard of")
    assert len(server.requests) == 1


def test_tracking_needs_no_key_and_sending_without_one_loses_nothing(server: CaptureServer):
    tracker = ConversationTracker(endpoint=server.endpoint)
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("Hello")
    with pytest.raises(NoApiKeyException, match=r"AGENTSIGHT_API_KEY.*agentsight keys create --agent NAME"):
        tracker.send_tracked_data()
    with pytest.raises(NoApiKeyException):
        tracker.initialize_conversation("d")
    tracker.configure(api_key=KEY)
    tracker.send_tracked_data()
    assert server.contents("c") == ["Hello"]


def test_token_counters_run_and_go_back_to_zero(server: CaptureServer, tracker: ConversationTracker):
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "embedding_tokens": 0}
    assert tracker.get_token_usage() == zero
    tracker.get_or_create_conversation("a")
    tracker.track_token_usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, model="gpt-4o")
    tracker.track_token_usage(prompt_tokens=1, completion_tokens=2, embedding_tokens=7)
    tracker.track_token_usage(100, conversation_id="b")
    assert tracker.get_token_usage() == {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "embedding_tokens": 7,
    }
    result = tracker.send_tracked_data()
    assert [row["type"] for row in result["items"]] == ["conversation", "token_usage", "token_usage"]
    assert [item["total_tokens"] for item in server.items["a"]] == [15, 3]
    assert tracker.get_token_usage() == zero
    tracker.configure(conversation_id="b")
    assert tracker.get_token_usage()["prompt_tokens"] == 100


def test_summary_of_what_is_pending(tracker: ConversationTracker):
    empty = tracker.get_tracked_data_summary()
    assert (empty["conversation_id"], empty["items"], empty["summary"]["total"]) == (None, [], 0)
    tracker.get_or_create_conversation("c", name="Test")
    tracker.track_human_message("Hello", metadata={"a": 1})
    tracker.track_attachments([{"filename": "x.bin", "data": b"12345"}], mode="form_data")
    tracker.track_human_message("elsewhere", conversation_id="d")
    summary = tracker.get_tracked_data_summary()
    assert summary["conversation_id"] == "c"
    assert summary["summary"] == {
        "conversation": 1,
        "questions": 1,
        "answers": 0,
        "actions": 0,
        "buttons": 0,
        "attachments": 1,
        "token_usage": 0,
        "total": 3,
    }
    assert [item["type"] for item in summary["items"]] == ["conversation", "question", "attachments"]
    assert summary["items"][0]["data"] == {"conversation_id": "c", "name": "Test"}
    assert summary["items"][1]["data"] == {
        "conversation_id": "c",
        "sender": "end_user",
        "content": "Hello",
        "metadata": {"a": 1},
    }
    [file] = summary["items"][2]["data"]["attachments"]
    assert file == {"filename": "x.bin", "mime_type": "application/octet-stream", "size_bytes": 5}
    assert tracker.get_tracked_data_summary()["items"] == summary["items"]  # looking takes nothing away


def test_initialize_is_sent_at_once_and_not_engaged(server: CaptureServer, tracker: ConversationTracker):
    answer = tracker.initialize_conversation("offer", device="mobile", environment="production")
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/api/conversations/")
    assert request.body["is_used"] is False
    assert request.body["environment"] == "production"
    assert answer["id"] == 1
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()
    tracker.track_human_message("Now it is used", conversation_id="offer")
    tracker.send_tracked_data()
    [sent] = server.batches[0]["conversations"]
    assert sent.get("is_used", True) is True


def test_initialize_does_not_take_the_place_of_a_current_conversation(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.initialize_conversation("first")
    tracker.track_human_message("to the only one there is")
    tracker.get_or_create_conversation("mine")
    tracker.initialize_conversation("offered to somebody else")
    tracker.track_human_message("to mine")
    tracker.send_tracked_data()
    tracker.send_tracked_data("first")
    assert server.contents("mine") == ["to mine"]
    assert server.contents("first") == ["to the only one there is"]


def test_two_trackers_share_nothing(server: CaptureServer):
    one = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    two = ConversationTracker(api_key="ags_" + "f" * 32 + "_ffffff", endpoint=server.endpoint)
    one.get_or_create_conversation("a")
    two.get_or_create_conversation("b")
    one.track_human_message("from one")
    two.track_human_message("from two")
    one.send_tracked_data()
    assert list(server.items) == ["a"]
    two.send_tracked_data()
    assert server.contents("b") == ["from two"]
    assert server.requests[0].headers["authorization"] != server.requests[1].headers["authorization"]


def test_large_bodies_are_compressed_and_small_ones_are_not(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("short")
    tracker.send_tracked_data()
    assert "content-encoding" not in server.requests[0].headers
    tracker.track_human_message("long " * 1000)
    tracker.send_tracked_data()
    assert server.requests[1].headers["content-encoding"] == "gzip"
    assert len(server.requests[1].raw) < 1000
    assert {request.connection for request in server.requests} == {1}


def test_a_conversation_of_27_items_is_one_small_request(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c", customer_id="cust-1", device="mobile")
    for turn in range(9):
        tracker.track_human_message(f"Could you find me a restaurant for {turn} people?")
        tracker.track_action("FindRestaurants", duration_ms=73, tools_used={"city": "Corte Madera"})
        tracker.track_agent_message("Benissimo Restaurant & Bar in Corte Madera has a table.")
    tracker.send_tracked_data()
    assert len(server.requests) == 1
    assert len(server.requests[0].raw) <= 2048


def test_a_tracker_that_nobody_holds_any_more_does_not_stay_in_the_context(server: CaptureServer):
    import gc

    from agentsight.outbox.context import bindings

    for number in range(10):
        short_lived = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
        short_lived.get_or_create_conversation(f"c{number}")
        short_lived.send_tracked_data()
        short_lived._transport.close()
        del short_lived
        gc.collect()
    assert len(bindings.get()) <= 3


def test_conversations_that_were_sent_take_no_memory(server: CaptureServer, tracker: ConversationTracker):
    for number in range(200):
        tracker.get_or_create_conversation(f"c{number}")
        tracker.track_human_message("Hello")
        tracker.send_tracked_data()
    deadline = time.monotonic() + 5
    while len(tracker._outbox.conversations) > 2 and time.monotonic() < deadline:
        pass
    assert len(tracker._outbox.conversations) <= 2  # the current one, and the one before it
