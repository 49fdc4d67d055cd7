"""Making keys and their token secrets, for the command line, the REST API and the dashboard alike."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.security import conversation_tokens, keys
from agentsight_server.store import agents
from agentsight_server.store.agents import KeyRow, KeySettings


def keep(
    connection: Connection,
    key: str,
    agent_id: int,
    role: str,
    label: str = "",
    settings: KeySettings | None = None,
) -> int:
    """Take a new key into use and return its number.

    Example:
        >>> key = keys.new_key()
        >>> number = keep(connection, key, agent_id, "ingest", "Shop widget")
    """
    return agents.add_key(
        connection,
        agent_id=agent_id,
        role=role,
        hint=keys.hint(key),
        hashed=keys.hash_key(key),
        name=label,
        settings=settings,
    )


def new_token_secret(connection: Connection, row: KeyRow, now: int) -> str:
    """Make a secret for conversation tokens and return it; from now on the key needs tokens.

    A secret that the key has already counts for another day.

    Raises:
        Invalid: the key is no ingest key; others are secret themselves.
    """
    if row.role != "ingest":
        taken = "ingest: a key with another role is secret itself and needs no tokens"
        raise Invalid(Problem("role", Code.CHOICE, taken))
    secret = conversation_tokens.new_secret()
    known = conversation_tokens.rotated(row.settings.token_secrets, secret, now)
    agents.change_key(connection, row.id, settings=msgspec.structs.replace(row.settings, token_secrets=known))
    return secret


def without_tokens(connection: Connection, row: KeyRow) -> None:
    """Let the key write without tokens again."""
    agents.change_key(connection, row.id, settings=msgspec.structs.replace(row.settings, token_secrets=()))
