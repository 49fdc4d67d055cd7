"""Token counts as providers and frameworks report them, with an answer or piece by piece."""

from __future__ import annotations

from agentsight.client.chunk_text import get_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["StreamedUsage", "as_mapping", "reported"]


def reported(usage: Mapping[str, Any]) -> tuple[Any, Any, dict[str, int]]:
    """Prompt, completion and their parts, as LangChain, OpenAI and Anthropic report them.

    Example:
        >>> reported({"input_tokens": 9, "output_tokens": 2, "input_token_details": {"cache_read": 7}})
        (9, 2, {'cached_tokens': 7})
    """
    prompt = usage.get("input_tokens", usage.get("prompt_tokens"))
    completion = usage.get("output_tokens", usage.get("completion_tokens"))
    within = _details(usage, "input_token_details", "input_tokens_details", "prompt_tokens_details")
    without = _details(usage, "output_token_details", "output_tokens_details", "completion_tokens_details")
    cached = _first(within, "cache_read", "cached_tokens")
    written = _first(within, "cache_creation") + sum(
        count for name, count in within.items() if name.startswith("ephemeral_") and _is_count(count)
    )
    if not within:  # Anthropic's own form counts the cache apart
        cached = _first(usage, "cache_read_input_tokens")
        written = _first(usage, "cache_creation_input_tokens")
        if _is_count(prompt):
            prompt += cached + written
    parts = {
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "input_audio_tokens": _first(within, "audio", "audio_tokens"),
        "reasoning_tokens": _first(without, "reasoning", "reasoning_tokens"),
        "output_audio_tokens": _first(without, "audio", "audio_tokens"),
    }
    most = {
        name: completion if name in ("reasoning_tokens", "output_audio_tokens") else prompt for name in parts
    }
    return (
        prompt,
        completion,
        {name: min(count, most[name]) for name, count in parts.items() if count and _is_count(most[name])},
    )


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found = next((usage[name] for name in names if usage.get(name)), None)
    return {} if found is None else as_mapping(found)


def _first(counts: Mapping[str, Any], *names: str) -> int:
    """The first of some counts that is one, or 0."""
    return next((counts[name] for name in names if _is_count(counts.get(name)) and counts[name]), 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A dict, or an object's attributes as one."""
    return value if hasattr(value, "items") else dict(getattr(value, "__dict__", {}))


class StreamedUsage:
    """What the pieces of one streamed answer say of tokens; most of them say nothing.

    Understood are OpenAI's chunk of `stream_options={"include_usage": True}` and the end of its Responses API,
    Anthropic's first and last events, LangChain's `usage_metadata`, LlamaIndex's `raw` and Ollama's last response; as
    objects and as dicts.
    """

    def __init__(self, model: str | None = None) -> None:
        self.model = model
        self._said: dict[str, Any] = {}  # the newest of each: providers repeat and correct themselves
        self._added: list[Mapping[str, Any]] = []  # LangChain's chunks each tell of themselves

    def saw(self, piece: Any) -> None:
        """Look at a piece.

        Raises:
            Exception: whatever the piece's own attributes raise.
        """
        if piece is None or isinstance(piece, (str, bytes, bytearray)):
            return
        if get_part(piece, "event") == "on_chat_model_stream":  # LangChain's astream_events
            piece = get_part(get_part(piece, "data"), "chunk")
        raw = get_part(piece, "raw")
        if raw is not None and get_part(piece, "delta") is not None:  # LlamaIndex: the provider's own chunk
            piece = raw
        own = get_part(piece, "usage_metadata")
        if own:
            self._added.append(as_mapping(own))
            self._name(get_part(get_part(piece, "response_metadata"), "model_name"))
            return
        kind = get_part(piece, "type")
        whole = None
        if kind == "message_start":  # Anthropic
            whole = get_part(piece, "message")
        elif isinstance(kind, str) and kind.startswith("response."):  # OpenAI's Responses API
            whole = get_part(piece, "response")
        for each in (piece, whole):
            self._name(get_part(each, "model"))
            usage = get_part(each, "usage")
            if usage:
                self._said.update(
                    (name, value) for name, value in as_mapping(usage).items() if value is not None
                )
        counted = get_part(piece, "eval_count")
        if _is_count(counted):  # Ollama
            self._said.update(
                prompt_tokens=get_part(piece, "prompt_eval_count") or 0, completion_tokens=counted
            )

    def _name(self, model: Any) -> None:
        if isinstance(model, str) and model:
            self.model = model

    def total(self) -> tuple[int, int, dict[str, int]] | None:
        """Prompt, completion and their parts; None where nothing was said."""
        prompt = completion = 0
        parts: dict[str, int] = {}
        for usage in (*self._added, self._said):
            its_prompt, its_completion, its_parts = reported(usage)
            prompt += its_prompt if _is_count(its_prompt) else 0
            completion += its_completion if _is_count(its_completion) else 0
            for name, count in its_parts.items():
                parts[name] = parts.get(name, 0) + count
        return (prompt, completion, parts) if prompt or completion else None
