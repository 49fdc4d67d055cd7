"""What happens when the server is away, busy, refuses, or answers strangely."""

from __future__ import annotations

import contextlib
import email.utils
import os
import signal
import socket
import threading
import time
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import (
    ConversationApiException,
    ConversationNetworkException,
    NoDataToSendException,
)
from sdk.tests.capture import BATCH, KEY, CaptureServer, Scripted, capture_server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stored(server: CaptureServer) -> list[str]:
    return [item["content"] for items in server.items.values() for item in items]


def test_server_away_then_back(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=f"http://127.0.0.1:{free_port()}")
    tracker.get_or_create_conversation("c", name="Kept")
    tracker.track_human_message("one")
    result = tracker.send_tracked_data()
    assert result["summary"]["errors"] == 2
    assert [row["type"] for row in result["items"]] == ["conversation", "question"]
    for row in result["items"]:
        assert row["success"] is False
        assert set(row) == {"index", "type", "timestamp", "success", "error"}
        assert "cannot be reached" in row["error"]
        assert "stays pending" in row["error"]
    tracker.track_agent_message("two")
    tracker.configure(endpoint=server.endpoint)
    result = tracker.send_tracked_data()
    assert result["summary"]["errors"] == 0
    assert [row["type"] for row in result["items"]] == ["conversation", "question", "answer"]
    assert server.contents("c") == ["one", "two"]
    assert server.fields["c"]["name"] == "Kept"
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_busy_for_a_moment_is_tried_again(server: CaptureServer, tracker: ConversationTracker, status: int):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(status, {"detail": "busy"})]
    assert tracker.send_tracked_data()["summary"]["errors"] == 0
    assert stored(server) == ["one"]
    first, second = server.batches
    assert first == second  # the same ids, so that the server can tell


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 404, 405, 301, 302])
def test_what_was_not_taken_stays_pending(server: CaptureServer, tracker: ConversationTracker, status: int):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(status, {"detail": "not now"}, {"Location": "https://example.com/"})] * 3
    result = tracker.send_tracked_data()
    assert [row["success"] for row in result["items"]] == [False, False]
    assert str(status) in result["items"][0]["error"]
    server.script = []
    tracker.track_human_message("two")
    assert tracker.send_tracked_data()["summary"]["questions"] == 2
    assert server.contents("c") == ["one", "two"]
    assert (
        server.batches[-1]["conversations"][0]["items"][0]
        == server.batches[0]["conversations"][0]["items"][0]
    )


