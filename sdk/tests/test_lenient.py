"""`strict` off: no call raises, what can be kept is kept, and what was changed is told."""

from __future__ import annotations

import base64
import contextvars
import datetime as dt
import decimal
import inspect
import io
import json
import logging
import math
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsight import Conversation, ConversationTracker
from agentsight.exceptions import AgentSightError, MissingConversationIdException
from agentsight.helpers import generate_message_id
from sdk.tests import hostile
from sdk.tests.capture import KEY, CaptureServer, Scripted
from sdk.tests.test_validation import anything, nested
from tests.serving import ServerProcess

HALF = "\ud800"
CALLS = (
    "track_human_message",
    "track_agent_message",
    "track_action",
    "track_button",
    "track_attachments",
    "track_token_usage",
    "feedback",
)


@pytest.fixture
def bot(server: CaptureServer) -> ConversationTracker:
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, environment="production")
    tracker.get_or_create_conversation("c")
    return tracker


def adjusted(server: CaptureServer, name: str = "c") -> dict[tuple[str, str], int]:
    """What the server has been told of one conversation."""
    counts: dict[tuple[str, str], int] = {}
    for body in server.batches:
        for conversation in body["conversations"]:
            if conversation["conversation_id"] == name:
                for each in conversation.get("adjusted", ()):
                    kind = each["field"], each["code"]
                    counts[kind] = counts.get(kind, 0) + each["count"]
    return counts


Make = Callable[[], Any]
Call = tuple[str, dict[str, Make]]
# What makes the values, because Hypothesis itself stumbles over some of them.
nasty = st.sampled_from(hostile.NASTY) | anything.map(lambda value: lambda: value)


def made(values: dict[str, Make]) -> dict[str, Any]:
    return {name: make() for name, make in values.items()}


def arguments_of(method: str) -> list[str]:
    return [name for name in inspect.signature(getattr(Conversation, method)).parameters if name != "self"]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    method = draw(st.sampled_from(CALLS))
    names = arguments_of(method)
    given_ = {name: draw(nasty) for name in names if name != "conversation_id" and draw(st.booleans())}
    for name, parameter in inspect.signature(getattr(Conversation, method)).parameters.items():
        if parameter.default is parameter.empty and name != "self":
            given_.setdefault(name, draw(nasty))
    return method, given_


def raises(call: Call) -> bool:
    """Whether a strict tracker refuses this."""
    tracker = ConversationTracker(api_key=KEY, strict=True)
    tracker.configure(conversation_id="c")
    try:
        getattr(tracker, call[0])(**made(call[1]))
    except Exception:
        return True
    return False


def is_blank(value: object) -> bool:
    kind = type(value)
    return value is None or (kind is list and not value) or (kind is str and not str.strip(value))  # type: ignore[arg-type]


def is_quiet(method: str, arguments: dict[str, Any]) -> bool:
    """Nothing was there to be kept, as when a webhook brings no text; that is no fault."""
    if method.endswith("_message"):
        given = [arguments[name] for name in ("message", "question", "answer") if name in arguments]
        said = [text for text in given if not is_blank(text)]
        # A blank spelling beside the other one, too, is nothing that was there to be kept.
        return not said or (len(given) > len(said) == 1 and isinstance(said[0], str))
    if method == "track_attachments":
        return is_blank(arguments.get("attachments"))
    return method != "feedback" and all(is_blank(value) for value in arguments.values())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tried=st.lists(calls(), min_size=1, max_size=4), through_handle=st.booleans())
