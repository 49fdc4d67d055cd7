"""Checks at the call: a wrong value raises here, naming the argument, never in a batch later.

The limits are the server's. What passes here is what the server takes.
"""

from __future__ import annotations

from agentsight.exceptions import InvalidConversationDataException, MissingConversationIdException
from agentsight.items.choices import ENVIRONMENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    # What waits for JSON: text that is JSON already, a plain text in a tuple, or a flat dict.
    Json = str | tuple[str] | dict[str, Any]

__all__ = [
    "COMMENT_LENGTH",
    "CONTENT_LENGTH",
    "JSON_DEPTH",
    "JSON_LENGTH",
    "LABEL_LENGTH",
    "LARGEST_INTEGER",
    "MOST_MILLISECONDS",
    "MOST_TOKENS",
    "NAME_LENGTH",
    "choice",
    "conversation_id",
    "environment",
    "happened",
    "json_text",
    "message_name",
    "message_reference",
    "metadata_text",
    "optional_name",
    "optional_text",
    "parts_of",
    "small_dict",
    "small_text",
    "text",
    "timestamp",
    "utc_text",
    "whole",
]

NAME_LENGTH = 255  # characters
CONTENT_LENGTH = 1_048_576  # characters
LABEL_LENGTH = 2_000  # characters
COMMENT_LENGTH = 5_000  # characters
JSON_LENGTH = 1_048_576  # bytes
JSON_DEPTH = 64  # levels
LARGEST_INTEGER = 2**53 - 1  # what every JSON reader keeps exact
MOST_MILLISECONDS = 366 * 86_400_000  # that an action may take
MOST_TOKENS = 1_000_000_000  # of a kind, in one model call

_HEX = frozenset("0123456789abcdef")
SMALL = 1024  # characters of text that need not be JSON yet
MOST_KEYS = 16

Wrong = InvalidConversationDataException


