"""Metadata that grows: what writes add to a conversation's own, up to a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agentsight_server.store.rows import ConversationRow

MOST_BYTES = 1_048_576
MOST_KEYS = 1_000
_encode = msgspec.json.Encoder().encode


class Merged:
    """The metadata of the conversations that a transaction adds to: each is read once and written once.

    Example:
        >>> merged = Merged()
        >>> merged.add(row, {"plan": "pro"})
        True
        >>> merged.settle()
    """

    def __init__(self) -> None:
        self._rows: dict[int, tuple[ConversationRow, dict[str, Any]]] = {}
        self._sizes: dict[int, int] = {}
        self.left_out: dict[int, int] = {}
        """How many keys found no room, by the conversation's number."""

    def add(self, row: ConversationRow, given: Mapping[str, Any]) -> bool:
        """Add the keys that are not there yet and for which there is room; True when there were some."""
        if row.id not in self._rows:
            self._rows[row.id] = row, msgspec.json.decode(row.metadata)
            self._sizes[row.id] = len(row.metadata.encode())
        present, size = self._rows[row.id][1], self._sizes[row.id]
        changed = False
        for key, value in given.items():
            if key in present:
                continue
            more = len(_encode({key: value})) - 1  # a comma for two braces
            if size + more > MOST_BYTES or len(present) >= MOST_KEYS:
                self.left_out[row.id] = self.left_out.get(row.id, 0) + 1
                continue
            present[key] = value
            size += more
            changed = True
        self._sizes[row.id] = size
        return changed

    def settle(self) -> None:
        """Put what was added into the rows."""
        for row, present in self._rows.values():
            row.metadata = _encode(present).decode()