def test_whatever_is_tracked_nothing_is_raised_and_no_neighbour_is_lost(
    tried: list[Call], through_handle: bool
):
    tracker = ConversationTracker(api_key=KEY, strict=False)
    handle = tracker.get_or_create_conversation("c")
    owner = handle if through_handle else tracker
    conversation = handle._pending
    expected: list[str] = []
    for number, (method, arguments) in enumerate(tried):
        owner.track_human_message(f"neighbour {number}")
        expected.append(f"neighbour {number}")
        conversation.adjusted.clear()
        getattr(owner, method)(**made(arguments))
        if raises((method, arguments)):
            assert conversation.adjusted or is_quiet(method, made(arguments)), method
        else:
            assert not conversation.adjusted
    from agentsight.items.encoding import prepare

    items = [
        json.loads(item.text.encode()) for item in prepare(conversation, conversation.items)
    ]  # UTF-8, or encoding raises
    said = [item["content"] for item in items if item["type"] == "message"]
    assert [each for each in said if each.startswith("neighbour ")] == expected


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                "customer_id",
                "customer_ip_address",
                "device",
                "source",
                "language",
                "name",
                "environment",
                "metadata",
            ]
        ),
        nasty,
    ),
    name=nasty,
)
def test_a_conversation_can_always_be_had(fields: dict[str, Make], name: Make):
    tracker = ConversationTracker(api_key=KEY, strict=False)
    with tracker.get_or_create_conversation(name(), **made(fields)) as conversation:
        tracker.track_human_message("there")
        conversation.track_human_message("there too", conversation_id=name())
    assert len(conversation._pending.items) in (1, 2)
    assert 0 < len(conversation.conversation_id) <= 255


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tried=st.lists(calls(), min_size=1, max_size=6), fields=st.tuples(nasty, nasty, nasty))
def test_whatever_was_kept_the_server_takes(
    sqlite_server: ServerProcess, tried: list[Call], fields: tuple[Make, ...]
):
    bot = shared_bot(sqlite_server)
    one, two, three = (make() for make in fields)
    bot.get_or_create_conversation("c", customer_id=one, language=two, metadata=three)
    for method, arguments in tried:
        getattr(bot, method)(**made(arguments))
    report = bot.send_tracked_data()
    assert [row["error"] for row in report["items"] if not row["success"]] == []


_bots: dict[str, ConversationTracker] = {}


def shared_bot(server: ServerProcess) -> ConversationTracker:
    if server.address not in _bots:
        key = server.agent().keys["write"]
        _bots[server.address] = ConversationTracker(
            api_key=key, endpoint=server.address, strict=False, timeout=60
        )
    return _bots[server.address]


def test_what_was_adjusted_is_in_the_ledger(sqlite_server: ServerProcess):
    agent = sqlite_server.agent()
    bot = ConversationTracker(api_key=agent.keys["write"], endpoint=sqlite_server.address, environment="prod")
    bot.get_or_create_conversation("v" * 300, device="fridge", language="x" * 300)
    bot.track_human_message("a\0b")
    bot.track_human_message("b\0c")
    bot.track_agent_message("fine")
    assert bot.send_tracked_data()["summary"] == {
        "questions": 2, "answers": 1, "actions": 0, "buttons": 0, "attachments": 0, "errors": 0,
    }  # fmt: skip
    with agent.client("read") as client:
        told = client.get("/api/ingest/ledger/").json()["totals"]["adjustments"]
    assert {(each["field"], each["code"]): each["count"] for each in told} == {
        ("conversation_id", "shortened"): 1,
        ("device", "left_out"): 1,
        ("language", "shortened"): 1,
        ("message", "cleaned"): 2,
    }


# --- what becomes of what ---


def test_messages(server: CaptureServer, bot: ConversationTracker):
    bot.track_human_message("a\0b")
    bot.track_human_message("x" * 1_100_000)
    bot.track_agent_message(f"half {HALF}, pair \ud83d\ude42")
    bot.track_agent_message(5)  # type: ignore[arg-type]
    bot.track_agent_message({"text": "parts"})  # type: ignore[arg-type]
    bot.track_agent_message(b"caf\xc3\xa9")  # type: ignore[arg-type]
    bot.track_human_message("twice", question="given")
    bot.send_tracked_data()
    first, long, *rest = server.contents("c")
    assert first == "ab"
    assert (len(long), long[:3], long[-1]) == (1_048_576, "xxx", "…")
    assert rest == ["half \ufffd, pair 🙂", "5", '{"text":"parts"}', "café", "twice"]
    assert adjusted(server) == {
        ("message", "cleaned"): 2,
        ("message", "shortened"): 1,
        ("message", "replaced"): 3,
        ("question", "left_out"): 1,
    }


