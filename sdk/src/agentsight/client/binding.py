"""`bind`: a function that runs later belongs to the conversation that is current now."""

from __future__ import annotations

import contextlib
import functools

from agentsight.exceptions import InvalidConversationDataException
from agentsight.outbox.context import Place, current_lanes, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from typing import Any, TypeVar

    from agentsight.outbox.pending import Lane

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["bind", "hold", "let_go"]

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
    lanes = current_lanes()
    if _flags(function) & _COROUTINE:

        async def bound_async(*args: Any, **kwargs: Any) -> Any:
            token = hold(lanes)
            try:
                return await function(*args, **kwargs)
            finally:
                let_go(token)

        return _like(bound_async, function)

    def bound(*args: Any, **kwargs: Any) -> Any:
        token = hold(lanes)
        try:
            result = function(*args, **kwargs)
        finally:
            let_go(token)
        # What only begins when somebody takes the result is bound too.
        if hasattr(result, "send") and hasattr(result, "throw") and hasattr(result, "close"):
            return _rest(result, lanes) if hasattr(result, "__await__") else _Steps(result, lanes)
        if hasattr(result, "asend") and hasattr(result, "aclose"):
            return _AsyncSteps(result, lanes)
        return result

    return _like(bound, function)


def hold(lanes: dict[int, Lane]) -> Token[dict[int, Place]]:
    """Make these conversations current, and no others, until `let_go`."""
    return places.set({number: Place(lane) for number, lane in lanes.items()})


def let_go(token: Token[dict[int, Place]]) -> None:
    """What was current before `hold` is current again."""
    with contextlib.suppress(
        ValueError
    ):  # begun in one context and thrown away in another, which stays as it is
        places.reset(token)


async def _rest(coroutine: Any, lanes: dict[int, Lane]) -> Any:
    token = hold(lanes)
    try:
        return await coroutine
    finally:
        let_go(token)


class _Steps:
    """A generator that runs in its conversation, step by step."""

    def __init__(self, generator: Any, lanes: dict[int, Lane]) -> None:
        self._generator = generator
        self._lanes = lanes

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
        token = hold(self._lanes)
        try:
            return method(*args)
        finally:
            let_go(token)


class _AsyncSteps:
    """An async generator that runs in its conversation, step by step."""

    def __init__(self, generator: Any, lanes: dict[int, Lane]) -> None:
        self._generator = generator
        self._lanes = lanes

    def __aiter__(self) -> _AsyncSteps:
        return self

    async def __anext__(self) -> Any:
        return await _rest(self._generator.__anext__(), self._lanes)

    async def asend(self, value: Any) -> Any:
        return await _rest(self._generator.asend(value), self._lanes)

    async def athrow(self, *error: Any) -> Any:
        return await _rest(self._generator.athrow(*error), self._lanes)

    async def aclose(self) -> Any:
        return await _rest(self._generator.aclose(), self._lanes)


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
