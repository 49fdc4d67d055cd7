"""`stream`: an answer that is given piece by piece, tracked when it ends, or when its reader leaves."""

from __future__ import annotations

import codecs
import contextlib
import threading
from collections import deque
from time import time_ns
from typing import Any, Generic, TypeVar

from agentsight.client.binding import make_current, restore
from agentsight.client.chunk_text import chunk_text
from agentsight.client.usage import StreamedUsage
from agentsight.config import log
from agentsight.exceptions import InvalidConversationDataException
from agentsight.items.validation import CONTENT_LENGTH, message_name, metadata_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

    from agentsight.client.conversation import Conversation
    from agentsight.outbox.outbox import Outbox

__all__ = ["AsyncStream", "Stream", "StreamedAnswer", "open_anyhow", "open_stream"]

T = TypeVar("T")
_MS = 1_000_000  # ns
_baffled: set[str] = set()  # types of pieces without words of which that was said


class StreamedAnswer:
    """What was seen of an answer so far, and the conversation that it belongs to."""

    def __init__(
        self,
        conversation: Conversation,
        text: Callable[[Any], str | None] | None = None,
        metadata: dict[str, Any] | None = None,
        message_id: str | None = None,
        usage: bool = False,
    ) -> None:
        self.conversation = conversation
        pending = conversation._pending
        now = time_ns()
        self.began_ns = pending.asked_ns or now  # the reader waits since they asked
        pending.asked_ns = 0
        self.conversations = {conversation._tracker._number: pending}
        self.outbox: Outbox = pending.outbox
        self.first_ns = self.last_ns = 0
        self.ended = False
        self._words = text or chunk_text
        self._metadata = metadata or {}
        self._message_id = message_id
        self._usage = StreamedUsage() if usage else None
        self._continued = False  # an end came before, and somebody read on
        self._parts: deque[str] = deque()
        self._ending = threading.RLock()  # one end after the other, so that answers stand in order
        self._length = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._wordless = ""  # the type of a piece without words
        self.outbox.streams.add(self)

    def saw(self, piece: Any) -> None:
        """A piece goes through. Nothing that is wrong with it reaches the reader."""
        try:
            if self._usage is not None:
                self._usage.saw(piece)
        except Exception as problem:
            _baffle(type(piece).__name__, f"its tokens were not found: {problem!r}")
        try:
            said = self._words(piece)
            if isinstance(said, (bytes, bytearray)):
                if self._decoder is None:
                    self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
                said = self._decoder.decode(said)
            if said is not None and not isinstance(said, str):
                raise TypeError(f"text gives text or None, not {type(said).__name__}")
        except Exception as problem:
            _baffle(type(piece).__name__, f"its words were not found: {problem!r}")
            said = None
        else:
            if not said and piece is not None and not isinstance(piece, (str, bytes, bytearray)):
                self._wordless = type(piece).__name__
        if said:
            now = time_ns()
            self.first_ns = self.first_ns or now
            self.last_ns = now
            self._length += len(said)
            if self._length <= CONTENT_LENGTH + len(said):
                self._parts.append(said)
        # First append, then look: whoever ends says so before they take the parts, so that none is left behind.
        if self.ended:
            self._go_on()

    def end(self, interrupted: bool) -> None:
        """Track what was seen since the last end. Never raises."""
        if not self.ended:
            with self._ending:
                self._end(interrupted)

    def _end(self, interrupted: bool) -> None:
        if self.ended:  # by who held the lock
            return
        self.ended = True
        self.outbox.streams.discard(self)
        try:
            self._track(interrupted)
        except Exception as problem:
            log().warning("a streamed answer was not tracked: %s", problem)
        try:
            self._track_usage()
        except Exception as problem:
            log().warning("the tokens of a streamed answer were not tracked: %s", problem)

    def _go_on(self) -> None:
        """Somebody reads on after an end, the tracker's `close` for one: the rest is an answer of its own."""
        self.ended, self._continued = False, True
        self.outbox.streams.add(self)

    def _track(self, interrupted: bool) -> None:
        parts = []
        while self._parts:  # piece by piece, because others may come meanwhile
            parts.append(self._parts.popleft())
        first_ns, last_ns, self.first_ns = self.first_ns, self.last_ns, 0
        length, self._length = self._length, 0
        content = _cleaned("".join(parts))
        if not content or content.isspace():
            if self._wordless and not (content or interrupted or self._continued):
                _baffle(self._wordless, "no words were found in it; text= says how to get them")
            return
        if len(content) > CONTENT_LENGTH:
            log().warning("a streamed answer of %d characters was cut to %d", length, CONTENT_LENGTH)
            content = content[:CONTENT_LENGTH]
        metadata = {
            "first_token_ms": max(first_ns - self.began_ns, 0) // _MS,
            "duration_ms": max(last_ns - self.began_ns, 0) // _MS,
            **self._metadata,
        }
        if interrupted:
            metadata["interrupted"] = True
        if self._continued:
            metadata["continued"] = True
        name, self._message_id = self._message_id, None
        self.conversation._track_answer(content, metadata, name, last_ns)

    def _track_usage(self) -> None:
        usage = self._usage
        said = None if usage is None else usage.total()
        if usage is not None and said is not None:
            self._usage = StreamedUsage(usage.model)
            prompt, completion, parts = said
            details: Any = parts
            self.conversation.track_token_usage(prompt, completion, model=usage.model, **details)

    def reset_after_fork(self) -> None:
        """In the child: what was seen is the parent's to track. Should the child read on, that is its own."""
        self.ended = True
        self._ending = threading.RLock()
        self._parts.clear()
        self.first_ns = self._length = 0
        self._usage = None if self._usage is None else StreamedUsage(self._usage.model)

    def abandon(self) -> None:
        """The stream is thrown away: end it, but not here, where locks may be held."""
        if not self.ended:
            self.outbox.streams.abandon(self)


