"""Agents, and the keys that write and read for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, or_, select, update

from agentsight_server.domain import times
from agentsight_server.domain.agreement import Agreement
from agentsight_server.store import dialect
from agentsight_server.store.schema import agents, api_keys, erasures

LAST_USE_STEP = 60_000_000
"""How late a key's last use may be noted, in microseconds."""


class AgentRow(msgspec.Struct, frozen=True):
    """An agent."""

    id: int
    name: str
    created_at: int


class TokenSecret(msgspec.Struct, frozen=True, omit_defaults=True):
    """What conversation tokens are signed with. `until`: when it stops to count (microseconds); None: never."""

    secret: str
    until: int | None = None


class KeySettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What can be set per key, kept as JSON. None: no limit.

    `token_secrets`: with any of them the key writes only what comes with a conversation token; newest first.
    """

    allowed_origins: tuple[str, ...] | None = None
    items_per_minute: int | None = None
    items_per_day: int | None = None
    bytes_per_day: int | None = None
    expires_at: int | None = None
    token_secrets: tuple[TokenSecret, ...] = ()


class KeyRow(msgspec.Struct, frozen=True):
    """An API key without its secret; `name` is its label. Times are in microseconds."""

    id: int
    agent_id: int
    agent_name: str
    name: str
    role: str
    hint: str
    created_at: int
    revoked_at: int | None
    last_used_at: int | None
    settings: KeySettings

    def is_usable(self, now: int) -> bool:
        """Whether it still opens anything."""
        expires_at = self.settings.expires_at
        return self.revoked_at is None and (expires_at is None or now < expires_at)


def create(connection: Connection, name: str) -> int:
    """Add an agent and return its number, which no agent had before: receipts name those that were erased."""
    values: dict[str, object] = {"name": name, "created_at": times.now()}
    if dialect.reuses_numbers(dialect.of(connection)):
        last = [
            connection.execute(select(func.max(column))).scalar()
            for column in (agents.c.id, erasures.c.agent_id)
        ]
        values["id"] = max(each or 0 for each in last) + 1
    return int(connection.execute(agents.insert().returning(agents.c.id), values).scalar_one())


def find(connection: Connection, name: str) -> int | None:
    """The number of the agent of that name."""
    return connection.execute(select(agents.c.id).where(agents.c.name == name)).scalar_one_or_none()


def listing(connection: Connection, ids: frozenset[int] | None = None) -> list[AgentRow]:
    """The agents by name; `ids` None: all of them."""
    going = select(erasures.c.agent_id).where(erasures.c.kind == "agent")
    query = (
        select(agents.c.id, agents.c.name, agents.c.created_at)
        .where(agents.c.id.not_in(going))
        .order_by(func.lower(agents.c.name))
    )
    if ids is not None:
        query = query.where(agents.c.id.in_(ids))
    return [AgentRow(*row) for row in connection.execute(query)]


class AgentSettings(msgspec.Struct, omit_defaults=True):
    """What can be set per agent, kept as JSON."""

    escalation_actions: list[str] | None = None
    storage_bytes: int | None = None
    # By source, in microseconds: only what differs from the usual (domain/pauses.py).
    pauses: dict[str, int] | None = None
    # What outcomes rest on beside the escalation actions.
    agreement: Agreement | None = None


def storage_limit(connection: Connection, agent_id: int) -> int | None:
    """Bytes that an agent's attachments may take; None: no limit, or no such agent."""
    text = connection.execute(select(agents.c.settings).where(agents.c.id == agent_id)).scalar_one_or_none()
    return msgspec.json.decode(text or "{}", type=AgentSettings).storage_bytes


def set_storage_limit(connection: Connection, agent_id: int, limit: int | None) -> None:
    """Choose how many bytes an agent's attachments may take; None: any number."""
    _set(connection, agent_id, "storage_bytes", limit)


