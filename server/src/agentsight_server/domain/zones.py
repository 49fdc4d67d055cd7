"""Time zones as plain arithmetic: which offset holds from which moment on.

Databases carry their own copy of the time zone rules, or none. Here the rules are read once, in Python, and
become a short list of offsets for the period at hand, so that every engine counts the same hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR = 3_600_000_000
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# No zone changes its offset twice in this time.
_STEP = DAY // 2
_NO_PLACES = frozenset({"localtime", "posixrules", "Factory", "leapseconds"})

Offsets = tuple[tuple[int, int], ...]  # (from this moment on, local time minus UTC), both in microseconds


@lru_cache(maxsize=512)
def find(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        ValueError: there is none by that name.

    Example:
        >>> find("Europe/Zagreb").key
        'Europe/Zagreb'
    """
    try:
        if name in _NO_PLACES or name.startswith(("posix/", "right/")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"takes an IANA time zone such as Europe/Zagreb, not {name[:60]!r}") from None


def offset_at(zone: ZoneInfo, moment: int) -> int:
    """Local time minus UTC at a moment; all in microseconds."""
    offset = (_EPOCH + timedelta(microseconds=moment)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=8192)
def _changes(zone: ZoneInfo, year: int) -> Offsets:
    """The moments of a year (UTC) at which the zone's offset changes, with the offset from then on."""
    start, end = _utc(date(year, 1, 1)), _utc(date(year + 1, 1, 1))
    found = []
    before = offset_at(zone, start - 1)
    for moment in range(start, end, _STEP):
        last = min(moment + _STEP, end) - 1
        after = offset_at(zone, last)
        if after != before:
            low, high = moment - 1, last  # the change lies after low, at or before high
            while high - low > 1:
                middle = (low + high) // 2
                if offset_at(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            found.append((high, after))
        before = after
    return tuple(found)


def offsets(zone: ZoneInfo, start: int, end: int) -> Offsets:
    """The offsets that hold in [start, end); the first entry begins at `start`.

    Example:
        >>> offsets(find("Asia/Kolkata"), 0, DAY)
        ((0, 19800000000),)
    """
    result = [(start, offset_at(zone, start))]
    for year in range(_year(start), _year(max(start, end - 1)) + 1):
        result += [(moment, offset) for moment, offset in _changes(zone, year) if start < moment < end]
    return tuple(result)


def start_of_day(zone: ZoneInfo, day: date) -> int:
    """The first moment of a day: its midnight, or where the clock jumped over midnight, the moment of the jump."""
    local = _utc(day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset = midnight.utcoffset()
    assert offset is not None
    moment = local - offset // timedelta(microseconds=1)
    if moment + offset_at(zone, moment) == local:
        return moment
    jumps = [at for at, after in offsets(zone, moment - DAY, moment + DAY)[1:] if at + after >= local]
    return min(jumps, default=moment)


def segments(zone: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The parts of [start, end) in which one offset holds, as (from, to, offset)."""
    parts = offsets(zone, start, end)
    ends = [moment for moment, _ in parts[1:]] + [end]
    for (moment, offset), until in zip(parts, ends, strict=True):
        yield moment, until, offset


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_DAY


def day_of(number: int) -> date:
    """The day of that number."""
    return date.fromordinal(number + _EPOCH_DAY)


def today(zone: ZoneInfo, moment: int) -> date:
    """The date in a zone at a moment in microseconds."""
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(zone).date()


def _utc(day: date) -> int:
    return day_number(day) * DAY


def _year(moment: int) -> int:
    return (_EPOCH + timedelta(microseconds=moment)).year
