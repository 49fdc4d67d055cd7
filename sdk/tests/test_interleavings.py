"""Thousands of interleavings of threads, tasks and pools: every message lands in the conversation it names."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import NoDataToSendException
from sdk.tests.capture import CaptureServer


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Let threads take turns far more often than they usually do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def send_rest(tracker: ConversationTracker) -> None:
    with contextlib.suppress(NoDataToSendException):
        contextvars.Context().run(lambda: tracker.send_tracked_data())


def check(server: CaptureServer, expected: dict[str, int]) -> None:
    """Each conversation has the messages that name it, all of them, once, in order."""
    strangers = {name for name in server.items if name not in expected and server.contents(name)}
    assert not strangers
    for name, count in expected.items():
        assert server.contents(name) == [f"{name} {number}" for number in range(count)]
    ids = [item["id"] for items in server.items.values() for item in items]
    assert len(ids) == len(set(ids))


def test_threads_each_with_a_conversation(server: CaptureServer, tracker: ConversationTracker):
    def work(worker: int) -> None:
        chance = random.Random(worker)
        for round_ in range(25):
            name = f"t{worker}-{round_}"
            style = chance.randrange(3)
            if style == 0:
                with tracker.get_or_create_conversation(name):
                    for number in range(8):
                        tracker.track_human_message(f"{name} {number}")
            elif style == 1:
                tracker.configure(conversation_id=name)
                for number in range(8):
                    tracker.track_human_message(f"{name} {number}")
                tracker.send_tracked_data()
            else:
                handle = tracker.get_or_create_conversation(name)
                for number in range(8):
                    handle.track_agent_message(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send_rest(tracker)
    check(server, {f"t{worker}-{round_}": 8 for worker in range(16) for round_ in range(25)})


def test_tasks_that_use_threads_and_child_tasks(server: CaptureServer, tracker: ConversationTracker):
    async def turn(name: str, number: int, chance: random.Random) -> None:
        message = f"{name} {number}"
        style = chance.randrange(4)
        if style == 0:
            tracker.track_human_message(message)
        elif style == 1:
            await asyncio.to_thread(tracker.track_agent_message, message)
        elif style == 2:

            async def child() -> None:
                await asyncio.sleep(0)
                tracker.track_human_message(message)

            await asyncio.create_task(child())
        else:
            run = contextvars.copy_context().run
            await asyncio.get_running_loop().run_in_executor(
                None, functools.partial(run, tracker.track_human_message, message)
            )

    async def chat(worker: int) -> None:
        chance = random.Random(worker)
        name = f"a{worker}"
        if chance.random() < 0.5:
            tracker.get_or_create_conversation(name)
        else:
            tracker.configure(conversation_id=name)
        for number in range(10):
            await asyncio.sleep(0)
            await turn(name, number, chance)
            if chance.random() < 0.1:
                await asyncio.to_thread(tracker.send_tracked_data)

    async def main() -> None:
        await asyncio.gather(*(chat(worker) for worker in range(300)))

    asyncio.run(main())
    send_rest(tracker)
    check(server, {f"a{worker}": 10 for worker in range(300)})


def test_a_small_pool_that_many_requests_share(server: CaptureServer, tracker: ConversationTracker):
    """Jobs that choose a conversation, and jobs that do not, in the same few threads, without contexts."""
    foreign: set[str] = set()

    async def request(pool: ThreadPoolExecutor, worker: int) -> None:
        loop = asyncio.get_running_loop()
        name = f"p{worker}"

        def whole() -> None:
            tracker.get_or_create_conversation(name)
            for number in range(5):
                tracker.track_human_message(f"{name} {number}")

        if worker % 3 == 0:
            await loop.run_in_executor(pool, whole)
        elif worker % 3 == 1:
            tracker.get_or_create_conversation(name)
            # The tool does not know where it belongs. It may go anywhere but to another request.
            foreign.add(f"stray {worker}")
            await loop.run_in_executor(pool, tracker.track_human_message, f"stray {worker}")
            await loop.run_in_executor(pool, tracker._current.binding)
            for number in range(5):
                await asyncio.sleep(0)
                tracker.track_human_message(f"{name} {number}")
        else:
            handle = tracker.get_or_create_conversation(name)
            for number in range(5):
                await loop.run_in_executor(pool, handle.track_agent_message, f"{name} {number}")

    async def main() -> None:
        with ThreadPoolExecutor(max_workers=3) as pool:
            await asyncio.gather(*(request(pool, worker) for worker in range(600)))

    asyncio.run(main())
    send_rest(tracker)
    for worker in range(600):
        name = f"p{worker}"
        allowed = {f"{name} {number}" for number in range(5)} | {f"stray {worker}"}
        assert set(server.contents(name)) <= allowed
        assert [each for each in server.contents(name) if not each.startswith("stray")] == [
            f"{name} {number}" for number in range(5)
        ]
    # Strays landed somewhere, each once, and no two of them in one generated conversation.
    strays = [each for name in server.items for each in server.contents(name) if each.startswith("stray")]
    assert sorted(strays) == sorted(foreign)
    for name in server.items:
        if name.startswith("conv_"):
            assert len(server.contents(name)) == 1


def test_senders_and_trackers_at_the_same_time_lose_and_double_nothing(
    server: CaptureServer, tracker: ConversationTracker
):
    names = [f"s{number}" for number in range(8)]
    done = threading.Event()

    def track(name: str) -> None:
        handle = tracker.get_or_create_conversation(name)
        for number in range(400):
            handle.track_human_message(f"{name} {number}")

    def send(chosen: str | None) -> None:
        while not done.is_set():
            try:
                contextvars.Context().run(lambda: tracker.send_tracked_data(chosen))
            except NoDataToSendException:
                done.wait(0.001)

    senders = [threading.Thread(target=send, args=(chosen,)) for chosen in (None, None, "s0", "s1")]
    trackers = [threading.Thread(target=track, args=(name,)) for name in names]
    for thread in senders + trackers:
        thread.start()
    for thread in trackers:
        thread.join()
    done.set()
    for thread in senders:
        thread.join()
    send_rest(tracker)
    ids = [item["id"] for items in server.items.values() for item in items]
    assert len(ids) == len(set(ids)) == 8 * 400
    for name in names:
        in_order = sorted(server.items[name], key=lambda item: (item["timestamp"], item["id"]))
        assert [item["content"] for item in in_order] == [f"{name} {number}" for number in range(400)]
    assert tracker._outbox.count() == 0
    assert tracker._outbox.finished == next(tracker._outbox.counter)


@pytest.mark.parametrize("named", [True, False])
def test_what_is_sent_later_comes_later_also_when_the_clock_stands_still(
    server: CaptureServer, tracker: ConversationTracker, monkeypatch: pytest.MonkeyPatch, named: bool
):
    now = 1_780_000_000_000_000_000
    monkeypatch.setattr("agentsight.client.track_methods.time_ns", lambda: now)
    if not named:
        tracker.get_or_create_conversation("still")
    name = "still" if named else None
    for number in range(200):
        tracker.track_human_message(f"still {number}", conversation_id=name)
        if number % 50 == 49:
            tracker.send_tracked_data(name)
        if number == 120:
            now -= 400_000_000  # and is set back by a little
    send_rest(tracker)
    in_order = sorted(server.items["still"], key=lambda item: str(item["timestamp"]))
    assert [item["content"] for item in in_order] == [f"still {number}" for number in range(200)]
    assert len({item["timestamp"] for item in in_order}) == 200


def test_what_could_not_be_prepared_keeps_its_times_and_its_place(
    server: CaptureServer, tracker: ConversationTracker, monkeypatch: pytest.MonkeyPatch
):
    now = 1_780_000_000_666_666_000
    monkeypatch.setattr("agentsight.client.track_methods.time_ns", lambda: now)
    tracker.get_or_create_conversation("c")
    for number in range(3):
        tracker.track_human_message(f"c {number}")
        now += 200_000_000
    with monkeypatch.context() as patch:
        patch.setattr("agentsight.items.encoding.prepare", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tracker.send_tracked_data()
    tracker.track_human_message("c 3")
    send_rest(tracker)
    times = [str(item["timestamp"])[20:26] for item in server.items["c"]]
    assert times == ["666666", "866666", "066666", "266666"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_spool_that_is_opened_later_does_not_overtake_what_waits(
    server: CaptureServer, tracker: ConversationTracker, tmp_path: Path
):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("c 0")
    tracker.track_human_message("c 1")
    tracker.configure(spool_dir=str(tmp_path))
    tracker.track_human_message("c 2")
    send_rest(tracker)
    in_order = sorted(server.items["c"], key=lambda item: str(item["timestamp"]))
    assert [item["content"] for item in in_order] == ["c 0", "c 1", "c 2"]


def test_the_summary_shows_the_times_that_are_sent(
    server: CaptureServer, tracker: ConversationTracker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agentsight.client.track_methods.time_ns", lambda: 1_780_000_000_000_000_000)
    tracker.get_or_create_conversation("c")
    for number in range(3):
        tracker.track_human_message(f"c {number}")
    shown = [item["timestamp"] for item in tracker.get_tracked_data_summary()["items"][1:]]
    send_rest(tracker)
    assert shown == [item["timestamp"] for item in server.items["c"]]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals")
def test_a_signal_handler_may_track_tokens(tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    seen = tracked = 0

    def handler(*_: object) -> None:
        nonlocal seen
        seen += 1
        tracker.track_token_usage(1, 0)
        assert tracker.get_token_usage()["prompt_tokens"] > 0

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        while seen < 300:
            tracker.track_token_usage(1, 0)
            tracked += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert tracker.get_token_usage()["prompt_tokens"] == tracked + seen