def test_an_answer_without_text_is_left_out_quietly(
    server: CaptureServer, bot: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    for nothing in (
        None,
        "",
        "  \n",
    ):
        bot.track_agent_message(nothing)
        bot.track_human_message(nothing)
        bot.track_human_message(question=nothing)
    bot.track_human_message()
    bot.track_human_message("", attachments=[{"data": b"GIF89a"}], attachment_mode="form_data")
    bot.send_tracked_data()
    [file] = server.items["c"]
    assert (file["type"], file["sender"], file["attachments"][0]["mime_type"]) == (
        "attachments",
        "end_user",
        "image/gif",
    )
    assert adjusted(server) == {}
    assert "track_" not in caplog.text


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (12.7, 13),
        ("12.4", 12),
        (-5, 0),
        (10**400, 366 * 86_400_000),
        (1e300, 366 * 86_400_000),
        (decimal.Decimal("3.0"), 3),
        (dt.timedelta(seconds=1.5), 1500),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        ("soon", None),
        ([5], None),
    ],
)
def test_durations(server: CaptureServer, bot: ConversationTracker, given_: Any, kept: int | None):
    bot.track_action("a", duration_ms=given_, response="kept")
    bot.send_tracked_data()
    [item] = server.items["c"]
    assert (item.get("duration_ms"), item["response"]) == (kept, "kept")
    assert adjusted(server) == {("duration_ms", "replaced" if kept is not None else "left_out"): 1}


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (1_786_351_000, "2026-08-10T08:36:40Z"),
        (1_786_351_000_500, "2026-08-10T08:36:40.500000Z"),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (dt.datetime(1, 1, 1), None),
        ("2150-01-01T00:00:00Z", None),
        (math.nan, None),
        (b"2026", None),
    ],
)
def test_times(server: CaptureServer, bot: ConversationTracker, given_: Any, kept: str | None):
    bot.track_action("a", started_at=given_)
    bot.send_tracked_data()
    assert server.items["c"][0].get("started_at") == kept


def test_a_naive_time_is_this_machines_clock(server: CaptureServer, bot: ConversationTracker):
    now = dt.datetime.now(dt.timezone.utc)
    bot.track_action("a", started_at=now.astimezone().replace(tzinfo=None), ended_at="2020-01-01T00:00:00Z")
    bot.send_tracked_data()
    [item] = server.items["c"]
    assert dt.datetime.fromisoformat(item["started_at"].replace("Z", "+00:00")) == now
    assert "ended_at" not in item  # before it began
    assert adjusted(server) == {("started_at", "replaced"): 1, ("ended_at", "left_out"): 1}


def test_metadata_is_kept_as_far_as_it_fits(server: CaptureServer, bot: ConversationTracker):
    bot.track_human_message(
        "x",
        metadata={
            "nan": math.nan,
            "deep": nested(100),
            "circle": hostile.circle,
            "object": dt.timedelta(seconds=1),
            "broken": hostile.Broken(),
            "bytes": b"ok",
            "nul": "a\0b",
            (1, 2): "key",
            "date": dt.date(2026, 8, 10),
            "huge": 10**400,
            "right": {"a": [1, 2.5, None, True, "č"]},
        },
    )
    bot.send_tracked_data()
    kept = server.items["c"][0]["metadata"]
    assert kept["nan"] is None
    assert "…" in json.dumps(kept["deep"], ensure_ascii=False)
    assert kept["circle"] == {"a": [1], "self": "…"}
    assert kept["object"] == "0:00:01"
    assert kept["broken"] == "<Broken>"
    assert (kept["bytes"], kept["nul"], kept["[1,2]"], kept["date"]) == ("ok", "ab", "key", "2026-08-10")
    assert kept["huge"].startswith("0x")
    assert kept["right"] == {"a": [1, 2.5, None, True, "č"]}
    assert adjusted(server) == {
        ("metadata", "replaced"): 1,
        ("metadata", "shortened"): 1,
        ("metadata", "cleaned"): 1,
    }


