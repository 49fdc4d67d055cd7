"""Where a message lands: the rules, one by one."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import (
    InvalidConversationDataException,
    NoDataToSendException,
)
from sdk.tests.capture import KEY, CaptureServer


def in_thread(function: Callable[[], object]) -> None:
    """Run in a new thread that has no context of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def send_all(tracker: ConversationTracker) -> None:
    contextvars.Context().run(lambda: tracker.send_tracked_data())


def test_module_level_script(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("conv_1")
    tracker.track_human_message("one")
    tracker.send_tracked_data()
    tracker.track_agent_message("still the same conversation")
    tracker.send_tracked_data()
    assert server.contents("conv_1") == ["one", "still the same conversation"]


def test_conversations_interleaved_with_configure(server: CaptureServer, tracker: ConversationTracker):
    for turn in range(3):
        for name in ("a", "b"):
            tracker.configure(conversation_id=name)
            tracker.track_human_message(f"{name}{turn}")
    for name in ("a", "b"):
        tracker.configure(conversation_id=name)
        assert tracker.send_tracked_data()["summary"]["questions"] == 3
    assert server.contents("a") == ["a0", "a1", "a2"]
    assert server.contents("b") == ["b0", "b1", "b2"]


def test_configure_in_one_task_does_not_redirect_another(server: CaptureServer, tracker: ConversationTracker):
    async def chat(name: str, mine: asyncio.Event, other: asyncio.Event) -> None:
        tracker.configure(conversation_id=name)
        mine.set()
        await other.wait()
        tracker.track_human_message(name)
        tracker.send_tracked_data()

    async def main() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(chat("a", one, two), chat("b", two, one))

    asyncio.run(main())
    assert server.contents("a") == ["a"]
    assert server.contents("b") == ["b"]


def test_one_conversation_per_phone_number(server: CaptureServer, tracker: ConversationTracker):
    def webhook(phone: str, text: str) -> None:
        tracker.get_or_create_conversation(conversation_id=phone, customer_id=phone, source="whatsapp")
        tracker.track_human_message(text)
        tracker.track_agent_message(f"re: {text}")
        tracker.send_tracked_data()

    webhook("+385911111111", "hi")
    webhook("+385922222222", "hello")
    webhook("+385911111111", "again")
    assert server.contents("+385911111111") == ["hi", "re: hi", "again", "re: again"]
    assert server.contents("+385922222222") == ["hello", "re: hello"]
    assert server.fields["+385911111111"]["source"] == "whatsapp"


def test_a_new_id_for_each_call(server: CaptureServer, tracker: ConversationTracker):
    from agentsight.helpers import generate_conversation_id

    for _ in range(3):
        tracker.get_or_create_conversation(conversation_id=generate_conversation_id())
        tracker.track_human_message("hi")
        tracker.send_tracked_data()
    assert len(server.items) == 3
    assert all(len(items) == 1 for items in server.items.values())


def test_without_a_conversation_an_id_is_made_once_and_said(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    tracker.track_human_message("hello?")
    tracker.track_agent_message("hello")
    [record] = [each for each in caplog.records if each.name == "agentsight"]
    assert record.levelno == logging.WARNING
    assert "get_or_create_conversation" in record.message
    tracker.send_tracked_data()
    [name] = server.items
    assert name.startswith("conv_")
    assert name in record.message
    assert server.contents(name) == ["hello?", "hello"]


def test_a_thread_without_context_joins_the_only_conversation_there_ever_was(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("only")
    in_thread(lambda: tracker.track_human_message("from the thread"))
    tracker.send_tracked_data()
    in_thread(lambda: tracker.track_human_message("still the only one"))
    tracker.send_tracked_data()
    assert server.contents("only") == ["from the thread", "still the only one"]


def test_nested_blocks_restore_the_outer_conversation(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("script")
    tracker.track_human_message("script 1")
    with tracker.get_or_create_conversation("outer"):
        tracker.track_human_message("outer 1")
        with tracker.get_or_create_conversation("inner"):
            tracker.track_human_message("inner 1")
            tracker.get_or_create_conversation("switched inside")
            tracker.track_human_message("switched 1")
        tracker.track_human_message("outer 2")
        with tracker.get_or_create_conversation("outer"):
            tracker.track_human_message("outer 3")
        tracker.track_human_message("outer 4")
        with pytest.raises(ZeroDivisionError), tracker.get_or_create_conversation("failing"):
            1 / 0  # noqa: B018
        tracker.track_human_message("outer 5")
    tracker.track_human_message("script 2")
    send_all(tracker)
    assert server.contents("script") == ["script 1", "script 2"]
    assert server.contents("outer") == [f"outer {number}" for number in range(1, 6)]
    assert server.contents("inner") == ["inner 1"]
    assert server.contents("switched inside") == ["switched 1"]


def test_a_handle_kept_for_later_can_be_entered_again(server: CaptureServer, tracker: ConversationTracker):
    a = tracker.get_or_create_conversation("a")
    b = tracker.get_or_create_conversation("b")
    with a:
        tracker.track_human_message("a 1")
        with b:
            tracker.track_human_message("b 1")
        tracker.track_human_message("a 2")
    tracker.track_human_message("b 2")
    send_all(tracker)
    assert server.contents("a") == ["a 1", "a 2"]
    assert server.contents("b") == ["b 1", "b 2"]


def test_many_conversations_in_one_context_leave_no_chain_behind(
    server: CaptureServer, tracker: ConversationTracker
):
    for number in range(1000):
        tracker.get_or_create_conversation(f"c{number % 7}")
    binding = tracker._current.binding()
    assert binding is not None
    assert binding.outer is None
    tracker.flush()
    assert len(tracker._outbox.conversations) <= 2  # the current one, and what was current before it


def test_a_handle_tracks_into_its_own_conversation_whatever_is_current(
    server: CaptureServer, tracker: ConversationTracker
):
    a = tracker.get_or_create_conversation("a")
    tracker.get_or_create_conversation("b")
    a.track_human_message("1")
    in_thread(lambda: a.track_agent_message("2"))
    with tracker.get_or_create_conversation("c"):
        a.track_human_message("3", conversation_id="a")
        a.track_action("look")
        a.track_button("e", "l", "v")
        a.track_token_usage(1)
        a.track_attachments([{"data": b"x"}], mode="form_data")
        with pytest.raises(InvalidConversationDataException, match="handle of 'a'"):
            a.track_human_message("4", conversation_id="c")
    assert a.conversation_id == "a"
    assert repr(a) == "Conversation('a')"
    result = a.send_tracked_data()
    assert result["summary"] == {
        "questions": 2,
        "answers": 1,
        "actions": 1,
        "buttons": 1,
        "attachments": 1,
        "errors": 0,
    }
    assert list(server.items) == ["a"]
    with pytest.raises(NoDataToSendException):
        a.send_tracked_data()


def test_to_thread_and_child_tasks_belong_to_the_parent(server: CaptureServer, tracker: ConversationTracker):
    async def child(name: str) -> None:
        tracker.track_human_message(f"{name} child")

    async def chat(name: str) -> None:
        tracker.get_or_create_conversation(name)
        await asyncio.to_thread(tracker.track_human_message, f"{name} thread")
        await asyncio.create_task(child(name))
        await asyncio.to_thread(tracker.send_tracked_data)

    async def main() -> None:
        await asyncio.gather(*(chat(f"c{number}") for number in range(20)))

    asyncio.run(main())
    for number in range(20):
        assert server.contents(f"c{number}") == [f"c{number} thread", f"c{number} child"]


def test_what_a_child_task_chooses_stays_in_the_child(server: CaptureServer, tracker: ConversationTracker):
    async def child() -> None:
        tracker.get_or_create_conversation("child")
        tracker.track_human_message("child")

    async def main() -> None:
        tracker.get_or_create_conversation("parent")
        await asyncio.create_task(child())
        tracker.track_human_message("parent")

    asyncio.run(main())
    send_all(tracker)
    assert server.contents("parent") == ["parent"]
    assert server.contents("child") == ["child"]


def test_run_in_executor_does_not_inherit_a_conversation_of_another_request(
    server: CaptureServer, tracker: ConversationTracker
):
    """The pool's one thread first runs a job that chooses a conversation, then one that does not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1) as pool:

            def first_request() -> None:
                tracker.get_or_create_conversation("first")
                tracker.track_human_message("first")

            await loop.run_in_executor(pool, first_request)

            async def second_request() -> None:
                tracker.get_or_create_conversation("second")
                # A tool that knows nothing of conversations, in a thread that does not know the context.
                await loop.run_in_executor(pool, functools.partial(tracker.track_action, "tool"))
                await loop.run_in_executor(
                    pool,
                    functools.partial(contextvars.copy_context().run, tracker.track_action, "with context"),
                )

            await asyncio.create_task(second_request())

    asyncio.run(main())
    send_all(tracker)
    assert server.contents("first") == ["first"]
    assert [item["type"] for item in server.items["first"]] == ["message"]
    assert [item["action_name"] for item in server.items["second"]] == ["with context"]


def test_a_pool_thread_forgets_also_after_a_job_that_failed_or_switched_often(
    server: CaptureServer, tracker: ConversationTracker
):
    def failing() -> None:
        tracker.get_or_create_conversation("a")
        tracker.get_or_create_conversation("b")
        tracker.configure(conversation_id="c")
        raise RuntimeError

    with ThreadPoolExecutor(max_workers=1) as pool:
        with pytest.raises(RuntimeError):
            pool.submit(failing).result()
        assert pool.submit(tracker._current.binding).result() is None
        # Generated ids are no different: two jobs without a conversation share nothing.
        pool.submit(tracker.track_human_message, "one").result()
        pool.submit(tracker.track_human_message, "two").result()
        assert pool.submit(tracker._current.binding).result() is None
    send_all(tracker)
    assert sorted(tuple(server.contents(name)) for name in server.items) == [("one",), ("two",)]


def test_a_pool_thread_keeps_what_its_initializer_chose(server: CaptureServer, tracker: ConversationTracker):
    def job() -> None:
        with tracker.get_or_create_conversation("job"):
            tracker.track_human_message("job")

    start = functools.partial(tracker.get_or_create_conversation, "worker")
    with ThreadPoolExecutor(max_workers=1, initializer=start) as pool:
        pool.submit(job).result()
        pool.submit(tracker.configure, conversation_id="changed").result()
        pool.submit(tracker.track_human_message, "worker").result()
    send_all(tracker)
    assert server.contents("worker") == ["worker"]
    assert server.contents("job") == ["job"]


def test_the_configured_conversation_is_used_where_none_is_chosen(
    server: CaptureServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENTSIGHT_CONVERSATION_ID", "from env")
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    tracker.track_human_message("1")
    in_thread(lambda: tracker.track_human_message("2"))
    tracker.send_tracked_data()
    assert server.contents("from env") == ["1", "2"]

    given = ConversationTracker(api_key=KEY, endpoint=server.endpoint, conversation_id="from constructor")
    given.track_human_message("3")
    in_thread(lambda: given.track_human_message("4"))
    given.send_tracked_data()
    assert server.contents("from constructor") == ["3", "4"]

    given.configure(conversation_id="from configure")
    given.track_human_message("5")
    given.get_or_create_conversation("from call")
    given.track_human_message("6")
    send_all(given)
    assert server.contents("from configure") == ["5"]
    assert server.contents("from call") == ["6"]


def test_frameworks_may_copy_the_state_that_a_handle_is_in(
    server: CaptureServer, tracker: ConversationTracker
):
    handle = tracker.get_or_create_conversation("c")
    copied = copy.deepcopy({"messages": ["Hello"], "conversation": handle, "tracker": tracker})
    assert copied["conversation"] is copy.copy(handle) is handle
    assert copied["tracker"] is copy.copy(tracker) is tracker
    copied["conversation"].track_human_message("Hello")
    tracker.flush()
    assert server.contents("c") == ["Hello"]
    with pytest.raises(TypeError, match="handle of 'c' cannot be pickled: pass its conversation_id on"):
        pickle.dumps(handle)
    with pytest.raises(TypeError, match="tracker cannot be pickled"):
        pickle.dumps(tracker)
