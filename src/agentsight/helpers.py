"""Small things that bots need beside the clients."""

from __future__ import annotations

import os
import time

__all__ = ["generate_conversation_id", "get_iso_timestamp"]


def generate_conversation_id() -> str:
    """Make a new conversation id: `conv_` and 12 random hex digits.

    Example:
        >>> generate_conversation_id()  # doctest: +SKIP
        'conv_5f2b9c01d3ae'
    """
    return "conv_" + os.urandom(6).hex()


def get_iso_timestamp() -> str:
    """The time now as ISO 8601 text in UTC, as `started_at` and `ended_at` take it.

    Example:
        >>> get_iso_timestamp()  # doctest: +SKIP
        '2026-08-10T08:35:01.792720Z'
    """
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"