@pytest.mark.parametrize("long", ["x" * 3_000_000, "č" * 700_000, "\x01" * 400_000, '"' * 900_000])
def test_a_long_value_does_not_push_out_the_others(
    server: CaptureServer, bot: ConversationTracker, long: str
):
    bot.track_action("a", tools_used={"page": long, "more": ["y" * 900] * 2000, "model": "m"}, response=long)
    bot.send_tracked_data()
    [item] = server.items["c"]
    assert item["tools_used"]["page"].endswith("…")
    assert len(item["tools_used"]["more"]) > 300
    assert item["response"].endswith("…")
    assert len(item["response"].encode()) > 100_000


def test_the_length_and_the_depth_that_are_left_are_the_most_that_fit(bot: ConversationTracker):
    from agentsight.client.repair import Notes, json_value
    from agentsight.items.validation import json_text

    for wide in ({"k": ["z" * 50] * 40_000}, [[0] * 7] * 100_000, {str(n): {"n": n} for n in range(90_000)}):
        assert 950_000 < len(json_text("v", json_value(Notes(), "v", wide)).encode()) <= 1_048_576
    deep = json_text("v", json_value(Notes(), "v", nested(90)))
    assert deep.count("{") + deep.count("[") == 64


def test_metadata_that_is_no_dict(server: CaptureServer, bot: ConversationTracker):
    bot.track_human_message("x", metadata=["a"])  # type: ignore[arg-type]
    bot.send_tracked_data()
    assert server.items["c"][0]["metadata"] == {"value": ["a"]}


def test_attachments_that_are_right_are_kept(server: CaptureServer, bot: ConversationTracker):
    class Once(io.RawIOBase):
        """What comes from a connection can be read once."""

        def __init__(self) -> None:
            self.rest = b"once"

        def read(self, size: int = -1) -> bytes:
            got, self.rest = self.rest, b""
            return got

    bot.track_human_message(
        "x",
        attachments=[
            {"data": Once()},
            {"data": hostile.BrokenFile()},
            {"data": "aGVsbG8=", "filename": "f" * 300},
            {"data": "no base64!"},
            {"data": b"bytes"},
            {},
            "none",  # type: ignore[list-item]
        ],
    )
    bot.track_attachments([{"data": b"x"}] * 70, sender="assistant", mode="form-data")
    bot.track_attachments({"data": b"alone"})  # type: ignore[arg-type]
    bot.send_tracked_data()
    message, many, alone = server.items["c"]
    assert [base64.b64decode(file["data"]) for file in message["attachments"]] == [
        b"once",
        b"hello",
        b"bytes",
    ]
    assert (len(many["attachments"]), many["sender"]) == (50, "agent")
    assert base64.b64decode(alone["attachments"][0]["data"]) == b"alone"
    assert adjusted(server)["attachments", "left_out"] == 5


