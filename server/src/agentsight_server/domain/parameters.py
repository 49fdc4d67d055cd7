"""Values as they stand in an address: text in, checked values out.

Each function raises ValueError with what it takes; whoever calls it knows the name of the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone

import msgspec

from agentsight_server.domain.times import from_datetime

LONGEST = 2_000
"""Characters that a value may have."""
LONGEST_DAYS = 1_830
"""Days that a period may have: five years."""
EARLIEST, LATEST = date(1970, 1, 2), date(9000, 12, 31)

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def text(given: str) -> str:
    """Text that a database can look for.

    Raises:
        ValueError: it is too long, or holds what no text holds.
    """
    if "\0" in given:
        raise ValueError("must not contain the NUL character")
    if len(given) > LONGEST:
        raise ValueError(f"takes at most {LONGEST:,} characters")
    return given


def flag(given: str) -> bool:
    """`true` or `false`, also `1` and `0`.

    Raises:
        ValueError: it is neither.
    """
    if given.lower() not in _FLAGS:
        raise ValueError("takes true or false")
    return _FLAGS[given.lower()]


def choice(given: str, choices: Sequence[str]) -> str:
    """One of several words.

    Raises:
        ValueError: it is none of them.
    """
    if given not in choices:
        raise ValueError(f"takes {either(choices)}")
    return given


def whole(given: str, least: int, most: int) -> int:
    """A whole number.

    Raises:
        ValueError: it is none, or out of range.
    """
    plain = given.isascii() and given.removeprefix("-").isdigit() and len(given) < 19
    number = int(given) if plain else None
    if number is None or not least <= number <= most:
        raise ValueError(f"takes a whole number from {least} to {most:,}")
    return number


def moment(given: str) -> int:
    """Microseconds of an ISO 8601 time; a plain date is its midnight, without a zone it is UTC.

    Raises:
        ValueError: it is none.
    """
    try:
        return from_datetime(datetime.fromisoformat(_plus(given.strip())))
    except ValueError:
        pass
    try:
        return from_datetime(msgspec.convert(given, datetime))
    except msgspec.ValidationError:
        raise ValueError("takes an ISO 8601 time such as 2026-01-31T12:00:00Z") from None


def day(given: str) -> date:
    """A day.

    Raises:
        ValueError: it is none, or lies beyond the calendar.
    """
    try:
        if len(given) != len("2026-01-31") or not given.isascii():
            raise ValueError
        found = date.fromisoformat(given)
    except ValueError:
        raise ValueError("takes a day such as 2026-01-31") from None
    if not EARLIEST <= found <= LATEST:
        raise ValueError(f"takes a day from {EARLIEST} to {LATEST}")
    return found


def day_or_moment(given: str) -> date | int:
    """A day, or microseconds of a time that names its zone.

    Raises:
        ValueError: it is neither.
    """
    if "T" not in given:
        return day(given)
    try:
        found = datetime.fromisoformat(_plus(given))
        if found.tzinfo is None:
            raise ValueError
        return from_datetime(found.astimezone(timezone.utc))
    except (ValueError, OverflowError):
        raise ValueError("takes a day such as 2026-01-31") from None


def names(given: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text(given).split(",") if part.strip()))


def pairs(given: str) -> tuple[tuple[str, str], ...]:
    """`key:value,key2:value2`.

    Raises:
        ValueError: a part has no colon, or no key.
    """
    found = []
    for part in text(given).split(","):
        key, colon, value = part.partition(":")
        if not colon or not key.strip():
            raise ValueError("takes key:value,key2:value2")
        found.append((key.strip(), value.strip()))
    return tuple(found)


def either(names: Sequence[str]) -> str:
    """Names as a choice.

    Example:
        >>> either(["desktop", "mobile", "tablet"])
        'desktop, mobile or tablet'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _plus(given: str) -> str:
    # "+" in an address is a space unless it was encoded.
    return given.replace(" ", "+") if "T" in given else given
