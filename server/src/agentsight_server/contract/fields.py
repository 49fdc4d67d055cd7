"""What single fields take: types, limits and the checks that types cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem

# Limits, in characters; the SDK knows the same ones.
NAME_LENGTH = 255
CONTENT_LENGTH = 1_048_576
LABEL_LENGTH = 2_000
COMMENT_LENGTH = 5_000
JSON_LENGTH = 1_048_576
JSON_DEPTH = 64
MOST_MILLISECONDS = 366 * 86_400_000  # nothing that runs takes longer, and no sum overflows
MOST_TOKENS = 1_000_000_000  # of one report
FILES_PER_ITEM = 50
ADJUSTED = 100
ADJUSTED_COUNT = 1_000_000

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=r"\S")]
OptionalName = Annotated[str, Meta(max_length=NAME_LENGTH)]
Content = Annotated[str, Meta(min_length=1, max_length=CONTENT_LENGTH, pattern=r"\S")]
LongText = Annotated[str, Meta(max_length=CONTENT_LENGTH)]
Label = Annotated[str, Meta(min_length=1, max_length=LABEL_LENGTH, pattern=r"\S")]
Comment = Annotated[str, Meta(max_length=COMMENT_LENGTH)]
Milliseconds = Annotated[int, Meta(ge=0, le=MOST_MILLISECONDS)]
TokenCount = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]

Device = Literal["desktop", "mobile", "tablet"]
Environment = Literal["production", "development"]
Sender = Literal["end_user", "agent", "system"]
Sentiment = Literal["positive", "neutral", "negative"]
FeedbackSource = Literal["customer", "platform"]
Adjustment = Literal["shortened", "cleaned", "replaced", "left_out"]
Metadata = dict[str, Any]

_EARLIEST = 0
_LATEST = times.from_datetime(datetime(2200, 1, 1))
_encode = msgspec.json.Encoder().encode


def timestamp(field: str, value: datetime, *, archived: bool = False) -> int:
    """Microseconds of a time that is within reason; of an archived one it is only known that it is a time.

    Raises:
        Invalid: before 1970, more than a day ahead; `archived`: from 2200 on.
    """
    moment = times.from_datetime(value)
    if archived and not _EARLIEST <= moment < _LATEST:
        raise Invalid(Problem(field, Code.RANGE, "a time from 1970 to 2199"))
    if not archived and not _EARLIEST <= moment <= times.now() + times.DAY:
        raise Invalid(Problem(field, Code.RANGE, "a time from 1970 on, at most a day ahead"))
    return moment


def clean(field: str, value: str) -> str:
    """Refuse what a database cannot keep: the NUL character."""
    if "\0" in value:
        raise Invalid(Problem(field, Code.NUL))
    return value


def json_text(field: str, value: Any) -> str | None:
    """JSON text of a value that came as JSON; None for null.

    Raises:
        Invalid: too deep, too long, or with a NUL character.
    """
    if value is None:
        return None
    try:
        text = _encode(value)
    except RecursionError:
        raise _too_deep(field) from None
    # Without that many brackets it cannot be that deep.
    if text.count(b"{") + text.count(b"[") > JSON_DEPTH and _depth_over(value, JSON_DEPTH):
        raise _too_deep(field)
    if len(text) > JSON_LENGTH:
        raise Invalid(Problem(field, Code.TOO_MUCH_JSON, JSON_LENGTH))
    if b"\\u0000" in text and _has_nul(value):
        raise Invalid(Problem(field, Code.NUL))
    return text.decode()


def _too_deep(field: str) -> Invalid:
    return Invalid(Problem(field, Code.TOO_DEEP, JSON_DEPTH))


def _depth_over(value: Any, limit: int) -> bool:
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any("\0" in key or _has_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(_has_nul(each) for each in value)
