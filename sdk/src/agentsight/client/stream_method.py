"""The `stream` method, shared by the tracker and by the handle of one conversation."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable
    from typing import Any, TypeVar, overload

    from agentsight.client.conversation import Conversation
    from agentsight.client.stream import AsyncStream, Stream

    T = TypeVar("T")

__all__ = ["Streaming"]


class Streaming:
    """`stream`, which tracks an answer that is given piece by piece."""

    __slots__ = ()

    def _handle(self, conversation_id: str | None) -> Conversation:
        raise NotImplementedError

    def _is_strict(self, conversation_id: object) -> bool:
        raise NotImplementedError

    if TYPE_CHECKING:

        @overload
        def stream(
            self,
            pieces: Iterable[T],
            *,
            text: Callable[[T], str | None] | None = None,
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            message_id: str | None = None,
            usage: bool = False,
        ) -> Stream[T]: ...
        @overload
        def stream(
            self,
            pieces: AsyncIterable[T],
            *,
            text: Callable[[T], str | None] | None = None,
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            message_id: str | None = None,
            usage: bool = False,
        ) -> AsyncStream[T]: ...

    def stream(
        self,
        pieces: Any,
        *,
        text: Callable[[Any], str | None] | None = None,
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        message_id: str | None = None,
        usage: bool = False,
    ) -> Any:
        """Pass the pieces of an answer through, and track it when it ends.

        The answer belongs to the conversation that is meant now, wherever and whenever it is read; so does what the
        code that makes the pieces tracks meanwhile. When the reader leaves before the end, or the source fails, the
        part that was seen is tracked, with `interrupted: true` in its metadata; so is what there is when the tracker
        closes, and what is read after that is an answer of its own, with `continued: true`. An answer without words is
        left out.
        The metadata also get `first_token_ms` and `duration_ms`, whole milliseconds to the first words and to the
        last, from the end user's last message if it was not answered yet, otherwise from this call.

        Args:
            pieces: an iterable or an async iterable: of text, bytes (UTF-8), or chunks and events of OpenAI,
                Anthropic, LangChain, LlamaIndex or Ollama. They pass through untouched.
            text: a function from a piece to its words, or None where it has none; for pieces of other kinds.
            metadata: a dict of anything that fits JSON.
            conversation_id: default: the current conversation.
            message_id: the answer's name, from `helpers.generate_message_id()`, for `feedback` about it.
            usage: track the tokens that the pieces tell of, as `track_token_usage` does: OpenAI's last chunk (ask for
                it with `stream_options={"include_usage": True}`), and what the others send by themselves. Leave it
                out where a token handler, or your own code, tracks them already.

        Returns:
            An iterator over the pieces, or an async iterator if `pieces` is async; with `close` or `aclose`, and
            usable in a `with` or `async with` block.

        Raises:
            InvalidConversationDataException: an argument is wrong, where `strict` is on. Otherwise the pieces pass
                through all the same, and what can be tracked is.

        Example:
            >>> return StreamingResponse(conversation.stream(ask_model(question)))  # doctest: +SKIP
        """
        from agentsight.client.stream import open_anyhow, open_stream

        try:
            handle = self._handle(conversation_id)
            return open_stream(handle, pieces, text, metadata, message_id, usage)
        except Exception as error:
            if self._is_strict(conversation_id):
                raise
            return open_anyhow(
                lambda: self._handle(conversation_id), error, pieces, text, metadata, message_id, usage
            )