def test_retry_after_is_waited_for(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    server.script = [Scripted(429, {"detail": "slow down"}, {"Retry-After": "1"})]
    began = time.monotonic()
    assert tracker.send_tracked_data()["summary"]["errors"] == 0
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_beyond_the_deadline_is_not_waited_for(
    server: CaptureServer, tracker: ConversationTracker, form: str
):
    # The date is made here: workers that collect in different seconds must agree on names.
    date = email.utils.formatdate(time.time() + 3600, usegmt=True)
    late = "3600" if form == "seconds" else date
    tracker.get_or_create_conversation("c")
    server.script = [Scripted(503, {"detail": "maintenance"}, {"Retry-After": late})]
    began = time.monotonic()
    assert tracker.send_tracked_data()["summary"]["errors"] == 1
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1
    assert tracker.send_tracked_data()["summary"]["errors"] == 0


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", "inf", ""])
def test_retry_after_that_makes_no_sense(server: CaptureServer, tracker: ConversationTracker, nonsense: str):
    tracker.get_or_create_conversation("c")
    server.script = [Scripted(503, {}, {"Retry-After": nonsense})]
    assert tracker.send_tracked_data()["summary"]["errors"] == 0


def test_a_lost_answer_doubles_nothing(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.script = [Scripted(store=True, drop=True)]
    result = tracker.send_tracked_data()
    assert stored(server) == ["one"]
    assert result["items"][1]["success"] is True
    assert result["items"][1]["response"]["duplicate"] is True


def test_the_deadline_holds_for_a_server_that_never_answers(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, timeout=0.5)
    tracker.get_or_create_conversation("c")
    release = threading.Event()
    server.hold = lambda request: release.wait(20)
    began = time.monotonic()
    try:
        assert tracker.send_tracked_data()["summary"]["errors"] == 1
        assert time.monotonic() - began < 3
    finally:
        release.set()


def test_the_deadline_holds_for_an_answer_that_drips():
    """Each byte comes in time, all of them together do not."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
                    while not stop.wait(0.05):
                        connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        tracker = ConversationTracker(
            api_key=KEY, endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.6
        )
        tracker.get_or_create_conversation("c")
        began = time.monotonic()
        try:
            assert tracker.send_tracked_data()["summary"]["errors"] == 1
            assert time.monotonic() - began < 3
        finally:
            stop.set()
            thread.join()


def test_after_a_failure_calls_do_not_wait_long_again():
    tracker = ConversationTracker(api_key=KEY, endpoint=f"http://127.0.0.1:{free_port()}")
    tracker.get_or_create_conversation("c")
    tracker.send_tracked_data()
    began = time.monotonic()
    tracker.send_tracked_data()
    assert time.monotonic() - began < 0.2


def test_what_is_tracked_while_sending_stays_pending(server: CaptureServer, tracker: ConversationTracker):
    handle = tracker.get_or_create_conversation("c")
    handle.track_human_message("before")
    server.script = [Scripted(503, before=lambda: handle.track_human_message("meanwhile"))]
    result = tracker.send_tracked_data()
    assert result["summary"]["questions"] == 1
    assert tracker.send_tracked_data()["summary"]["questions"] == 1
    assert server.contents("c") == ["before", "meanwhile"]


def test_two_senders_at_once_send_nothing_twice_and_both_know(
    server: CaptureServer, tracker: ConversationTracker
):
    handle = tracker.get_or_create_conversation("c")
    handle.track_human_message("one")
    first_is_there, go_on = threading.Event(), threading.Event()

    def hold(request: Any) -> None:
        first_is_there.set()
        go_on.wait(20)

    server.hold = hold
    results: list[dict[str, Any]] = []
    first = threading.Thread(target=lambda: results.append(handle.send_tracked_data()))
    first.start()
    assert first_is_there.wait(20)
    second = threading.Thread(target=lambda: results.append(handle.send_tracked_data()))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert sorted(len(result["items"]) for result in results) == [0, 2]
    assert stored(server) == ["one"]
    assert len(server.batches) == 1


def test_the_second_sender_takes_over_when_the_first_fails(
    server: CaptureServer, tracker: ConversationTracker
):
    handle = tracker.get_or_create_conversation("c")
    handle.track_human_message("one")
    first_is_there, go_on = threading.Event(), threading.Event()
    server.script = [
        Scripted(503, {}, {"Retry-After": "3600"}, before=lambda: (first_is_there.set(), go_on.wait(20)))
    ]
    results: list[dict[str, Any]] = []
    first = threading.Thread(target=lambda: results.append(handle.send_tracked_data()))
    first.start()
    assert first_is_there.wait(20)
    second = threading.Thread(target=lambda: results.append(handle.send_tracked_data()))
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert sorted(result["summary"]["questions"] for result in results) == [0, 1]
    assert stored(server) == ["one"]


def test_an_interrupted_send_loses_nothing(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    server.hold = lambda request: os.kill(os.getpid(), signal.SIGINT)
    # Where the tests were started in the background of a script, interrupts are ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            tracker.send_tracked_data()
    finally:
        signal.signal(signal.SIGINT, before)
    server.hold = None
    tracker.send_tracked_data()
    assert stored(server) == ["one"]


def test_initialize_raises_what_went_wrong(server: CaptureServer, tracker: ConversationTracker):
    server.script = [Scripted(400, {"customer_id": ["is wrong"]})]
    with pytest.raises(ConversationApiException, match="customer_id: is wrong") as caught:
        tracker.initialize_conversation("c")
    assert caught.value.status_code == 400
    server.script = [Scripted(500, {"detail": "oops"})] * 3
    with pytest.raises(ConversationApiException, match="oops"):
        tracker.initialize_conversation("c")
    tracker.configure(endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ConversationNetworkException, match="cannot be reached"):
        tracker.initialize_conversation("c")


def test_close_sends_the_rest_and_counts(server: CaptureServer, tracker: ConversationTracker):
    assert tracker.close() == {"sent": 0, "unsent": 0, "lost": 0}
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    tracker.track_human_message("two")
    assert tracker.close() == {"sent": 2, "unsent": 0, "lost": 0}
    tracker.track_human_message("three")  # closing is not the end
    tracker.send_tracked_data()
    assert server.contents("c") == ["one", "two", "three"]


def test_close_keeps_its_time_and_counts_what_it_could_not_send(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    release = threading.Event()
    server.hold = lambda request: release.wait(20)
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("secret words")
    began = time.monotonic()
    try:
        assert tracker.close(timeout=0.5) == {"sent": 0, "unsent": 1, "lost": 0}
    finally:
        release.set()
    assert time.monotonic() - began < 2
    assert "unsent items: 1" in caplog.text
    assert "secret words" not in caplog.text


def test_closing_without_a_key_counts(caplog: pytest.LogCaptureFixture):
    tracker = ConversationTracker()
    tracker.track_human_message("one", conversation_id="c")
    assert tracker.close() == {"sent": 0, "unsent": 1, "lost": 0}
    assert "no API key" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_sends_its_own_and_not_its_parents(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("c", name="Parent's")
    tracker.send_tracked_data()  # the connection is open now
    tracker.track_human_message("from the parent")
    held = threading.Event()
    lock_holder = threading.Thread(target=lambda: tracker._outbox.lock.acquire() and held.set())
    lock_holder.start()  # a lock that will never be released in the child
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with contextlib.suppress(NoDataToSendException):
                tracker.send_tracked_data()
                os._exit(2)
            tracker.track_human_message("from the child")
            tracker.send_tracked_data()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.contents("c") == ["from the child"]
    connections = {request.connection for request in server.requests}
    assert len(connections) == 2


def test_proxies_from_the_environment(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    with capture_server() as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        tracker = ConversationTracker(api_key=KEY, endpoint="http://agentsight.internal:8000/base")
        tracker.get_or_create_conversation("c")
        proxy.script = [Scripted(200, {"conversations": []})]
        tracker.send_tracked_data()
        assert proxy.requests[0].path == "/base" + BATCH
        assert proxy.requests[0].headers["host"] == "agentsight.internal:8000"

        monkeypatch.setenv("no_proxy", "127.0.0.1")
        direct = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
        direct.get_or_create_conversation("c")
        direct.send_tracked_data()
        assert len(server.requests) == 1
