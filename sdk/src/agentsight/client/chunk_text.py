"""The words in the pieces of a streamed answer: text, bytes, and what the clients of model providers yield.

By their shape, not their type, so that nothing has to be installed or imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["chunk_text", "get_part"]

# Events of OpenAI and Anthropic that carry words; the others of the same families repeat them, or are not for readers.
_SAID = frozenset(("response.output_text.delta", "response.refusal.delta", "content.delta", "refusal.delta"))


def chunk_text(piece: Any) -> str | bytes | None:
    """What a reader sees of a piece; None or empty where it has no words.

    Understood are chunks of OpenAI's chat completions and completions, events of its Responses API and of its
    `stream` helper, events of Anthropic's messages, message chunks of LangChain and responses of LlamaIndex and
    Ollama; as objects and as dicts.
    """
    if piece is None or isinstance(piece, (str, bytes, bytearray)):
        return bytes(piece) if isinstance(piece, bytearray) else piece
    kind = get_part(piece, "type")
    if isinstance(kind, str):
        if kind in _SAID:
            return _text(get_part(piece, "delta"))
        if kind == "content_block_delta":
            delta = get_part(piece, "delta")
            return _text(get_part(delta, "text")) if get_part(delta, "type") == "text_delta" else None
        if kind == "content_block_start":  # empty in all streams seen so far, but it may hold the first words
            block = get_part(piece, "content_block")
            return _text(get_part(block, "text")) if get_part(block, "type") == "text" else None
        if "." in kind or get_part(piece, "content") is None:
            return None
    choices = get_part(piece, "choices")
    if isinstance(choices, (list, tuple)):
        if not choices:
            return None
        delta = get_part(choices[0], "delta")
        if delta is None:
            return _text(get_part(choices[0], "text"))
        return _text(get_part(delta, "content")) or _text(get_part(delta, "refusal"))
    if get_part(piece, "event") == "on_chat_model_stream":  # LangChain's astream_events
        return chunk_text(get_part(get_part(piece, "data"), "chunk"))
    message = get_part(piece, "message")  # Ollama; LlamaIndex has one too, with all words so far
    delta = get_part(piece, "delta")
    if isinstance(delta, str):
        return delta
    if message is not None and not isinstance(message, str):
        return _text(get_part(message, "content"))
    content = get_part(piece, "content")
    if isinstance(content, (list, tuple)):
        return "".join(
            _text(get_part(block, "text")) or "" for block in content if not isinstance(block, str)
        )
    return _text(content)


def get_part(value: Any, name: str) -> Any:
    """A part of a piece that is an object or a dict; None where it has none of that name."""
    if isinstance(value, dict):
        return value.get(name)
    return getattr(value, name, None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
