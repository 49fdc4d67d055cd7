"""Answers that are given piece by piece: `stream`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace as Object
from typing import Any

import pytest

from agentsight import Conversation, ConversationTracker
from agentsight.exceptions import InvalidConversationDataException
from agentsight.helpers import generate_message_id
from sdk.tests.capture import KEY, CaptureServer


@pytest.fixture
def ana(tracker: ConversationTracker) -> Conversation:
    """A conversation that is current nowhere, beside another one."""
    with tracker.get_or_create_conversation("bob"), tracker.get_or_create_conversation("ana") as made:
        return made


def answers(server: CaptureServer, tracker: ConversationTracker) -> list[tuple[str, bool]]:
    """What ana was answered, and whether she left; nobody else was."""
    tracker.flush()
    assert set(server.items) <= {"ana"}
    return [
        (item["content"], item["metadata"].get("interrupted", False))
        for item in server.items.get("ana", ())
        if item.get("sender") == "agent"
    ]


def test_pieces_pass_through_untouched(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation
):
    pieces = ["You ", None, "", "said: ", b"\xc3", b"\xa9", 7, "."]
    seen = list(ana.stream(pieces, metadata={"model": "m"}))
    assert all(one is other for one, other in zip(seen, pieces, strict=True))
    assert answers(server, tracker) == [("You said: é.", False)]
    [item] = server.items["ana"]
    assert item["metadata"]["model"] == "m"
    assert item["metadata"]["first_token_ms"] >= 0
    assert item["metadata"]["duration_ms"] >= item["metadata"]["first_token_ms"]


def test_the_trackers_stream_belongs_to_what_is_current_at_the_call(
    server: CaptureServer, tracker: ConversationTracker
):
    with tracker.get_or_create_conversation("ana"):
        stream = tracker.stream(["a", "b"])
    with tracker.get_or_create_conversation("bob"):
        assert list(stream) == ["a", "b"]
        assert list(tracker.stream(["c"], conversation_id="ana")) == ["c"]
    assert answers(server, tracker) == [("ab", False), ("c", False)]


def test_the_times_are_counted_from_the_question(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, monkeypatch: pytest.MonkeyPatch
):
    now = 1_780_000_000_000_000_000

    def later(ms: int) -> None:
        nonlocal now
        now += ms * 1_000_000

    def source() -> Iterator[Any]:
        later(300)
        yield None
        later(100)
        yield "first"
        later(1000)
        yield "last"
        later(5000)
        yield None

    monkeypatch.setattr("agentsight.client.track_methods.time_ns", lambda: now)
    monkeypatch.setattr("agentsight.client.stream.time_ns", lambda: now)
    ana.track_human_message("How long?")
    later(20)
    list(ana.stream(source()))
    later(60_000)
    list(ana.stream(source()))  # nobody has asked since: from here
    tracker.flush()
    times = [item["metadata"] for item in server.items["ana"] if item["sender"] == "agent"]
    assert times == [
        {"first_token_ms": 420, "duration_ms": 1420},
        {"first_token_ms": 400, "duration_ms": 1400},
    ]


def leave_by_close(stream: Any) -> None:
    stream.close()


def leave_by_forgetting(stream: Any) -> None:
    pass


def leave_a_block(stream: Any) -> None:
    with stream:
        pass


def leave_a_generator(stream: Any) -> None:
    def outer() -> Iterator[Any]:
        yield from stream

    around = outer()
    next(around, None)
    around.close()


@pytest.mark.parametrize("leave", [leave_by_close, leave_by_forgetting, leave_a_block, leave_a_generator])
def test_a_reader_who_leaves(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, leave: Any
):
    closed = threading.Event()

    def source() -> Iterator[str]:
        try:
            yield from ("Half ", "an ", "answer ", "more")
        finally:
            closed.set()

    stream = ana.stream(source())
    next(stream)
    next(stream)
    leave(stream)
    del stream
    gc.collect()
    assert closed.is_set()
    expected = "Half an answer " if leave is leave_a_generator else "Half an "
    assert answers(server, tracker) == [(expected, True)]


def test_a_source_that_fails(server: CaptureServer, tracker: ConversationTracker, ana: Conversation):
    def source() -> Iterator[str]:
        yield "Half"
        raise ConnectionError("gone")

    stream = ana.stream(source())
    with pytest.raises(ConnectionError, match="gone"):
        list(stream)
    assert list(stream) == []
    assert answers(server, tracker) == [("Half", True)]


def test_an_answer_without_words_is_left_out(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, caplog: pytest.LogCaptureFixture
):
    for pieces in ([], [None], ["", "  \n"]):
        assert list(ana.stream(pieces)) == pieces
    ana.stream(iter("never read")).close()
    assert answers(server, tracker) == []
    assert caplog.records == []


def test_what_cannot_be_stored_never_reaches_the_reader(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, caplog: pytest.LogCaptureFixture
):
    list(ana.stream(["a\0b", "\ud83d", "\ude00", "\ud800"]))
    list(ana.stream(["x" * 700_000] * 3))
    assert [text[:9] for text, _ in answers(server, tracker)] == ["ab😀\ufffd", "xxxxxxxxx"]
    assert len(server.items["ana"][1]["content"]) == 1_048_576
    assert "cut to 1048576" in caplog.text

    def text(piece: object) -> str:
        raise ZeroDivisionError

    assert list(ana.stream([object, "b"], text=text)) == [object, "b"]
    assert list(ana.stream([1, 2], text=lambda piece: 5)) == [1, 2]  # type: ignore[arg-type, return-value]
    assert len(answers(server, tracker)) == 2
    assert "ZeroDivisionError" in caplog.text
    list(ana.stream([Object(speech="Hi")]))
    assert "SimpleNamespace: no words were found in it; text= says how" in caplog.text
    assert list(ana.stream([Object(speech="Hi")], text=lambda piece: piece.speech)) == [Object(speech="Hi")]
    assert answers(server, tracker)[2:] == [("Hi", False)]


def test_what_cannot_be_a_stream_is_said_at_the_call(ana: Conversation):
    async def answer() -> list[str]:
        return []

    forgotten = answer()
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ("a whole text", {}, "track_agent_message"),
        (b"bytes", {}, "track_agent_message"),
        (7, {}, "pieces takes an iterable or an async iterable, not int"),
        (None, {}, "not NoneType"),
        (forgotten, {}, "not coroutine; await it first"),
        ([], {"text": "content"}, "text takes a function"),
        ([], {"metadata": {"a": float("nan")}}, "metadata"),
        ([], {"conversation_id": "bob"}, "handle of 'ana'"),
    ]
    for pieces, options, match in wrong:
        with pytest.raises(InvalidConversationDataException, match=match):
            ana.stream(pieces, **options)
    forgotten.close()


def test_what_the_source_tracks_belongs_to_the_answers_conversation(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation
):
    def source() -> Iterator[str]:
        tracker.track_action("look_up")
        yield "Found "
        tracker.track_token_usage(1, 2)
        yield "it"

    with tracker.get_or_create_conversation("bob"):
        stream = ana.stream(source())
        for _ in range(3):
            in_reader = threading.Thread(target=lambda: next(stream, None))
            in_reader.start()
            in_reader.join()
        tracker.track_human_message("bob's own")
    tracker.flush()
    assert sorted(item["type"] for item in server.items["ana"]) == ["action", "message", "token_usage"]
    assert server.contents("bob") == ["bob's own"]


# --- async ---


async def pieces_of(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


def test_async_pieces(server: CaptureServer, tracker: ConversationTracker, ana: Conversation):
    async def main() -> None:
        assert [piece async for piece in ana.stream(pieces_of("a", None, "b"))] == ["a", None, "b"]

        async def source() -> AsyncIterator[str]:
            tracker.track_action("look_up")
            yield "c"
            await asyncio.to_thread(tracker.track_action, "look_up")

        with tracker.get_or_create_conversation("bob"):
            assert [piece async for piece in ana.stream(source())] == ["c"]

    asyncio.run(main())
    assert answers(server, tracker) == [("ab", False), ("c", False)]
    assert [item["type"] for item in server.items["ana"]].count("action") == 2


@pytest.mark.parametrize("how", ["cancelled", "aclose", "close", "block", "forgotten", "timeout"])
def test_an_async_reader_who_leaves(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, how: str
):
    closed: list[bool] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "Half"
            await asyncio.sleep(60 if how in ("cancelled", "timeout") else 0)
            yield " more"
        finally:
            closed.append(True)

    async def read() -> None:
        stream = ana.stream(source())
        if how == "cancelled":
            async for _ in stream:
                pass
        elif how == "timeout":
            assert await stream.__anext__() == "Half"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.__anext__(), 0.05)
        elif how == "block":
            async with stream:
                await stream.__anext__()
        else:
            await stream.__anext__()
            if how == "aclose":
                await stream.aclose()
            elif how == "close":
                stream.close()

    async def main() -> None:
        task = asyncio.create_task(read())
        if how == "cancelled":
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task

    asyncio.run(main())
    gc.collect()
    assert answers(server, tracker) == [("Half", True)]
    assert closed == [True]


def test_what_is_being_read_when_the_tracker_closes(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    stream = tracker.get_or_create_conversation("ana").stream(iter(["Half", " more"]))
    next(stream)
    assert tracker.close() == {"sent": 1, "unsent": 0, "lost": 0}
    assert list(stream) == [" more"]  # whoever closes once a request is not the last one to read
    assert answers(server, tracker) == [("Half", True), (" more", False)]
    assert [item["metadata"].get("continued") for item in server.items["ana"]] == [None, True]


def test_tokens_that_come_after_the_tracker_was_closed(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    usage = Object(model="m", choices=[], usage=Object(prompt_tokens=9, completion_tokens=4))
    stream = tracker.get_or_create_conversation("ana").stream(iter(["Whole", usage]), usage=True)
    next(stream)
    tracker.close()
    assert list(stream) == [usage]
    assert answers(server, tracker) == [("Whole", True)]
    assert [item["type"] for item in server.items["ana"]] == ["message", "token_usage"]


def test_no_piece_is_lost_between_a_reader_and_a_close(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    words = [f"{number} " for number in range(5_000)]
    stream = tracker.get_or_create_conversation("ana").stream(words)
    reader = threading.Thread(target=lambda: [None for _ in stream])
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reader.start()
        while reader.is_alive():
            tracker._outbox.streams.end_all()
    finally:
        sys.setswitchinterval(usual)
    assert "".join(text for text, _ in answers(server, tracker)) == "".join(words)


def test_a_close_in_the_midst_of_a_piece(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)

    def text(piece: str) -> str:
        if piece == "last":
            tracker.close()
        return piece

    list(tracker.get_or_create_conversation("ana").stream(["first ", "last"], text=text))
    assert answers(server, tracker) == [("first ", True), ("last", False)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_tracks_what_it_reads_and_no_more(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    stream = tracker.get_or_create_conversation("ana").stream(iter(["Half ", "more"]))
    next(stream)
    child = os.fork()
    if child == 0:
        try:
            read = list(stream)
            sent = tracker.flush()
            os._exit(0 if read == ["more"] and sent["unsent"] == 0 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert server.contents("ana") == ["more"]
    stream.close()
    assert sorted(answers(server, tracker)) == [("Half ", True), ("more", False)]


def test_a_message_that_can_be_voted_on(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation
):
    name = generate_message_id()
    list(ana.stream(["Hello"], message_id=name))
    ana.feedback("positive", message=name)
    tracker.flush()
    said, vote = server.items["ana"]
    assert said["id"] == vote["message"] == name
    with pytest.raises(InvalidConversationDataException, match="message_id takes a UUID"):
        ana.stream(["Hello"], message_id="mine")


# --- the words of objects ---


def openai(*texts: str | None) -> list[Any]:
    chunks = [
        Object(id="c", choices=[Object(index=0, delta=Object(role="assistant", content="", refusal=None))]),
        *(
            Object(id="c", choices=[Object(index=0, delta=Object(content=text, refusal=None))])
            for text in texts
        ),
        Object(id="c", choices=[Object(index=0, delta=Object(content=None, tool_calls=[Object(id="t")]))]),
    ]
    return [*chunks, Object(id="c", choices=[], usage=Object(prompt_tokens=1, completion_tokens=2))]


def anthropic(*texts: str) -> list[Any]:
    events: list[Any] = [
        Object(type="message_start", message=Object(id="m", content=[], role="assistant")),
        Object(type="content_block_start", index=0, content_block=Object(type="thinking", thinking="")),
        Object(type="content_block_delta", index=0, delta=Object(type="thinking_delta", thinking="Hm")),
        Object(type="content_block_stop", index=0),
        Object(type="content_block_start", index=1, content_block=Object(type="text", text="")),
    ]
    for text in texts:
        events.append(Object(type="content_block_delta", index=1, delta=Object(type="text_delta", text=text)))
        events.append(Object(type="text", text=text, snapshot="all so far"))  # what the SDK's helper adds
    return [
        *events,
        Object(type="content_block_stop", index=1, content_block=Object(type="text", text="".join(texts))),
        Object(
            type="content_block_delta", index=2, delta=Object(type="input_json_delta", partial_json='{"a"')
        ),
        Object(type="message_delta", delta=Object(stop_reason="end_turn"), usage=Object(output_tokens=3)),
        Object(type="message_stop", message=Object(content=[Object(type="text", text="".join(texts))])),
    ]


def responses(*texts: str) -> list[Any]:
    return [
        Object(type="response.created", response=Object(id="r", output=[])),
        Object(type="response.reasoning_summary_text.delta", delta="Hm"),
        Object(type="response.function_call_arguments.delta", delta='{"a"'),
        *(Object(type="response.output_text.delta", delta=text) for text in texts),
        Object(type="response.output_text.done", text="".join(texts)),
        Object(type="response.content_part.done", part=Object(type="output_text", text="".join(texts))),
        Object(type="response.completed", response=Object(id="r", output=[Object(content=[])])),
    ]


def plain(value: Any) -> Any:
    """The same as dicts and lists."""
    if isinstance(value, Object):
        return {name: plain(each) for name, each in vars(value).items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


LANGCHAIN = [
    Object(type="AIMessageChunk", content="You "),
    Object(
        type="AIMessageChunk", content=[Object(type="text", text="said"), Object(type="tool_use", id="t")]
    ),
    {"event": "on_chat_model_stream", "data": {"chunk": Object(type="AIMessageChunk", content=": é")}},
    {"event": "on_tool_end", "data": {"output": "not for readers"}},
]
LLAMAINDEX = [Object(delta=text, message=Object(content="all so far")) for text in ("You ", "said", ": é")]
OLLAMA = [
    {"message": {"role": "assistant", "content": text}, "done": False} for text in ("You ", "said", ": é")
]
HELPER = [
    Object(type="chunk", chunk=openai("You ")[1], snapshot=Object()),
    Object(type="content.delta", delta="You ", snapshot="You "),
    Object(type="content.delta", delta="said: é", snapshot="You said: é"),
    Object(type="content.done", content="You said: é"),
]


@pytest.mark.parametrize("form", ["objects", "dicts"])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(openai("You ", None, "said", ": é"), id="openai"),
        pytest.param(responses("You ", "said", ": é"), id="openai responses"),
        pytest.param(HELPER, id="openai helper"),
        pytest.param(anthropic("You ", "said", ": é"), id="anthropic"),
        pytest.param(LANGCHAIN, id="langchain"),
        pytest.param(LLAMAINDEX, id="llamaindex"),
        pytest.param(OLLAMA, id="ollama"),
    ],
)
def test_the_words_of_chunks_and_events(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, pieces: list[Any], form: str
):
    list(ana.stream(plain(pieces) if form == "dicts" else pieces))
    assert answers(server, tracker) == [("You said: é", False)]


OPENAI_USAGE = Object(
    prompt_tokens=9,
    completion_tokens=4,
    total_tokens=13,
    prompt_tokens_details=Object(cached_tokens=5, audio_tokens=0),
    completion_tokens_details=Object(reasoning_tokens=2),
)
TOLD: dict[str, tuple[list[Any], tuple[Any, ...]]] = {
    "openai": (
        [
            Object(model="m", choices=[Object(delta=Object(content="Hi"))], usage=None),
            Object(model="m", choices=[], usage=OPENAI_USAGE),
        ],
        ("m", 9, 4, 5, 2),
    ),
    "openai responses": (
        [
            Object(type="response.created", response=Object(model="m", usage=None)),
            Object(type="response.output_text.delta", delta="Hi"),
            Object(
                type="response.completed",
                response=Object(
                    model="m",
                    usage=Object(
                        input_tokens=9,
                        output_tokens=4,
                        input_tokens_details=Object(cached_tokens=5),
                        output_tokens_details=Object(reasoning_tokens=2),
                    ),
                ),
            ),
        ],
        ("m", 9, 4, 5, 2),
    ),
    "anthropic": (
        [
            Object(
                type="message_start",
                message=Object(
                    model="m", usage=Object(input_tokens=4, cache_read_input_tokens=5, output_tokens=1)
                ),
            ),
            Object(type="content_block_delta", delta=Object(type="text_delta", text="Hi")),
            Object(type="message_delta", delta=Object(stop_reason="end_turn"), usage=Object(output_tokens=4)),
        ],
        ("m", 9, 4, 5, None),
    ),
    "langchain": (
        [
            Object(
                content="Hi", usage_metadata={"input_tokens": 9, "output_tokens": 1}, response_metadata={}
            ),
            Object(
                content="",
                usage_metadata={"input_tokens": 0, "output_tokens": 3},
                response_metadata={"model_name": "m"},
            ),
        ],
        ("m", 9, 4, None, None),
    ),
    "llamaindex": (
        [
            Object(delta="Hi", raw=Object(model="m", choices=[], usage=None)),
            Object(delta="", raw=Object(model="m", choices=[], usage=OPENAI_USAGE)),
        ],
        ("m", 9, 4, 5, 2),
    ),
    "ollama": (
        [
            {"model": "m", "message": {"content": "Hi"}, "done": False},
            {"model": "m", "message": {"content": ""}, "prompt_eval_count": 9, "eval_count": 4, "done": True},
        ],
        ("m", 9, 4, None, None),
    ),
}


@pytest.mark.parametrize("form", ["objects", "dicts"])
@pytest.mark.parametrize("told", TOLD)
def test_the_tokens_that_pieces_tell_of(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation, told: str, form: str
):
    pieces, expected = TOLD[told]
    for usage in (False, True):
        list(ana.stream(plain(pieces) if form == "dicts" else pieces, usage=usage))
    assert answers(server, tracker) == [("Hi", False)] * 2
    [used] = [item for item in server.items["ana"] if item["type"] == "token_usage"]
    names = ("model", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    assert tuple(used.get(name) for name in names) == expected
    assert used["total_tokens"] == 13


def test_odd_tokens_never_reach_the_reader(
    server: CaptureServer, tracker: ConversationTracker, ana: Conversation
):
    class Broken:
        @property
        def usage(self) -> None:
            raise ZeroDivisionError

    class Array:
        def __bool__(self) -> bool:
            raise ValueError("of more than one value")

    odd = [
        Broken(),
        Array(),
        {"usage": 7},
        {"usage": {"prompt_tokens": "9"}},
        {"model": 7, "usage": [1]},
        7,
        "Hi",
    ]
    assert list(ana.stream(odd, usage=True)) == odd
    assert answers(server, tracker) == [("Hi", False)]
    assert [item["type"] for item in server.items["ana"]] == ["message"]


def test_in_production_a_wrong_argument_takes_nothing_from_the_reader(
    server: CaptureServer, tracker: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    tracker.configure(strict=False)
    ana = tracker.get_or_create_conversation("ana")
    assert list(ana.stream(["a"], metadata={"a": 1}, text="content")) == ["a"]  # type: ignore[call-overload]
    assert list(ana.stream(["b"], metadata={"a": object()}, message_id="b", usage=7)) == ["b"]  # type: ignore[call-overload]
    assert "".join(ana.stream("whole")) == "whole"
    for pieces in (None, 7, b"bytes"):
        assert ana.stream(pieces) == pieces  # type: ignore[call-overload]
    other = ["of another"]
    assert ana.stream(other, conversation_id="bob") is other
    assert answers(server, tracker) == [("a", False), ("b", False), ("whole", False)]
    assert server.items["ana"][0]["metadata"]["a"] == 1  # what was right of it is kept
    assert "track_agent_message" in caplog.text