def escalations(connection: Connection, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The actions that count as handing over to a human, by agent; agents that are not there are left out."""
    return {number: settled.handing_over for number, settled in agreements(connection, ids).items()}


def set_escalations(connection: Connection, agent_id: int, names: Sequence[str] | None) -> None:
    """Choose an agent's escalation actions; None: the usual ones again."""
    _set(connection, agent_id, "escalation_actions", None if names is None else sorted(set(names)))


def agreements(connection: Connection, ids: Collection[int]) -> dict[int, Agreement]:
    """What is settled for agents; agents that are not there are left out."""
    query = select(agents.c.id, agents.c.settings).where(agents.c.id.in_(sorted(ids)))
    found = {}
    for number, text in connection.execute(query):
        chosen = msgspec.json.decode(text, type=AgentSettings)
        escalations = None if chosen.escalation_actions is None else tuple(chosen.escalation_actions)
        found[number] = msgspec.structs.replace(chosen.agreement or Agreement(), escalations=escalations)
    return found


def set_agreement(connection: Connection, agent_id: int, chosen: Agreement) -> None:
    """Settle anew what an agent's outcomes rest on, as a whole; it holds for the past, too."""
    set_escalations(connection, agent_id, chosen.escalations)
    rest = msgspec.structs.replace(chosen, escalations=None)
    _set(connection, agent_id, "agreement", None if rest == Agreement() else msgspec.to_builtins(rest))


def pauses(connection: Connection) -> dict[int, dict[str, int]]:
    """The agents' own pauses between sessions, by source, in microseconds; agents with none are left out."""
    query = select(agents.c.id, agents.c.settings).where(agents.c.settings.contains('"pauses"'))
    found = {}
    for number, text in connection.execute(query):
        chosen = msgspec.json.decode(text, type=AgentSettings).pauses
        if chosen:
            found[number] = dict(sorted(chosen.items()))
    return found


def set_pauses(connection: Connection, agent_id: int, chosen: Mapping[str, int] | None) -> None:
    """Choose an agent's own pauses between sessions; None: the usual ones again."""
    _set(connection, agent_id, "pauses", dict(chosen) if chosen else None)


def _set(connection: Connection, agent_id: int, name: str, value: object) -> None:
    text = connection.execute(select(agents.c.settings).where(agents.c.id == agent_id)).scalar_one()
    chosen = msgspec.json.decode(text, type=dict[str, object])
    chosen.pop(name, None)
    if value is not None:
        chosen[name] = value
    values = {"settings": msgspec.json.encode(chosen).decode()}
    connection.execute(update(agents).where(agents.c.id == agent_id), values)


def add_key(
    connection: Connection,
    *,
    agent_id: int,
    role: str,
    hint: str,
    hashed: bytes,
    name: str = "",
    settings: KeySettings | None = None,
) -> int:
    """Keep a key's hash; the key itself is never stored."""
    values = {
        "agent_id": agent_id,
        "role": role,
        "hint": hint,
        "hash": hashed,
        "name": name,
        "created_at": times.now(),
        "settings": _encode(settings or KeySettings()),
    }
    return int(connection.execute(api_keys.insert().returning(api_keys.c.id), values).scalar_one())


_keys = (
    select(
        api_keys.c.id,
        api_keys.c.agent_id,
        agents.c.name,
        api_keys.c.name,
        api_keys.c.role,
        api_keys.c.hint,
        api_keys.c.created_at,
        api_keys.c.revoked_at,
        api_keys.c.last_used_at,
        api_keys.c.settings,
    )
    .join(agents, agents.c.id == api_keys.c.agent_id)
    .order_by(api_keys.c.id)
)


def keys(connection: Connection, agent_id: int | None = None) -> list[KeyRow]:
    """Every key, or one agent's, revoked ones too."""
    query = _keys if agent_id is None else _keys.where(api_keys.c.agent_id == agent_id)
    return [_key_row(row) for row in connection.execute(query)]


def key_by_hash(connection: Connection, hashed: bytes) -> KeyRow | None:
    """The key with that SHA-256, revoked or not."""
    row = connection.execute(_keys.where(api_keys.c.hash == hashed)).one_or_none()
    return _key_row(row) if row else None


def key_by_number(connection: Connection, key_id: int) -> KeyRow | None:
    """The key of that number, revoked or not."""
    row = connection.execute(_keys.where(api_keys.c.id == key_id)).one_or_none()
    return _key_row(row) if row else None


def change_key(
    connection: Connection, key_id: int, *, name: str | None = None, settings: KeySettings | None = None
) -> None:
    """Set a key's label, its settings as a whole, or both."""
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = name
    if settings is not None:
        values["settings"] = _encode(settings)
    if values:
        connection.execute(update(api_keys).where(api_keys.c.id == key_id), values)


def revoke_key(connection: Connection, key_id: int) -> bool:
    """Take a key out of use for good; False when there is no such key in use."""
    done = connection.execute(
        update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)),
        {"revoked_at": times.now()},
    )
    return done.rowcount > 0


def mark_used(connection: Connection, used: Mapping[int, int]) -> None:
    """Remember when keys were used last: {key: microseconds}. A later time that is there stays."""
    for key_id, moment in sorted(used.items()):
        earlier = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < moment)
        connection.execute(update(api_keys).where(api_keys.c.id == key_id, earlier), {"last_used_at": moment})


def _key_row(values: Any) -> KeyRow:
    *columns, settings = values
    return KeyRow(*(*columns, msgspec.json.decode(settings, type=KeySettings)))


def _encode(settings: KeySettings) -> str:
    return msgspec.json.encode(settings).decode()
