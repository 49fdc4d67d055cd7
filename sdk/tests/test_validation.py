"""Wrong values raise at the call, name the argument, and store nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import io
import json
import pathlib
import types
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsight import ConversationTracker
from agentsight.exceptions import (
    AgentSightError,
    InvalidAnswerDataException,
    InvalidAttachmentException,
    InvalidConversationDataException,
    InvalidQuestionDataException,
)
from agentsight.items.validation import json_text, timestamp
from sdk.tests.capture import KEY, CaptureServer, capture_server

UTC = dt.timezone.utc
HALF = "\ud800"


def nothing_stored(tracker: ConversationTracker) -> bool:
    return tracker.get_tracked_data_summary()["summary"]["total"] == 0


@pytest.fixture
def quiet() -> ConversationTracker:
    tracker = ConversationTracker(api_key=KEY)
    tracker.configure(conversation_id="c")
    return tracker


TEXTS: list[tuple[Any, str]] = [
    (None, "takes text"),
    ("", "not blank"),
    (" \n\t\u00a0", "not blank"),
    (5, "not int"),
    (b"bytes", "not bytes"),
    (["a"], "not list"),
    ("nul \0 inside", "NUL"),
    (f"half {HALF} pair", "surrogate"),
]


@pytest.mark.parametrize(("wrong", "says"), [*TEXTS, ("x" * 1_048_577, "at most 1,048,576 characters")])
def test_messages(quiet: ConversationTracker, wrong: Any, says: str):
    with pytest.raises(InvalidQuestionDataException, match=rf"^message .*{says}"):
        quiet.track_human_message(wrong)
    with pytest.raises(InvalidAnswerDataException, match=rf"^message .*{says}"):
        quiet.track_agent_message(wrong)
    assert nothing_stored(quiet)


@pytest.mark.parametrize(("wrong", "says"), [*TEXTS, ("x" * 256, "at most 255")])
def test_action_names_and_button_events(quiet: ConversationTracker, wrong: Any, says: str):
    with pytest.raises(InvalidConversationDataException, match=rf"^action_name .*{says}"):
        quiet.track_action(wrong)
    with pytest.raises(InvalidConversationDataException, match=rf"^button_event .*{says}"):
        quiet.track_button(wrong, "label", "value")
    assert nothing_stored(quiet)


@pytest.mark.parametrize(("wrong", "says"), [*TEXTS, ("x" * 2001, "at most 2,000")])
def test_labels_and_values(quiet: ConversationTracker, wrong: Any, says: str):
    with pytest.raises(InvalidConversationDataException, match=rf"^label .*{says}"):
        quiet.track_button("event", wrong, "value")
    with pytest.raises(InvalidConversationDataException, match=rf"^value .*{says}"):
        quiet.track_button("event", "label", wrong)
    assert nothing_stored(quiet)


def test_message_given_twice_or_not_at_all(quiet: ConversationTracker):
    with pytest.raises(InvalidQuestionDataException, match="question is the older name of message"):
        quiet.track_human_message("a", question="b")
    with pytest.raises(InvalidAnswerDataException, match="answer is the older name of message"):
        quiet.track_agent_message("a", answer="b")
    with pytest.raises(InvalidQuestionDataException, match="message takes text"):
        quiet.track_human_message()
    assert nothing_stored(quiet)


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("device", "fridge", "desktop, mobile or tablet"),
        ("device", 3, "desktop, mobile or tablet"),
        ("environment", "staging", "production or development"),
        ("environment", "", "production or development"),
        ("name", "x" * 256, "at most 255"),
        ("name", 3, "takes text"),
        ("customer_id", "x" * 256, "at most 255"),
        ("customer_id", 2.5, "takes text"),
        ("customer_id", True, "takes text"),
        ("source", f"{HALF}", "surrogate"),
        ("language", "e\0n", "NUL"),
        ("customer_ip_address", 5, "takes text"),
        ("metadata", "text", "takes a dict"),
        ("metadata", [1], "takes a dict"),
        ("conversation_id", 12, "database id"),
        ("conversation_id", b"c", "takes text"),
        ("conversation_id", "x" * 256, "at most 255"),
        ("conversation_id", "a\0b", "NUL"),
    ],
)
def test_conversation_fields(quiet: ConversationTracker, field: str, wrong: Any, says: str):
    arguments = {"conversation_id": "c2", field: wrong}
    with pytest.raises(InvalidConversationDataException, match=rf"^{field}.*{says}"):
        quiet.get_or_create_conversation(**arguments)
    with pytest.raises(InvalidConversationDataException, match=rf"^{field}.*{says}"):
        quiet.initialize_conversation(**arguments)
    assert nothing_stored(quiet)
    binding = quiet._current.binding()
    assert binding is not None
    assert binding.conversation.conversation_id == "c"


@pytest.mark.parametrize("wrong", [-1, 1.0, 2.5, "3", True, None, 366 * 86_400_000 + 1, [1], float("nan")])
def test_whole_numbers(quiet: ConversationTracker, wrong: Any):
    if wrong is not None:  # which is "not given"
        with pytest.raises(InvalidConversationDataException, match=r"^duration_ms takes a whole number"):
            quiet.track_action("a", duration_ms=wrong)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "embedding_tokens"):
            with pytest.raises(InvalidConversationDataException, match=rf"^{name} takes a whole number"):
                quiet.track_token_usage(**{name: wrong})
    assert nothing_stored(quiet)
    assert quiet.get_token_usage()["total_tokens"] == 0


class Index:
    def __index__(self) -> int:
        return 7


def test_whole_numbers_of_other_kinds_and_the_largest(quiet: ConversationTracker):
    class Count(enum.IntEnum):
        THREE = 3

    quiet.track_token_usage(Index(), Count.THREE, 10**9, None)  # type: ignore[arg-type]
    assert list(quiet.get_token_usage().values()) == [7, 3, 10**9, 0]
    quiet.track_action("a", duration_ms=366 * 86_400_000)
    quiet.track_action("a", duration_ms=0)


@pytest.mark.parametrize(
    "wrong",
    [
        "yesterday",
        "",
        "2026-08-10",
        "20260810",
        "2026-13-01T00:00:00Z",
        "2026-08-10T25:00:00Z",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "2150-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        1_786_000_000,
        dt.datetime(2026, 8, 10),
        dt.date(2026, 8, 10),
        dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))),
    ],
)
def test_times(quiet: ConversationTracker, wrong: Any):
    for name in ("started_at", "ended_at"):
        with pytest.raises(InvalidConversationDataException, match=rf"^{name} takes"):
            quiet.track_action("a", **{name: wrong})
    assert nothing_stored(quiet)


def test_an_end_before_the_beginning(quiet: ConversationTracker):
    with pytest.raises(InvalidConversationDataException, match="ended_at must not be before started_at"):
        quiet.track_action("a", started_at="2026-08-10T10:00:00+02:00", ended_at="2026-08-10T07:59:59Z")
    assert nothing_stored(quiet)


@pytest.mark.parametrize(
    ("given_", "means"),
    [
        ("2026-08-10T08:34:58Z", "2026-08-10T08:34:58+00:00"),
        ("2026-08-10t08:34:58z", "2026-08-10T08:34:58+00:00"),
        ("2026-08-10 08:34:58", "2026-08-10T08:34:58+00:00"),
        ("2026-08-10T10:34:58+02:00", "2026-08-10T08:34:58+00:00"),
        ("2026-08-10T08:34:58.5Z", "2026-08-10T08:34:58.500000+00:00"),
        ("2026-08-10T08:34:58.123456789Z", "2026-08-10T08:34:58.123456+00:00"),
        ("2026-08-10T08:34Z", "2026-08-10T08:34:00+00:00"),
        (
            dt.datetime(2026, 8, 10, 14, 4, 58, tzinfo=dt.timezone(dt.timedelta(hours=5.5))),
            "2026-08-10T08:34:58+00:00",
        ),
    ],
)
def test_times_in_all_their_spellings(given_: Any, means: str):
    assert timestamp("t", given_) == dt.datetime.fromisoformat(means)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    when: dt.date


class Modelled:
    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


class Arrayed:
    def tolist(self) -> list[int]:
        return [1, 2]


def test_what_is_converted_to_json():
    ident = uuid.UUID(int=5)
    value = {
        "datetime": dt.datetime(2026, 8, 10, 8, tzinfo=UTC),
        "date": dt.date(2026, 8, 10),
        "time": dt.time(8, 30),
        "decimal": decimal.Decimal("1.10"),
        "uuid": ident,
        "path": pathlib.PurePosixPath("a/b"),
        "enum": Colour.RED,
        "tuple": (1, 2),
        "set": {"b", "a"},
        "dataclass": Point(1, dt.date(2026, 8, 10)),
        "mapping": types.MappingProxyType({"a": 1}),
        "model": Modelled(),
        "array": Arrayed(),
        "big": 2**70,
        1: "number as key",
        "text": 'quotes " and \\u0000 and čšž 🙂',
    }
    assert json.loads(json_text("v", value)) == {
        "datetime": "2026-08-10T08:00:00+00:00",
        "date": "2026-08-10",
        "time": "08:30:00",
        "decimal": "1.10",
        "uuid": str(ident),
        "path": "a/b",
        "enum": "red",
        "tuple": [1, 2],
        "set": ["a", "b"],
        "dataclass": {"x": 1, "when": "2026-08-10"},
        "mapping": {"a": 1},
        "model": {"mode": "json"},
        "array": [1, 2],
        "big": 2**70,
        "1": "number as key",
        "text": 'quotes " and \\u0000 and čšž 🙂',
    }


def nested(levels: int) -> Any:
    value: Any = 1
    for number in range(levels):
        value = {"k": value} if number % 2 else [value]
    return value


circle: dict[str, Any] = {}
circle["self"] = circle


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (float("nan"), "fit JSON"),
        (float("inf"), "fit JSON"),
        (decimal.Decimal("NaN"), "fit JSON"),
        (object(), "object does not fit JSON"),
        (b"bytes", "bytes does not fit JSON"),
        (io.BytesIO(), "BytesIO does not fit JSON"),
        (len, "does not fit JSON"),
        (Point, "does not fit JSON"),
        ({(1, 2): 3}, "fit JSON"),
        (circle, "fit JSON"),
        ("nul \0", "NUL"),
        ({"nul \0": 1}, "NUL"),
        (f"half {HALF}", "surrogate"),
        ({f"{HALF}": 1}, "surrogate"),
        (nested(64), "64 levels"),
        (nested(5000), "64 levels"),
        ("x" * 1_048_577, "1,048,576 bytes"),
        ("č" * 524_289, "1,048,576 bytes"),
    ],
)
def test_what_does_not_fit_json(quiet: ConversationTracker, wrong: Any, says: str):
    value = {"key": wrong}
    with pytest.raises(InvalidConversationDataException, match=rf"^metadata .*{says}"):
        quiet.track_human_message("x", metadata=value)
    with pytest.raises(InvalidConversationDataException, match=rf"^metadata .*{says}"):
        quiet.get_or_create_conversation("c", metadata=value)
    with pytest.raises(InvalidConversationDataException, match=rf"^tools_used .*{says}"):
        quiet.track_action("a", tools_used=value)
    with pytest.raises(InvalidConversationDataException, match=rf"^response .*{says}"):
        quiet.track_action("a", response=value)
    assert nothing_stored(quiet)


def test_the_deepest_that_is_taken(quiet: ConversationTracker):
    quiet.track_human_message("x", metadata={"key": nested(63)})
    quiet.track_human_message("y", metadata={"wide": [{"a": []} for _ in range(100)]})


def test_what_was_tracked_does_not_change_with_the_callers_objects(
    server: CaptureServer, tracker: ConversationTracker
):
    metadata = {"list": [1], "dict": {"a": 1}}
    tracker.get_or_create_conversation("c", metadata=metadata)
    tracker.track_human_message("x", metadata=metadata)
    tracker.track_action("a", tools_used=metadata, response=metadata)
    data = bytearray(b"before")
    tracker.track_attachments([{"data": data, "filename": "f.bin"}], mode="form_data")
    metadata["list"].append(2)
    metadata["dict"]["a"] = 2
    data[:] = b"after!"
    tracker.send_tracked_data()
    message, action, file = server.items["c"]
    expected = {"list": [1], "dict": {"a": 1}}
    assert server.fields["c"]["metadata"] == expected
    assert message["metadata"] == action["tools_used"] == action["response"] == expected
    assert file["attachments"][0]["data"] == "YmVmb3Jl"


def test_errors_as_text_or_exception(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_action("a", error_msg=TimeoutError("too slow"), response="text")
    tracker.track_action("b", error_msg="", response=None)
    tracker.send_tracked_data()
    first, second = server.items["c"]
    assert first["error_msg"] == "TimeoutError: too slow"
    assert first["response"] == "text"
    assert "error_msg" not in second
    assert "response" not in second


def test_a_text_subclass_is_kept_as_plain_text(server: CaptureServer, tracker: ConversationTracker):
    class Markup(str):
        def __str__(self) -> str:
            return "something else"

    tracker.get_or_create_conversation("c")
    tracker.track_human_message(Markup("<b>bold</b>"))
    tracker.track_human_message(Colour.RED.value)
    tracker.send_tracked_data()
    assert server.contents("c") == ["<b>bold</b>", "red"]


def test_wrong_values_are_value_errors_too():
    assert issubclass(InvalidConversationDataException, ValueError)
    assert issubclass(InvalidAttachmentException, ValueError)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.binary(max_size=5)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_nul(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(map(has_nul, value))
    return isinstance(value, str) and "\0" in value


@settings(max_examples=300, deadline=None)
@given(message=anything, metadata=anything, count=anything)
def test_whatever_is_tracked_the_call_raises_or_the_server_can_read_it(
    message: Any, metadata: Any, count: Any
):
    tracker = ConversationTracker(api_key=KEY)
    tracker.configure(conversation_id="c")
    tracked = 0
    for call in (
        lambda: tracker.track_human_message(message, metadata=metadata),
        lambda: tracker.track_action(message, duration_ms=count, tools_used=metadata, response=message),
        lambda: tracker.track_button(message, "label", message),
        lambda: tracker.track_token_usage(count, model=message),
    ):
        with contextlib.suppress(AgentSightError):
            call()
            tracked += 1
    conversation = tracker._outbox.conversation("c")
    from agentsight.items.encoding import prepare

    for item in prepare(conversation, conversation.items):
        assert not has_nul(json.loads(item.text.encode()))  # UTF-8, or encoding raises
        tracked -= 1
    assert tracked == 0


def test_a_very_long_message_arrives_whole():
    with capture_server() as server:
        tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
        tracker.get_or_create_conversation("c")
        text = "0123456789čšž🙂" * 74_898
        tracker.track_human_message(text[:1_048_576])
        tracker.send_tracked_data()
        assert server.contents("c") == [text[:1_048_576]]
