"""How much a key may still write: items a minute and a day, bytes a day.

Counted in memory, by each process for itself, and only for keys that have limits: a restart starts over. One event
loop uses it; nothing is locked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import msgspec

from agentsight_server.domain.errors import RequestError, refused
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.store.agents import KeySettings

_DAY = 86_400
_MOST_KEYS = 10_000


class _Spent(msgspec.Struct):
    """What a key used. `debt`: items of this minute, paid back evenly."""

    debt: float
    at: float
    day: int
    items: int = 0
    size: int = 0


class Quotas:
    """What keys used of their limits.

    Example:
        >>> quotas = Quotas(lambda: 0.0)
        >>> quotas.take(7, KeySettings(items_per_minute=60), items=60)
        >>> quotas.check(7, KeySettings(items_per_minute=60))
        Traceback (most recent call last):
        agentsight_server.domain.errors.RequestError: 429 ...
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._spent: dict[int, _Spent] = {}

    def check(self, key_id: int, settings: KeySettings) -> None:
        """Look whether the key has anything left, before its body is read.

        Raises:
            RequestError: 429 with `Retry-After`, naming the limit.
        """
        spent = self._of(key_id, settings)
        if spent is None:
            return
        minute, day = settings.items_per_minute, settings.items_per_day
        if minute is not None and spent.debt > minute - 1:
            raise _later(f"{minute:,} items a minute", (spent.debt - minute + 1) * 60 / minute)
        if day is not None and spent.items >= day:
            raise _later(f"{day:,} items a day", self._until_tomorrow())
        if settings.bytes_per_day is not None and spent.size >= settings.bytes_per_day:
            raise _later(f"{settings.bytes_per_day:,} bytes a day", self._until_tomorrow())

    def take(self, key_id: int, settings: KeySettings, *, items: int = 0, size: int = 0) -> None:
        """Count what a request brings.

        The request that reaches a limit of items is still taken whole, since it could never be taken otherwise;
        the next one waits the longer. Bytes are never taken beyond their limit.

        Raises:
            RequestError: 429 with `Retry-After`, naming the limit; 413 where one request is above a day's bytes.
        """
        spent = self._of(key_id, settings)
        if spent is None:
            return
        most = settings.bytes_per_day
        if size and most is not None:
            if size > most:
                raise refused(413, Problem("", Code.TOO_LARGE, f"this key takes {most:,} bytes a day"))
            if spent.size + size > most:
                raise _later(f"{most:,} bytes a day", self._until_tomorrow())
        if items:
            self.check(key_id, settings)
        spent.debt += items
        spent.items += items
        spent.size += size

    def _of(self, key_id: int, settings: KeySettings) -> _Spent | None:
        minute = settings.items_per_minute
        if minute is None and settings.items_per_day is None and settings.bytes_per_day is None:
            return None
        now = self._now()
        day = int(now // _DAY)
        spent = self._spent.get(key_id)
        if spent is None:
            if len(self._spent) >= _MOST_KEYS:
                self._forget(day)
            spent = self._spent[key_id] = _Spent(0.0, now, day)
        if spent.day != day:
            spent.day, spent.items, spent.size = day, 0, 0
        if minute is not None:
            spent.debt = max(0.0, spent.debt - max(0.0, now - spent.at) * minute / 60)
        spent.at = now
        return spent

    def _forget(self, day: int) -> None:
        """Make room: those of other days first, else the one that was here longest."""
        for key_id in [key_id for key_id, spent in self._spent.items() if spent.day != day]:
            del self._spent[key_id]
        if len(self._spent) >= _MOST_KEYS:
            del self._spent[next(iter(self._spent))]

    def _until_tomorrow(self) -> float:
        return _DAY - self._now() % _DAY


def _later(limit: str, seconds: float) -> RequestError:
    wait = max(1, math.ceil(seconds))
    return RequestError(
        429, {"detail": f"this key takes {limit}; try again in {wait:,} s"}, {"Retry-After": str(wait)}
    )
