"""Thousands of messages, each with its customer's name in it, through every way in which bots hand on their work.

Each row of the table in docs/sdk.md is a test here: with what ties work to its conversation everything is right,
and whatever else is done, nothing lands with a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import random
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from agentsight import ConversationTracker, bind
from sdk.tests.test_fastapi import served
from tests.processes.apps.attribution_fastapi import application
from tests.processes.attribution import landed, look_up
from tests.processes.running import APPS, Program
from tests.serving import Agent, ServerProcess

CUSTOMERS = 40


def tracker_of(agent: Agent) -> ConversationTracker:
    return ConversationTracker(
        api_key=agent.keys["ingest"], endpoint=agent.server.address, environment="production", timeout=30
    )


def names_of(form: str, count: int = CUSTOMERS) -> list[str]:
    return [f"{form}-{number}" for number in range(count)]


def in_process(
    server: ServerProcess, work: Callable[[ConversationTracker, str, list[str]], int], count: int = CUSTOMERS
) -> Callable[[str], str]:
    """A row's cells: work with a tracker of its own, which returns how many items it tracked."""

    def cells(form: str) -> str:
        agent = server.agent()
        tracker = tracker_of(agent)
        names = names_of(form, count)
        total = work(tracker, form, names)
        gc.collect()
        assert tracker.close(30)["unsent"] == 0
        return landed(agent, names, total)

    return cells


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def waves(names: list[str]) -> Iterator[list[str]]:
    """Now one customer alone, now some at a time: what is guessed right in one case is wrong in the other."""
    chance, left = random.Random(5), list(names)
    while left:
        size = chance.choice((1, 1, 2, 3, 12))
        yield left[:size]
        left = left[size:]


def ask_all(address: str, paths: list[str]) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            for wave in waves(paths):
                for answer in await asyncio.gather(*(client.post(path) for path in wave)):
                    answer.raise_for_status()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("row", "kind", "items"),
    [
        ("FastAPI, async endpoint", "async", 3),
        ("FastAPI, sync endpoint", "sync", 3),
        ("FastAPI, `StreamingResponse`, async", "stream", 2),
        ("FastAPI, `StreamingResponse`, sync", "sync_stream", 2),
        ("FastAPI, `BackgroundTasks`", "background", 3),
        ("FastAPI, sync `Depends`", "depends", 2),
    ],
)
def test_fastapi(sqlite_server: ServerProcess, row: str, kind: str, items: int):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        with served(application(tracker)) as address:
            ask_all(address, [f"/{kind}/{form}/{name}" for name in names])
        return items * len(names)

    look_up(row, in_process(sqlite_server, work))


def test_fastapi_websocket(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        def talk(name: str) -> None:
            with connect(f"{address.replace('http', 'ws')}/socket/{form}/{name}") as socket:
                for turn in range(2):
                    socket.send(f"question {turn}")
                    while socket.recv() != "answer":
                        pass

        with served(application(tracker)) as address, ThreadPoolExecutor(10) as pool:
            list(pool.map(talk, names))
        return 4 * len(names)

    look_up("FastAPI, WebSocket", in_process(sqlite_server, work))


def hang_up(address: str, path: str, after: int) -> None:
    """A browser that reads so many bytes of the answer, and is gone."""
    host, port = address.removeprefix("http://").split(":")
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection((host, int(port)), timeout=30) as line,
    ):
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        seen = b""
        while b"\r\n\r\n" not in seen or len(seen.partition(b"\r\n\r\n")[2]) < after:
            piece = line.recv(after or 1)
            if not piece:
                return
            seen += piece


def hang_ups(address: str, path: str, names: list[str]) -> None:
    chance = random.Random(7)
    with ThreadPoolExecutor(12) as pool:
        for wave in waves(names):
            moments = [(name, chance.randrange(120)) for name in wave]
            list(pool.map(lambda each: hang_up(address, f"{path}{each[0]}", each[1]), moments))


def test_fastapi_readers_who_leave(sqlite_server: ServerProcess):
    def cells(form: str) -> str:
        agent = sqlite_server.agent()
        tracker, names = tracker_of(agent), names_of(form)
        with served(application(tracker)) as address:
            hang_ups(address, f"/stream/{form}/", names)
        gc.collect()
        tracker.close(30)
        return landed(agent, names, 2 * len(names), exact=False)

    look_up("FastAPI, `StreamingResponse`, readers who leave BROWSERS", cells)


GUNICORN = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--bind", "127.0.0.1:0", "--chdir", APPS]


