"""JSON bodies into typed structs. msgspec says yes quickly; where it says no, the fields are gone through by our own
table of checks, so that every mistake is known as data, and nothing depends on how a library words its errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from agentsight_server.domain.errors import Invalid, malformed
from agentsight_server.domain.problems import Code, Problem, either

T = TypeVar("T")

MOST_PROBLEMS = 20
"""So many are named; a body with more has been named enough."""
_LONGEST_NAME = 100
_LONGEST_NUMBER = 4_000  # digits; above, Python itself refuses


class _Huge:
    """A number that is right in JSON and too large to keep, such as 1e999."""


_HUGE = _Huge()
_GIVEN: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a decimal number",
    dict: "an object",
    list: "a list",
    type(None): "null",
    _Huge: "a number that is too large",
}
_WORDS = {True: "true", False: "false"}
_TAKEN: dict[type, tuple[str, tuple[type, ...]]] = {
    inspect.StrType: ("text", (str,)),
    inspect.IntType: ("a whole number", (int,)),
    inspect.FloatType: ("a number", (float, int)),
    inspect.BoolType: ("true or false", (bool,)),
    inspect.DateTimeType: ("a time", (str,)),
    inspect.LiteralType: ("text", (str,)),
    inspect.ListType: ("a list", (list,)),
    inspect.DictType: ("an object", (dict,)),
    inspect.StructType: ("an object", (dict,)),
    inspect.NoneType: ("null", (type(None),)),
}


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON into the decoder's type.

    Raises:
        Invalid: fields do not fit; each is named with what it takes.
        RequestError: 400, the body is not JSON.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        whole = without_surrogates(body)
        value = loosely(whole)
    found = problems(value, decoder.type)
    if whole is not body:
        found = [*islice(_with_nul("", value), MOST_PROBLEMS - len(found)), *found]
    raise Invalid(*(found or [Problem("", Code.OTHER)])) from None


def loosely(body: bytes | msgspec.Raw) -> Any:
    """JSON as it is, whatever its fields are; numbers that are too large to keep stand out for problems().

    Raises:
        RequestError: 400, it is not JSON.
    """
    try:
        try:
            return _loose.decode(body)
        except (
            msgspec.ValidationError
        ):  # a whole number of thousands of digits, of which it does not say the place
            return json.loads(bytes(body), parse_float=_number, parse_int=_whole_number)
    except UnicodeDecodeError:
        raise malformed(Code.NOT_UTF8) from None
    except RecursionError:
        raise malformed(Code.TOO_DEEP) from None
    except ValueError as error:
        # For the eye alone: where in the text it stops being JSON.
        said = str(error).removeprefix("JSON is malformed: ")
        raise malformed(Code.MALFORMED_JSON, said) from None


_ESCAPES = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|\\(?!u[dD][89a-fA-F]).)"  # any other escape, a backslash among them
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)


def without_surrogates(body: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
    """The JSON with U+0000 in place of every half of a surrogate pair; the very same object where there is none.

    Such halves come from programs that cut text in the midst of an emoji. No decoder takes them, so that one of them
    would have a whole body refused without a word where it is; U+0000 is refused in every field, by name.
    """
    if isinstance(body, msgspec.Raw) or not re.search(rb"\\u[dD][89a-fA-F]", body):
        return body
    mended = _ESCAPES.sub(lambda found: found[1] or b"\\u0000", body)
    return body if mended == body else mended


def _with_nul(path: str, value: Any) -> Iterator[Problem]:
    """Where without_surrogates() has put something."""
    left = [(path, value)]
    while left:
        under, each = left.pop()
        if isinstance(each, str) and "\0" in each:
            yield Problem(under, Code.SURROGATE)
        elif isinstance(each, dict):
            for name, inner in each.items():
                left.append((_under(under, name[:_LONGEST_NAME].replace("\0", "\ufffd")), inner))
                if "\0" in name:
                    left.append((under, name))
        elif isinstance(each, list):
            left += [(_under(under, str(index)), inner) for index, inner in enumerate(each)]


def _number(text: str) -> Any:
    number = float(text)
    return number if math.isfinite(number) else _HUGE


def _whole_number(text: str) -> Any:
    return int(text) if len(text) <= _LONGEST_NUMBER else _HUGE


_loose = msgspec.json.Decoder(float_hook=_number)


def problems(value: Any, kind: Any) -> list[Problem]:
    """What of a decoded value does not fit a type, field by field, in the order of the type's fields.

    Example:
        >>> from typing import Literal
        >>> class Body(msgspec.Struct):
        ...     device: Literal["desktop", "mobile"]
        >>> [str(each) for each in problems({"device": "fridge"}, Body)]
        ["takes desktop or mobile, not 'fridge'"]
    """
    return list(islice(_check("", value, _type_of(kind)), MOST_PROBLEMS))


@lru_cache(maxsize=256)
def _type_of(kind: Any) -> inspect.Type:
    _note_choices(kind, set())
    return inspect.type_info(kind)


_CHOICES: dict[frozenset[Any], tuple[Any, ...]] = {}


def _note_choices(hint: Any, seen: set[Any]) -> None:
    """Keep the order in which choices were written: it is how they are told, and inspection sorts them."""
    if get_origin(hint) is Literal:
        _CHOICES.setdefault(frozenset(get_args(hint)), get_args(hint))
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint not in seen:
        seen.add(hint)
        for each in get_type_hints(hint).values():
            _note_choices(each, seen)
    else:
        for each in get_args(hint):
            _note_choices(each, seen)


def _in_order(kind: inspect.LiteralType) -> tuple[Any, ...]:
    return _CHOICES.get(frozenset(kind.values), kind.values)


def _check(path: str, value: Any, kind: inspect.Type) -> Iterator[Problem]:
    what, given = type(kind), type(value)
    if isinstance(kind, inspect.Metadata):
        yield from _check(path, value, kind.type)
        return
    if isinstance(kind, inspect.UnionType):
        kinds = [each.type if isinstance(each, inspect.Metadata) else each for each in kind.types]
        if given is dict and (structs := [each for each in kinds if isinstance(each, inspect.StructType)]):
            yield from _tagged(path, value, structs)
            return
        fitting = next((each for each in kinds if given in _TAKEN[type(each)][1]), None)
        if fitting is None:
            yield _another_type(path, value, kinds)
            return
        kind, what = fitting, type(fitting)
    elif what is inspect.AnyType or what is inspect.RawType:
        yield from _huge(path, value)
        return
    elif given not in _TAKEN[what][1]:
        yield _another_type(path, value, [kind])
        return
    check = _CHECKS.get(what)
    if check is not None:
        yield from check(path, value, kind)


def _another_type(path: str, value: Any, kinds: Sequence[inspect.Type]) -> Problem:
    if value is _HUGE and any(isinstance(each, inspect.IntType | inspect.FloatType) for each in kinds):
        return Problem(path, Code.NUMBER)
    choices = [each for each in kinds if isinstance(each, inspect.LiteralType)]
    if choices:
        return Problem(path, Code.CHOICE, either(map(str, _in_order(choices[0]))), _given(value))
    if any(isinstance(each, inspect.DateTimeType) for each in kinds):
        return Problem(path, Code.TIME, given=_given(value))
    taken = dict.fromkeys(_TAKEN[type(each)][0] for each in kinds if not isinstance(each, inspect.NoneType))
    return Problem(path, Code.TYPE, " or ".join(taken), _given(value))


def _given(value: Any) -> str:
    return _WORDS[value] if isinstance(value, bool) else _GIVEN[type(value)]


def _text(path: str, value: str, kind: inspect.StrType) -> Iterator[Problem]:
    if kind.max_length is not None and len(value) > kind.max_length:
        yield Problem(path, Code.TOO_LONG, kind.max_length)
    elif (kind.min_length and len(value) < kind.min_length) or (
        kind.pattern and not re.search(kind.pattern, value)
    ):
        yield Problem(path, Code.BLANK)


def _whole(path: str, value: int, kind: inspect.IntType) -> Iterator[Problem]:
    least = kind.ge if kind.ge is not None else None if kind.gt is None else kind.gt + 1
    most = kind.le if kind.le is not None else None if kind.lt is None else kind.lt - 1
    if least is not None and value < least:
        yield Problem(path, Code.AT_LEAST, least)
    elif most is not None and value > most:
        yield Problem(path, Code.AT_MOST, most)


def _choice(path: str, value: str, kind: inspect.LiteralType) -> Iterator[Problem]:
    if value not in kind.values:
        yield Problem(path, Code.CHOICE, either(map(str, _in_order(kind))), repr(value))


def _time(path: str, value: str, kind: inspect.Type) -> Iterator[Problem]:
    try:
        msgspec.convert(value, datetime)
    except (msgspec.ValidationError, OverflowError):
        yield Problem(path, Code.TIME)


def _list(path: str, value: list[Any], kind: inspect.ListType) -> Iterator[Problem]:
    if kind.max_length is not None and len(value) > kind.max_length:
        yield Problem(path, Code.TOO_MANY, f"{kind.max_length:,} entries")
    elif kind.min_length and len(value) < kind.min_length:
        yield Problem(path, Code.EMPTY)
    else:
        for index, each in enumerate(value):
            yield from _check(_under(path, str(index)), each, kind.item_type)


def _dict(path: str, value: dict[str, Any], kind: inspect.DictType) -> Iterator[Problem]:
    if type(kind.value_type) is inspect.AnyType:
        yield from _huge(path, value)
        return
    for name, each in value.items():
        yield from _check(_under(path, name[:_LONGEST_NAME]), each, kind.value_type)


def _struct(path: str, value: dict[str, Any], kind: inspect.StructType) -> Iterator[Problem]:
    for field in kind.fields:
        under = _under(path, field.encode_name)
        if field.encode_name in value:
            yield from _check(under, value[field.encode_name], field.type)
        elif field.required:
            yield Problem(under, Code.REQUIRED)
    if kind.tag_field and (tag := value.get(kind.tag_field, kind.tag)) != kind.tag:
        # A single kind, whose name may be left out.
        given = repr(tag) if isinstance(tag, str) else _given(tag)
        yield Problem(_under(path, kind.tag_field), Code.CHOICE, str(kind.tag), given)
    if kind.forbid_unknown_fields:
        known = [field.encode_name for field in kind.fields]
        named = {*known, kind.tag_field}
        # Of items it would be said a thousand times.
        there = "" if path or kind.tag_field else ", ".join(sorted(known))
        for name in value:
            if name not in named:
                yield Problem(_under(path, name[:_LONGEST_NAME]), Code.UNKNOWN_FIELD, there)


def _tagged(path: str, value: dict[str, Any], kinds: list[inspect.StructType]) -> Iterator[Problem]:
    name = kinds[0].tag_field
    if name is None:
        yield from _struct(path, value, kinds[0])
        return
    tags = [str(each.tag) for each in kinds]
    if name not in value:
        yield Problem(_under(path, name), Code.REQUIRED, either(tags))
    elif type(value[name]) is not str:
        yield Problem(_under(path, name), Code.CHOICE, either(tags), _given(value[name]))
    elif value[name] not in tags:
        yield Problem(_under(path, name), Code.CHOICE, either(tags), repr(value[name]))
    else:
        yield from _struct(path, value, kinds[tags.index(value[name])])


def _huge(path: str, value: Any) -> Iterator[Problem]:
    """Numbers that are too large, wherever they hide. Not by recursion: it may be deep."""
    left = [(path, value)]
    while left:
        under, each = left.pop()
        if each is _HUGE:
            yield Problem(under, Code.NUMBER)
        elif type(each) is dict:
            left += [(_under(under, name[:_LONGEST_NAME]), inner) for name, inner in each.items()]
        elif type(each) is list:
            left += [(_under(under, str(index)), inner) for index, inner in enumerate(each)]


_CHECKS: dict[type, Callable[[str, Any, Any], Iterator[Problem]]] = {
    inspect.StrType: _text,
    inspect.IntType: _whole,
    inspect.LiteralType: _choice,
    inspect.DateTimeType: _time,
    inspect.ListType: _list,
    inspect.DictType: _dict,
    inspect.StructType: _struct,
}


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
