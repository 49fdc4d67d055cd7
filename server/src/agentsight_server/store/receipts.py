"""Receipts of what was erased: how much of what, when, for whom it was asked; never what it was."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, Row, select

from agentsight_server.store import erasing
from agentsight_server.store.schema import erasures


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
