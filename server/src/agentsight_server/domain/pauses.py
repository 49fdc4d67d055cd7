"""How long a conversation may pause before another session begins, by its source."""

from __future__ import annotations

from collections.abc import Mapping

MINUTE = 60_000_000
"""Microseconds."""
HOUR = 60 * MINUTE

OTHER = "other"
"""Stands for every source without a pause of its own."""

_MESSENGERS = (
    "whatsapp", "sms", "messenger", "facebook", "telegram", "instagram", "viber", "line", "wechat", "signal",
)  # fmt: skip
# A web chat is a visit; whoever writes in a messenger answers the next morning; letters take days.
USUAL: dict[str, int] = {**dict.fromkeys(_MESSENGERS, 24 * HOUR), "email": 72 * HOUR, OTHER: 30 * MINUTE}

LATE_ANSWER = 24 * HOUR
"""An answer that comes no later belongs to its question, however short the pause may be."""

SHORTEST, LONGEST = MINUTE, 366 * 24 * HOUR
MOST = 100
"""So many sources can have a pause of their own."""


def normal(source: str | None) -> str:
    """A source as pauses are looked up by it.

    Example:
        >>> normal(" WhatsApp ")
        'whatsapp'
    """
    return (source or "").strip().lower()


def pause(source: str | None, chosen: Mapping[str, int]) -> int:
    """Microseconds after which an item begins another session.

    Args:
        chosen: an agent's own pauses, by source; OTHER for all the rest.

    Example:
        >>> pause("WhatsApp", {}) // HOUR, pause("kiosk", {}) // MINUTE, pause("kiosk", {"other": HOUR}) // MINUTE
        (24, 30, 60)
    """
    name = normal(source)
    for table in (chosen, USUAL):
        if name in table:
            return table[name]
    return chosen.get(OTHER, USUAL[OTHER])
