"""AsyncConversationManager and AsyncAgentSightAPI: the same methods for `await`.

A twin calls the very method of the client that it is the twin of, in a thread. So there is one place that builds
requests and reads answers, and urllib3 stays the only dependency.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections import deque
from concurrent.futures import Future

from agentsight.client.base import ApiClient
from agentsight.client.manager import ConversationManager
from agentsight.client.reader import AgentSightAPI
from agentsight.delivery.transport import shown
from agentsight.exceptions import ConversationNetworkException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from typing_extensions import Self

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["AsyncAgentSightAPI", "AsyncConversationManager"]

THREADS = 16  # requests of one client that are under way at the same time; the rest wait for their turn


class _Threads:
    """Runs calls in a few daemon threads, which end when there is nothing to do.

    A `ThreadPoolExecutor` would hold up the end of the process for what nobody waits for any more, and in a forked
    child wait for threads that are its parent's.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running = 0

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Run a call as soon as a thread is free."""
        if self._owner != os.getpid():
            self._reset()
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, call))
            if self._running >= THREADS:
                return future
            self._running += 1
        try:
            threading.Thread(target=self._work, name="agentsight-async", daemon=True).start()
        except RuntimeError:  # the interpreter is ending
            with self._lock:
                self._running -= 1
            future.cancel()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                future, call = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue  # nobody waits for it any more
            try:
                future.set_result(call())
            except BaseException as problem:
                future.set_exception(problem)


def _twin(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The same method for `await`."""

    @functools.wraps(method)
    async def call(self: _AsyncApiClient, *args: P.args, **kwargs: P.kwargs) -> R:
        seconds = self.config.timeout
        latest = time.monotonic() + seconds

        def begin() -> R:
            if time.monotonic() >= latest:
                raise ConversationNetworkException(
                    f"{shown(self.config.endpoint)}: the requests before it took all of the {seconds:g} seconds"
                )
            return method(self._client, *args, **kwargs)

        answer: R = await asyncio.wrap_future(self._threads.submit(begin))
        return answer

    made_of: Any = call
    twin: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]] = made_of
    return twin


class _AsyncApiClient(ApiClient):
    """Settings and connections as `Client` has them; calls run in threads, on the client that this is a twin of."""

    _twin_of: type[ApiClient]
    _client: ApiClient
    _threads: _Threads

    if not TYPE_CHECKING:  # for type checkers it takes what Client takes

        def __init__(self, **options):
            super().__init__(**options)
            self._threads = _Threads()
            self._client = self._twin_of.__new__(self._twin_of)
            self._client.config, self._client._transport = self.config, self._transport

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncConversationManager(_AsyncApiClient):
    """`ConversationManager` for asyncio: the same constructor, methods, answers and exceptions, awaited.

    A call that is cancelled is not awaited any more; a request that was under way may still reach the server.

    Example:
        >>> async with AsyncConversationManager() as manager:  # doctest: +SKIP
        ...     await manager.submit_feedback("conv_1", "positive", comment="Quick!")
    """

    _twin_of = ConversationManager

    submit_feedback = _twin(ConversationManager.submit_feedback)
    rename_conversation = _twin(ConversationManager.rename_conversation)
    mark_conversation = _twin(ConversationManager.mark_conversation)
    update_conversation = _twin(ConversationManager.update_conversation)
    delete_conversation = _twin(ConversationManager.delete_conversation)


class AsyncAgentSightAPI(_AsyncApiClient):
    """`AgentSightAPI` for asyncio: the same constructor, methods, answers and exceptions, awaited.

    Example:
        >>> async with AsyncAgentSightAPI() as api:  # doctest: +SKIP
        ...     page = await api.fetch_conversations(device="mobile", page_size=50)
    """

    _twin_of = AgentSightAPI
    _patient = True

    fetch_conversations = _twin(AgentSightAPI.fetch_conversations)
    fetch_conversation = _twin(AgentSightAPI.fetch_conversation)
    fetch_conversation_attachments = _twin(AgentSightAPI.fetch_conversation_attachments)
