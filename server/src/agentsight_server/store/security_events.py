"""Who did what, from where: the table behind the security log."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, RowMapping, delete, select

from agentsight_server.domain import times
from agentsight_server.store.schema import security_events

KEPT_DAYS = 400
FAILURES_KEPT_DAYS = 90
_LONGEST = 255
_PRUNE_EVERY = 500  # rows


class Event(msgspec.Struct, frozen=True):
    """Something that whoever runs the server may want to look up later. Never what a conversation says.

    Attributes:
        action: one of `security.audit.ACTIONS`.
        who: an e-mail address, a key's hint, or "command line".
        address: where the request came from.
        details: numbers and short names, such as the role of a new key.
    """

    action: str
    who: str = ""
    person_id: int | None = None
    key_id: int | None = None
    agent_id: int | None = None
    address: str = ""
    details: dict[str, str | int] = {}


class EventRow(msgspec.Struct):
    """A stored event; `at` in microseconds since 1970 UTC."""

    id: int
    at: int
    action: str
    who: str
    person_id: int | None
    key_id: int | None
    agent_id: int | None
    address: str
    details: dict[str, str | int]


def add(connection: Connection, event: Event) -> None:
    """Keep an event; what is older than anybody needs goes from time to time."""
    number = connection.execute(
        security_events.insert().returning(security_events.c.id),
        {
            "at": times.now(),
            "action": event.action,
            "who": event.who[:_LONGEST],
            "person_id": event.person_id,
            "key_id": event.key_id,
            "agent_id": event.agent_id,
            "address": event.address[:_LONGEST],
            "details": msgspec.json.encode(event.details).decode(),
        },
    ).scalar_one()
    if number % _PRUNE_EVERY == 0:
        _prune(connection)


def _prune(connection: Connection) -> None:
    now = times.now()
    at, action = security_events.c.at, security_events.c.action
    connection.execute(delete(security_events).where(at < now - KEPT_DAYS * times.DAY))
    # Strangers make these, as many as they like.
    failures = action == "sign_in_failed"
    connection.execute(delete(security_events).where(failures, at < now - FAILURES_KEPT_DAYS * times.DAY))


def listing(
    connection: Connection, *, before: int | None = None, action: str | None = None, limit: int = 50
) -> list[EventRow]:
    """The newest events first.

    Args:
        before: only those whose number is lower: the next page.
        action: only those of this kind.
        limit: how many at most.
    """
    query = select(security_events).order_by(security_events.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(security_events.c.id < before)
    if action is not None:
        query = query.where(security_events.c.action == action)
    return [_row(each) for each in connection.execute(query).mappings()]


def _row(row: RowMapping) -> EventRow:
    values = dict(row)
    values["details"] = msgspec.json.decode(values["details"], type=dict[str, str | int])
    return EventRow(**values)