class Stream(Generic[T]):
    """The pieces of an answer, passed through untouched.

    Made by `stream`. It iterates once; `close`, or leaving a `with` block, says that the reader has left.
    """

    __slots__ = ("_answer", "_pieces", "_source")

    def __init__(self, answer: StreamedAnswer, source: Any) -> None:
        self._answer = answer
        self._source = source
        self._pieces: Iterator[T] = iter(source)

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        answer = self._answer
        token = make_current(answer.conversations)
        try:
            piece = next(self._pieces)
        except StopIteration:
            answer.end(interrupted=False)
            raise
        except BaseException:
            answer.end(interrupted=True)
            raise
        finally:
            restore(token)
        answer.saw(piece)
        return piece

    def close(self) -> None:
        """The reader has left: what they saw is tracked, and the source is closed."""
        self._answer.end(interrupted=True)
        token = make_current(self._answer.conversations)
        try:
            for each in (self._pieces, self._source):
                close = getattr(each, "close", None)
                if close is not None:
                    close()
                    break
        finally:
            restore(token)

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        answer = getattr(self, "_answer", None)
        if answer is not None:
            answer.abandon()


class AsyncStream(Generic[T]):
    """The pieces of an answer that come asynchronously, passed through untouched.

    Made by `stream`. It iterates once; `aclose`, or leaving an `async with` block, says that the reader has left.
    """

    __slots__ = ("_answer", "_pieces", "_source")

    def __init__(self, answer: StreamedAnswer, source: Any) -> None:
        self._answer = answer
        self._source = source
        self._pieces: AsyncIterator[T] = source.__aiter__()

    def __aiter__(self) -> AsyncStream[T]:
        return self

    async def __anext__(self) -> T:
        answer = self._answer
        token = make_current(answer.conversations)
        try:
            piece = await self._pieces.__anext__()
        except StopAsyncIteration:
            answer.end(interrupted=False)
            raise
        except BaseException:  # cancelled, too
            answer.end(interrupted=True)
            raise
        finally:
            restore(token)
        answer.saw(piece)
        return piece

    def close(self) -> None:
        """The reader has left: what they saw is tracked. Servers call this where they cannot await."""
        self._answer.end(interrupted=True)

    async def aclose(self) -> None:
        """The reader has left: what they saw is tracked, and the source is closed."""
        self._answer.end(interrupted=True)
        token = make_current(self._answer.conversations)
        try:
            for each in (self._pieces, self._source):
                close = getattr(each, "aclose", None) or getattr(each, "close", None)
                if close is not None:
                    closing = close()
                    if hasattr(closing, "__await__"):
                        await closing
                    break
        finally:
            restore(token)

    async def __aenter__(self) -> AsyncStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        answer = getattr(self, "_answer", None)
        if answer is not None:
            answer.abandon()