def test_files_that_can_be_read_once_survive_a_wrong_neighbour(
    server: CaptureServer, bot: ConversationTracker
):
    class Once(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = b"once"

        def read(self, size: int = -1) -> bytes:
            got, self.rest = self.rest, b""
            return got

    bot.track_attachments([{"data": Once()}, {"data": hostile.BrokenFile()}], mode="form_data")
    bot.track_attachments([{"data": Once()}], mode="form_data", metadata={"a": math.nan})
    bot.send_tracked_data()
    for item in server.items["c"]:
        assert [base64.b64decode(file["data"]) for file in item["attachments"]] == [b"once"]


def test_what_is_needed_and_missing_is_made_up(server: CaptureServer, bot: ConversationTracker):
    bot.track_action("", response="kept")
    bot.track_action(None)  # type: ignore[arg-type]
    bot.track_action("a" * 300, error_msg=hostile.BrokenError())
    bot.track_button("event", "", None)  # type: ignore[arg-type]
    bot.track_button("", "", "")
    bot.send_tracked_data()
    unnamed, long, button = server.items["c"]
    assert (unnamed["action_name"], unnamed["response"]) == ("unnamed", "kept")
    assert (len(long["action_name"]), long["error_msg"]) == (255, "BrokenError")
    assert (button["button_event"], button["label"], button["value"]) == ("event", "event", "event")


def test_tokens(server: CaptureServer, bot: ConversationTracker):
    bot.track_token_usage(3.0, -1, model="m" * 300)  # type: ignore[arg-type]
    bot.track_token_usage(10, 5, cached_tokens=90)  # as providers that do not count them in
    bot.track_token_usage(math.nan)  # type: ignore[arg-type]
    bot.send_tracked_data()
    first, second = server.items["c"]
    assert (first["prompt_tokens"], first["completion_tokens"], len(first["model"])) == (3, 0, 255)
    assert (second["prompt_tokens"], second["cached_tokens"], second["total_tokens"]) == (100, 90, 105)


def test_feedback(server: CaptureServer, bot: ConversationTracker):
    bot.feedback(True, comment="c" * 6000)  # type: ignore[arg-type]
    bot.feedback("Thumbs_Down")
    bot.feedback("great")
    bot.feedback("positive", message="the third one")  # would replace the vote for the conversation
    bot.feedback("positive", message=True)
    bot.send_tracked_data()
    first, second = server.items["c"]
    assert (first["sentiment"], len(first["comment"])) == ("positive", 5000)
    assert second["sentiment"] == "negative"
    assert adjusted(server)["message", "left_out"] == 2


def test_ids_that_were_cut_stay_apart(server: CaptureServer, bot: ConversationTracker):
    ids = ["v" * 300 + str(number) for number in range(3)] + [
        "a\0b",
        "ab",
        f"a{HALF}",
        "a\udfff",
        b"bytes",
        12,
    ]
    for number, name in enumerate(ids):
        bot.track_human_message(str(number), conversation_id=name)  # type: ignore[arg-type]
        bot.get_or_create_conversation(name, customer_id=name)  # type: ignore[arg-type]
    bot.flush()
    assert [server.contents(name) for name in server.items] == [[str(number)] for number in range(len(ids))]
    assert len({server.fields[name]["customer_id"] for name in server.items}) == len(ids)
    assert "12" in server.items
    assert "bytes" in server.items


def test_an_id_that_cannot_be_used_leads_into_nobodys_conversation(
    server: CaptureServer, bot: ConversationTracker
):
    for wrong in (True, 2.5, object(), hostile.Broken(), {"id": 1}, b"\xff"):
        bot.track_human_message("a stranger's", conversation_id=wrong)  # type: ignore[arg-type]
    handles = [bot.get_or_create_conversation(wrong) for wrong in (None, "", 2.5, hostile.Broken())]  # type: ignore[arg-type]
    for handle in handles:
        handle.track_human_message("another's")
    assert len({handle.conversation_id for handle in handles}) == 4
    bot.flush()
    assert "c" not in server.items
    assert len(server.items) == 10
    for name in server.items:
        assert server.fields[name]["metadata"]["unattached"] is True
        assert "test_lenient.py" in server.fields[name]["metadata"]["unattached_at"]


def test_a_blank_id_means_the_current_conversation(server: CaptureServer, bot: ConversationTracker):
    bot.track_human_message("mine", conversation_id="")
    bot.send_tracked_data()
    assert server.contents("c") == ["mine"]


def test_a_handle_that_is_told_of_another_conversation_goes_there(
    server: CaptureServer, bot: ConversationTracker
):
    handle = bot.get_or_create_conversation("mine")
    handle.track_human_message("theirs", conversation_id="theirs")
    bot.flush()
    assert server.contents("theirs") == ["theirs"]
    assert "mine" not in server.items


def test_offers(server: CaptureServer, bot: ConversationTracker):
    answer = bot.initialize_conversation("v" * 300, device="fridge", language="de")
    assert (len(answer["conversation_id"]), answer["language"], "device" in answer) == (255, "de", False)
    with pytest.raises(MissingConversationIdException):
        bot.initialize_conversation("")


def test_each_kind_of_change_is_logged_once_and_never_what_was_said(
    server: CaptureServer, bot: ConversationTracker, caplog: pytest.LogCaptureFixture
):
    for _ in range(50):
        bot.track_human_message("secret \0", metadata={"secret": math.nan})
        bot.track_action("secret", duration_ms=1.5)  # type: ignore[arg-type]
    told = [record for record in caplog.records if "track_" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"] * 3
    assert re.search(
        r"track_human_message at \S*test_lenient.py:\d+ in \w+: message had characters", caplog.text
    )
    assert "secret" not in caplog.text
    bot.send_tracked_data()
    assert adjusted(server) == {
        ("message", "cleaned"): 50,
        ("metadata", "replaced"): 50,
        ("duration_ms", "replaced"): 50,
    }


def test_a_log_handler_that_raises_does_not_reach_the_bot(server: CaptureServer, bot: ConversationTracker):
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("full")

    handler = Raising()
    logging.getLogger("agentsight").addHandler(handler)
    try:
        bot.track_human_message("a\0b")
    finally:
        logging.getLogger("agentsight").removeHandler(handler)
    bot.send_tracked_data()
    assert server.contents("c") == ["ab"]


def test_what_was_not_sent_is_told_with_the_next_send(server: CaptureServer, bot: ConversationTracker):
    bot.track_human_message("a\0b")
    server.script = [Scripted(503)] * 10
    bot.send_tracked_data()
    server.script = []
    bot.track_human_message("c\0d")
    server.requests.clear()
    bot.send_tracked_data()
    bot.track_human_message("right")
    bot.send_tracked_data()
    assert adjusted(server) == {("message", "cleaned"): 2}
    assert "adjusted" not in server.batches[-1]["conversations"][0]


def test_strict_follows_the_environment_of_the_conversation(server: CaptureServer):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)  # a setting that nobody made
    live = tracker.get_or_create_conversation("live", environment="production", language="x" * 300)
    live.track_human_message("a\0b")
    tracker.track_human_message("c\0d")
    tracker.track_human_message("e\0f", conversation_id="live")
    tracker.get_or_create_conversation("mine")
    with pytest.raises(AgentSightError):
        tracker.track_human_message("a\0b")
    contextvars.Context().run(lambda: tracker.flush())
    assert server.contents("live") == ["ab", "cd", "ef"]


def test_a_closed_tracker_still_takes_what_comes(server: CaptureServer, bot: ConversationTracker):
    bot.close()
    bot.track_human_message("late \0")
    bot.close()
    assert server.contents("c") == ["late "]


def test_text_that_tracks_while_it_is_read_does_no_harm(server: CaptureServer, bot: ConversationTracker):
    class Tracks:
        def __str__(self) -> str:
            bot.track_human_message("a\0b")
            return "text"

    bot.track_agent_message(Tracks())  # type: ignore[arg-type]
    bot.track_human_message("after")
    bot.send_tracked_data()
    assert "after" in server.contents("c")


def test_a_vote_for_a_message(server: CaptureServer, tracker: ConversationTracker):
    conversation = tracker.get_or_create_conversation("c")
    name = generate_message_id()
    assert uuid.UUID(name).version == 7
    conversation.track_agent_message("It is on its way.", message_id=name)
    conversation.feedback("positive", comment="Quick!", message=name, metadata={"stars": 5})
    tracker.feedback("negative")
    tracker.feedback("neutral", message=7, conversation_id="d")
    report = conversation.send_tracked_data()
    assert [row["type"] for row in report["items"]] == ["conversation", "answer", "feedback", "feedback"]
    assert set(report["summary"]) == {"questions", "answers", "actions", "buttons", "attachments", "errors"}
    message, vote, another = server.items["c"]
    assert message["id"] == name
    assert {key: vote[key] for key in vote if key not in ("id", "timestamp")} == {
        "type": "feedback",
        "sentiment": "positive",
        "comment": "Quick!",
        "message": name,
        "metadata": {"stars": 5},
    }
    assert (another["sentiment"], "message" in another) == ("negative", False)
    assert tracker.get_tracked_data_summary()["summary"]["total"] == 0
    tracker.send_tracked_data("d")
    assert server.items["d"][0]["message"] == 7


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sentiment": "great"}, "sentiment takes positive, neutral or negative"),
        ({"sentiment": True}, "sentiment takes positive"),
        ({"sentiment": "positive", "comment": "c" * 5001}, "comment takes at most 5,000"),
        ({"sentiment": "positive", "message": "third"}, "message takes the message_id"),
        ({"sentiment": "positive", "message": 0}, "message takes a database id"),
        ({"sentiment": "positive", "message": True}, "message takes the message_id"),
        ({"sentiment": "positive", "metadata": 5}, "metadata takes a dict"),
    ],
)
def test_wrong_votes_raise_where_strict_is_on(
    tracker: ConversationTracker, arguments: dict[str, Any], says: str
):
    tracker.configure(conversation_id="c")
    with pytest.raises(AgentSightError, match=says):
        tracker.feedback(**arguments)
    assert tracker.get_tracked_data_summary()["summary"]["total"] == 0