@pytest.mark.parametrize(
    ("row", "path", "app"),
    [
        (
            "Flask, gunicorn's gthread, streamed",
            "/",
            ["--worker-class", "gthread", "--threads", "4", "attribution_flask:app"],
        ),
        (
            "Flask, gunicorn's gthread, readers who leave BROWSERS",
            "/",
            ["--worker-class", "gthread", "--threads", "4", "attribution_flask:app"],
        ),
        ("Flask, gunicorn's sync workers, streamed", "/", ["--workers", "2", "attribution_flask:app"]),
        ("Django, gunicorn's sync workers, streamed", "/", ["--workers", "2", "attribution_django"]),
        (
            "Django, async, streamed",
            "/async/",
            ["--worker-class", "asgi", "attribution_django:async_application"],
        ),
    ],
)
def test_gunicorn(sqlite_server: ServerProcess, tmp_path: Path, row: str, path: str, app: list[str]):
    agents = {form: sqlite_server.agent() for form in ("tied", "block", "careless")}

    def cells(form: str) -> str:
        names = names_of(form)
        settings = {"AGENTSIGHT_AUTO_SEND": "1", "AGENTSIGHT_ENVIRONMENT": "production"}
        with Program([*GUNICORN, *app], agents[form], tmp_path, **settings) as gunicorn:
            address = gunicorn.wait_for(r"Listening at: (http://\S+)")
            if "BROWSERS" in row:
                hang_ups(address, f"{path}{form}/", names)
            else:
                ask_all(address, [f"{path}{form}/{name}" for name in names])
            gunicorn.process.terminate()
            assert gunicorn.end()[0] == 0, gunicorn.output
            assert "Traceback" not in gunicorn.output
        return landed(agents[form], names, 2 * len(names), exact="BROWSERS" not in row)

    look_up(row, cells)


