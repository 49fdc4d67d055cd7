"""Functions that run later, in the conversation that was current when they were bound."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from agentsight import ConversationTracker, bind
from agentsight.exceptions import InvalidConversationDataException
from sdk.tests.capture import CaptureServer
from sdk.tests.test_contexts import in_thread


def contents(server: CaptureServer, tracker: ConversationTracker) -> dict[str, list[str]]:
    tracker.flush()
    return {name: server.contents(name) for name in server.items}


def test_in_pools_timers_and_callbacks_after_the_block(server: CaptureServer, tracker: ConversationTracker):
    def look_up(text: str, *, suffix: str) -> str:
        tracker.track_human_message(text + suffix)
        return text

    bound = {}
    for name in ("ana", "bob"):
        with tracker.get_or_create_conversation(name):
            bound[name] = bind(look_up)
    with ThreadPoolExecutor(2) as pool, tracker.get_or_create_conversation("cleo"):
        for name, function in bound.items():
            assert pool.submit(function, f"{name} pool", suffix="!").result() == f"{name} pool"
            timer = threading.Timer(0, functools.partial(function, f"{name} timer", suffix="!"))
            timer.start()
            timer.join()
            future: Future[None] = Future()
            future.add_done_callback(lambda _, name=name, call=function: call(f"{name} done", suffix="!"))  # type: ignore[misc]
            future.set_result(None)
        tracker.track_human_message("cleo's own")
    assert contents(server, tracker) == {
        "ana": ["ana pool!", "ana timer!", "ana done!"],
        "bob": ["bob pool!", "bob timer!", "bob done!"],
        "cleo": ["cleo's own"],
    }
    assert inspect.signature(bound["ana"]) == inspect.signature(look_up)
    assert bound["ana"].__name__ == "look_up"


def test_methods_partials_and_objects(server: CaptureServer, tracker: ConversationTracker):
    class Tool:
        def __call__(self, text: str) -> None:
            tracker.track_human_message(text)

    with tracker.get_or_create_conversation("bob"), tracker.get_or_create_conversation("ana"):
        bound = [
            bind(tracker.track_human_message),
            bind(functools.partial(tracker.track_human_message)),
            bind(Tool()),
        ]
    for number, function in enumerate(bound):
        in_thread(functools.partial(function, str(number)))
    assert contents(server, tracker) == {"ana": ["0", "1", "2"]}
    with pytest.raises(InvalidConversationDataException, match="function takes what can be called, not str"):
        bind("look_up")  # type: ignore[type-var]


def test_coroutines_and_generators_begin_when_they_are_taken(
    server: CaptureServer, tracker: ConversationTracker
):
    async def coroutine() -> str:
        await asyncio.sleep(0)
        tracker.track_human_message("coroutine")
        return "result"

    def generator() -> Iterator[int]:
        tracker.track_human_message("generator 1")
        got = yield 1
        tracker.track_human_message(f"generator {got}")

    async def async_generator() -> AsyncIterator[int]:
        tracker.track_human_message("async generator 1")
        yield 1
        await asyncio.sleep(0)
        tracker.track_human_message("async generator 2")

    class Tool:
        async def __call__(self) -> None:
            tracker.track_human_message("object")

    with tracker.get_or_create_conversation("bob"), tracker.get_or_create_conversation("ana"):
        bound_coroutine, bound_generator = bind(coroutine), bind(generator)
        bound_async, bound_lambda, bound_tool = bind(async_generator), bind(lambda: coroutine()), bind(Tool())
    assert inspect.iscoroutinefunction(bound_coroutine)

    async def main() -> None:
        with tracker.get_or_create_conversation("cleo"):
            assert await bound_coroutine() == "result"
            assert await asyncio.create_task(bound_lambda()) == "result"
            await bound_tool()
            async for _ in bound_async():
                tracker.track_human_message("cleo between")
            tracker.track_human_message("cleo after")

    asyncio.run(main())
    steps: Any = bound_generator()
    assert next(steps) == 1
    with pytest.raises(StopIteration), tracker.get_or_create_conversation("dora"):
        steps.send(2)
    assert contents(server, tracker) == {
        "ana": [
            *("coroutine", "coroutine", "object", "async generator 1", "async generator 2"),
            *("generator 1", "generator 2"),
        ],
        "cleo": ["cleo between", "cleo after"],
    }


def test_what_a_bound_function_chooses_is_its_own(server: CaptureServer, tracker: ConversationTracker):
    def switch() -> None:
        tracker.get_or_create_conversation("switched")
        tracker.track_human_message("switched")
        raise ValueError

    with tracker.get_or_create_conversation("bob"), tracker.get_or_create_conversation("ana") as ana:
        bound = bind(switch)

        def again() -> None:
            with ana:
                tracker.track_human_message("in a block")

        bound_again = bind(again)
    with tracker.get_or_create_conversation("cleo"):
        for _ in range(2):
            with pytest.raises(ValueError):
                bound()
            bound_again()
        tracker.track_human_message("cleo")
    assert contents(server, tracker) == {
        "ana": ["in a block"] * 2,
        "switched": ["switched"] * 2,
        "cleo": ["cleo"],
    }


def test_bound_where_nothing_was_current(server: CaptureServer, tracker: ConversationTracker):
    with tracker.get_or_create_conversation("ana"), tracker.get_or_create_conversation("bob"):
        pass
    bound = bind(tracker.track_human_message)
    with tracker.get_or_create_conversation("ana"):
        bound("whose?")
    found = contents(server, tracker)
    assert "ana" not in found
    assert list(found.values()) == [["whose?"]]


def test_for_every_tracker_and_within_generators(server: CaptureServer, tracker: ConversationTracker):
    other = ConversationTracker(api_key=tracker.config.api_key, endpoint=server.endpoint)

    def both() -> None:
        tracker.track_human_message("one")
        other.track_human_message("two")

    with tracker.get_or_create_conversation("bob"), tracker.get_or_create_conversation("ana"):
        other.get_or_create_conversation("other")
        bound = bind(both)
        other.get_or_create_conversation("later")

    def answer() -> Iterator[None]:
        with tracker.get_or_create_conversation("cleo"):
            bound()
            tracker.track_human_message("cleo")
            yield

    list(answer())
    other.flush()
    assert contents(server, tracker) == {"ana": ["one"], "other": ["two"], "cleo": ["cleo"]}
