"""Wrong bodies: every mistake is found as data, by our own table of checks, and that table agrees with the decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields as fields_of

from agentsight_server.api import erasures, keys, managing
from agentsight_server.contract import decoding
from agentsight_server.contract.decoding import MOST_PROBLEMS, decode, loosely, problems
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.problems import Code
from agentsight_server.ingest import request_schemas

BODIES: list[type[msgspec.Struct]] = [
    request_schemas.ConversationFields,
    request_schemas.ConversationIn,
    request_schemas.TrackIn,
    request_schemas.ActionCall,
    request_schemas.ButtonCall,
    request_schemas.AttachmentsCall,
    request_schemas.FeedbackCall,
    request_schemas.FeedbackIn,
    managing.MarkIn,
    managing.RenameIn,
    managing.UpdateIn,
    keys.NewKey,
    keys.KeyChange,
    erasures.ErasureIn,
    erasures.RetentionIn,
]
ITEM_KINDS: dict[str, Any] = {each.__name__: each for each in get_args(request_schemas.ItemIn)}
DECODERS = {each.__name__: msgspec.json.Decoder(each) for each in BODIES}
NAMES = sorted({name for each in BODIES for name in each.__struct_encode_fields__})

# As JSON, for some of it has no Python value: numbers that no machine keeps.
LEAVES = st.one_of(
    st.sampled_from(
        [
            "null", "true", "false", "0", "-1", "1", "1.0", "1.5", "1e3", "1e999", "-1e999", "9" * 30, "9" * 5000,
            '""', '" "', '"x"', '"' + "x" * 300 + '"', '"\\u0000"', '"\\u00e9"', "[]", "{}", "[1]", '{"a": 1e999}',
            '"2026-01-31T12:00:00Z"', '"2026-01-31"', '"2026-13-31T12:00:00Z"', '"0000-01-01T00:00:00Z"',
            *(f'"{name}"' for name in (
                "end_user", "agent", "production", "desktop", "positive", "customer", "base64", "shortened", "ingest",
            )),
        ]
    ),
    st.integers(-(10**12), 10**12).map(str),
    st.text(max_size=5).map(lambda text: msgspec.json.encode(text).decode()),
)  # fmt: skip


def text(fields: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"


def objects(values: st.SearchStrategy[str], names: list[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(names), values, max_size=6).map(text)


TYPES = ['"message"', '"action"', '"button"', '"attachments"', '"token_usage"', '"feedback"', '"robot"', "7"]
ITEMS = st.builds(
    lambda kind, rest: rest.replace("{", f'{{"type": {kind}, ', 1).replace(", }", "}"),
    st.sampled_from(TYPES),
    objects(LEAVES, NAMES),
)
VALUES = st.one_of(LEAVES, LEAVES, objects(LEAVES, NAMES), st.lists(ITEMS | LEAVES, max_size=3).map(
    lambda items: f"[{', '.join(items)}]"
))  # fmt: skip


RIGHT: dict[str, dict[str, str]] = {
    "ConversationFields": {"conversation_id": '"c"'},
    "ConversationIn": {"conversation_id": '"c"'},
    "ActionCall": {"action_name": '"a"'},
    "ButtonCall": {"button_event": '"b"', "label": '"l"', "value": '"v"'},
    "AttachmentsCall": {"attachments": '[{"filename": "a", "data": ""}]'},
    "FeedbackCall": {"sentiment": '"positive"'},
    "FeedbackIn": {"sentiment": '"positive"'},
    "MarkIn": {"is_marked": "true"},
    "RenameIn": {"name": '"n"'},
    "NewKey": {"role": '"ingest"'},
    "MessageIn": {"sender": '"agent"', "content": '"x"'},
    "ActionIn": {"action_name": '"a"'},
    "ButtonIn": {"button_event": '"b"', "label": '"l"', "value": '"v"'},
    "AttachmentsIn": {"attachments": '[{"filename": "a", "data": ""}]'},
}


def agree(body: bytes, decoder: msgspec.json.Decoder[Any]) -> bool:
    """Whether a body is right, of which decoder and table have to think the same."""
    try:
        decoder.decode(body)
        is_right = True
    except msgspec.ValidationError:
        is_right = False
    found = problems(loosely(body), decoder.type)
    assert (found == []) is is_right, (body[:200], found)
    assert all(each.code is not Code.OTHER and str(each) for each in found)
    return is_right


@pytest.mark.parametrize("kind", DECODERS)
@given(data=st.data())
def test_what_is_refused_is_explained_and_what_is_right_is_not(kind: str, data: st.DataObject) -> None:
    decoder = DECODERS[kind]
    known = [*(field.encode_name for field in fields_of(decoder.type)), "type", "colour"]
    changed = data.draw(st.dictionaries(st.sampled_from(known), VALUES, max_size=3))
    body = data.draw(st.just(text(RIGHT.get(kind, {}) | changed)) | VALUES).encode()
    agree(body, decoder)


def edges(kind: Any) -> list[str]:
    """Values at the bounds of a type, and one beyond."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return [each for inner in kind.types for each in edges(inner)]
    if isinstance(kind, msgspec.inspect.IntType):
        bounds = [each for each in (kind.ge, kind.le, kind.gt, kind.lt) if each is not None]
        return [str(bound + by) for bound in bounds for by in (-1, 0, 1)]
    if isinstance(kind, msgspec.inspect.StrType) and kind.max_length:
        return [f'"{"x" * (kind.max_length + by)}"' for by in (0, 1)]
    if isinstance(kind, msgspec.inspect.ListType) and kind.max_length:
        inner = '{"filename": "a", "data": ""}'
        return [f"[{', '.join([inner] * (kind.max_length + by))}]" for by in (0, 1)]
    return []


