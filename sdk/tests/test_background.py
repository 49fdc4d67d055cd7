"""AGENTSIGHT_AUTO_SEND: sending on its own, and the end of the process."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import NoDataToSendException
from sdk.tests.capture import KEY, CaptureServer, Scripted


@pytest.fixture
def auto(server: CaptureServer) -> Iterator[ConversationTracker]:
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, auto_send=True)
    yield tracker
    tracker.close()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


def senders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "agentsight-sender"]


def test_it_sends_after_a_second(server: CaptureServer, auto: ConversationTracker):
    before = len(senders())
    auto.get_or_create_conversation("c", name="On its own")
    auto.track_human_message("one")
    began = time.monotonic()
    auto.track_agent_message("two")
    assert time.monotonic() - began < 0.1
    assert server.requests == []
    until(lambda: server.contents("c") == ["one", "two"])
    assert 0.5 < time.monotonic() - began < 5
    assert len(server.batches) == 1
    assert len(senders()) == before + 1


def test_it_sends_a_batch_at_once(server: CaptureServer, auto: ConversationTracker):
    handle = auto.get_or_create_conversation("c")
    began = time.monotonic()
    for number in range(250):
        handle.track_human_message(str(number))
    until(lambda: len(server.items.get("c", [])) >= 100)
    assert time.monotonic() - began < 0.9
    until(lambda: len(server.items["c"]) == 250)
    assert server.contents("c") == [str(number) for number in range(250)]


def test_it_sends_what_all_threads_track(server: CaptureServer, auto: ConversationTracker):
    def work(name: str) -> None:
        handle = auto.get_or_create_conversation(name)
        for number in range(200):
            handle.track_human_message(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(f"c{number}",)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: sum(map(len, server.items.values())) == 2000)
    for number in range(10):
        assert server.contents(f"c{number}") == [f"c{number} {turn}" for turn in range(200)]


def test_sending_by_hand_as_well_is_fine_and_tells_what_was_sent(
    server: CaptureServer, auto: ConversationTracker
):
    auto.get_or_create_conversation("c")
    auto.track_human_message("one")
    until(lambda: server.contents("c") == ["one"] and auto._outbox.count() == 0)
    auto.track_agent_message("two")
    result = auto.send_tracked_data()
    assert [row["type"] for row in result["items"]] == ["answer"]
    assert result["summary"]["questions"] == 1
    assert result["summary"]["answers"] == 1
    auto.track_agent_message("three")
    until(lambda: len(server.contents("c")) == 3 and auto._outbox.count() == 0)
    result = auto.send_tracked_data()
    assert (result["items"], result["summary"]["answers"]) == ([], 1)
    with pytest.raises(NoDataToSendException):
        auto.send_tracked_data()


def test_it_goes_on_when_the_server_comes_back(
    server: CaptureServer, auto: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    server.script = [Scripted(503, {"detail": "busy"}, {"Retry-After": "3600"})]
    auto.get_or_create_conversation("c")
    auto.track_human_message("words of the user")
    until(lambda: server.contents("c") == ["words of the user"])
    assert len([each for each in caplog.records if "cannot send" in each.getMessage()]) == 1
    assert "words of the user" not in caplog.text


def test_a_wrong_key_is_said_once_and_loses_nothing(
    server: CaptureServer, auto: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    server.script = [Scripted(401, {"detail": "revoked"})]
    auto.get_or_create_conversation("c")
    auto.track_human_message("one")
    until(lambda: server.contents("c") == ["one"])
    assert len([each for each in caplog.records if "revoked" in each.getMessage()]) == 1


def test_refused_items_are_counted_as_lost(
    server: CaptureServer, auto: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    server.refuse = lambda item: {"content": ["is not liked"]}
    auto.get_or_create_conversation("c")
    auto.track_human_message("one")
    until(lambda: auto._outbox.count() == 0 and bool(server.requests))
    until(lambda: "content: is not liked" in caplog.text)
    result = auto.send_tracked_data()
    assert result["lost"] == 1
    assert result["summary"]["errors"] == 1


def test_a_missing_key_never_reaches_the_bot(server: CaptureServer, caplog: pytest.LogCaptureFixture):
    tracker = ConversationTracker(endpoint=server.endpoint, auto_send=True)
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    until(lambda: "no API key" in caplog.text)
    tracker.configure(api_key=KEY)
    until(lambda: server.contents("c") == ["one"])
    tracker.close()


def test_close_sends_the_rest_at_once(server: CaptureServer, auto: ConversationTracker):
    auto.get_or_create_conversation("c")
    auto.track_human_message("one")
    began = time.monotonic()
    counted = auto.close()
    assert time.monotonic() - began < 0.9
    assert server.contents("c") == ["one"]
    assert (counted["unsent"], counted["lost"]) == (0, 0)
    auto.track_human_message("two")  # a new thread
    until(lambda: server.contents("c") == ["one", "two"])


def test_close_does_not_wait_for_a_pause_between_attempts(server: CaptureServer, auto: ConversationTracker):
    server.script = [Scripted(404)] * 3
    auto.get_or_create_conversation("c")
    auto.track_human_message("one")
    until(lambda: len(server.requests) == 1)
    began = time.monotonic()
    server.script = []
    assert auto.close()["unsent"] == 0
    assert time.monotonic() - began < 1
    assert server.contents("c") == ["one"]


def test_the_thread_ends_when_there_is_nothing_to_do(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agentsight.delivery.worker.IDLE", 0.1)
    before = set(senders())
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, auto_send=True)
    tracker.get_or_create_conversation("c")
    for word in ("one", "two"):
        tracker.track_human_message(word)
        until(lambda word=word: word in server.contents("c"))
        until(lambda: set(senders()) <= before)
    tracker.close()


def test_turned_on_later_and_by_the_variable(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    later = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    later.get_or_create_conversation("later")
    later.track_human_message("one")
    later.configure(auto_send=True)
    until(lambda: server.contents("later") == ["one"])
    later.close()
    monkeypatch.setenv("AGENTSIGHT_AUTO_SEND", "1")
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    tracker.track_human_message("one", conversation_id="variable")
    until(lambda: server.contents("variable") == ["one"])
    tracker.close()


def run(
    program: str, server: CaptureServer, **environ: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "AGENTSIGHT_API_KEY": KEY,
            "AGENTSIGHT_API_ENDPOINT": server.endpoint,
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, time.monotonic() - began


TRACK = """
from agentsight import conversation_tracker as tracker
tracker.get_or_create_conversation("c")
for number in range(150):
    tracker.track_human_message(str(number))
