"""Identifiers of rows: UUIDs that sort by time, because random ones would halve the rate of inserts."""

from __future__ import annotations

import os
import time


def uuid7() -> bytes:
    """A new UUIDv7 as 16 bytes."""
    return uuid7_of(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def uuid7_of(milliseconds: int, chance: int) -> bytes:
    """The UUIDv7 of a moment, as 16 bytes.

    Args:
        milliseconds: since 1970.
        chance: a random number, of which 74 bits are used.

    Example:
        >>> uuid7_of(1_786_350_901_792, 0).hex()
        '019feacf9a2070008000000000000000'
    """
    value = milliseconds << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64
    return (value | 0x2 << 62 | chance & (1 << 62) - 1).to_bytes(16, "big")
