"""`bind`: a function that runs later belongs to the conversation that is current now."""

from __future__ import annotations

import contextlib
import functools

from agentsight.exceptions import InvalidConversationDataException
from agentsight.outbox.context import Binding, bindings, current_conversations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from typing import Any, TypeVar

    from agentsight.outbox.pending import PendingConversation

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["bind", "make_current", "restore"]

_COROUTINE = 0x80  # a flag of code


def bind(function: F) -> F:
    """Tie a function to the conversation that is current now, for every tracker.

    Whenever and wherever it is called, what it tracks goes there: in a pool, an executor, a timer's thread, a
    callback, after the `with` block has ended. Where no conversation is current now, none is when it is called.

    Args:
        function: any callable: function, coroutine function, generator function, method, partial.

    Returns:
        A function that takes the same arguments and returns the same.

    Raises:
        InvalidConversationDataException: it cannot be called.

    Example:
        >>> with conversation_tracker.get_or_create_conversation("conv_1"):  # doctest: +SKIP
        ...     pool.submit(agentsight.bind(look_up), "order 7")
    """
    if not callable(function):
        raise InvalidConversationDataException(
            f"function takes what can be called, not {type(function).__name__}"
        )
    conversations = current_conversations()
    if _flags(function) & _COROUTINE:

        async def bound_async(*args: Any, **kwargs: Any) -> Any:
            token = make_current(conversations)
            try:
                return await function(*args, **kwargs)
            finally:
                restore(token)

        return _like(bound_async, function)

    def bound(*args: Any, **kwargs: Any) -> Any:
        token = make_current(conversations)
        try:
            result = function(*args, **kwargs)
        finally:
            restore(token)
        # What only begins when somebody takes the result is bound too.
        if hasattr(result, "send") and hasattr(result, "throw") and hasattr(result, "close"):
            return (
                _rest(result, conversations)
                if hasattr(result, "__await__")
                else _Steps(result, conversations)
            )
        if hasattr(result, "asend") and hasattr(result, "aclose"):
            return _AsyncSteps(result, conversations)
        return result

    return _like(bound, function)


def make_current(conversations: dict[int, PendingConversation]) -> Token[dict[int, Binding]]:
    """Make these conversations current, and no others, until `restore`."""
    return bindings.set({number: Binding(pending) for number, pending in conversations.items()})


def restore(token: Token[dict[int, Binding]]) -> None:
    """What was current before `make_current` is current again."""
    with contextlib.suppress(
        ValueError
    ):  # begun in one context and thrown away in another, which stays as it is
        bindings.reset(token)


async def _rest(coroutine: Any, conversations: dict[int, PendingConversation]) -> Any:
    token = make_current(conversations)
    try:
        return await coroutine
    finally:
        restore(token)


class _Steps:
    """A generator that runs in its conversation, step by step."""

    def __init__(self, generator: Any, conversations: dict[int, PendingConversation]) -> None:
        self._generator = generator
        self._conversations = conversations

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        return self._step(self._generator.__next__)

    def send(self, value: Any) -> Any:
        return self._step(self._generator.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._generator.throw, *error)

    def close(self) -> Any:
        return self._step(self._generator.close)

    def _step(self, method: Callable[..., Any], *args: Any) -> Any:
        token = make_current(self._conversations)
        try:
            return method(*args)
        finally:
            restore(token)


class _AsyncSteps:
    """An async generator that runs in its conversation, step by step."""

    def __init__(self, generator: Any, conversations: dict[int, PendingConversation]) -> None:
        self._generator = generator
        self._conversations = conversations

    def __aiter__(self) -> _AsyncSteps:
        return self

    async def __anext__(self) -> Any:
        return await _rest(self._generator.__anext__(), self._conversations)

    async def asend(self, value: Any) -> Any:
        return await _rest(self._generator.asend(value), self._conversations)

    async def athrow(self, *error: Any) -> Any:
        return await _rest(self._generator.athrow(*error), self._conversations)

    async def aclose(self) -> Any:
        return await _rest(self._generator.aclose(), self._conversations)


def _flags(function: Any) -> int:
    """What kind of code a callable has; 0 where it has none of its own."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        code = getattr(type(function).__call__, "__code__", None)
    return int(getattr(code, "co_flags", 0))


def _like(bound: Any, function: F) -> F:
    functools.update_wrapper(bound, function)
    return bound  # type: ignore[no-any-return]
