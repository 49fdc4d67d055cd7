"""An answer that was streamed: what its metadata tells of it, in words."""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight_server.dashboard.formats import duration

# Milliseconds beyond which a figure is no time that anybody waited.
_LONGEST = 86_400_000
_KEYS = ("first_token_ms", "duration_ms", "interrupted")


class Streamed(msgspec.Struct):
    """When the first words came and the last, in milliseconds, and whether the reader left in between."""

    first_ms: int | None
    done_ms: int | None
    interrupted: bool

    @property
    def times(self) -> str:
        """The times in words; empty where there are none.

        Example:
            >>> Streamed(412, 2130, False).times
            'first words after 412 ms, done in 2.1 s'
        """
        if self.first_ms is None:
            return ""
        begun = f"first words after {duration(self.first_ms)}"
        if self.done_ms is None:
            return begun
        return f"{begun}, {'over' if self.interrupted else 'done'} in {duration(self.done_ms)}"


def of_metadata(text: str | None) -> tuple[Streamed | None, str | None]:
    """What a message's metadata (JSON text) tells of streaming, and the rest of it.

    Example:
        >>> of_metadata('{"first_token_ms":412,"duration_ms":2130,"model":"m"}')
        (Streamed(first_ms=412, done_ms=2130, interrupted=False), '{"model":"m"}')
    """
    if text is None or not any(f'"{key}"' in text for key in ("first_token_ms", "interrupted")):
        return None, text
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None, text
    if not isinstance(value, dict):
        return None, text
    first, interrupted = _milliseconds(value.get("first_token_ms")), value.get("interrupted") is True
    if first is None and not interrupted:
        return None, text
    rest = {key: each for key, each in value.items() if key not in _KEYS}
    told = Streamed(first, _milliseconds(value.get("duration_ms")), interrupted)
    return told, msgspec.json.encode(rest).decode() if rest else None


def _milliseconds(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= _LONGEST else None
