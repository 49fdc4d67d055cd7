"""Token counts of LangChain and LlamaIndex.

The frameworks are large, so that stand-ins with the interface that they document are used here; what they
replace is the frameworks, not the SDK.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
import weakref
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import ConfigurationException
from sdk.tests.capture import KEY, CaptureServer


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    made = types.ModuleType(name)
    made.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, made)


@pytest.fixture
def langchain(monkeypatch: pytest.MonkeyPatch) -> list[ContextVar[Any]]:
    hooks: list[ContextVar[Any]] = []
    module(monkeypatch, "langchain_core")
    module(monkeypatch, "langchain_core.callbacks", BaseCallbackHandler=object)
    module(monkeypatch, "langchain_core.tracers")
    module(
        monkeypatch,
        "langchain_core.tracers.context",
        register_configure_hook=lambda variable, inheritable: hooks.append(variable),
    )
    return hooks


def answer(usage: dict[str, Any] | None, model: str = "gpt-4o") -> SimpleNamespace:
    return SimpleNamespace(
        message=SimpleNamespace(usage_metadata=usage, response_metadata={"model_name": model})
    )


def result(*generations: list[SimpleNamespace], llm_output: Any = None) -> SimpleNamespace:
    return SimpleNamespace(generations=list(generations), llm_output=llm_output)


def usages(server: CaptureServer, name: str) -> list[tuple[Any, ...]]:
    return [
        (
            item.get("model"),
            item["prompt_tokens"],
            item["completion_tokens"],
            item["total_tokens"],
            item["embedding_tokens"],
        )
        for item in server.items.get(name, [])
    ]


def test_langchain(server: CaptureServer, langchain: list[ContextVar[Any]]):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, token_handler="langchain")
    handler = langchain[0].get()
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}

    async def chat(name: str) -> None:
        tracker.get_or_create_conversation(name)
        await asyncio.sleep(0)
        langchain[0].get().on_llm_end(result([answer(usage)]), run_id=1)
        await asyncio.to_thread(tracker.send_tracked_data)

    async def main() -> None:
        await asyncio.gather(*(chat(f"c{number}") for number in range(10)))

    asyncio.run(main())
    for number in range(10):
        assert usages(server, f"c{number}") == [("gpt-4o", 10, 5, 15, 0)]

    tracker.get_or_create_conversation("more")
    handler.on_llm_end(result([answer(usage), answer(usage)], [answer(usage, "mini")]))
    handler.on_llm_end(
        result(
            [SimpleNamespace(text="old")],
            llm_output={"token_usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model_name": "davinci"},
        )
    )
    handler.on_llm_end(result([answer(None)]))
    handler.on_llm_end(result())
    handler.on_llm_end("nonsense")
    handler.on_llm_end(result([answer({"input_tokens": -1, "output_tokens": 1})]))
    tracker.send_tracked_data()
    assert usages(server, "more") == [
        ("gpt-4o", 10, 5, 15, 0),
        ("mini", 10, 5, 15, 0),
        ("davinci", 3, 4, 7, 0),
    ]


@pytest.mark.parametrize(
    ("usage", "tracked"),
    [
        (  # LangChain's own form
            {
                "input_tokens": 350,
                "output_tokens": 240,
                "total_tokens": 590,
                "input_token_details": {"audio": 10, "cache_creation": 200, "cache_read": 100},
                "output_token_details": {"audio": 15, "reasoning": 200},
            },
            (350, 240, 590, 100, 200, 10, 200, 15),
        ),
        (
            {
                "input_tokens": 350,
                "output_tokens": 1,
                "input_token_details": {
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 40,
                    "cache_read": None,
                },
            },
            (350, 1, 351, None, 40, None, None, None),
        ),
        (  # more than the whole cannot be part of it
            {"input_tokens": 5, "output_tokens": 1, "input_token_details": {"cache_read": 9}},
            (5, 1, 6, 5, None, None, None, None),
        ),
    ],
)
def test_langchain_parts(
    server: CaptureServer, langchain: list[ContextVar[Any]], usage: dict[str, Any], tracked: tuple[Any, ...]
):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, token_handler="langchain")
    tracker.get_or_create_conversation("c")
    langchain[0].get().on_llm_end(result([answer(usage)]))
    older = {  # what integrations without usage_metadata report: OpenAI's form, and Anthropic's
        "token_usage": {
            "prompt_tokens": 9,
            "completion_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
            "completion_tokens_details": SimpleNamespace(reasoning_tokens=7, audio_tokens=None),
        }
    }
    langchain[0].get().on_llm_end(result([SimpleNamespace(text="old")], llm_output=older))
    apart = {"usage": {"input_tokens": 9, "output_tokens": 8, "cache_read_input_tokens": 90}}
    langchain[0].get().on_llm_end(result([SimpleNamespace(text="old")], llm_output=apart))
    tracker.send_tracked_data()
    names = (
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "input_audio_tokens",
        "reasoning_tokens",
        "output_audio_tokens",
    )
    first, second, third = (tuple(item.get(name) for name in names) for item in server.items["c"])
    assert first == tracked
    assert second == (9, 8, 17, 4, None, 1, 7, None)
    assert third == (99, 8, 107, 90, None, None, None, None)


@pytest.fixture
def llamaindex(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    handlers: list[Any] = []

    class TokenCountingHandler:
        def __init__(self) -> None:
            self.reset_counts()

        def reset_counts(self) -> None:
            self.llm_token_counts: list[Any] = []
            self.embedding_token_counts: list[Any] = []

        def on_event_end(self, kind: str, payload: Any, event_id: str, **kwargs: Any) -> None:
            counts = self.llm_token_counts if kind == "llm" else self.embedding_token_counts
            counts.extend(payload["counts"])

    module(monkeypatch, "llama_index")
    module(
        monkeypatch,
        "llama_index.core",
        Settings=SimpleNamespace(callback_manager=SimpleNamespace(add_handler=handlers.append)),
    )
    module(monkeypatch, "llama_index.core.callbacks", TokenCountingHandler=TokenCountingHandler)
    module(
        monkeypatch,
        "llama_index.core.callbacks.schema",
        EventPayload=SimpleNamespace(SERIALIZED="serialized"),
    )
    return handlers


def counted(prompt: int, completion: int) -> SimpleNamespace:
    return SimpleNamespace(
        prompt_token_count=prompt, completion_token_count=completion, total_token_count=prompt + completion
    )


def test_llamaindex_models_that_were_made_before(
    server: CaptureServer, llamaindex: list[Any], monkeypatch: pytest.MonkeyPatch
):
    listeners: list[Any] = []
    module(
        monkeypatch,
        "llama_index.core.instrumentation",
        get_dispatcher=lambda: SimpleNamespace(add_event_handler=listeners.append),
    )
    module(monkeypatch, "llama_index.core.instrumentation.event_handlers", BaseEventHandler=object)
    names = ("SERIALIZED", "CHUNKS", "MESSAGES", "RESPONSE", "PROMPT", "COMPLETION")
    module(
        monkeypatch,
        "llama_index.core.callbacks.schema",
        EventPayload=SimpleNamespace(**{name: name.lower() for name in names}),
        CBEventType=SimpleNamespace(LLM="llm", EMBEDDING="embedding"),
    )

    class TokenCountingHandler:
        def __init__(self) -> None:
            self.reset_counts()

        def reset_counts(self) -> None:
            self.llm_token_counts: list[Any] = []
            self.embedding_token_counts: list[Any] = []

        def on_event_end(self, kind: str, payload: Any, event_id: str, **kwargs: Any) -> None:
            if kind == "embedding":
                self.embedding_token_counts = [counted(len(each), 0) for each in payload["chunks"]]
            else:
                usage = (payload.get("response") or payload.get("completion")).raw["usage"]
                self.llm_token_counts = [counted(usage["prompt_tokens"], usage["completion_tokens"])]

    module(monkeypatch, "llama_index.core.callbacks", TokenCountingHandler=TokenCountingHandler)
    monkeypatch.setenv("AGENTSIGHT_TOKEN_HANDLER_TYPE", "llamaindex")
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    tracker.get_or_create_conversation("c")
    assert llamaindex == []  # else each call would be counted twice
    [listener] = listeners

    def tell(name: str, span: str = "1", **contents: Any) -> None:
        listener.handle(SimpleNamespace(class_name=lambda: name, span_id=span, **contents))

    raw = {
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}}
    }
    answer = SimpleNamespace(raw=raw)
    tell("LLMChatStartEvent", model_dict={"model": "gpt-4o"})
    tell("LLMCompletionStartEvent", model_dict={"model": "gpt-4o"})
    tell("LLMCompletionEndEvent", prompt="Hi", response=answer)
    tell("LLMChatEndEvent", messages=[], response=answer)  # of the same call
    apart = {"prompt_tokens": 9, "completion_tokens": 2, "cache_read_input_tokens": 100}
    tell("LLMChatStartEvent", "2", model_dict={"model": "claude"})
    tell("LLMChatEndEvent", "2", messages=[], response=SimpleNamespace(raw={"usage": apart}))
    tell("LLMChatEndEvent", "3", messages=[], response=None)
    tell("EmbeddingStartEvent", "4", model_dict={"model_name": "ada"})
    tell("EmbeddingEndEvent", "4", chunks=["four", "five!"])
    tell("SomethingElse", "5")
    listener.handle("nonsense")
    tracker.send_tracked_data()
    assert usages(server, "c") == [("gpt-4o", 9, 2, 11, 0), ("claude", 109, 2, 111, 0), ("ada", 0, 0, 0, 9)]
    assert [item.get("cached_tokens") for item in server.items["c"]] == [7, 100, None]


def test_llamaindex(server: CaptureServer, llamaindex: list[Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENTSIGHT_TOKEN_HANDLER_TYPE", "llamaindex")
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    tracker.get_or_create_conversation("c")  # the variable counts from the first use on
    [handler] = llamaindex
    handler.on_event_start("llm", {"serialized": {"model": "gpt-4o"}}, event_id="1")
    handler.on_event_start("llm", None, event_id="2")
    handler.on_event_end("llm", {"counts": [counted(7, 2)]}, event_id="1")
    handler.on_event_end("llm", {"counts": [counted(1, 1)]}, event_id="2")
    handler.on_event_start("embedding", {"serialized": {"model_name": "ada"}}, event_id="3")
    handler.on_event_end("embedding", {"counts": [counted(4, 0), counted(5, 0)]}, event_id="3")
    handler.on_event_end("llm", None, event_id="4")
    tracker.send_tracked_data()
    assert usages(server, "c") == [("gpt-4o", 7, 2, 9, 0), (None, 1, 1, 2, 0), ("ada", 0, 0, 0, 9)]
    assert len(llamaindex) == 1
    for number in range(3000):
        handler.on_event_start("llm", None, event_id=f"never ends {number}")
    assert len(handler._models) <= 1000


@pytest.mark.parametrize(
    ("kind", "package"), [("langchain", "langchain-core"), ("llamaindex", "llama-index-core")]
)
def test_a_framework_that_is_not_installed(kind: str, package: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("langchain_core", "llama_index"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationException, match=rf"{kind}.*pip install {package}"):
        ConversationTracker(token_handler=kind)
    monkeypatch.setenv("AGENTSIGHT_TOKEN_HANDLER_TYPE", kind)
    tracker = ConversationTracker()
    with pytest.raises(ConfigurationException, match=package):
        tracker.get_or_create_conversation("c")


def test_a_tracker_that_is_gone_is_not_kept_alive(langchain: list[ContextVar[Any]]):
    gone = weakref.ref(ConversationTracker(token_handler="langchain"))
    gc.collect()
    assert gone() is None
    langchain[0].get().on_llm_end(result([answer({"input_tokens": 1, "output_tokens": 1})]))
