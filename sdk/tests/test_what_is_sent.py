"""Which conversations `send_tracked_data` sends."""

from __future__ import annotations

import contextvars

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import (
    MissingConversationIdException,
    NoDataToSendException,
)
from sdk.tests.capture import CaptureServer
from sdk.tests.test_contexts import in_thread


def test_after_a_block_there_is_no_conversation_and_all_is_sent(
    server: CaptureServer, tracker: ConversationTracker
):
    with tracker.get_or_create_conversation("a") as a:
        a.track_human_message("a")
    with tracker.get_or_create_conversation("b"):
        tracker.track_human_message("b")
    result = tracker.send_tracked_data()
    assert result["summary"]["questions"] == 2
    assert len(server.requests) == 1
    assert {row["response"]["conversation_id"] for row in result["items"]} == {"a", "b"}


def test_send_in_a_context_without_conversation_sends_all(
    server: CaptureServer, tracker: ConversationTracker
):
    sends = []
    for name in ("a", "b"):
        context = contextvars.copy_context()
        context.run(tracker.get_or_create_conversation, name)
        context.run(tracker.track_human_message, name)
        sends.append(context.run(lambda: tracker.send_tracked_data))
    in_thread(sends[1])
    assert server.contents("a") == ["a"]
    assert server.contents("b") == ["b"]
    in_thread(sends[0])  # looked up when something was pending: that it is sent by now is no error
    with pytest.raises(NoDataToSendException):
        in_thread(sends[0])


def test_a_send_that_somebody_else_has_done_meanwhile_is_no_error(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("shared")
    tracker.track_human_message("from request one")
    first = tracker.send_tracked_data
    tracker.track_human_message("from request two")
    second = tracker.send_tracked_data
    assert first()["summary"]["questions"] == 2
    assert second() == {
        "items": [],
        "summary": {
            "questions": 0,
            "answers": 0,
            "actions": 0,
            "buttons": 0,
            "attachments": 0,
            "errors": 0,
        },
    }
    with pytest.raises(NoDataToSendException):
        second()


def test_send_prefers_the_conversation_that_is_current_when_called(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("then")
    tracker.track_human_message("then")
    send = tracker.send_tracked_data  # as somebody may keep it in an attribute
    tracker.get_or_create_conversation("now")
    tracker.track_human_message("now")
    send()
    assert list(server.items) == ["now"]


def test_send_looks_like_the_method_that_it_is(tracker: ConversationTracker):
    import inspect

    send = tracker.send_tracked_data
    assert callable(send)
    assert send.__name__ == "send_tracked_data"
    assert list(inspect.signature(send).parameters) == ["conversation_id"]
    assert "NoDataToSendException" in (ConversationTracker.send_tracked_data.__doc__ or "")


@pytest.mark.parametrize("wrong", [None, "", "   "])
def test_a_conversation_needs_an_id(tracker: ConversationTracker, wrong: object):
    with pytest.raises(MissingConversationIdException):
        tracker.get_or_create_conversation(wrong)  # type: ignore[arg-type]
    with pytest.raises(MissingConversationIdException):
        tracker.track_human_message("x", conversation_id=wrong or " ")  # type: ignore[arg-type]
    with pytest.raises(MissingConversationIdException):
        tracker.send_tracked_data(wrong or " ")  # type: ignore[arg-type]
