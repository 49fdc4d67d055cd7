"""What programs send, right and wrong, with what must become of it: the generators of the model test."""

from __future__ import annotations

import base64
import copy
import uuid as uuids
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Names that one program or another takes for the same: case, Unicode forms, space, wildcards, digits.
NAMES = (
    "chat", "Chat", "CHAT", "chat ", " chat", "chat\u200b", "ｃｈａｔ", "café", "cafe\u0301", "straße", "STRASSE",
    "İ", "i\u0307", "c%", "c_", "'; DROP TABLE items; --", "\\", '"', "1", "１", "null", "💬", "x" * 255,
)  # fmt: skip
UUIDS = tuple(str(uuids.uuid5(uuids.NAMESPACE_URL, str(number))) for number in range(8))
# Two that together are no more than the prompt's, one more of it, and two of the completion's.
TOKEN_PARTS = (
    "cached_tokens", "cache_write_tokens", "input_audio_tokens", "reasoning_tokens", "output_audio_tokens",
)  # fmt: skip
# Stands for a number that is right JSON and fits nowhere.
HUGE = "@1e999@"

_character = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_text = st.text(_character, max_size=12) | st.sampled_from(
    ["nul", "\u202e", "é", "e\u0301", "<b>", "𝕏", "\n"]
)
_said = _text.filter(str.strip)
_number = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _number | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_metadata = st.none() | st.dictionaries(st.sampled_from("abcé") | _text, _json, max_size=3)
_moment = st.integers(0, 40 * 86_400 * 10**6).map(lambda more: 1_780_000_000 * 10**6 + more)


def iso(moment: int, zone: int = 0) -> str:
    """A time (microseconds) as text, on the clock of a zone so many minutes off."""
    return (EPOCH + timedelta(microseconds=moment)).astimezone(timezone(timedelta(minutes=zone))).isoformat()


class Expected(NamedTuple):
    """What a right item comes to."""

    kind: str
    uuid: str | None
    timestamp: int
    sender: str | None
    content: str
    metadata: dict[str, Any]
    detail: dict[str, Any]
    files: tuple[tuple[str, int], ...] = ()


class Sent(NamedTuple):
    """An item as it is sent; `expected` None: it must be refused."""

    body: Any
    expected: Expected | None


