"""Conversations that were tracked where none was chosen: where in the code, as the Connect page shows it."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection

from agentsight_server.dashboard.ingest_log import DAYS
from agentsight_server.domain import times
from agentsight_server.store import strays

# What the code of a place may be as long as, on a page.
_LONGEST = 200


class Stray(msgspec.Struct):
    """A place in the code; `last` in microseconds, `href` lists its conversations."""

    place: str | None
    count: int
    last: int
    href: str


def found(connection: Connection, agent_id: int) -> list[Stray]:
    """The places of the last 14 days, the latest first.

    Example:
        >>> found(connection, 1)[0].place
        'bot.py:41 in answer'
    """
    since = (times.now() // times.DAY - DAYS + 1) * times.DAY
    return [
        Stray(row.place and row.place[:_LONGEST], row.count, row.last, _address(agent_id, row.place))
        for row in strays.by_place(connection, {agent_id}, agent_id, since=since)
    ]


def _address(agent_id: int, place: str | None) -> str:
    # A comma would begin the next pair of the filter.
    inside = f"unattached_at:{place}" if place and "," not in place else "unattached:true"
    query = urlencode({"metadata": inside, "is_used": "any"})
    return f"/agents/{agent_id}/conversations/?{query}"
