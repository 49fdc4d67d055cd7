"""Makes of a wrong value what can be kept of it. Loaded when a call went wrong and `strict` is off.

Each function takes a field's name, its value and the notes in which it writes what it changed; it gives a value that
the strict checks take, or None where nothing can be kept. What a value does on its own (a broken `__str__`, say)
may come out as an exception: the caller leaves that field out.
"""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice

from agentsight.exceptions import AgentSightError
from agentsight.items.encoding import plain, quote
from agentsight.items.validation import (
    JSON_DEPTH,
    JSON_LENGTH,
    MOST_MILLISECONDS,
    NAME_LENGTH,
    happened,
    metadata_text,
    small_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "CLEANED",
    "LEFT_OUT",
    "REPLACED",
    "SHORTENED",
    "Notes",
    "dictionary",
    "first_of",
    "identity",
    "json_value",
    "long_text",
    "moment",
    "number",
    "short_text",
]

MARK = "…"  # stands where something was cut
SHORTENED, CLEANED, REPLACED, LEFT_OUT = "shortened", "cleaned", "replaced", "left_out"
_ROOM_FOR_MARKS = 2048  # bytes: one for each level
_LONGEST_NUMBER = 300  # digits


class Notes:
    """What was changed: how often which field in which way."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, field: str, code: str, count: int = 1) -> None:
        """Note a change."""
        self.counts[field, code] = self.counts.get((field, code), 0) + count


def short_text(notes: Notes, field: str, value: object, limit: int = NAME_LENGTH) -> str | None:
    """Text of at most `limit` characters; None where there is none."""
    if value is None:
        return None
    if isinstance(value, str):
        said = str.__str__(value)
    else:
        said = _as_text(value)
        notes.add(field, REPLACED)
    tidy = _clean(said)
    if tidy != said:
        notes.add(field, CLEANED)
    if len(tidy) > limit:
        tidy = tidy[: limit - 1] + MARK
        notes.add(field, SHORTENED)
    if not tidy or tidy.isspace():
        if said and not said.isspace():
            notes.add(field, LEFT_OUT)
        return None
    return tidy


def long_text(limit: int) -> Any:
    """`words` of another limit."""
    return lambda notes, field, value: short_text(notes, field, value, limit)


def identity(notes: Notes, field: str, value: object) -> str | None:
    """A name that others must not be mixed up with: what is cut off or replaced leaves a hash of the whole."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, bool) or not (
        isinstance(value, (str, int)) or type(value).__name__ in ("UUID", "ObjectId", "Decimal")
    ):
        notes.add(field, LEFT_OUT)  # its text may be the same for everybody, or another one each time
        return None
    said = str.__str__(value) if isinstance(value, str) else _as_text(value)
    tidy = short_text(notes, field, value)
    if tidy is None or tidy == said:
        return tidy
    from hashlib import sha256

    return f"{tidy[: NAME_LENGTH - 17]}-{sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def number(notes: Notes, field: str, value: object, largest: int = MOST_MILLISECONDS) -> int | None:
    """A whole number from 0 to `largest`: rounded, and the nearest that is in there."""
    if type(value) is int and 0 <= value <= largest:
        return value
    found = _whole(value)
    if found is None:
        notes.add(field, LEFT_OUT)
        return None
    notes.add(field, REPLACED)
    return min(max(found, 0), largest)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int.__add__(value, 0)
    if hasattr(value, "total_seconds"):
        value = value.total_seconds() * 1000
    elif isinstance(value, (str, bytes)) and len(value) > 40:
        return None
    found = float(value)
    return round(found) if found - found == 0.0 else None  # neither NaN nor infinite


def moment(notes: Notes, field: str, value: Any) -> datetime | None:
    """A time: naive datetimes are the clock of this machine, numbers seconds or milliseconds since 1970."""
    try:
        return happened(field, value)
    except AgentSightError:
        pass
    if isinstance(value, datetime):
        found = happened(field, value.astimezone())
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if value > 1e11 else value
        found = happened(field, datetime.fromtimestamp(seconds, timezone.utc))
    else:
        notes.add(field, LEFT_OUT)
        return None
    notes.add(field, REPLACED)
    return found


def dictionary(notes: Notes, field: str, value: object) -> dict[str, Any] | None:
    """`metadata`: a dict of what fits JSON. Something else becomes its `value`."""
    try:
        metadata_text(field, value)
        if value is None or type(value) is dict:
            return value
    except Exception:  # noqa: S110 - whatever is wrong with it, it is looked at more closely below
        pass
    fits = json_value(notes, field, value)
    if isinstance(fits, dict) or fits is None:
        return fits
    notes.add(field, REPLACED)
    return {"value": fits}


def json_value(notes: Notes, field: str, value: object) -> Any:
    """A value that fits JSON, and its limits; None where nothing does."""
    try:
        small_text(field, value)
    except Exception:
        return _Fitting(notes, field).fit(value, 1)
    return value


