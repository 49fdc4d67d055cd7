"""From the oracle's records to the store, by the way that every item takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from agentsight_server.store import append, conversations
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SYSTEM,
    TOKEN_USAGE,
)
from tests.oracle import Item, Record

_SENDERS = {"end_user": END_USER, "agent": AGENT, "system": SYSTEM, None: None}
_names = itertools.count(1)


def new_item(item: Item) -> NewItem:
    sender = _SENDERS[item.sender]
    if item.kind in {"message", "attachments"}:
        kind = MESSAGE if item.kind == "message" else ATTACHMENTS
        return NewItem(kind, item.at, None, sender, "words that nobody counts")
    if item.kind == "action":
        error = "it broke" if item.failed else None
        detail = (item.name, None, None, item.duration_ms, None, None, error)
        return NewItem(ACTION, item.at, None, AGENT, detail=detail)
    if item.kind == "button":
        return NewItem(BUTTON, item.at, None, END_USER, detail=(item.name, item.label, "v"))
    if item.kind == "token_usage":
        prompt, completion, embedding, total = item.tokens
        detail = (item.model, prompt, completion, total, embedding, *item.parts)
        return NewItem(TOKEN_USAGE, item.at, detail=detail)
    return NewItem(FEEDBACK, item.at, detail=(item.sentiment, item.source, None, None))


def new_conversation(record: Record, name: str, items: Iterable[Item]) -> NewConversation:
    return NewConversation(
        name,
        customer_id=record.customer,
        device=record.device,
        source=record.source,
        language=record.language,
        country=record.country,
        environment="production" if record.production else "development",
        metadata=record.metadata,
        is_used=False if record.offered else None,
        started_at=record.started_at,
        items=[new_item(item) for item in items],
    )


def feed(
    database: Database, agent: int, records: Iterable[Record], *, pieces: int = 1
) -> list[tuple[str, int]]:
    """Store records, each in so many pieces, all first pieces first; returns their names and numbers."""
    records = list(records)
    names = [f"c{next(_names)}" for _ in records]
    numbers: dict[str, int] = {}
    for piece in range(pieces):
        for record, name in zip(records, names, strict=True):
            cut = [len(record.items) * each // pieces for each in (piece, piece + 1)]
            part = record.items[cut[0] : cut[1]]
            if piece and not part:
                continue
            with database.write() as connection:
                stored = append.append(connection, 0, agent, [new_conversation(record, name, part)])
            assert stored[0].id is not None
            numbers[name] = stored[0].id
    for record, name in zip(records, names, strict=True):
        if record.deleted:
            with database.write() as connection:
                assert conversations.delete(connection, {agent}, numbers[name])
    return [(name, numbers[name]) for name in names]