def text(name: str, value: object, limit: int, error: type[Exception] = Wrong) -> str:
    """Required text that is not blank, as a plain `str`.

    Raises:
        error: not text, blank, longer than `limit` characters, or with characters that cannot be stored.
    """
    if type(value) is not str:
        if not isinstance(value, str):
            raise error(f"{name} takes text, not {_kind(value)}")
        value = str.__str__(value)  # a subclass may carry state that changes later
    if not value or value.isspace():
        raise error(f"{name} takes text that is not blank")
    if len(value) > limit:
        raise error(f"{name} takes at most {limit:,} characters, not {len(value):,}")
    if "\0" in value:
        raise error(f"{name} must not contain the NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as problem:
            raise error(f"{name} must not contain half a surrogate pair (at {problem.start})") from None
    return value


def optional_text(name: str, value: object, limit: int, error: type[Exception] = Wrong) -> str | None:
    """Text, or None; blank text counts as none."""
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        return None
    return text(name, value, limit, error)


def optional_name(name: str, value: object) -> str | None:
    """Short text, or None. Whole numbers are taken too: a customer's number is often one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return optional_text(name, value, NAME_LENGTH)


def conversation_id(value: object) -> str:
    """A conversation's text id.

    Raises:
        MissingConversationIdException: None or blank.
        InvalidConversationDataException: not text, or longer than 255 characters.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise MissingConversationIdException
    if isinstance(value, int):
        raise Wrong(
            "conversation_id takes the text id; a number is a database id, "
            "which only ConversationManager and AgentSightAPI take"
        )
    return text("conversation_id", value, NAME_LENGTH)


def choice(name: str, value: object, names: tuple[str, ...], error: type[Exception] = Wrong) -> str:
    """One of `names`, given as text or as a member of an enum."""
    plain = getattr(value, "value", value)
    if isinstance(plain, str) and plain in names:
        return str(plain)
    raise error(f"{name} takes {_listed(names)}, not {_short(value)}")


def environment(value: object, error: type[Exception] = Wrong) -> str:
    """`production` or `development`, also as `prod` and `dev`, in any case, or as a member of `Environment`."""
    plain = getattr(value, "value", value)
    known = ENVIRONMENTS.get(plain.strip().lower()) if isinstance(plain, str) else None
    if known is None:
        raise error(f"environment takes production or development, not {_short(value)}")
    return known


def whole(name: str, value: object, largest: int = LARGEST_INTEGER) -> int:
    """A whole number from 0 to `largest`; `True`, `2.5` and `"2"` are none."""
    if type(value) is int:
        number = value
    else:
        index = None if isinstance(value, bool) else getattr(type(value), "__index__", None)
        if index is None:
            raise Wrong(f"{name} takes a whole number, 0 or more, not {_short(value)}")
        number = index(value)
    if not 0 <= number <= largest:
        raise Wrong(f"{name} takes a whole number from 0 to {largest}, not {_short(number)}")
    return number


def parts_of(whole_name: str, all_of_it: int, **parts: object) -> dict[str, int]:
    """Counts that are parts of another one, those above 0.

    Raises:
        InvalidConversationDataException: one is no count, or larger than the whole.
    """
    counts = {name: whole(name, value or 0, MOST_TOKENS) for name, value in parts.items()}
    for name, count in counts.items():
        if count > all_of_it:
            raise Wrong(
                f"{name} are part of {whole_name}, which must count them too: {count:,} of {all_of_it:,} cannot be"
            )
    return {name: count for name, count in counts.items() if count}


def message_name(name: str, value: object) -> str:
    """A message's UUID as canonical text, from text or a `UUID`."""
    spelled = str(value) if type(value).__name__ == "UUID" else value
    if isinstance(spelled, str) and len(spelled) == 36:
        digits = spelled.lower().split("-")
        if [len(part) for part in digits] == [8, 4, 4, 4, 12] and _HEX.issuperset("".join(digits)):
            return "-".join(digits)
    raise Wrong(f"{name} takes a UUID, as generate_message_id() of agentsight.helpers makes it")


def message_reference(name: str, value: object) -> int | str:
    """Which message is meant: its UUID, or its database id."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value < 2**63:
            return int(value)
        raise Wrong(f"{name} takes a database id from 1")
    try:
        return message_name(name, value)
    except Wrong:
        raise Wrong(
            f"{name} takes the message_id that the message was tracked with, or its database id"
        ) from None


def timestamp(name: str, value: object) -> datetime:
    """A time in UTC from ISO 8601 text or an aware `datetime`; text without an offset is read as UTC.

    Raises:
        InvalidConversationDataException: neither, or not between 1970 and 2199.
    """
    from datetime import datetime, timezone

    takes = f"{name} takes ISO 8601 text such as 2026-08-10T08:34:58Z or an aware datetime"
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise Wrong(f"{takes}; this datetime has no time zone (datetime.now(timezone.utc) has one)")
        moment = value
    elif isinstance(value, str):
        try:
            moment = _from_iso(value)
        except ValueError:
            raise Wrong(f"{takes}, not {_short(value)}") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
    else:
        raise Wrong(f"{takes}, not {_kind(value)}")
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        raise Wrong(f"{name} takes a time from 1970 to 2199") from None
    if not 1970 <= moment.year < 2200:
        raise Wrong(f"{name} takes a time from 1970 to 2199, not {_short(value)}")
    return moment


def happened(name: str, value: object) -> datetime:
    """`timestamp` of something that has happened: a day ahead at most, for clocks that are wrong.

    Raises:
        InvalidConversationDataException: no such time.
    """
    from datetime import datetime, timedelta, timezone

    moment = timestamp(name, value)
    if moment > datetime.now(timezone.utc) + timedelta(days=1):
        raise Wrong(f"{name} takes a time from 1970 on, at most a day ahead, not {_short(value)}")
    return moment


def utc_text(moment: datetime) -> str:
    """ISO 8601 text with `Z` of a time in UTC."""
    return moment.isoformat().replace("+00:00", "Z")


def _from_iso(value: str) -> datetime:
    from datetime import datetime

    given = value.strip()
    if len(given) < 15 or (given[:8].isdigit() is False and given[10:11] not in ("T", "t", " ")):
        raise ValueError(value)  # a day alone is no point in time
    if given[-1] in "zZ":
        given = given[:-1] + "+00:00"
    head, point, tail = given.partition(".")
    if point:
        # Python 3.10 takes three or six decimals and nothing else.
        digits = len(tail) - len(tail.lstrip("0123456789"))
        given = f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"
    return datetime.fromisoformat(given)


def metadata_text(name: str, value: object, error: type[Exception] = Wrong) -> str | None:
    """A dict as JSON text; None for None and for an empty dict.

    The text is made at the call: later changes of the dict do not change what was tracked.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        try:
            value = dict(value)  # type: ignore[call-overload]
        except (TypeError, ValueError):
            raise error(f"{name} takes a dict, not {_kind(value)}") from None
    return json_text(name, value, error) if value else None


def small_text(name: str, value: object, error: type[Exception] = Wrong) -> Json:
    """`json_text`, and for a short plain text a cheaper form of the same."""
    if type(value) is str and len(value) <= SMALL and value.isascii() and "\0" not in value:
        return (value,)
    return json_text(name, value, error)


def small_dict(name: str, value: object, error: type[Exception] = Wrong) -> Json | None:
    """`metadata_text`, and for a small flat dict a cheaper form of the same: a copy.

    Making JSON costs several microseconds; this is what most calls give, and they need not wait for it.
    """
    if type(value) is not dict or len(value) > MOST_KEYS:
        return metadata_text(name, value, error)
    value = value.copy()  # first, so that what is checked is what is kept, whatever other threads do to it
    texts = ""
    for key, each in value.items():
        if type(key) is not str:
            return metadata_text(name, value, error)
        kind = type(each)
        if kind is str:
            texts += key + each
        elif (
            each is None
            or kind is bool
            or (kind is float and each - each == 0.0)  # neither NaN nor infinite
            or (kind is int and -LARGEST_INTEGER <= each <= LARGEST_INTEGER)
        ):
            texts += key
        else:
            return metadata_text(name, value, error)
    if len(texts) > SMALL or not texts.isascii() or "\0" in texts:
        return metadata_text(name, value, error)
    return value or None


def json_text(name: str, value: object, error: type[Exception] = Wrong) -> str:
    """Any value as JSON text.

    Beside what JSON has: datetimes, dates and times become ISO 8601 text; Decimal, UUID and paths text; enum
    members their values; tuples, sets and arrays lists; dataclasses, named mappings and Pydantic models objects.

    Raises:
        error: anything else, NaN and infinity, NUL characters, halves of surrogate pairs, circles,
            more than 64 levels, or more than 1,048,576 bytes.
    """
    from agentsight.items.encoding import encode_json

    try:
        encoded = encode_json(value)
    except RecursionError:
        raise error(f"{name} takes at most {JSON_DEPTH} levels of nesting") from None
    except (TypeError, ValueError) as problem:
        raise error(f"{name} takes values that fit JSON: {problem}") from None
    size = len(encoded)
    if not encoded.isascii():
        try:
            size = len(encoded.encode())
        except UnicodeEncodeError:
            raise error(f"{name} must not contain half a surrogate pair") from None
    if size > JSON_LENGTH:
        raise error(f"{name} takes at most {JSON_LENGTH:,} bytes of JSON, not {size:,}")
    # Both looks are cheap, and say "perhaps"; the walk that is sure is rarely needed.
    if "\\u0000" in encoded or encoded.count("{") + encoded.count("[") > JSON_DEPTH:
        from json import loads

        _walk(name, loads(encoded), error)
    return encoded


def _walk(name: str, value: Any, error: type[Exception]) -> None:
    level: list[Any] = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for each in level:
            if isinstance(each, str):
                if "\0" in each:
                    raise error(f"{name} must not contain the NUL character")
            elif isinstance(each, dict):
                below.extend(each)
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        if any(isinstance(each, (dict, list)) for each in level):
            depth += 1
            if depth > JSON_DEPTH:
                raise error(f"{name} takes at most {JSON_DEPTH} levels of nesting")
        level = below


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
