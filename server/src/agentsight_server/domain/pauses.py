"""How long a conversation may pause before another session begins, by its source."""

from __future__ import annotations

import re
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
LONGEST_NAME = 255
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


_UNITS = {"min": MINUTE, "h": HOUR, "day": 24 * HOUR}
_SPELLED = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "day"),
}
TAKES = "takes a time from 1 minute to 366 days, such as 30 min, 24 h or 3 days"


def parsed(text: str) -> int:
    """A pause as people write it, in microseconds.

    Raises:
        ValueError: says what it takes.

    Example:
        >>> parsed("24 h") == parsed("1 day") == parsed("1440min")
        True
    """
    found = re.fullmatch(r"(\d{1,6}(?:[.,]\d{1,3})?)\s*([a-z]+)", text.strip().lower(), re.ASCII)
    if found is None or found[2] not in _SPELLED:
        raise ValueError(TAKES)
    length = round(float(found[1].replace(",", ".")) * _UNITS[_SPELLED[found[2]]])
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(TAKES)
    return length


def spelled(length: int) -> str:
    """A pause as people write it.

    Example:
        >>> spelled(24 * HOUR), spelled(90 * MINUTE), spelled(72 * HOUR)
        ('24 h', '90 min', '3 days')
    """
    if length % (24 * HOUR) == 0 and length > 24 * HOUR:
        return f"{length // (24 * HOUR)} days"
    return f"{length // HOUR} h" if length % HOUR == 0 else f"{length / MINUTE:g} min"


def chosen(given: Mapping[str, str]) -> dict[str, int]:
    """What an agent chose, by source; an empty text is the usual pause, and so is one of its length.

    Args:
        given: {source: a pause as people write it}; OTHER for all sources without one.

    Raises:
        Wrong: names the source and what it takes.
    """
    found: dict[str, int] = {}
    for source, text in given.items():
        name = normal(source)
        if not name or len(name) > LONGEST_NAME or "\x00" in name:
            raise Wrong(source, f"a channel has a name of at most {LONGEST_NAME} characters")
        if not text.strip():
            continue
        try:
            found[name] = parsed(text)
        except ValueError as error:
            raise Wrong(source, str(error)) from None
    others = {OTHER: found[OTHER]} if found.get(OTHER, USUAL[OTHER]) != USUAL[OTHER] else {}
    found = others | {
        name: length for name, length in found.items() if name != OTHER and length != pause(name, others)
    }
    if len(found) > MOST:
        raise Wrong("", f"at most {MOST} channels can have a pause of their own; these are {len(found)}")
    return found


class Wrong(ValueError):
    """A pause that cannot be: of which source, and what it takes."""

    def __init__(self, source: str, says: str) -> None:
        super().__init__(says)
        self.source = source
        self.says = says