def test_parts_of_tokens(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_token_usage(
        100, 50, cached_tokens=60, cache_write_tokens=10, input_audio_tokens=5, reasoning_tokens=30,
        output_audio_tokens=2,
    )  # fmt: skip
    tracker.track_token_usage(1, cached_tokens=0, reasoning_tokens=None)
    for part in ("cached_tokens", "cache_write_tokens", "input_audio_tokens"):
        with pytest.raises(AgentSightError, match=f"{part} are part of prompt_tokens"):
            tracker.track_token_usage(9, 50, **{part: 10})
    for part in ("reasoning_tokens", "output_audio_tokens"):
        with pytest.raises(AgentSightError, match=f"{part} are part of completion_tokens"):
            tracker.track_token_usage(50, 9, **{part: 10})
    with pytest.raises(AgentSightError, match="cached_tokens takes a whole number"):
        tracker.track_token_usage(9, cached_tokens=1.5)  # type: ignore[arg-type]
    assert set(tracker.get_token_usage()) == {
        "prompt_tokens", "completion_tokens", "total_tokens", "embedding_tokens",
    }  # fmt: skip
    tracker.send_tracked_data()
    first, second = server.items["c"]
    assert {name: first[name] for name in first if name.endswith("_tokens")} == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "embedding_tokens": 0,
        "cached_tokens": 60,
        "cache_write_tokens": 10,
        "input_audio_tokens": 5,
        "reasoning_tokens": 30,
        "output_audio_tokens": 2,
    }
    assert "cached_tokens" not in second
    assert len(server.items["c"]) == 2


def test_names_of_messages(tracker: ConversationTracker):
    tracker.configure(conversation_id="c")
    tracker.track_human_message("x", message_id=str(uuid.uuid4()).upper())
    tracker.track_human_message("x", message_id=uuid.uuid4())  # type: ignore[arg-type]
    for wrong in ("msg-1", 5, "", "0" * 32, "g" * 8 + "-0000-0000-0000-" + "0" * 12):
        with pytest.raises(AgentSightError, match="message_id takes a UUID"):
            tracker.track_human_message("x", message_id=wrong)  # type: ignore[arg-type]
    assert tracker.get_tracked_data_summary()["summary"]["questions"] == 2


def test_waiting_votes_are_shown(tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    assert "feedbacks" not in tracker.get_tracked_data_summary()["summary"]
    tracker.feedback("positive", comment="Quick!")
    pending = tracker.get_tracked_data_summary()
    assert (pending["summary"]["feedbacks"], pending["summary"]["total"]) == (1, 2)
    assert pending["items"][1]["data"]["comment"] == "Quick!"
