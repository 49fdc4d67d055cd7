"""AsyncConversationManager and AsyncAgentSightAPI: the twins ask and answer as the others do, and block nobody."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import Any

import pytest

from agentsight import AgentSightAPI, AsyncAgentSightAPI, AsyncConversationManager, ConversationManager
from agentsight.exceptions import (
    ConversationNetworkException,
    InvalidConversationDataException,
    NoApiKeyException,
    NotFoundException,
)
from sdk.tests.capture import KEY, CaptureServer, Scripted

PAIRS = [(ConversationManager, AsyncConversationManager), (AgentSightAPI, AsyncAgentSightAPI)]


def asked(server: CaptureServer) -> list[tuple[str, str, dict[str, str], Any]]:
    return [(each.method, each.path, each.params, each.body) for each in server.requests]


@pytest.mark.parametrize(("plain", "twin"), PAIRS)
def test_a_twin_has_every_method_with_its_arguments_and_its_words(plain: type, twin: type):
    names = {
        name for name, value in vars(plain).items() if inspect.isfunction(value) and not name.startswith("_")
    }
    assert names == {name for name, value in vars(twin).items() if inspect.iscoroutinefunction(value)}, (
        "a new method needs its twin"
    )
    for name in names:
        assert inspect.signature(getattr(plain, name)) == inspect.signature(getattr(twin, name))
        assert getattr(twin, name).__doc__ == getattr(plain, name).__doc__
    assert inspect.signature(plain.configure) == inspect.signature(twin.configure)


def test_they_ask_and_answer_as_the_others(server: CaptureServer):
    server.conversations = {"c": 7}
    manager = ConversationManager(api_key=KEY, endpoint=server.endpoint)
    api = AgentSightAPI(api_key=KEY, endpoint=server.endpoint)
    plain = [
        manager.submit_feedback("c", "positive", comment="Quick!"),
        manager.update_conversation("c", name="N"),
        api.fetch_conversations(page_size=5, device="mobile", extra={"new": 1}),
        api.fetch_conversation_attachments("c"),
    ]
    expected = asked(server)
    server.requests.clear()

    async def ask() -> list[Any]:
        async with (
            AsyncConversationManager(api_key=KEY, endpoint=server.endpoint) as manager,
            AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint) as api,
        ):
            return [
                await manager.submit_feedback("c", "positive", comment="Quick!"),
                await manager.update_conversation("c", name="N"),
                await api.fetch_conversations(page_size=5, device="mobile", extra={"new": 1}),
                await api.fetch_conversation_attachments("c"),
            ]

    assert asyncio.run(ask()) == plain
    assert asked(server) == expected
    manager.close()
    api.close()


def test_errors_are_the_same(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    async def ask() -> None:
        async with AsyncConversationManager(endpoint=server.endpoint) as manager:
            with pytest.raises(NoApiKeyException):
                await manager.delete_conversation("c")
            manager.configure(api_key=KEY)
            with pytest.raises(NotFoundException):
                await manager.delete_conversation("c")
            with pytest.raises(InvalidConversationDataException, match="sentiment takes"):
                await manager.submit_feedback("c", "great")  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await manager.rename_conversation("c")  # type: ignore[call-arg]
            server.script = [Scripted(drop=True)] * 5
            with pytest.raises(ConversationNetworkException):
                await manager.submit_feedback("c", "positive")

    asyncio.run(ask())


def test_the_loop_runs_on_and_many_calls_share_a_few_threads(server: CaptureServer):
    go_on = threading.Event()
    server.hold = lambda request: go_on.wait(20)
    most = 0

    async def ask() -> list[Any]:
        nonlocal most
        async with AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint, timeout=60) as api:
            calls = [asyncio.create_task(api.fetch_conversation(number + 1)) for number in range(60)]
            while len(server.requests) < 16:
                await asyncio.sleep(0)
            most = sum(thread.name == "agentsight-async" for thread in threading.enumerate())
            go_on.set()
            return list(await asyncio.gather(*calls))

    answers = asyncio.run(ask())
    assert [answer["path"] for answer in answers] == [f"/api/conversations/{n + 1}/" for n in range(60)]
    assert most == 16


def test_a_cancelled_call_is_over_at_once_and_the_next_one_works(server: CaptureServer):
    go_on, there = threading.Event(), threading.Event()

    def hold(request: object) -> None:
        there.set()
        go_on.wait(20)

    server.hold = hold

    async def ask() -> Any:
        async with AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint, timeout=60) as api:
            calls = [asyncio.create_task(api.fetch_conversation(number + 1)) for number in range(40)]
            while not there.is_set():
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended)
            go_on.set()
            answer = await api.fetch_conversation(99)
            return answer["path"]  # type: ignore[typeddict-item]

    assert asyncio.run(ask()) == "/api/conversations/99/"
    assert len(server.requests) < 40, "what had not begun is not asked any more"


def test_waiting_for_a_thread_counts_as_well(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    """Behind requests that are held up, the one that waits for its turn is over in time too."""
    monkeypatch.setattr("agentsight.client.async_clients.THREADS", 1)
    go_on = threading.Event()
    server.hold = lambda request: go_on.wait(20)

    async def ask() -> None:
        async with AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint, timeout=0.3) as api:
            calls = [api.fetch_conversation(number + 1) for number in range(5)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(each, ConversationNetworkException) for each in ended)

    try:
        asyncio.run(ask())
    finally:
        go_on.set()


def test_one_client_in_two_loops_and_two_threads(server: CaptureServer):
    api = AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint)

    def work() -> None:
        asyncio.run(api.fetch_conversation(1))  # type: ignore[arg-type]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(server.requests) == 4
    api.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(server: CaptureServer):
    go_on = threading.Event()
    api = AsyncAgentSightAPI(api_key=KEY, endpoint=server.endpoint)
    server.hold = lambda request: request.path.endswith("/1/") and go_on.wait(20)
    held = [threading.Thread(target=lambda: asyncio.run(api.fetch_conversation(1))) for _ in range(16)]  # type: ignore[arg-type]
    for thread in held:
        thread.start()
    while len(server.requests) < 16:
        os.sched_yield()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(api.fetch_conversation(2))  # type: ignore[arg-type]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    for thread in held:
        thread.join(20)
    api.close()
