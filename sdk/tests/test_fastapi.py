"""The patterns of bots behind FastAPI, with the real FastAPI and uvicorn."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI

from agentsight import ConversationTracker
from sdk.tests.capture import CaptureServer

REQUESTS = 80
MESSAGES = ("question", "thinking", "answer")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def and_tell(*args: object, **kwargs: object) -> None:
        await startup(*args, **kwargs)
        started.set()

    server.startup = and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def ask_all(address: str, paths: list[str]) -> None:
    async def main() -> None:
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=20)
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
            answers = await asyncio.gather(*(client.post(path) for path in paths))
        assert [answer.status_code for answer in answers] == [200] * len(paths)

    asyncio.run(main())


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the background, at most half a minute."""
    deadline = threading.Event()
    for _ in range(3000):
        if condition():
            return
        deadline.wait(0.01)
    raise AssertionError("it did not happen")


def app_of(tracker: ConversationTracker) -> FastAPI:
    app = FastAPI()

    @app.post("/async/{name}")
    async def in_a_task(name: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
        tracker.get_or_create_conversation(conversation_id=name)
        tracker.track_human_message(f"{name} question")
        await asyncio.sleep(0)
        await asyncio.to_thread(tracker.track_agent_message, f"{name} thinking")
        await asyncio.sleep(0)
        tracker.track_agent_message(f"{name} answer")
        background_tasks.add_task(tracker.send_tracked_data)
        return {"ok": True}

    @app.post("/sync/{name}")
    def in_a_thread(name: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
        tracker.get_or_create_conversation(conversation_id=name)
        for message in MESSAGES:
            tracker.track_human_message(f"{name} {message}")
        background_tasks.add_task(tracker.send_tracked_data)
        return {"ok": True}

    @app.post("/configure/{name}")
    def with_configure(name: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
        tracker.configure(conversation_id=name)
        for message in MESSAGES:
            tracker.track_human_message(f"{name} {message}")
        background_tasks.add_task(tracker.send_tracked_data)
        return {"ok": True}

    @app.post("/block/{name}")
    async def with_block(name: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
        with tracker.get_or_create_conversation(name) as conversation:
            for message in MESSAGES:
                await asyncio.sleep(0)
                tracker.track_human_message(f"{name} {message}")
            background_tasks.add_task(conversation.send_tracked_data)
        return {"ok": True}

    @app.post("/function/{name}")
    async def with_own_function(name: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
        tracker.get_or_create_conversation(name)
        for message in MESSAGES:
            await asyncio.sleep(0)
            tracker.track_human_message(f"{name} {message}")

        def finish() -> None:
            tracker.send_tracked_data()

        background_tasks.add_task(finish)
        return {"ok": True}

    return app


@pytest.mark.parametrize("kind", ["async", "sync", "configure", "block", "function"])
def test_each_request_its_conversation(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture, kind: str
):
    names = [f"{kind}-{number}" for number in range(REQUESTS)]
    with caplog.at_level(logging.WARNING), served(app_of(tracker)) as address:
        ask_all(address, [f"/{kind}/{name}" for name in names])
        until(lambda: sum(map(len, server.items.values())) >= REQUESTS * len(MESSAGES))
    assert sorted(server.items) == sorted(names)
    for name in names:
        assert server.contents(name) == [f"{name} {message}" for message in MESSAGES]
    # No exception in a background task, no conversation made up.
    assert [record.getMessage() for record in caplog.records] == []


def test_all_kinds_at_once(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    kinds = ["async", "sync", "configure", "block"]
    names = [f"{kinds[number % 4]}/{number}" for number in range(4 * REQUESTS)]
    with caplog.at_level(logging.WARNING), served(app_of(tracker)) as address:
        ask_all(address, [f"/{name}" for name in names])
        until(lambda: sum(map(len, server.items.values())) >= len(names) * len(MESSAGES))
    for name in names:
        number = name.rpartition("/")[2]
        assert server.contents(number) == [f"{number} {message}" for message in MESSAGES]
    assert [record.getMessage() for record in caplog.records] == []


def test_requests_that_share_a_conversation(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING), served(app_of(tracker)) as address:
        ask_all(address, [f"/{kind}/shared" for kind in ("async", "sync", "block") for _ in range(30)])
        until(lambda: len(server.items.get("shared", [])) >= 90 * len(MESSAGES))
    assert list(server.items) == ["shared"]
    assert len(server.items["shared"]) == 90 * len(MESSAGES)
    assert [record.getMessage() for record in caplog.records] == []