def test_asyncio_with_200_chats(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        async def chat(name: str) -> None:
            chance = random.Random(name)
            if form == "careless":  # what a child chooses stays in the child
                await asyncio.create_task(choose(name))
                for turn in range(5):
                    await asyncio.sleep(0)
                    tracker.track_human_message(f"{name} {turn}")
                return
            with tracker.get_or_create_conversation(name) as conversation:
                into = conversation if form == "tied" else tracker
                for turn in range(5):
                    await asyncio.sleep(0)
                    if chance.random() < 0.3:
                        await asyncio.to_thread(into.track_human_message, f"{name} {turn}")
                    else:
                        await asyncio.create_task(say(into.track_human_message, f"{name} {turn}"))

        async def choose(name: str) -> None:
            tracker.get_or_create_conversation(name)

        async def say(track: Callable[[str], None], text: str) -> None:
            await asyncio.sleep(0)
            track(text)

        async def main() -> None:
            await asyncio.gather(*map(chat, names))

        asyncio.run(main())
        return 5 * len(names)

    look_up("asyncio, 200 chats", in_process(sqlite_server, work, 200))


def tools(
    tracker: ConversationTracker, form: str, name: str, submit: Callable[..., object]
) -> Iterator[object]:
    """Three tools of one turn, given to something that runs them elsewhere."""

    def use(tool: int) -> None:
        tracker.track_action(f"{name} tool {tool}")

    def choose_and_use(tool: int) -> None:
        with tracker.get_or_create_conversation(name):
            use(tool)

    with tracker.get_or_create_conversation(name) as conversation:
        yield submit(
            conversation.track_action if form == "tied" else tracker.track_human_message, f"{name} said"
        )
        for tool in range(3):
            yield submit({"tied": bind(use), "block": choose_and_use, "careless": use}[form], tool)


def test_thread_pool(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        with ThreadPoolExecutor(8) as requests, ThreadPoolExecutor(3) as pool:
            for wave in waves(names):
                list(requests.map(lambda name: list(tools(tracker, form, name, pool.submit)), wave))
        return 4 * len(names)

    look_up("`ThreadPoolExecutor`", in_process(sqlite_server, work))


def test_run_in_executor(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        async def chat(name: str) -> None:
            submit = functools.partial(asyncio.get_running_loop().run_in_executor, None)
            for waiting in tools(tracker, form, name, submit):
                await asyncio.wait_for(waiting, 60)  # type: ignore[arg-type]

        async def main() -> None:
            for wave in waves(names):
                await asyncio.gather(*map(chat, wave))

        asyncio.run(main())
        return 4 * len(names)

    look_up("`run_in_executor`", in_process(sqlite_server, work))


def test_to_thread(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        async def chat(name: str) -> None:
            if form == "careless":
                await asyncio.to_thread(tracker.get_or_create_conversation, name)
                await asyncio.to_thread(tracker.track_human_message, f"{name} question")
                await asyncio.to_thread(tracker.track_agent_message, f"{name} answer")
                return
            with tracker.get_or_create_conversation(name) as conversation:
                into = conversation if form == "tied" else tracker
                await asyncio.to_thread(into.track_human_message, f"{name} question")
                await asyncio.to_thread(into.track_agent_message, f"{name} answer")

        async def main() -> None:
            for wave in waves(names):
                await asyncio.gather(*map(chat, wave))

        asyncio.run(main())
        return 2 * len(names)

    look_up("`asyncio.to_thread`", in_process(sqlite_server, work))


def test_generators_that_are_read_elsewhere(sqlite_server: ServerProcess):
    """By threads that take turns, one piece each, or by one that reads all of them at the same time."""

    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        def answer(name: str) -> Iterator[str]:
            if form == "block":
                with tracker.get_or_create_conversation(name):
                    yield from steps(name)
            else:
                yield from steps(name)

        def steps(name: str) -> Iterator[str]:
            for step in range(4):
                tracker.track_action(f"{name} step {step}")
                yield f"{name} "

        def begin(name: str) -> Iterator[str]:
            with tracker.get_or_create_conversation(name) as conversation:
                return conversation.stream(answer(name)) if form == "tied" else answer(name)

        readers = {name: begin(name) for name in names}
        chance = random.Random(form)
        with ThreadPoolExecutor(4) as pool:
            while readers:
                round_ = [name for name in readers if chance.random() < 0.7]
                if chance.random() < 0.5:
                    ended = {name: pool.submit(next, readers[name], None) for name in round_}
                    over = [name for name, piece in ended.items() if piece.result() is None]
                else:
                    over = [name for name in round_ if next(readers[name], None) is None]
                for name in over:
                    del readers[name]
        return (5 if form == "tied" else 4) * len(names)

    look_up("generators that are read elsewhere, in turns", in_process(sqlite_server, work))


def test_cancelled_tasks(sqlite_server: ServerProcess):
    """Tasks are cancelled in the middle, what they started in threads goes on."""

    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        counted: list[str] = []

        def say(text: str) -> None:
            tracker.track_human_message(text)
            counted.append(text)

        async def pieces(name: str) -> AsyncIterator[str]:
            for _ in range(10):
                await asyncio.sleep(0.001)
                yield f"{name} "

        async def chat(name: str) -> None:
            with tracker.get_or_create_conversation(name) as conversation:
                for turn in range(4):
                    if form == "block":
                        await asyncio.sleep(0.001)
                        say(f"{name} {turn}")
                    else:
                        late = bind(say) if form == "tied" else say
                        await asyncio.to_thread(later, late, f"{name} {turn}")
                if form == "tied":
                    async for _ in conversation.stream(pieces(name)):
                        pass
                    counted.append(name)

        def later(function: Callable[[str], None], text: str) -> None:
            threading.Event().wait(0.003)  # still at it when the task is gone
            function(text)

        async def main() -> None:
            chance = random.Random(3)
            tasks = [asyncio.create_task(chat(name)) for name in names]
            for task in chance.sample(tasks, len(tasks) // 2):
                await asyncio.sleep(0.002)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())
        gc.collect()
        tracker._outbox.streams.end_all()
        return tracker._outbox.count()

    look_up("cancelled tasks BROWSERS", in_process(sqlite_server, work))


def test_a_worker_that_one_request_started_for_all(sqlite_server: ServerProcess):
    def work(tracker: ConversationTracker, form: str, names: list[str]) -> int:
        async def main() -> None:
            queue: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
            workers: list[asyncio.Task[None]] = []

            async def run() -> None:
                while True:
                    (await queue.get())()
                    queue.task_done()

            async def request(name: str) -> None:
                with tracker.get_or_create_conversation(name) as conversation:
                    if not workers:
                        workers.append(asyncio.create_task(run()))  # with the context of the first request
                    conversation.track_human_message(f"{name} question")
                if form == "tied":
                    queue.put_nowait(functools.partial(conversation.track_agent_message, f"{name} answer"))
                elif form == "block":
                    queue.put_nowait(functools.partial(in_block, name))
                else:
                    queue.put_nowait(functools.partial(contextvars.copy_context().run, say, name))

            def in_block(name: str) -> None:
                with tracker.get_or_create_conversation(name):
                    say(name)

            def say(name: str) -> None:
                tracker.track_agent_message(f"{name} answer")

            await asyncio.gather(*map(request, names))
            await queue.join()
            workers[0].cancel()

        asyncio.run(main())
        return 2 * len(names)

    look_up("a worker task that the first request started", in_process(sqlite_server, work))
