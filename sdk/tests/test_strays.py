"""Calls that have no conversation: where they land, and where they never do."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from agentsight import ConversationTracker
from agentsight.helpers import generate_conversation_id
from agentsight.outbox.frames import marked
from sdk.tests.capture import KEY, CaptureServer
from sdk.tests.test_contexts import in_thread


def strays(server: CaptureServer) -> list[list[str]]:
    """The contents of conversations that nobody named, each marked as such."""
    found = [name for name in server.items if name.startswith("conv_")]
    for name in found:
        assert server.fields[name]["metadata"]["unattached"] is True
        assert server.fields[name]["metadata"]["unattached_at"]
    return sorted(server.contents(name) for name in found)


def anew(function: Callable[[], object]) -> object:
    """Run in a context that has nothing, in this thread."""
    return contextvars.Context().run(function)


def test_from_the_second_conversation_on_nothing_is_guessed(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("ana")
    with anew(lambda: tracker.get_or_create_conversation("bob")):  # type: ignore[attr-defined]
        pass
    tracker.flush()
    in_thread(lambda: tracker.track_human_message("whose?"))
    tracker.flush()
    assert strays(server) == [["whose?"]]


@pytest.mark.parametrize(
    "first", ["a stray", "one offered", "one named in a call", "one that was sent long ago"]
)
def test_every_conversation_counts(server: CaptureServer, tracker: ConversationTracker, first: str):
    if first == "a stray":
        anew(lambda: tracker.track_human_message("first"))
    elif first == "one offered":
        anew(lambda: tracker.initialize_conversation("offered"))
    elif first == "one named in a call":
        anew(lambda: tracker.track_human_message("first", conversation_id="named"))
    else:
        anew(lambda: tracker.get_or_create_conversation("sent"))
        tracker.flush()
        gc.collect()
    tracker.get_or_create_conversation("ana")
    in_thread(lambda: tracker.track_human_message("whose?"))
    tracker.flush()
    assert ["whose?"] in strays(server)
    assert server.contents("ana") == []


def test_what_another_process_left_is_not_the_only_conversation(server: CaptureServer, tmp_path: object):
    options = {"api_key": KEY, "endpoint": server.endpoint, "spool_dir": str(tmp_path)}
    dead = ConversationTracker(**options)  # type: ignore[arg-type]
    dead.track_human_message("of the dead", conversation_id="dead")
    assert dead._outbox.spool is not None
    dead._outbox.spool.reset_after_fork()  # as if the process were gone
    tracker = ConversationTracker(**options)  # type: ignore[arg-type]
    tracker.flush()
    assert server.contents("dead") == ["of the dead"]
    tracker.get_or_create_conversation("ana")
    in_thread(lambda: tracker.track_human_message("ana's"))
    tracker.flush()
    assert server.contents("ana") == ["ana's"]


def test_a_conversation_whose_block_has_ended_takes_nothing_more(
    server: CaptureServer, tracker: ConversationTracker
):
    with tracker.get_or_create_conversation("ana") as ana:
        with tracker.get_or_create_conversation("ana"):
            pass
        in_thread(lambda: tracker.track_human_message("within"))
    tracker.track_human_message("after")
    ana.track_agent_message("by the handle")
    tracker.flush()
    assert server.contents("ana") == ["within", "by the handle"]
    assert strays(server) == [["after"]]


def test_a_pool_thread_that_forgets_to_choose(server: CaptureServer, tracker: ConversationTracker):
    def ana() -> None:
        tracker.get_or_create_conversation("ana")
        tracker.track_human_message("ana's")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ana).result()
        pool.submit(lambda: tracker.track_human_message("bob's")).result()
        pool.submit(lambda: tracker.track_human_message("cleo's")).result()
    tracker.flush()
    assert server.contents("ana") == ["ana's"]
    assert strays(server) == [["bob's"], ["cleo's"]]


def test_a_stray_belongs_to_its_context_alone(server: CaptureServer, tracker: ConversationTracker):
    first, second = contextvars.Context(), contextvars.Context()
    for text in ("1", "2"):
        first.run(tracker.track_human_message, f"first {text}")
        second.run(tracker.track_human_message, f"second {text}")
    copy = first.run(contextvars.copy_context)
    copy.run(tracker.track_human_message, "copy 1")
    first.run(tracker.track_human_message, "first 3")
    copy.run(tracker.track_human_message, "copy 2")
    tracker.flush()
    assert strays(server) == [
        ["copy 1", "copy 2"],
        ["first 1", "first 2", "first 3"],
        ["second 1", "second 2"],
    ]


def test_a_stray_is_not_inherited_by_child_tasks_and_threads(
    server: CaptureServer, tracker: ConversationTracker
):
    async def child(name: str) -> None:
        tracker.track_human_message(f"{name} 1")
        await asyncio.sleep(0)
        tracker.track_human_message(f"{name} 2")

    async def main() -> None:
        tracker.track_human_message("startup")
        await asyncio.gather(child("ana"), child("bob"))
        await asyncio.to_thread(tracker.track_human_message, "thread")

    asyncio.run(main())
    tracker.flush()
    assert strays(server) == [["ana 1", "ana 2"], ["bob 1", "bob 2"], ["startup"], ["thread"]]


def serve_plainly(requests: list[Callable[[], object]]) -> None:
    """A server as many are: one thread in one context, without a pool's future. Its code is not the user's."""
    code = compile(
        "def run(requests):\n    for each in requests:\n        each()\n",
        "/x/site-packages/server.py",
        "exec",
    )
    names: dict[str, Callable[[list[Callable[[], object]]], None]] = {}
    exec(code, names)
    in_thread(lambda: None)
    thread = threading.Thread(target=names["run"], args=(requests,))
    thread.start()
    thread.join()


def test_requests_that_one_thread_serves_do_not_share_a_stray(
    server: CaptureServer, tracker: ConversationTracker
):
    def request(name: str) -> None:
        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")

        def rest() -> None:
            tracker.track_agent_message(f"{name} answer")

        rest()
        tracker.track_action(f"{name} done")

    serve_plainly([lambda name=name: request(name) for name in ("ana", "bob", "cleo")])  # type: ignore[misc]
    tracker.flush()
    assert strays(server) == [["ana answer"], ["bob answer"], ["cleo answer"]]
    for name in ("ana", "bob", "cleo"):
        assert server.contents(name) == [f"{name} question"]


def test_what_inherited_a_block_that_has_ended_is_not_part_of_it(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    """A worker that is started in the first request, with its context, and then works for everybody."""
    jobs: queue.Queue[str | None] = queue.Queue()

    def work() -> None:
        while (text := jobs.get()) is not None:
            tracker.track_human_message(text)
            jobs.task_done()

    with tracker.get_or_create_conversation("ana"):
        worker = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        worker.start()
        jobs.put("ana's")
        jobs.join()
    with tracker.get_or_create_conversation("bob"):
        jobs.put("bob's")
        jobs.put(None)
    worker.join()
    tracker.flush()
    assert server.contents("ana") == ["ana's"]
    assert server.contents("bob") == []
    assert strays(server) == [["bob's"]]
    assert "the block on 'ana', from which its context was copied, has ended" in caplog.text


def test_a_child_that_enters_the_same_conversation_does_not_end_it_for_its_parent(
    server: CaptureServer, tracker: ConversationTracker
):
    async def child() -> None:
        with tracker.get_or_create_conversation("ana"):
            tracker.track_human_message("child")

    async def main() -> None:
        ana = tracker.get_or_create_conversation("ana")
        await asyncio.create_task(child())
        tracker.track_human_message("parent 1")

        async def by_handle() -> None:
            with ana:
                tracker.track_human_message("handle")

        await asyncio.create_task(by_handle())
        tracker.track_human_message("parent 2")

    asyncio.run(main())
    tracker.flush()
    assert server.contents("ana") == ["child", "parent 1", "handle", "parent 2"]


def test_each_place_is_said_once(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    def here() -> None:
        tracker.track_human_message("here")

    def there() -> None:
        tracker.track_human_message("there")

    with caplog.at_level(logging.WARNING):
        for function in (here, there, here, there, here):
            in_thread(function)
    assert len(caplog.records) == 2
    assert all("get_or_create_conversation" in each.message for each in caplog.records)
    tracker.flush()
    assert strays(server) == [["here"]] * 3 + [["there"]] * 2
    line = here.__code__.co_firstlineno + 1
    places = {server.fields[name]["metadata"]["unattached_at"] for name in server.items}
    assert f"sdk/tests/test_strays.py:{line} in here" in places
    assert len(places) == 2


def test_the_place_is_in_the_users_code_where_that_can_be_told(
    server: CaptureServer, tracker: ConversationTracker
):
    async def endpoint() -> None:
        await asyncio.to_thread(tool)

    def tool() -> None:
        sorted([1], key=lambda _: tracker.track_human_message("in the lambda"))  # type: ignore[arg-type, return-value]

    asyncio.run(endpoint())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(tracker.track_human_message, "no code of theirs").result()
    tracker.flush()
    where = {
        server.contents(name)[0]: server.fields[name]["metadata"]["unattached_at"] for name in server.items
    }
    assert where["in the lambda"].startswith("sdk/tests/test_strays.py:")
    assert where["in the lambda"].endswith("in <lambda>")
    assert where["no code of theirs"].startswith("futures/thread.py:")


def test_a_debugger_in_the_way_changes_little(server: CaptureServer, tracker: ConversationTracker):
    """It has the place on each frame where marks would hang."""
    import sys

    def tracer(*_: object) -> object:
        return tracer

    def request(name: str) -> None:
        tracker.track_human_message(f"{name} 1")
        tracker.track_human_message(f"{name} 2")

    before = sys.gettrace()
    sys.settrace(tracer)  # type: ignore[arg-type]
    try:
        anew(lambda: request("ana"))
        anew(lambda: request("bob"))
    finally:
        sys.settrace(before)
    tracker.flush()
    assert strays(server) == [["ana 1", "ana 2"], ["bob 1", "bob 2"]]


# --- generators ---


def test_generators_that_take_turns_in_one_context(server: CaptureServer, tracker: ConversationTracker):
    def answer(name: str, block: bool) -> Iterator[str]:
        conversation = tracker.get_or_create_conversation(name)
        if block:
            with conversation:
                yield from steps(name)
        else:
            yield from steps(name)

    def steps(name: str) -> Iterator[str]:
        for number in range(4):
            say(f"{name} {number}")
            yield name

    def say(text: str) -> None:
        tracker.track_agent_message(text)

    names = [generate_conversation_id().replace("conv_", "g-") for _ in range(20)]
    running = [answer(name, number % 2 == 0) for number, name in enumerate(names)]
    with tracker.get_or_create_conversation("consumer"):
        while running:
            for each in list(running):
                try:
                    next(each)
                except StopIteration:
                    running.remove(each)
        # What the last generators chose without a block is current, as it is after any other call.
    tracker.flush()
    for name in names:
        assert server.contents(name) == [f"{name} {number}" for number in range(4)]
    del each
    gc.collect()
    assert not marked


def test_whoever_resumes_a_generator_keeps_their_own_conversation(
    server: CaptureServer, tracker: ConversationTracker
):
    def answer() -> Iterator[str]:
        with tracker.get_or_create_conversation("ana"):
            for number in range(3):
                tracker.track_agent_message(f"ana {number}")
                yield "piece"

    with tracker.get_or_create_conversation("bob"):
        pieces = answer()
        next(pieces)
        tracker.track_human_message("bob 0")
        in_thread(lambda: next(pieces))
        with tracker.get_or_create_conversation("carl"):
            next(pieces)
            tracker.track_human_message("carl 0")
            assert list(pieces) == []
            tracker.track_human_message("carl 1")
        tracker.track_human_message("bob 1")
    tracker.flush()
    assert server.contents("ana") == ["ana 0", "ana 1", "ana 2"]
    assert server.contents("bob") == ["bob 0", "bob 1"]
    assert server.contents("carl") == ["carl 0", "carl 1"]


def test_async_generators_that_one_task_reads_in_turns(server: CaptureServer, tracker: ConversationTracker):
    async def answer(name: str):
        with tracker.get_or_create_conversation(name):
            for number in range(5):
                await asyncio.sleep(0)
                tracker.track_agent_message(f"{name} {number}")
                yield name

    async def main() -> None:
        streams = [answer(f"a{number}") for number in range(10)]
        for _ in range(5):
            for each in streams:
                await each.__anext__()
        for each in streams:
            await each.aclose()

    asyncio.run(main())
    tracker.flush()
    for number in range(10):
        assert server.contents(f"a{number}") == [f"a{number} {turn}" for turn in range(5)]
    assert strays(server) == []


def test_a_context_manager_made_of_a_generator_is_for_its_block(
    server: CaptureServer, tracker: ConversationTracker
):
    @contextmanager
    def talk(name: str) -> Iterator[None]:
        with tracker.get_or_create_conversation(name):
            yield
            tracker.track_action("end")

    with talk("ana"):
        tracker.track_human_message("ana 1")
        with talk("bob"):
            tracker.track_human_message("bob 1")
        tracker.track_human_message("ana 2")
    tracker.flush()
    assert server.contents("ana") == ["ana 1", "ana 2"]
    assert server.contents("bob") == ["bob 1"]
    assert [item["type"] for item in server.items["bob"]] == ["message", "action"]


def test_a_stream_that_chooses_nothing_keeps_to_itself_wherever_it_is_resumed(
    server: CaptureServer, tracker: ConversationTracker
):
    def answer(name: str) -> Iterator[str]:
        for number in range(3):
            tracker.track_agent_message(f"{name} {number}")
            yield name

    with tracker.get_or_create_conversation("x"), tracker.get_or_create_conversation("y"):
        pass
    streams = [answer("ana"), answer("bob")]
    for _ in range(3):
        for each in streams:
            in_thread(lambda each=each: next(each))  # type: ignore[misc]
    tracker.flush()
    assert strays(server) == [["ana 0", "ana 1", "ana 2"], ["bob 0", "bob 1", "bob 2"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_had_no_conversation_but_the_current_one(
    server: CaptureServer, tracker: ConversationTracker
):
    tracker.get_or_create_conversation("parent")
    with anew(lambda: tracker.get_or_create_conversation("other")):  # type: ignore[attr-defined]
        pass
    tracker.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            in_thread(lambda: tracker.track_human_message("inherited"))
            tracker.get_or_create_conversation("child")
            in_thread(lambda: tracker.track_human_message("whose?"))
            tracker.flush()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert server.contents("parent") == ["inherited"]
    assert server.contents("child") == []
    assert strays(server) == [["whose?"]]
