"""Times as the store keeps them: whole microseconds since 1970 UTC."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAY = 86_400_000_000


def now() -> int:
    """The present, in microseconds."""
    return time.time_ns() // 1000


def from_datetime(value: datetime) -> int:
    """Microseconds of a datetime; one without a zone is read as UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def to_text(value: int) -> str:
    """ISO 8601 in UTC, with Z.

    Example:
        >>> to_text(0)
        '1970-01-01T00:00:00.000000Z'
    """
    return (_EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds")[:-6] + "Z"