class _Fitting:
    """A walk through a value that keeps what fits."""

    def __init__(self, notes: Notes, field: str) -> None:
        self.left = JSON_LENGTH - _ROOM_FOR_MARKS  # bytes
        self._seen: set[int] = set()  # what the walk is inside of
        self._codes: set[str] = set()
        self._notes = notes
        self._field = field

    def note(self, code: str) -> None:
        if code not in self._codes:  # once for each call, however many values there are
            self._codes.add(code)
            self._notes.add(self._field, code)

    def fit(self, value: Any, depth: int, hops: int = 0) -> Any:
        """The value as None, a bool, a number, text, a list or a dict."""
        try:
            return self._fit(value, depth, hops)
        except Exception:
            self.note(REPLACED)
            return self._text(f"<{type(value).__name__}>", depth)

    def _fit(self, value: Any, depth: int, hops: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            self.left -= 5
            return value
        if kind is str:
            return self._text(value, depth)
        if isinstance(value, (int, float)):
            return self._number(value)
        if isinstance(value, str):
            return self._text(str.__str__(value), depth)
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return self._nested(value, depth)
        if isinstance(value, (bytes, bytearray)):
            self.note(REPLACED)
            return self._text(_as_text(value), depth)
        if hops > 3:
            raise ValueError("a conversion that leads to another one, and so on")
        try:
            converted = plain(value)
        except Exception:
            self.note(REPLACED)
            return self._text(str.__str__(str(value)), depth)
        return self.fit(converted, depth, hops + 1)

    def _number(self, value: Any) -> Any:
        if isinstance(value, int):
            value = int.__add__(value, 0)
            if value.bit_length() > 3 * _LONGEST_NUMBER:
                self.note(REPLACED)
                return self._text(hex(value)[:_LONGEST_NUMBER] + MARK, 2)
        else:
            value = float.__add__(value, 0.0)
            if value - value != 0.0:  # NaN, infinite
                self.note(REPLACED)
                value = None
        self.left -= len(repr(value))
        return value

    def _text(self, said: str, depth: int) -> str:
        tidy = _clean(said)
        if tidy != said:
            self.note(CLEANED)
        # One long text does not push out all that follows it.
        room = max(self.left if depth == 1 else self.left // 2, 8)
        size = _size(tidy) if len(tidy) * 6 > room - 2 else len(tidy)
        if size > room:
            self.note(SHORTENED)
            tidy = tidy.encode()[: room - 8].decode("utf-8", "ignore")
            while _size(tidy) > room - 4:
                tidy = tidy[: len(tidy) * 3 // 4]
            tidy += MARK
        self.left -= _size(tidy)
        return tidy

    def _nested(self, value: Any, depth: int) -> Any:
        if depth > JSON_DEPTH or id(value) in self._seen or self.left < 16:
            self.note(SHORTENED)
            return MARK
        self._seen.add(id(value))
        self.left -= 2
        try:
            if isinstance(value, dict):
                return self._dict(value, depth)
            items: list[Any] = []
            for each in list(value):
                if self.left < 16:
                    self.note(SHORTENED)
                    items.append(MARK)
                    break
                self.left -= 1
                items.append(self.fit(each, depth + 1))
            return items
        finally:
            self._seen.discard(id(value))

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        for key, each in list(value.items()):
            if self.left < 16:
                self.note(SHORTENED)
                pairs[MARK] = MARK
                break
            self.left -= 2
            pairs[self._key(key)] = self.fit(each, depth + 1)
        return pairs

    def _key(self, key: Any) -> str:
        if type(key) is str:
            return self._text(key, 2)
        if key is None or isinstance(key, bool):
            return self._text({None: "null", True: "true", False: "false"}[key], 2)
        if not isinstance(key, (int, str)):
            self.note(REPLACED)
        try:
            return self._text(_as_text(key) if not isinstance(key, str) else str.__str__(key), 2)
        except Exception:
            return self._text(f"<{type(key).__name__}>", 2)


def first_of(given: Iterable[Any], most: int) -> list[Any]:
    """The first ones, and one more where there are more."""
    return list(islice(given, most + 1))


def _as_text(value: Any) -> str:
    """A value that is no text, as text.

    Raises:
        Exception: its own.
    """
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (dict, list, tuple)):
        from agentsight.items.encoding import encode_json

        return encode_json(_Fitting(Notes(), "").fit(value, 1))
    if isinstance(value, int) and value.bit_length() > 3 * _LONGEST_NUMBER:
        return hex(value)[:_LONGEST_NUMBER] + MARK  # Python refuses to write such numbers in digits
    return str.__str__(str(value))


def _clean(said: str) -> str:
    """Text without what a database cannot keep: NUL characters go, halves of surrogate pairs become U+FFFD."""
    if "\0" in said:
        said = said.replace("\0", "")
    if not said.isascii():
        try:
            said.encode()
        except UnicodeEncodeError:
            # Two halves that belong together, as some decoders leave them, become the character that they are.
            said = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return said


def _size(said: str) -> int:
    """Bytes that a text takes as JSON."""
    return len(quote(said).encode())