def open_stream(
    conversation: Conversation,
    pieces: Any,
    text: Callable[[Any], str | None] | None,
    metadata: dict[str, Any] | None,
    message_id: str | None,
    usage: bool,
) -> Any:
    """A `Stream` or `AsyncStream` of these pieces, as `Tracking.stream` documents it."""
    if isinstance(pieces, (str, bytes, bytearray)):
        raise InvalidConversationDataException(
            "pieces takes an iterable of pieces; a whole answer goes to track_agent_message"
        )
    if text is not None and not callable(text):
        raise InvalidConversationDataException(
            f"text takes a function from a piece to its text, not {type(text).__name__}"
        )
    is_async = not hasattr(pieces, "__iter__") and hasattr(pieces, "__aiter__")
    if not is_async and not hasattr(pieces, "__iter__") and not hasattr(pieces, "__getitem__"):
        hint = "; await it first" if hasattr(pieces, "__await__") else ""
        raise InvalidConversationDataException(
            f"pieces takes an iterable or an async iterable, not {type(pieces).__name__}{hint}"
        )
    name = None if message_id is None else message_name("message_id", message_id)
    answer = StreamedAnswer(conversation, text, _captured(metadata), name, bool(usage))
    return (AsyncStream if is_async else Stream)(answer, pieces)


def open_anyhow(
    handle: Callable[[], Conversation],
    error: Exception,
    pieces: Any,
    text: Any,
    metadata: Any,
    message_id: Any,
    usage: Any,
) -> Any:
    """The pieces, whatever was wrong with the call; tracked, with what was right of it, if they can be."""
    log().warning("stream: %s", error)
    if isinstance(pieces, (bytes, bytearray)):  # which would give numbers
        return pieces
    kept = name = None
    with contextlib.suppress(Exception):
        kept = _captured(metadata)
    with contextlib.suppress(Exception):
        name = None if message_id is None else message_name("message_id", message_id)
    with contextlib.suppress(Exception):
        is_async = not hasattr(pieces, "__iter__")
        its_text: Any = text if callable(text) else None
        answer = StreamedAnswer(handle(), its_text, kept, name, usage is True)
        return (AsyncStream if is_async else Stream)(answer, pieces)
    return pieces


def _captured(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """A copy of what there is now."""
    extra = metadata_text("metadata", metadata)
    if extra is None:
        return {}
    from json import loads

    kept: dict[str, Any] = loads(extra)
    return kept


def _cleaned(content: str) -> str:
    """Without NUL; halves of a character that came in two pieces put together, others replaced."""
    if "\0" in content:
        content = content.replace("\0", "")
    try:
        content.encode()
    except UnicodeEncodeError:
        content = content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return content


def _baffle(kind: str, why: str) -> None:
    if kind not in _baffled and len(_baffled) < 100:
        _baffled.add(kind)
        log().warning("stream: a piece of type %s: %s. Said once for each type", kind, why)