@pytest.mark.parametrize("kind", [*DECODERS, *ITEM_KINDS])
def test_bounds_are_where_they_are(kind: str) -> None:
    body = ITEM_KINDS.get(kind) or next(each for each in BODIES if each.__name__ == kind)
    decoder = msgspec.json.Decoder(body)
    assert agree(text(RIGHT.get(kind, {})).encode(), decoder)
    info = msgspec.inspect.type_info(body)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        for value in edges(field.type):
            agree(text(RIGHT.get(kind, {}) | {field.encode_name: value}).encode(), decoder)


def test_a_single_kind_takes_its_own_name_and_no_other() -> None:
    decoder = DECODERS["FeedbackIn"]
    assert agree(b'{"type": "feedback", "sentiment": "positive"}', decoder)
    assert agree(b'{"sentiment": "positive"}', decoder)
    for other in ('"message"', '""', "null", "0", "[]"):
        assert not agree(text({"type": other, "sentiment": '"positive"'}).encode(), decoder)


def told(body: str, kind: type[msgspec.Struct] = request_schemas.ConversationIn) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        decode(body.encode(), msgspec.json.Decoder(kind))
    return caught.value.errors


def test_every_wrong_field_is_named_with_what_it_takes() -> None:
    body = """{"conversation_id": " ", "device": "fridge", "language": 7, "is_used": null, "metadata": [],
        "adjusted": [{"field": "x", "code": "eaten", "count": 0}, {"code": "shortened"}], "colour": "red",
        "timestamp": "soon", "started_at": 5}"""
    said = told(body)
    assert said.pop("colour")[0].startswith("is not known here; there are: adjusted, conversation_id, ")
    assert said == {
        "conversation_id": ["must not be blank"],
        "device": ["takes desktop, mobile or tablet, not 'fridge'"],
        "language": ["takes text, not a whole number"],
        "metadata": ["takes an object, not a list"],
        "timestamp": ["takes an ISO 8601 time such as 2026-01-31T12:00:00Z"],
        "started_at": ["takes an ISO 8601 time such as 2026-01-31T12:00:00Z, not a whole number"],
        "adjusted.0.code": ["takes shortened, cleaned, replaced or left_out, not 'eaten'"],
        "adjusted.0.count": ["takes a whole number, at least 1"],
        "adjusted.1.field": ["is required"],
    }
    assert told("[]") == {"detail": ["takes an object, not a list"]}
    assert told('{"items": [7, {"type": "robot"}, {}]}') == {
        "conversation_id": ["is required"],
        "items.0": ["takes an object, not a whole number"],
        "items.1.type": ["takes message, action, button, attachments, token_usage or feedback, not 'robot'"],
        "items.2.type": ["is required: message, action, button, attachments, token_usage or feedback"],
    }


def test_numbers_that_nothing_can_keep_are_found_where_they_hide() -> None:
    assert told('{"conversation_id": "c", "metadata": {"a": [1, {"b": 1e999}]}}') == {
        "metadata.a.1.b": ["holds a number that is too large to keep"]
    }
    found = told('{"conversation_id": "c", "metadata": {"a": ' + "9" * 5000 + "}}")
    assert found == {"metadata.a": ["holds a number that is too large to keep"]}


def test_half_a_surrogate_pair_is_found_where_it_hides() -> None:
    metadata = r'{"\uD83D": {"a": ["\udc00"]}, "b": "\ud83d\ude00"}'
    body = rf'{{"conversation_id": "c", "name": "\ud83d", "metadata": {metadata}}}'
    assert {*told(body)} == {"name", "metadata", "metadata.\ufffd.a.0"}
    assert "surrogate" in told(body)["name"][0]


def test_of_many_mistakes_some_are_named() -> None:
    items = ", ".join(['{"type": "message", "content": 7}'] * 500)
    assert len(told(f'{{"conversation_id": "c", "items": [{items}]}}')) == MOST_PROBLEMS


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", Code.MALFORMED_JSON),
        (b'{"a": }', Code.MALFORMED_JSON),
        (b'{"name": 7} rest', Code.MALFORMED_JSON),
        (b'{"a": NaN}', Code.MALFORMED_JSON),
        (b'{"name": "\xff"}', Code.NOT_UTF8),
        (b"[" * 100_000, Code.TOO_DEEP),
    ],
)
def test_what_is_no_json_is_refused_as_a_whole(body: bytes, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        decode(body, DECODERS["RenameIn"])
    assert (caught.value.status, list(caught.value.body), caught.value.problems[0].code) == (
        400,
        ["detail"],
        code,
    )


class Described(msgspec.Struct):
    """What documentation adds to types changes no check."""

    name: Annotated[str, msgspec.Meta(max_length=3, examples=["abc"])] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, description="how many")] = 1


def test_what_documentation_adds_to_a_type_changes_no_check() -> None:
    found = problems({"name": "abcd", "count": 0}, Described)
    assert [(each.field, each.code) for each in found] == [("name", Code.TOO_LONG), ("count", Code.AT_LEAST)]
    assert problems({"name": "abc", "count": 1}, Described) == []


def test_every_kind_of_type_has_its_check() -> None:
    """A body with a field of a new kind needs a line in the table."""

    def kinds(kind: Any) -> set[type]:
        inner = [*getattr(kind, "types", ()), *(field.type for field in getattr(kind, "fields", ()))]
        inner += [each for name in ("item_type", "value_type", "type") if (each := getattr(kind, name, None))]
        return {type(kind)}.union(*map(kinds, inner))

    found = set().union(*(kinds(msgspec.inspect.type_info(each)) for each in BODIES))
    there = {*decoding._TAKEN, msgspec.inspect.AnyType, msgspec.inspect.UnionType, msgspec.inspect.Metadata}
    assert {each.__name__ for each in found - there} == set()
