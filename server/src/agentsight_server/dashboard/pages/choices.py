"""What filter sheets offer: the values that an agent's conversations have."""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from agentsight_server.dashboard import names
from agentsight_server.store import overview
from agentsight_server.store.database import Database

_SECONDS = 60.0
_kept: WeakKeyDictionary[Database, dict[int, tuple[float, dict[str, Any]]]] = WeakKeyDictionary()


def choices(database: Database, connection: Connection, agent_id: int) -> dict[str, Any]:
    """What the filter sheet offers; kept for a minute."""
    kept = _kept.setdefault(database, {})
    known = kept.get(agent_id)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    values = overview.recent_values(connection, agent_id)
    made = {
        "sources": [(value, names.channel_name(value)) for value in values["source"]],
        "devices": [(value, names.device_name(value)) for value in values["device"]],
        "languages": [(value, names.language_name(value)) for value in values["language"]],
        "countries": sorted(
            ((value, names.country_name(value)) for value in values["country"]), key=lambda pair: pair[1]
        ),
        "tools": [(value, value) for value in values["action_name"]],
    }
    kept[agent_id] = (time.monotonic() + _SECONDS, made)
    return made
