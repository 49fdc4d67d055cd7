"""Values as they stand in an address: text in, checked values out.

Each function raises Unfit, which says what it takes; whoever calls it knows the name of the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

import msgspec

from agentsight_server.domain import zones
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.domain.times import from_datetime

LONGEST = 2_000
"""Characters that a value may have."""
LONGEST_DAYS = 1_830
"""Days that a period may have: five years."""
EARLIEST, LATEST = date(1970, 1, 2), date(9000, 12, 31)
_A_DAY = "a day such as 2026-01-31"


class Unfit(ValueError):
    """A text that is no such value: which mistake it is, and what would have been taken.

    Example:
        >>> Unfit(Code.TYPE, "true or false").of("is_marked", "perhaps")
        Problem(field='is_marked', code=<Code.TYPE: 'type'>, takes='true or false', given='“perhaps”')
    """

    def __init__(self, code: Code, takes: str | int = "") -> None:
        super().__init__(code, takes)
        self.code = code
        self.takes = takes

    def of(self, name: str, given: str = "") -> Problem:
        """What is wrong with the parameter of that name."""
        told = given and self.code not in (Code.NUL, Code.TOO_LONG)
        return Problem(name, self.code, self.takes, f"“{given[:_LONGEST_TOLD]}”" if told else "")


_LONGEST_TOLD = 50
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def text(given: str) -> str:
    """Text that a database can look for.

    Raises:
        Unfit: it is too long, or holds what no text holds.
    """
    if "\0" in given:
        raise Unfit(Code.NUL)
    if len(given) > LONGEST:
        raise Unfit(Code.TOO_LONG, LONGEST)
    return given


def flag(given: str) -> bool:
    """`true` or `false`, also `1` and `0`.

    Raises:
        Unfit: it is neither.
    """
    if given.lower() not in _FLAGS:
        raise Unfit(Code.TYPE, "true or false")
    return _FLAGS[given.lower()]


def choice(given: str, choices: Sequence[str]) -> str:
    """One of several words.

    Raises:
        Unfit: it is none of them.
    """
    if given not in choices:
        raise Unfit(Code.CHOICE, either(choices))
    return given


def whole(given: str, least: int, most: int) -> int:
    """A whole number.

    Raises:
        Unfit: it is none, or out of range.
    """
    plain = given.isascii() and given.removeprefix("-").isdigit() and len(given) < 19
    number = int(given) if plain else None
    if number is None or not least <= number <= most:
        raise Unfit(Code.RANGE, f"a whole number from {least} to {most:,}")
    return number


def moment(given: str) -> int:
    """Microseconds of an ISO 8601 time; a plain date is its midnight, without a zone it is UTC.

    Raises:
        Unfit: it is none.
    """
    try:
        return from_datetime(datetime.fromisoformat(_plus(given.strip())))
    except ValueError:
        pass
    try:
        return from_datetime(msgspec.convert(given, datetime))
    except msgspec.ValidationError:
        raise Unfit(Code.TIME) from None


def day(given: str) -> date:
    """A day.

    Raises:
        Unfit: it is none, or lies beyond the calendar.
    """
    try:
        if len(given) != len("2026-01-31") or not given.isascii():
            raise ValueError
        found = date.fromisoformat(given)
    except ValueError:
        raise Unfit(Code.FORMAT, _A_DAY) from None
    if not EARLIEST <= found <= LATEST:
        raise Unfit(Code.RANGE, f"a day from {EARLIEST} to {LATEST}")
    return found


def day_or_moment(given: str) -> date | int:
    """A day, or microseconds of a time that names its zone.

    Raises:
        Unfit: it is neither.
    """
    if "T" not in given:
        return day(given)
    try:
        found = datetime.fromisoformat(_plus(given))
        if found.tzinfo is None:
            raise ValueError
        return from_datetime(found.astimezone(timezone.utc))
    except (ValueError, OverflowError):
        raise Unfit(Code.FORMAT, _A_DAY) from None


def names(given: str) -> tuple[str, ...]:
    """Names separated by commas, each once.

    Raises:
        Unfit: there is none.
    """
    found = tuple(dict.fromkeys(part.strip() for part in text(given).split(",") if part.strip()))
    if not found:
        raise Unfit(Code.FORMAT, "names separated by commas")
    return found


def pairs(given: str) -> tuple[tuple[str, str], ...]:
    """`key:value,key2:value2`.

    Raises:
        Unfit: a part has no colon, or no key.
    """
    found = []
    for part in text(given).split(","):
        key, colon, value = part.partition(":")
        if not colon or not key.strip():
            raise Unfit(Code.FORMAT, "key:value,key2:value2")
        found.append((key.strip(), value.strip()))
    return tuple(found)


def zone(given: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        Unfit: there is none by that name.
    """
    try:
        return zones.find(given)
    except ValueError:
        raise Unfit(Code.CHOICE, "an IANA time zone such as Europe/Zagreb") from None


def _plus(given: str) -> str:
    # "+" in an address is a space unless it was encoded.
    return given.replace(" ", "+") if "T" in given else given
