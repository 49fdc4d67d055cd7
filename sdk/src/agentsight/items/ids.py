"""Ids of items: UUIDv7, so that a database keeps together what came together."""

from __future__ import annotations

__all__ = ["uuid7"]


def uuid7(ns: int, chance: int) -> str:
    """A UUIDv7 whose 12 bits below the millisecond keep the order of what was tracked within it."""
    ms, rest = divmod(ns, 1_000_000)
    value = ms << 80 | 7 << 76 | (rest * 4096 // 1_000_000) << 64 | 2 << 62 | chance & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