@st.composite
def right_items(draw: st.DrawFn) -> Sent:
    """An item that must be taken."""
    kind = draw(
        st.sampled_from(["message", "message", "action", "button", "attachments", "token_usage", "feedback"])
    )
    moment = draw(_moment)
    metadata = draw(_metadata)
    body: dict[str, Any] = {"type": kind, "timestamp": iso(moment, draw(st.sampled_from([0, 120, -570])))}
    if metadata is not None:
        body["metadata"] = metadata
    identity = draw(st.none() | st.sampled_from(UUIDS))
    if identity is not None:
        body["id"] = draw(st.sampled_from([identity, identity.upper(), identity.replace("-", "")]))
    sender: str | None = None
    content, detail, files = "", {}, ()
    if kind == "message":
        sender = body["sender"] = draw(st.sampled_from(["end_user", "agent", "system"]))
        content = body["content"] = draw(_said)
    elif kind == "action":
        duration = draw(st.none() | st.integers(0, 366 * 86_400_000))
        detail = {"action_name": draw(_said), "duration_ms": duration, "response": draw(_json),
                  "tools_used": draw(_json), "error_msg": draw(st.none() | _said)}  # fmt: skip
        body |= detail
        sender = "agent"
    elif kind == "button":
        detail = {"button_event": draw(_said), "label": draw(_said), "value": draw(_said)}
        body |= detail
        sender = "end_user"
    elif kind == "attachments":
        data = draw(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3))
        body["attachments"] = [
            {"filename": f"{number}.bin", "data": base64.b64encode(each).decode()}
            for number, each in enumerate(data)
        ]
        files = tuple((f"{number}.bin", len(each)) for number, each in enumerate(data))
        sender = body["sender"] = draw(st.sampled_from(["end_user", "agent"]))
    elif kind == "token_usage":
        prompt, completion = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9))
        detail = {"prompt_tokens": prompt, "completion_tokens": completion}
        wholes = (prompt // 2, prompt // 2, prompt, completion, completion)
        for name, most in zip(TOKEN_PARTS, wholes, strict=True):
            if draw(st.booleans()):
                detail[name] = draw(st.integers(0, most))
        body |= detail
    else:
        detail = {"sentiment": draw(st.sampled_from(["positive", "neutral", "negative"])),
                  "comment": draw(st.none() | _said)}  # fmt: skip
        body |= detail
    return Sent(body, Expected(kind, identity, moment, sender, content, metadata or {}, detail, files))


_WRONG: dict[str, dict[str, list[Any]]] = {
    "message": {"content": [None, 5, "", " \n\u2003", "a\0b", ["x"]], "sender": ["robot", None, 1, "AGENT"]},
    "action": {
        "action_name": ["", " ", "a" * 256, "\0", None],
        "duration_ms": [-1, 1.5, 366 * 86_400_000 + 1, "5", True],
        "error_msg": ["\0", 5],
        "tools_used": [{"a": ["\0"]}],
        "started_at": ["soon"],
    },
    "button": {"label": ["", "a" * 2001, None], "value": ["\t", 7], "button_event": ["a" * 256, None]},
    "attachments": {
        "attachments": [
            [], None, 5, [{}], [{"filename": "a"}], [{"filename": "", "data": "YQ=="}],
            [{"filename": "a", "data": "YQ"}], [{"filename": "a", "data": "@@@="}], [{"filename": "a", "data": ""}],
            [{"filename": "a", "data": "YQ=="}, {"filename": "a\0", "data": "YQ=="}],
            [{"filename": "a", "data": "YQ=="}] * 51,
        ],
        "sender": ["robot"],
    },
    "token_usage": {"prompt_tokens": [-1, 1.5, 10**9 + 1, "many", 10**30],
        "cached_tokens": [-1, 10**9 + 1], "reasoning_tokens": [True, "5"], "model": [5, "m" * 256, "\0"]},
    "feedback": {"sentiment": ["meh", None, 1], "comment": ["c" * 5001, "\0", 5], "source": ["robot"]},
}  # fmt: skip
_WRONG_ANYWHERE: dict[str, list[Any]] = {
    "id": ["not a uuid", 5, UUIDS[0] + "0", ["x"], ""],
    "timestamp": ["yesterday", 5, "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "",
                  "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", {}],
    "metadata": [5, [], "{}", {"a": "\0"}, {"\0": 1}, {"a": {"b": ["\0"]}}, {"a": "x" * 1_048_570}, {"a": HUGE},
                 {"deep": None}],
    "type": ["mystery", None, 5, "Message"],
    "colour": ["red", None],
}  # fmt: skip
for _ in range(70):
    _WRONG_ANYWHERE["metadata"][-1] = {"deep": _WRONG_ANYWHERE["metadata"][-1]}


@st.composite
def wrong_items(draw: st.DrawFn) -> Sent:
    """An item that must be refused, alone."""
    if draw(st.integers(0, 9)) == 0:
        return Sent(draw(st.sampled_from([5, None, [], "message", {}, True])), None)
    body = copy.deepcopy(draw(right_items()).body)
    own = _WRONG[body["type"]]
    wrong = draw(st.sampled_from([own, _WRONG_ANYWHERE]))
    field = draw(st.sampled_from(sorted(wrong)))
    body[field] = draw(st.sampled_from(wrong[field]))
    return Sent(body, None)


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """A conversation's own fields, right ones."""
    optional = {
        "name": _text, "customer_id": _text, "source": _text, "language": _text,
        "device": st.sampled_from(["desktop", "mobile", "tablet"]),
        "environment": st.sampled_from(["production", "development"]),
        "metadata": st.dictionaries(st.sampled_from("abcd"), _json, max_size=3),
        "is_used": st.booleans(), "started_at": _moment.map(iso),
    }  # fmt: skip
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=4))
    return {name: draw(optional[name]) for name in sorted(chosen)}


# A conversation with one of these is refused with all that it holds.
WRONG_FIELDS: tuple[dict[str, Any], ...] = (
    {"conversation_id": ""}, {"conversation_id": " \t"}, {"conversation_id": None}, {"conversation_id": 5},
    {"conversation_id": "a\0"}, {"conversation_id": "a" * 256}, {"device": "fridge"}, {"environment": "test"},
    {"metadata": []}, {"metadata": {"a": "\0"}}, {"metadata": {"a": HUGE}},
    {"is_used": "yes"}, {"name": "n" * 256}, {"customer_id": "\0"},
    {"started_at": "1969-01-01T00:00:00Z"}, {"timestamp": "never"}, {"source": 5}, {"items": 5}, {"items": None},
    {"colour": "red"}, {"messages": []},
)  # fmt: skip


# A form with one of these is refused; the empty one has no file.
WRONG_FORMS: tuple[dict[str, str], ...] = (
    {}, {"conversation_id": " "}, {"conversation_id": "x" * 256}, {"conversation": "chat"}, {"sender": "robot"},
    {"conversation": "9223372036854775807"}, {"mode": "fax"}, {"timestamp": "soon"},
    {"timestamp": "1969-01-01T00:00:00Z"}, {"metadata": "[]"}, {"metadata": "{"}, {"metadata": '{"a": "\\u0000"}'},
    {"message": "\0"}, {"colour": "red"},
)  # fmt: skip


class SentConversation(NamedTuple):
    """A conversation in a batch; `right` False: all of it must be refused."""

    name: str
    fields: dict[str, Any]
    items: list[Sent]
    right: bool

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that is sent."""
        return {"conversation_id": self.name, "items": [each.body for each in self.items], **self.fields}


@st.composite
def conversations(draw: st.DrawFn) -> SentConversation:
    """A conversation with items, mostly right."""
    right = draw(st.integers(0, 7)) > 0
    sent = draw(fields()) | ({} if right else draw(st.sampled_from(WRONG_FIELDS)))
    item = st.one_of(right_items(), right_items(), right_items(), wrong_items())
    return SentConversation(draw(st.sampled_from(NAMES)), sent, draw(st.lists(item, max_size=5)), right)


batches = st.lists(conversations(), max_size=4)
