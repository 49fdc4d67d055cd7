"""Ids and times of items as text."""

from __future__ import annotations

import time

__all__ = ["iso", "uuid7"]

_SECOND = 1_000_000_000  # ns


def uuid7(ns: int, chance: int) -> str:
    """A UUIDv7, so that a database keeps together what came together.

    Its 12 bits below the millisecond keep the order of what was tracked within one.

    Args:
        ns: nanoseconds since 1970.
        chance: a random number of 62 bits or more.
    """
    ms, rest = divmod(ns, 1_000_000)
    value = ms << 80 | 7 << 76 | (rest * 4096 // 1_000_000) << 64 | 2 << 62 | chance & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def iso(ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 text in UTC, to the microsecond.

    Example:
        >>> iso(1_786_350_901_792_720_000)
        '2026-08-10T08:35:01.792720Z'
    """
    seconds, rest = divmod(ns, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"
