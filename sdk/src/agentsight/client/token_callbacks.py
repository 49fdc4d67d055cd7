"""Collect the token counts of LangChain and LlamaIndex by themselves: AGENTSIGHT_TOKEN_HANDLER_TYPE.

Each model call that ends becomes a `track_token_usage` in the conversation that is current where it was made.
Neither framework is imported unless the setting names it. Nothing that happens here reaches the caller's chain.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextvars import ContextVar

from agentsight.client.usage import as_mapping, reported
from agentsight.config import log
from agentsight.exceptions import ConfigurationException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentsight.client.tracker import ConversationTracker

__all__ = ["install"]

_PACKAGES = {"langchain": "langchain-core", "llamaindex": "llama-index-core"}
_MOST_NESTED = 16  # answers that are remembered, to count each once
_MOST_STARTED = 1000  # calls that began and were not seen to end


def install(kind: str, tracker: ConversationTracker) -> object:
    """Let a framework tell a tracker of the tokens it uses.

    Args:
        kind: `langchain` or `llamaindex`.
        tracker: held weakly.

    Returns:
        The handler, which LangChain also takes as `config={"callbacks": [handler]}`.

    Raises:
        ConfigurationException: the framework is not installed.
    """
    try:
        return (_langchain if kind == "langchain" else _llamaindex)(_Usage(tracker))
    except ImportError as problem:
        raise ConfigurationException(
            f"token_handler (AGENTSIGHT_TOKEN_HANDLER_TYPE) is {kind}, but {problem.name} cannot be imported: "
            f"pip install {_PACKAGES[kind]}"
        ) from problem


class _Usage:
    """Tracks a model call's usage, and never raises."""

    def __init__(self, tracker: ConversationTracker) -> None:
        self._tracker = weakref.ref(tracker)

    def __call__(
        self,
        prompt: Any,
        completion: Any,
        total: Any,
        embedding: Any,
        model: Any,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        tracker = self._tracker()
        if tracker is None or not (prompt or completion or total or embedding):
            return
        try:
            tracker.track_token_usage(
                prompt,
                completion,
                total,
                embedding,
                model=model if isinstance(model, str) and model != "unknown" else None,
                **(parts or {}),
            )
        except Exception as problem:
            log().warning("a model call's tokens were not tracked: %s", problem)


def _langchain(track: _Usage) -> object:
    from langchain_core.callbacks import BaseCallbackHandler  # type: ignore[import-not-found, unused-ignore]
    from langchain_core.tracers.context import register_configure_hook  # type: ignore[import-not-found, unused-ignore]

    class AgentSightTokens(BaseCallbackHandler):  # type: ignore[misc, unused-ignore]
        run_inline = True  # in the caller's own context, also for async calls

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            try:
                for usage, model in _langchain_usage(response):
                    prompt, completion, parts = reported(usage)
                    track(prompt, completion, usage.get("total_tokens"), 0, model, parts)
            except Exception as problem:
                log().warning("LangChain's token counts are not understood: %s", problem)

    handler = AgentSightTokens()
    # The default makes it part of every run in every context, which is what such hooks are for.
    register_configure_hook(ContextVar("agentsight_tokens", default=handler), inheritable=True)
    return handler


def _langchain_usage(response: Any) -> list[tuple[dict[str, Any], Any]]:
    """Usage and model of each answer; for older integrations, of the call as a whole."""
    found = []
    for generations in response.generations or []:
        for generation in generations[:1]:  # further ones of the same prompt repeat its usage
            message = getattr(generation, "message", None)
            usage = getattr(message, "usage_metadata", None)
            if usage:
                details = getattr(message, "response_metadata", None) or {}
                found.append((dict(usage), details.get("model_name") or details.get("model")))
    if not found:
        output = response.llm_output or {}
        usage = output.get("token_usage") or output.get("usage") or {}
        if usage:
            found.append((dict(usage), output.get("model_name") or output.get("model")))
    return found


def _llamaindex(track: _Usage) -> object:
    from llama_index.core.callbacks import TokenCountingHandler  # type: ignore[import-not-found, unused-ignore]
    from llama_index.core.callbacks.schema import EventPayload  # type: ignore[import-not-found, unused-ignore]

    class AgentSightTokens(TokenCountingHandler):  # type: ignore[misc, unused-ignore]
        """Counts as LlamaIndex's own handler does, event by event."""

        def __init__(self) -> None:
            super().__init__()
            self._lock = threading.Lock()
            self._models: dict[str, Any] = {}

        def on_event_start(
            self, event_type: Any, payload: Any = None, event_id: str = "", parent_id: str = "", **kwargs: Any
        ) -> str:
            details = (payload or {}).get(EventPayload.SERIALIZED) or {}
            model = details.get("model") or details.get("model_name")
            with self._lock:
                while len(self._models) >= _MOST_STARTED:
                    del self._models[next(iter(self._models))]
                self._models[event_id] = model
            return event_id

        def on_event_end(
            self,
            event_type: Any,
            payload: Any = None,
            event_id: str = "",
            usage: Mapping[str, Any] | None = None,
            **kwargs: Any,
        ) -> None:
            try:
                with self._lock:
                    model = self._models.pop(event_id, None)
                    super().on_event_end(event_type, payload, event_id, **kwargs)
                    answers, embeddings = list(self.llm_token_counts), list(self.embedding_token_counts)
                    self.reset_counts()
                said, _, parts = reported(usage or {})
                for answer in answers:
                    # LlamaIndex does not count what some providers report apart from the prompt.
                    prompt = said if parts else answer.prompt_token_count
                    completion = answer.completion_token_count
                    track(prompt, completion, prompt + completion, 0, model, parts)
                track(0, 0, 0, sum(each.total_token_count for each in embeddings), model)
            except Exception as problem:
                log().warning("LlamaIndex's token counts are not understood: %s", problem)

    handler = AgentSightTokens()
    try:
        _listen(handler, EventPayload)
    except (
        ImportError
    ):  # an older LlamaIndex; its models know the handlers that were there when they were made
        from llama_index.core import Settings  # type: ignore[import-not-found, unused-ignore]

        Settings.callback_manager.add_handler(handler)
    return handler


def _listen(handler: Any, payloads: Any) -> None:
    """Hear of the calls of all models, also of those that were made before.

    Raises:
        ImportError: this LlamaIndex has no events.
    """
    from llama_index.core.callbacks.schema import CBEventType  # type: ignore[import-not-found, unused-ignore]
    from llama_index.core.instrumentation import get_dispatcher  # type: ignore[import-not-found, unused-ignore]
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler  # type: ignore[import-not-found, unused-ignore]

    seen: deque[object] = deque(maxlen=_MOST_NESTED)

    def told(event: Any) -> None:
        name, span = event.class_name(), event.span_id or ""
        if name in ("LLMChatStartEvent", "LLMCompletionStartEvent", "EmbeddingStartEvent"):
            handler.on_event_start(name, {payloads.SERIALIZED: event.model_dict}, event_id=span)
        elif name == "EmbeddingEndEvent":
            handler.on_event_end(CBEventType.EMBEDDING, {payloads.CHUNKS: event.chunks}, event_id=span)
        elif name in ("LLMChatEndEvent", "LLMCompletionEndEvent") and event.response is not None:
            raw = event.response.raw
            if raw is not None and any(raw is each for each in seen):
                return  # a chat that is made of a completion, which has been counted
            seen.append(raw)
            get = getattr(raw, "get", None)
            usage = getattr(raw, "usage", None) if get is None else get("usage")
            usage = as_mapping(usage) if usage else None
            payload = (
                {payloads.MESSAGES: event.messages, payloads.RESPONSE: event.response}
                if name == "LLMChatEndEvent"
                else {payloads.PROMPT: event.prompt, payloads.COMPLETION: event.response}
            )
            handler.on_event_end(CBEventType.LLM, payload, event_id=span, usage=usage)

    class Listener(BaseEventHandler):  # type: ignore[misc, unused-ignore]
        @classmethod
        def class_name(cls) -> str:
            return "AgentSightListener"

        def handle(self, event: Any, **kwargs: Any) -> None:
            try:
                told(event)
            except Exception as problem:
                log().warning("LlamaIndex's token counts are not understood: %s", problem)

    get_dispatcher().add_event_handler(Listener())
