"""What the server refuses, and answers that are none."""

from __future__ import annotations

import contextvars
import json
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import (
    ConversationApiException,
    ForbiddenException,
    NoDataToSendException,
    UnauthorizedException,
)
from sdk.tests.capture import BATCH, KEY, CaptureServer, Scripted
from sdk.tests.test_sending import stored


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedException), (403, ForbiddenException)])
def test_a_refused_key_raises_and_loses_nothing(
    server: CaptureServer, tracker: ConversationTracker, status: int, kind: type[ConversationApiException]
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(status, {"detail": "this key was revoked"})]
    with pytest.raises(kind, match="this key was revoked") as caught:
        tracker.send_tracked_data()
    assert caught.value.status_code == status
    assert caught.value.response_data == {"detail": "this key was revoked"}
    assert KEY not in str(caught.value)
    tracker.send_tracked_data()
    assert stored(server) == ["one"]


def test_refused_items_are_reported_and_not_sent_again(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    for word in ("good", "bad", "also good"):
        tracker.track_human_message(word)
    server.refuse = lambda item: {"content": ["is not liked"]} if item["content"] == "bad" else None
    result = tracker.send_tracked_data()
    assert [row["success"] for row in result["items"]] == [True, True, False, True]
    assert result["items"][2]["error"] == "content: is not liked"
    assert result["summary"]["questions"] == 2
    assert result["summary"]["errors"] == 1
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()
    assert stored(server) == ["good", "also good"]


def test_a_refused_conversation(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c", language="klingon")
    tracker.track_human_message("one")
    server.script = [
        Scripted(
            200,
            {
                "conversations": [
                    {
                        "conversation_id": "c",
                        "id": None,
                        "success": False,
                        "errors": {"language": ["is not known"]},
                        "items": [],
                    }
                ]
            },
        )
    ]
    result = tracker.send_tracked_data()
    assert [row["error"] for row in result["items"]] == ["language: is not known"] * 2
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()


class Picky:
    """Refuses whole requests, as a proxy does that looks at size or content."""

    def __init__(self, server: CaptureServer, status: int, refuses: Any) -> None:
        self.refused = 0
        usual = server.answer

        def answer(request: Any) -> tuple[int, Any]:
            if request.path == BATCH and refuses(request):
                self.refused += 1
                return status, {"detail": "no"}
            return usual(request)

        server.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_bad_item_does_not_take_the_others_with_it(
    server: CaptureServer, tracker: ConversationTracker, status: int
):
    Picky(server, status, lambda request: "poison" in json.dumps(request.body))
    tracker.get_or_create_conversation("c")
    for number in range(20):
        tracker.track_human_message("poison" if number == 13 else f"{number}")
    result = tracker.send_tracked_data()
    assert [row["index"] for row in result["items"] if not row["success"]] == [14]
    assert result["items"][14]["error"] == f"{status}: no"
    assert len(stored(server)) == 19
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()


def test_a_body_that_is_too_large_goes_in_pieces(server: CaptureServer, tracker: ConversationTracker):
    Picky(server, 413, lambda request: len(json.dumps(request.body)) > 20_000)
    for name in ("a", "b", "c"):
        tracker.get_or_create_conversation(name, name=name.upper())
        for number in range(10):
            tracker.track_human_message(f"{number} " + "x" * 1500)
    result = contextvars.Context().run(lambda: tracker.send_tracked_data())
    assert result["summary"]["questions"] == 30
    for name in ("a", "b", "c"):
        assert [content[:1] for content in server.contents(name)] == [str(number) for number in range(10)]
        assert server.fields[name]["name"] == name.upper()


def test_a_server_that_refuses_everything_is_not_asked_forever(
    server: CaptureServer, tracker: ConversationTracker
):
    picky = Picky(server, 400, lambda request: True)
    tracker.get_or_create_conversation("c")
    for number in range(2000):
        tracker.track_human_message(str(number))
    result = tracker.send_tracked_data()
    assert result["summary"]["errors"] == 2001
    assert picky.refused < 100


def test_compression_that_is_not_understood_is_left_out(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("long " * 1000)
    server.script = [Scripted(415, {"detail": "no gzip here"})]
    assert tracker.send_tracked_data()["summary"]["errors"] == 0
    assert [request.headers.get("content-encoding") for request in server.requests] == ["gzip", None]
    tracker.track_human_message("long " * 1000)
    tracker.send_tracked_data()
    assert "content-encoding" not in server.requests[-1].headers


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>Please sign in to the WiFi</html>",
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"conversations": []}',
        b'{"conversations": [null]}',
        b'{"conversations": [{"success": true}]}',
        b'{"conversations": [{"success": true, "items": [{}]}]}',
        b'{"conversations": [{"success": true, "items": [{"index": 99, "success": true}]}]}',
        b"[" * 100_000 + b"]" * 100_000,
        b"\xff\xfe",
    ],
)
def test_an_answer_that_is_none_settles_nothing(
    server: CaptureServer, tracker: ConversationTracker, raw: bytes
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(200, raw=raw)]
    result = tracker.send_tracked_data()
    assert [row["success"] for row in result["items"]] == [False, False]
    tracker.send_tracked_data()
    assert stored(server) == ["one"]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "raw", [b"<html>The plain HTTP request was sent to HTTPS port</html>", b"", b"[" * 5_000 + b"]" * 5_000]
)
def test_what_stands_before_the_server_refuses_no_item(
    server: CaptureServer, tracker: ConversationTracker, status: int, raw: bytes
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(status, raw=raw)]
    result = tracker.send_tracked_data()
    assert all(row["error"].endswith("stays pending") for row in result["items"])
    tracker.send_tracked_data()
    assert stored(server) == ["one"]


def test_items_that_the_answer_does_not_mention_stay_pending(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    tracker.track_human_message("two")
    usual = server.answer

    def forgetful(request: Any) -> tuple[int, Any]:
        status, body = usual(request)
        del body["conversations"][0]["items"][0]
        return status, body

    server.answer = forgetful  # type: ignore[method-assign]
    result = tracker.send_tracked_data()
    assert [row["success"] for row in result["items"]] == [True, False, True]
    server.answer = usual  # type: ignore[method-assign]
    result = tracker.send_tracked_data()
    assert [row["response"]["duplicate"] for row in result["items"]] == [True]
    assert stored(server) == ["one", "two"]
