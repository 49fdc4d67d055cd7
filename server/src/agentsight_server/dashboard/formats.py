"""Numbers, sizes, durations and times as people read them.

Numbers are written as in the viewer's language (domain/locales.py); words stay English.
Times come in as whole microseconds since 1970 UTC and are shown in the viewer's time zone.
"""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta, timezone, tzinfo

from agentsight_server.domain import zones
from agentsight_server.domain.locales import localise

ABSENT = "–"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@functools.lru_cache(maxsize=512)
def zone(name: str | None) -> tzinfo:
    """The time zone of an IANA name; UTC for none and for one that is not known.

    Example:
        >>> str(zone("Europe/Zagreb"))
        'Europe/Zagreb'
    """
    # A name comes from a cookie or from a place database: anything may stand in it.
    if not name or len(name) > 64:
        return timezone.utc
    try:
        return zones.find(name)
    except ValueError:
        return timezone.utc


def local(at: int, tz: tzinfo) -> datetime:
    """A time of the store in a time zone."""
    return (_EPOCH + timedelta(microseconds=at)).astimezone(tz)


def number(value: float | None) -> str:
    """Digits in groups of three.

    Example:
        >>> number(1284)
        '1,284'
    """
    return ABSENT if value is None else localise(f"{value:,}")


def compact(value: float | None) -> str:
    """A number short enough for a card: 12.9k, 3.4M.

    Example:
        >>> compact(12_873)
        '12.9k'
    """
    if value is None:
        return ABSENT
    if abs(value) < 10_000:
        return localise(f"{value:,}")
    for size, unit in ((1_000_000_000, "bn"), (1_000_000, "M"), (1_000, "k")):
        # 999,950 rounds to 1,000.0k: it is a million then.
        if abs(value) >= size * 0.99995:
            return localise(f"{value / size:.1f}".removesuffix(".0")) + unit
    return localise(f"{value:,}")


def size(count: int) -> str:
    """Bytes in the unit that fits.

    Example:
        >>> size(1_536_000)
        '1.5 MB'
    """
    if count < 1000:
        return f"{count} bytes" if count != 1 else "1 byte"
    amount = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            text = f"{amount:.1f}".removesuffix(".0") if amount < 10 else f"{amount:.0f}"
            return f"{localise(text)} {unit}"
    raise AssertionError("the last unit takes every size")


def duration(milliseconds: float | None) -> str:
    """A length of time.

    Example:
        >>> duration(150), duration(1100), duration(65_000)
        ('150 ms', '1.1 s', '1 min 5 s')
    """
    if milliseconds is None:
        return ABSENT
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 9_950:
        return localise(f"{milliseconds / 1000:.1f}".removesuffix(".0")) + " s"
    seconds = round(milliseconds / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{plural(days, 'day')} {hours} h" if hours and days < 10 else plural(days, "day")


def clock(at: int, tz: tzinfo) -> str:
    """Hours and minutes."""
    return f"{local(at, tz):%H:%M}"


def day(at: int, tz: tzinfo) -> str:
    """A day, whole: Thursday 22 October 2026."""
    moment = local(at, tz)
    return f"{moment:%A} {moment.day} {moment:%B %Y}"


def short_day(moment: date, today: date) -> str:
    """A day, short: 22 Oct, with the year where it is another one."""
    text = f"{moment.day} {moment:%b}"
    return text if moment.year == today.year else f"{text} {moment.year}"


def exact(at: int, tz: tzinfo) -> str:
    """A moment to the second, with its time zone."""
    moment = local(at, tz)
    return f"{moment.day} {moment:%B %Y, %H:%M:%S} {moment.tzname() or ''}".rstrip()


def moment(at: int, now: int, tz: tzinfo) -> str:
    """A day and a time, short: 22 Oct, 09:47."""
    return f"{short_day(local(at, tz).date(), local(now, tz).date())}, {clock(at, tz)}"


def ago(at: int, now: int, tz: tzinfo) -> str:
    """How long ago, up to a day; then the date.

    Example:
        >>> ago(0, 5 * MINUTE, timezone.utc)
        '5 min'
    """
    passed = now - at
    if -MINUTE < passed < MINUTE:
        return "now"
    if 0 < passed < HOUR:
        return f"{passed // MINUTE} min"
    if 0 < passed < DAY:
        return f"{passed // HOUR} h"
    return short_day(local(at, tz).date(), local(now, tz).date())


def iso(at: int) -> str:
    """ISO 8601 in UTC, to the second, for the `datetime` attribute."""
    return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%dT%H:%M:%SZ}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 message, 1,284 messages."""
    return f"{localise(f'{count:,}')} {one if count == 1 else many or one + 's'}"
