"""What sheets of filters offer: the values that an agent's conversations have."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from agentsight_server.store import overview
from agentsight_server.store.database import Database

_SECONDS = 60.0
_kept: WeakKeyDictionary[Database, dict[int, tuple[float, dict[str, list[str]]]]] = WeakKeyDictionary()


def seen_values(database: Database, connection: Connection, agent_id: int) -> dict[str, list[str]]:
    """The values that an agent's conversations have, by filter; kept for a minute."""
    kept = _kept.setdefault(database, {})
    known = kept.get(agent_id)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    values = overview.recent_values(connection, agent_id)
    kept[agent_id] = (time.monotonic() + _SECONDS, values)
    return values
