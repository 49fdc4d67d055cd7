"""Receipts of what was erased: how much of what, when, for whom it was asked; never what it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec
from sqlalchemy import Connection, Row, select

from agentsight_server.store import erasing, tombstones
from agentsight_server.store.erasing import Criterion
from agentsight_server.store.schema import conversations, erased, erasures


class Receipt(msgspec.Struct):
    """An erasure. Times in microseconds; `subject` is a keyed hash of the id that it was asked for by."""

    id: int
    agent_id: int
    kind: erasing.Kind
    environment: str | None
    subject: bytes | None
    requested_by: str
    requested_at: int
    counts: dict[str, int]
    gone_at: int | None
    finished_at: int | None


_receipt = select(*(erasures.c[name] for name in Receipt.__struct_fields__))


def one(connection: Connection, agents: Collection[int] | None, number: int) -> Receipt | None:
    """The receipt of that number, if the viewer sees its agent."""
    query = _receipt.where(erasures.c.id == number)
    if agents is not None:
        query = query.where(erasures.c.agent_id.in_(sorted(agents)))
    row = connection.execute(query).one_or_none()
    return None if row is None else _read(row)


def listing(connection: Connection, agents: Collection[int] | None, *, limit: int = 100) -> list[Receipt]:
    """The newest ones."""
    query = _receipt
    if agents is not None:
        query = query.where(erasures.c.agent_id.in_(sorted(agents)))
    return [_read(row) for row in connection.execute(query.order_by(erasures.c.id.desc()).limit(limit))]


def _read(row: Row[tuple[object, ...]]) -> Receipt:
    values = dict(row._mapping)
    values["subject"] = bytes(values["subject"]) if values["subject"] is not None else None
    values["counts"] = msgspec.json.decode(values["counts"])
    return Receipt(**values)


class Stone(msgspec.Struct):
    """One erased conversation in a file that is kept beside backups. `hash` is in hex, `erased_at` in microseconds."""

    agent: int
    hash: str
    erased_at: int


def stones(connection: Connection) -> Iterator[Stone]:
    """Everything that was erased, for replaying it on a backup that is older."""
    for agent_id, hashed, moment in connection.execute(
        select(erased.c.agent_id, erased.c.hash, erased.c.erased_at).order_by(erased.c.erased_at)
    ):
        yield Stone(agent_id, bytes(hashed).hex(), moment)


def returned(connection: Connection, known: Sequence[Stone]) -> list[tuple[int, int]]:
    """The conversations (agent, number) that were erased and are there again: a backup was restored."""
    key = tombstones.secret_of(connection)
    moments = {(each.agent, each.hash): each.erased_at for each in known}
    table = conversations.c
    found = []
    for number, agent_id, name, began in connection.execute(
        select(table.id, table.agent_id, table.conversation_id, table.started_at).where(
            table.agent_id.in_({each.agent for each in known}), table.erasure.is_(None)
        )
    ):
        moment = moments.get((agent_id, tombstones.hash_of(key, agent_id, "conversation", name).hex()))
        if moment is not None and began <= moment:
            found.append((agent_id, number))
    return found


def begin_again(connection: Connection, found: Sequence[tuple[int, int]], requested_by: str) -> list[int]:
    """Erase what came back."""
    return [
        erasing.begin(connection, agent_id, Criterion(conversation=number), requested_by)
        for agent_id, number in found
    ]