"""


def test_a_script_that_ends_sends_the_rest(server: CaptureServer):
    done, _ = run(TRACK, server, AGENTSIGHT_AUTO_SEND="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.contents("c") == [str(number) for number in range(150)]


def test_a_script_that_fails_sends_the_rest_too(server: CaptureServer):
    done, _ = run(TRACK + "raise SystemExit(3)", server, AGENTSIGHT_AUTO_SEND="1")
    assert done.returncode == 3
    assert len(server.contents("c")) == 150


def test_the_end_of_a_script_is_not_held_up(server: CaptureServer):
    release = threading.Event()
    server.hold = lambda request: release.wait(30)
    try:
        done, took = run(TRACK, server, AGENTSIGHT_AUTO_SEND="1")
    finally:
        release.set()
    assert took < 2 + 2  # and the start of Python
    assert done.returncode == 0
    assert "unsent items: 150" in done.stderr


def test_a_script_that_forgot_to_send_is_told(server: CaptureServer):
    done, _ = run(TRACK, server)
    assert "unsent items at exit: 150" in done.stderr
    assert server.requests == []
    done, _ = run(TRACK + "tracker.send_tracked_data()", server)
    assert done.stderr == ""


def test_a_tracker_thrown_away_with_unsent_items_is_said(
    server: CaptureServer, caplog: pytest.LogCaptureFixture
):
    import gc

    def forgetful() -> None:
        tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
        tracker.track_human_message("one", conversation_id="c")

    contextvars.Context().run(forgetful)
    gc.collect()
    assert "lost: 1" in caplog.text


def _child(endpoint: str, tracker: Any, name: str) -> None:
    tracker.track_human_message("from the child", conversation_id=name)
    until(lambda: tracker._outbox.count() == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_children_made_after_the_thread_was_started_have_their_own(
    server: CaptureServer, auto: ConversationTracker
):
    auto.track_human_message("from the parent", conversation_id="parent")
    until(lambda: server.contents("parent") == ["from the parent"])
    auto.track_human_message("pending at the fork", conversation_id="parent")
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_child, args=(server.endpoint, auto, f"child {number}")) for number in range(4)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    until(lambda: len(server.contents("parent")) == 2)
    assert server.contents("parent") == ["from the parent", "pending at the fork"]
    for number in range(4):
        assert server.contents(f"child {number}") == ["from the child"]
    assert len(server.seen) == 6
