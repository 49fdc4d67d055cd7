"""What is wrong with a request, said so that the caller can mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?:\$|key in \$)(?P<path>[^`]*)`)?$", re.DOTALL)
_LONGEST_NAME = 100
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "an ISO 8601 time such as 2026-01-31T12:00:00Z",
    "null": "null",
}


class RequestError(Exception):
    """A request that is answered with `status` and a JSON body that says why."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})


class Invalid(RequestError):
    """400: the named fields hold what they cannot take.

    Example:
        >>> Invalid({"device": ["takes desktop, mobile or tablet"]}).status
        400
    """

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(400, errors)
        self.errors = dict(errors)


def malformed(detail: str) -> RequestError:
    """400 for a body that cannot be read at all."""
    return RequestError(400, {"detail": detail})


def not_found(detail: str = "not found") -> RequestError:
    """404, also for what belongs to somebody else."""
    return RequestError(404, {"detail": detail})


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], choices: Mapping[str, str]) -> T:
    """Decode JSON into the decoder's type.

    Raises:
        Invalid: a field does not fit; it is named, with what it takes.
        RequestError: 400, the body is not JSON.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(explain(str(error), choices, _fields_of(decoder))) from None
    except UnicodeDecodeError:
        raise malformed("the body is not valid UTF-8") from None
    except RecursionError:
        raise malformed("the JSON is nested too deeply") from None
    except msgspec.DecodeError as error:
        if b"\\ud" in bytes(body).lower():
            raise malformed("malformed JSON: a lone surrogate (\\ud800 to \\udfff) is no text") from None
        raise malformed(f"malformed JSON: {str(error).removeprefix('JSON is malformed: ')}") from None


def _fields_of(decoder: msgspec.json.Decoder[Any]) -> Sequence[str]:
    return getattr(decoder.type, "__struct_encode_fields__", ())


def explain(message: str, choices: Mapping[str, str], known: Sequence[str] = ()) -> dict[str, list[str]]:
    """Turn msgspec's message into {field: [what it takes]}; `known` are the fields of the whole body.

    Example:
        >>> explain("Expected `str`, got `int` - at `$.name`", {})
        {'name': ['takes text, not a whole number']}
    """
    match = _PATH.match(message)
    assert match is not None
    what, path = match["what"], (match["path"] or "").lstrip(".")
    # A list's place is part of the name; "[...]" is a place that is not told.
    path = re.sub(r"\[(\d+)\]", r".\1", path.replace("[...]", "")).lstrip(".")
    missing = re.match(r"Object missing required field `(\w+)`", what)
    if missing:
        field = f"{path}.{missing[1]}" if path else missing[1]
        return {field: ["is required"]}
    unknown = re.match(r"Object contains unknown field `(.*)`$", what, re.DOTALL)
    if unknown:
        field = unknown[1][:_LONGEST_NAME]
        if path or not known:
            return {f"{path}.{field}" if path else field: ["is not known here"]}
        return {field: [f"is not known here; there are: {', '.join(sorted(known))}"]}
    name = path.rsplit(".", 1)[-1]
    return {path or "detail": [_say(what, name, choices)]}


def _say(what: str, name: str, choices: Mapping[str, str]) -> str:
    if what.startswith(("Invalid enum value", "Invalid value")):
        given = what.partition("value ")[2]
        return f"takes {choices[name]}, not {given}" if name in choices else f"cannot be {given}"
    if what.startswith("Invalid RFC3339"):
        return f"takes {_KINDS['datetime']}"
    length = re.match(r"Expected `(\w+)` of length ([<>]=?) (\d+)", what)
    if length:
        kind = "characters" if length[1] == "str" else "entries"
        if length[2].startswith(">"):
            return "must not be blank" if length[1] == "str" else "must not be empty"
        return f"takes at most {int(length[3]):,} {kind}"
    if "matching regex" in what:
        return "must not be blank"
    bound = re.match(r"Expected `int` ([<>]=?) (-?\d+)", what)
    if bound:
        return f"takes a whole number, {'at least' if '>' in bound[1] else 'at most'} {bound[2]}"
    kinds = re.match(r"Expected `([^`]+)`(?:, got `([^`]+)`)?", what)
    if kinds:
        wanted = [_KINDS.get(kind, kind) for kind in kinds[1].split(" | ") if kind != "null"]
        got = _KINDS.get(kinds[2] or "", kinds[2])
        return f"takes {' or '.join(wanted)}" + (f", not {got}" if got else "")
    return what[:1].lower() + what[1:]
