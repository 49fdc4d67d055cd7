"""The bounds of the outbox, and a model of the whole: what is tracked arrives once, in its place, in order."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from agentsight import ConversationTracker
from agentsight.exceptions import NoDataToSendException
from sdk.tests.capture import KEY, CaptureServer, Scripted


def made(server: CaptureServer, **options: Any) -> ConversationTracker:
    return ConversationTracker(api_key=KEY, endpoint=server.endpoint, **options)


def send_all(tracker: ConversationTracker) -> dict[str, Any]:
    return contextvars.Context().run(lambda: tracker.send_tracked_data())


def test_beyond_the_bound_the_oldest_go_and_are_counted(
    server: CaptureServer, caplog: pytest.LogCaptureFixture
):
    tracker = made(server, max_pending_items=1000)
    tracker.configure(conversation_id="c")
    for number in range(5000):
        tracker.track_human_message(str(number))
    result = tracker.send_tracked_data()
    kept = [int(content) for content in server.contents("c")]
    assert 900 <= len(kept) <= 1000
    assert kept == list(range(5000 - len(kept), 5000))
    assert result["lost"] == 5000 - len(kept)
    said = [record for record in caplog.records if "the outbox was full" in record.message]
    assert len(said) == 1  # once a minute
    tracker.track_human_message("after")
    assert "lost" not in tracker.send_tracked_data()


def test_the_conversation_that_waits_longest_loses_first(server: CaptureServer):
    tracker = made(server, max_pending_items=500)
    for name in ("old", "new"):
        handle = tracker.get_or_create_conversation(name)
        for number in range(350):
            handle.track_human_message(str(number))
    send_all(tracker)
    assert len(server.contents("new")) == 350
    assert 0 < len(server.contents("old")) <= 150
    assert server.contents("old")[-1] == "349"


def test_bytes_are_bounded_too(server: CaptureServer):
    tracker = made(server, max_pending_bytes=1_000_000)
    tracker.configure(conversation_id="c")
    for number in range(200):
        tracker.track_human_message(f"{number:06d}" + "x" * 20_000)
    for number in range(200, 250):
        tracker.track_attachments([{"data": b"y" * 20_000}], mode="form_data", metadata={"number": number})
    result = tracker.send_tracked_data()
    assert len(server.items["c"]) <= 50
    assert server.items["c"][-1]["metadata"] == {"number": 249}
    assert result["lost"] + len(server.items["c"]) == 250
    assert tracker._outbox.bytes == 0


def test_one_item_larger_than_the_bound_is_still_sent(server: CaptureServer):
    tracker = made(server, max_pending_bytes=1000)
    tracker.configure(conversation_id="c")
    tracker.track_human_message("x" * 5000)
    tracker.send_tracked_data()
    assert len(server.contents("c")[0]) == 5000


def test_conversations_without_items_are_bounded_as_well(server: CaptureServer):
    tracker = made(server, max_pending_items=100)
    for number in range(1000):
        tracker.get_or_create_conversation(f"c{number}")
    result = send_all(tracker)
    assert len(server.conversations) <= 100
    assert "c999" in server.conversations
    assert result["lost"] == 1000 - len(server.conversations)


def test_what_is_under_way_counts_and_is_not_dropped(server: CaptureServer):
    tracker = made(server, max_pending_items=1000)
    handle = tracker.get_or_create_conversation("c")
    for number in range(800):
        handle.track_human_message(f"first {number}")
    there, go_on = threading.Event(), threading.Event()
    server.script = [Scripted(503, {}, {"Retry-After": "3600"}, before=lambda: (there.set(), go_on.wait(20)))]
    lost = []
    thread = threading.Thread(target=lambda: lost.append(handle.send_tracked_data().get("lost", 0)))
    thread.start()
    assert there.wait(20)
    for number in range(800):
        handle.track_human_message(f"second {number}")
    go_on.set()
    thread.join()
    result = handle.send_tracked_data()
    contents = server.contents("c")
    assert contents[:800] == [f"first {number}" for number in range(800)]
    assert contents[-1] == "second 799"
    assert len(contents) + lost[0] + result.get("lost", 0) == 1600


def test_bounds_can_be_changed_later(server: CaptureServer):
    tracker = made(server)
    tracker.configure(conversation_id="c", max_pending_items=200)
    for number in range(1000):
        tracker.track_human_message(str(number))
    tracker.send_tracked_data()
    assert len(server.contents("c")) <= 200


def test_many_threads_stay_within_the_bound(server: CaptureServer):
    tracker = made(server, max_pending_items=300)

    def work(name: str) -> None:
        handle = tracker.get_or_create_conversation(name)
        for number in range(500):
            handle.track_human_message(f"{number}")

    threads = [threading.Thread(target=work, args=(f"c{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker._outbox.count() <= 300
    result = send_all(tracker)
    # By its rows: a conversation whose announcement was lost is made all the same, by an item that came later.
    arrived = sum(row["success"] for row in result["items"])
    assert arrived == len(result["items"])
    assert arrived + result["lost"] == 8 * 501


IDS = st.sampled_from(["a", "b", "c"])


class Sequences(RuleBasedStateMachine):
    """One context; any order of choosing, tracking, blocks, failures and sends."""

    handles = Bundle("handles")

    @initialize()
    def begin(self) -> None:
        self.server = CaptureServer()
        self.tracker = made(self.server)
        self.context = contextvars.Context()
        self.current: str | None = None
        self.blocks: list[tuple[Any, str | None]] = []
        self.count = 0
        self.pending: dict[str, list[str]] = {}
        self.arrived: dict[str, list[str]] = {}
        self.announced: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.tracker._transport.close()
            self.server.close()

    def word(self, name: str) -> str:
        self.count += 1
        self.pending.setdefault(name, []).append(f"{name} {self.count}")
        return f"{name} {self.count}"

    @rule(target=handles, name=IDS)
    def get_or_create(self, name: str) -> Any:
        self.current = name
        self.announced.add(name)
        return self.context.run(self.tracker.get_or_create_conversation, name)

    @rule(name=IDS)
    def configure(self, name: str) -> None:
        self.context.run(lambda: self.tracker.configure(conversation_id=name))
        self.current = name

    @rule()
    def track(self) -> None:
        if self.current is not None:
            self.context.run(self.tracker.track_human_message, self.word(self.current))

    @rule(name=IDS)
    def track_by_name(self, name: str) -> None:
        self.context.run(lambda: self.tracker.track_agent_message(self.word(name), conversation_id=name))

    @rule(handle=handles)
    def track_by_handle(self, handle: Any) -> None:
        contextvars.Context().run(handle.track_human_message, self.word(handle.conversation_id))

    @rule(target=handles, name=IDS)
    def enter_new(self, name: str) -> Any:
        self.blocks.append((None, self.current))
        handle = self.context.run(self.tracker.get_or_create_conversation, name)
        self.context.run(handle.__enter__)
        self.blocks[-1] = (handle, self.blocks[-1][1])
        self.announced.add(name)
        self.current = name
        return handle

    @rule()
    def leave(self) -> None:
        if self.blocks:
            handle, self.current = self.blocks.pop()
            self.context.run(handle.__exit__, None, None, None)

    def settle(self, names: list[str], fails: bool) -> None:
        for name in names:
            if not fails:
                self.arrived.setdefault(name, []).extend(self.pending.pop(name, []))
                self.announced.discard(name)

    @rule(fails=st.booleans())
    def send_current(self, fails: bool) -> None:
        names = [self.current] if self.current is not None else sorted({*self.pending, *self.announced})
        waiting = [name for name in names if self.pending.get(name) or name in self.announced]
        if fails and waiting:
            self.server.script = [Scripted(404)]  # settles nothing, and is not tried again at once
        expected = sum(len(self.pending.get(name, ())) for name in waiting)
        expected += len(self.announced.intersection(waiting))
        if not waiting:
            sent_elsewhere = False
            with contextlib.suppress(NoDataToSendException):
                result = self.context.run(lambda: self.tracker.send_tracked_data())
                sent_elsewhere = True
                assert result["items"] == []
            assert not sent_elsewhere or self.current is not None
            return
        result = self.context.run(lambda: self.tracker.send_tracked_data())
        assert len(result["items"]) == expected
        assert all(row["success"] is not fails for row in result["items"])
        self.settle(waiting, fails)

    @rule(name=IDS)
    def send_by_name(self, name: str) -> None:
        with contextlib.suppress(NoDataToSendException):
            self.context.run(lambda: self.tracker.send_tracked_data(name))
        self.settle([name], fails=False)

    @rule()
    def send_everything(self) -> None:
        with contextlib.suppress(NoDataToSendException):
            send_all(self.tracker)
        self.settle(sorted({*self.pending, *self.announced}), fails=False)

    @rule(handle=consumes(handles))
    def forget_handle(self, handle: Any) -> None:
        """What was tracked through it waits, whoever holds it."""

    @invariant()
    def everything_is_where_it_belongs(self) -> None:
        if not hasattr(self, "server"):
            return
        assert {name: self.server.contents(name) for name in self.server.items} == {
            name: words for name, words in self.arrived.items() if words
        }
        counted = sum(map(len, self.pending.values()))
        assert self.tracker._outbox.count() == counted


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
