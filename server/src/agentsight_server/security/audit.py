"""The security log: sign-ins, keys, people, exports, deletions, settings; who, from where, never what was said.

Each event is a row that owners see, and a line of JSON in `security.jsonl` in the data folder.
"""

from __future__ import annotations

import getpass
import logging
import logging.handlers
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from sqlalchemy import Connection

from agentsight_server.domain import times
from agentsight_server.runtime.logs import REQUEST_ID
from agentsight_server.security.access import Actor
from agentsight_server.store import security_events
from agentsight_server.store.security_events import Event

# What is noted, and how the page calls it.
ACTIONS = {
    "sign_in": "Signed in",
    "sign_in_failed": "Wrong password",
    "sign_in_braked": "Too many attempts",
    "sign_out": "Signed out",
    "first_account": "Made the first account",
    "person_created": "Added a person",
    "agent_created": "Made an agent",
    "agent_changed": "Changed an agent's settings",
    "key_created": "Made a key",
    "key_changed": "Changed a key",
    "key_revoked": "Revoked a key",
    "exported": "Exported conversations",
    "conversation_deleted": "Deleted a conversation",
    "conversation_restored": "Restored a conversation",
    "erased": "Erased for good",
    "retention_changed": "Changed how long data is kept",
    "log_exported": "Exported the security log",
    "imported": "Imported conversations",
    "backed_up": "Made a backup",
    "restored": "Restored a backup",
}
FILE = "security.jsonl"
_LARGEST_FILE = 10 * 1024 * 1024
_OLDER_FILES = 9

_logger = logging.getLogger("agentsight.security")


def open_log(folder: Path) -> None:
    """Write events to `security.jsonl` in the data folder from now on; ten files of 10 MB at most."""
    for old in list(_logger.handlers):
        _logger.removeHandler(old)
        old.close()
    with suppress(OSError):  # the table has them all the same
        handler = logging.handlers.RotatingFileHandler(
            folder / FILE, maxBytes=_LARGEST_FILE, backupCount=_OLDER_FILES, encoding="utf-8", delay=True
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def event_of(
    connection: ASGIConnection[Any, Any, Any, Any],
    action: str,
    *,
    who: str | None = None,
    person_id: int | None = None,
    agent_id: int | None = None,
    **details: str | int,
) -> Event:
    """An event that a request causes.

    Args:
        action: one of ACTIONS.
        who: default: the person or the key that asks.
        agent_id: default: the key's agent.
        details: numbers and short names; never what a conversation says, never a secret.
    """
    assert action in ACTIONS, action
    actor: Actor | None = getattr(connection.state, "actor", None)
    if actor is not None:
        person_id = actor.person.id if actor.person and person_id is None else person_id
        agent_id = actor.agent_id if agent_id is None else agent_id
        if who is None:
            who = actor.person.email if actor.person else f"key {actor.key_id}"
    return Event(
        action=action,
        who=who or "",
        person_id=person_id,
        key_id=actor.key_id if actor else None,
        agent_id=agent_id,
        address=connection.client.host if connection.client else "",
        details=details,
    )


def event_of_command(action: str, *, agent_id: int | None = None, **details: str | int) -> Event:
    """An event that a command causes."""
    assert action in ACTIONS, action
    account = ""
    with suppress(Exception):  # an account without a name
        account = f", {getpass.getuser()}"
    return Event(action=action, who=f"command line{account}", agent_id=agent_id, details=details)


def record(connection: Connection, event: Event) -> None:
    """Keep an event in the transaction of what it is about. `tell` it when that is committed."""
    security_events.add(connection, event)


def tell(event: Event) -> None:
    """Write an event's line."""
    line = {"time": times.to_text(times.now()), "request_id": REQUEST_ID.get(), **msgspec.to_builtins(event)}
    _logger.info("%s", msgspec.json.encode({name: value for name, value in line.items() if value}).decode())
