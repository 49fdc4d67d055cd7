"""No call holds its caller longer than it may, whatever the server does; and everything arrives in the end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentsight import AgentSightAPI, ConversationManager, ConversationTracker
from agentsight.exceptions import AgentSightError, ConversationNetworkException, NoDataToSendException
from sdk.tests.capture import KEY, CaptureServer, Scripted
from sdk.tests.unruly import Unruly, unruly_server

MANNERS = ["refuse", "full", "silent", "deaf", "head", "body", "half", "cut", "hang up", "busy"]
SOON = 5.0  # seconds; generous, and far less than the 60 that the slow ones would take


@pytest.fixture
def unruly(server: CaptureServer) -> Iterator[Unruly]:
    with unruly_server(server) as between:
        yield between


def took(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def fails(call: Callable[[], object], kind: type[Exception] = ConversationNetworkException) -> None:
    with pytest.raises(kind):
        call()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("manner", MANNERS)
def test_nobody_is_held_up_and_everything_arrives(
    server: CaptureServer,
    unruly: Unruly,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    manner: str,
):
    if manner != "silent":  # which shows the real one; the others need not take as long
        monkeypatch.setattr("agentsight.delivery.transport.QUICK_SECONDS", 0.2)
    unruly.behave(manner)
    tracker = ConversationTracker(api_key=KEY, endpoint=unruly.endpoint, timeout=0.3)
    tracker.get_or_create_conversation("c", name="Patient")
    tracker.track_human_message("one " + ("x" * 1_000_000 if manner == "deaf" else ""))
    results: list[dict[str, Any]] = []
    assert took(lambda: results.append(tracker.send_tracked_data())) < SOON
    assert results[0]["summary"]["errors"] == 2
    first = warnings(caplog)
    assert len(first) == 1, "the first failure is said at once"
    assert "cannot send" in first[0]
    assert "AGENTSIGHT_API_ENDPOINT" in first[0] or "see its log" in first[0]
    assert "one" not in first[0].split()

    tracker.configure(timeout=60)  # what a call may take, had nothing failed before
    tracker.track_agent_message("two")
    assert took(tracker.send_tracked_data) < SOON
    assert took(tracker.flush) < SOON
    assert took(lambda: fails(lambda: tracker.initialize_conversation("other"), AgentSightError)) < SOON
    assert warnings(caplog) == first, "and not again with each call"

    if manner == "full":
        tracker.configure(endpoint=server.endpoint)
    unruly.behave("well")
    tracker.track_human_message("three")
    assert tracker.send_tracked_data()["summary"]["errors"] == 0
    assert [content.split()[0] for content in server.contents("c")] == ["one", "two", "three"]
    assert server.fields["c"]["name"] == "Patient"
    assert warnings(caplog)[1:] == ["sending works again"]
    with pytest.raises(NoDataToSendException):
        tracker.send_tracked_data()
    tracker.close()


@pytest.mark.parametrize("manner", ["silent", "body"])
def test_manager_and_reader_keep_their_time(unruly: Unruly, manner: str):
    unruly.behave(manner)
    manager = ConversationManager(api_key=KEY, endpoint=unruly.endpoint, timeout=0.3)
    reader = AgentSightAPI(api_key=KEY, endpoint=unruly.endpoint, timeout=0.3)
    for call in (
        lambda: manager.submit_feedback("c", "positive"),
        lambda: manager.rename_conversation("c", "New"),
        reader.fetch_conversations,
        lambda: reader.fetch_conversation("c"),
    ):
        assert took(lambda call=call: fails(call)) < SOON
    manager.close()
    reader.close()


def test_lookup_and_change_share_one_deadline(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    server.conversations = {"c": 7}
    manager = ConversationManager(api_key=KEY, endpoint=server.endpoint)
    reader = AgentSightAPI(api_key=KEY, endpoint=server.endpoint)
    seen: list[float | None] = []
    for client in (manager, reader):
        real = client._transport.exchange

        def exchange(*args: Any, real: Any = real, **options: Any) -> Any:
            seen.append(options["deadline"])
            return real(*args, **options)

        monkeypatch.setattr(client._transport, "exchange", exchange)
    manager.delete_conversation("c")
    reader.fetch_conversation("c")
    lookup, change, again, read = seen
    assert lookup == change is not None
    assert again == read is not None
    manager.close()
    reader.close()


def test_a_resolver_that_is_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch):
    answer = threading.Event()

    def silent(*args: object, **options: object) -> list[Any]:
        answer.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(
        socket, "getaddrinfo", silent
    )  # no resolver that could be told to be silent is at hand
    tracker = ConversationTracker(api_key=KEY, endpoint="http://stats.example.com", timeout=0.6)
    tracker.track_human_message("one", conversation_id="c")
    assert took(tracker.flush) < SOON
    answer.set()
    assert tracker.send_tracked_data("c")["items"][0]["error"].startswith(
        "http://stats.example.com cannot be reached"
    )
    assert tracker._outbox.count() == 1
    tracker._outbox.reset_after_fork()


def test_each_address_of_a_host_gets_its_share(
    server: CaptureServer, unruly: Unruly, monkeypatch: pytest.MonkeyPatch
):
    """The first address never answers, the second does: as with IPv6 that leads nowhere."""
    unruly.behave("full")
    port = int(unruly.endpoint.rpartition(":")[2])
    real = socket.getaddrinfo

    def two(host: Any, asked: Any, *args: Any, **options: Any) -> list[Any]:
        if host != "two.example.com":
            return real(host, asked, *args, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, asked)) for ip in ("127.0.0.1", "127.0.0.2")]

    second = socket.create_server(("127.0.0.2", port))
    monkeypatch.setattr(socket, "getaddrinfo", two)
    tracker = ConversationTracker(api_key=KEY, endpoint=f"http://two.example.com:{port}", timeout=2)
    tracker.track_human_message("one", conversation_id="c")
    seen: list[bytes] = []

    def serve() -> None:
        connection, _ = second.accept()
        with connection:
            seen.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with second:
        tracker.send_tracked_data("c")
        thread.join(10)
    assert seen[0].startswith(b"POST /api/ingest/batch/")
    assert b"Host: two.example.com" in seen[0]
    tracker._outbox.reset_after_fork()


def test_a_server_that_is_slow_but_there_is_found_again(server: CaptureServer, unruly: Unruly):
    """Half a second is not enough for it, and must not be the end."""
    unruly.behave("busy")
    tracker = ConversationTracker(api_key=KEY, endpoint=unruly.endpoint, timeout=20)
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("one")
    tracker.send_tracked_data()
    unruly.behave("late")
    tracker.send_tracked_data()
    until(lambda: not tracker._transport.away)
    assert tracker.send_tracked_data()["summary"]["errors"] == 0
    assert server.contents("c") == ["one"]
    tracker.close()


def test_what_was_too_much_for_the_time_goes_in_pieces(server: CaptureServer, unruly: Unruly):
    unruly.behave("silent")
    tracker = ConversationTracker(api_key=KEY, endpoint=unruly.endpoint, timeout=0.4)
    handle = tracker.get_or_create_conversation("c")
    for number in range(40):
        handle.track_human_message(f"{number} " + "words " * 4000)
    tracker.send_tracked_data()
    unruly.behave("well")
    tracker.configure(timeout=20)
    tracker._transport.away = False
    assert tracker.send_tracked_data()["summary"] == {
        "questions": 40,
        "answers": 0,
        "actions": 0,
        "buttons": 0,
        "attachments": 0,
        "errors": 0,
    }
    assert len(server.batches) > 1
    assert [content.split()[0] for content in server.contents("c")] == [str(number) for number in range(40)]
    tracker.close()


def test_the_background_says_the_first_failure_at_once(
    server: CaptureServer, unruly: Unruly, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agentsight.delivery.worker.WAIT", 0.05)
    monkeypatch.setattr("agentsight.delivery.dispatcher.BACKGROUND_SECONDS", 0.3)
    unruly.behave("silent")
    tracker = ConversationTracker(api_key=KEY, endpoint=unruly.endpoint, timeout=0.3, auto_send=True)
    tracker.track_human_message("one", conversation_id="c")
    until(lambda: len(warnings(caplog)) == 1)
    assert "cannot send" in warnings(caplog)[0]
    tracker.track_human_message("two", conversation_id="c")
    unruly.behave("well")
    until(lambda: server.contents("c") == ["one", "two"])
    until(lambda: warnings(caplog)[1:] == ["sending works again"])
    tracker.close()


def test_trouble_is_said_again_after_a_while(
    unruly: Unruly, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    unruly.behave("busy")
    tracker = ConversationTracker(api_key=KEY, endpoint=unruly.endpoint, timeout=0.3)
    tracker.get_or_create_conversation("c")
    for _ in range(3):
        tracker.send_tracked_data()
    assert len(warnings(caplog)) == 1
    monkeypatch.setattr("agentsight.delivery.outage_log.COMPLAIN_EVERY", 0.0)
    tracker.send_tracked_data()
    assert len(warnings(caplog)) == 2
    tracker._outbox.reset_after_fork()


def test_a_password_in_the_address_is_not_shown(unruly: Unruly, caplog: pytest.LogCaptureFixture):
    unruly.behave("refuse")
    address = unruly.endpoint.replace("://", "://me:secret@")
    tracker = ConversationTracker(api_key=KEY, endpoint=address, timeout=0.3)
    tracker.track_human_message("one", conversation_id="c")
    result = tracker.send_tracked_data("c")
    assert unruly.endpoint in warnings(caplog)[0]
    assert "secret" not in caplog.text + str(result)
    tracker._outbox.reset_after_fork()


# --- flush ---


def test_flush_sends_everything_of_all_conversations(server: CaptureServer, tracker: ConversationTracker):
    assert tracker.flush() == {"sent": 0, "unsent": 0, "lost": 0}
    for number in range(3):
        tracker.get_or_create_conversation(f"nb-{number}")
        tracker.track_human_message("q")
        tracker.track_agent_message("a")
    assert tracker.flush() == {"sent": 6, "unsent": 0, "lost": 0}
    assert all(server.contents(f"nb-{number}") == ["q", "a"] for number in range(3))
    assert len(server.batches) == 1


def test_flush_never_raises_and_says_why(server: CaptureServer, caplog: pytest.LogCaptureFixture):
    tracker = ConversationTracker(endpoint=server.endpoint)
    tracker.track_human_message("one", conversation_id="c")
    assert tracker.flush() == {"sent": 0, "unsent": 1, "lost": 0}
    assert "no API key" in warnings(caplog)[0]
    tracker.configure(api_key=KEY)
    server.script = [Scripted(401, {"detail": "revoked"})]
    assert tracker.flush()["unsent"] == 1
    assert tracker.flush(timeout="soon") == {"sent": 1, "unsent": 0, "lost": 0}  # type: ignore[arg-type]
    assert "flush: timeout takes seconds" in warnings(caplog)[-2]
    assert warnings(caplog)[-1] == "sending works again"


@pytest.mark.parametrize("timeout", [None, "2", "soon", [], float("nan"), float("inf"), 10**400])
@pytest.mark.parametrize("call", ["flush", "close"])
def test_any_timeout_sends(server: CaptureServer, tracker: ConversationTracker, call: str, timeout: Any):
    tracker.track_human_message("one", conversation_id="c")
    assert getattr(tracker, call)(timeout) == {"sent": 1, "unsent": 0, "lost": 0}


def test_flush_counts_what_the_server_refuses(server: CaptureServer, tracker: ConversationTracker):
    server.refuse = lambda item: {"content": ["is not liked"]} if item["content"] == "bad" else None
    for word in ("good", "bad", "good too"):
        tracker.track_human_message(word, conversation_id="c")
    assert tracker.flush() == {"sent": 2, "unsent": 0, "lost": 1}
    assert tracker.flush() == {"sent": 0, "unsent": 0, "lost": 0}


def test_flush_with_a_background_sender_does_not_wait_for_it(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, auto_send=True)
    tracker.track_human_message("one", conversation_id="c")
    assert tracker.flush()["unsent"] == 0
    assert server.contents("c") == ["one"]
    tracker.track_human_message("two", conversation_id="c")  # it goes on afterwards
    until(lambda: server.contents("c") == ["one", "two"])
    tracker.close()


def test_flush_empties_the_spool_and_takes_what_others_left(server: CaptureServer, tmp_path: Any):
    left = ConversationTracker(api_key=KEY, endpoint=server.endpoint, spool_dir=tmp_path)
    left.track_human_message("left behind", conversation_id="old")
    left._outbox.spool.reset_after_fork()  # type: ignore[union-attr] - as if that process had ended
    left._outbox.reset_after_fork()
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, spool_dir=tmp_path)
    tracker.track_human_message("one", conversation_id="c")
    assert tracker.flush() == {"sent": 2, "unsent": 0, "lost": 0}
    assert (server.contents("old"), server.contents("c")) == (["left behind"], ["one"])
    tracker.close()
    assert list(tmp_path.glob("*.spool")) == []


def test_nothing_to_send_here_says_what_waits_elsewhere(server: CaptureServer, tracker: ConversationTracker):
    first = tracker.get_or_create_conversation("nb-1")
    for _ in range(4):
        first.track_human_message("q")
    tracker.track_human_message("q", conversation_id="nb-3")
    second = tracker.get_or_create_conversation("nb-2")
    second.send_tracked_data()
    said = r"^nothing to send in conversation 'nb-2'; 2 others have 5 items pending: flush\(\) sends them$"
    with pytest.raises(NoDataToSendException, match=said):
        tracker.send_tracked_data()
    with pytest.raises(NoDataToSendException, match="2 others have 5 items"):
        second.send_tracked_data()
    tracker.send_tracked_data("nb-3")
    first.send_tracked_data()
    with pytest.raises(NoDataToSendException, match="nothing was tracked since the last time"):
        second.send_tracked_data()
