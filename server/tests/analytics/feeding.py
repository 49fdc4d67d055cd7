"""From the oracle's records to the store, by the way that every item takes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence

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
from agentsight_server.store.votes import About
from tests.oracle import Item, Record

_SENDERS = {"end_user": END_USER, "agent": AGENT, "system": SYSTEM, None: None}
_names = itertools.count(1)


def new_item(item: Item) -> NewItem:
    sender = _SENDERS[item.sender]
    if item.kind in {"message", "attachments"}:
        kind = MESSAGE if item.kind == "message" else ATTACHMENTS
        return NewItem(kind, item.at, None, sender, item.text)
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
    message = hashlib.md5(item.about.encode()).digest() if item.about else None
    about = About(message, item.replaces)
    return NewItem(FEEDBACK, item.at, detail=(item.sentiment, item.source, None, None), about=about)


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
    database: Database,
    agent: int,
    records: Iterable[Record],
    *,
    pieces: int = 1,
    together: int = 1,
    between: Callable[[], None] = lambda: None,
    fields_later: bool = False,
) -> list[tuple[str, int]]:
    """Store records, each in so many pieces, all first pieces first; returns their names and numbers.

    `together`: how many conversations come in one request. `between` is called after all pieces of a kind.
    `fields_later`: every other conversation that has a second piece brings its customer, source and the like with it.
    """
    records = list(records)
    names = [f"c{next(_names)}" for _ in records]
    numbers: dict[str, int] = {}
    for piece in range(pieces):
        parts = []
        for place, (record, name) in enumerate(zip(records, names, strict=True)):
            first = _first(record.items, pieces)
            cut = [
                0,
                *(first + (len(record.items) - first) * each // max(1, pieces - 1) for each in range(pieces)),
            ]
            items = record.items[cut[piece] : cut[piece + 1]]
            if items or not piece:
                parts.append(new_conversation(record, name, items))
            if fields_later and not piece and place % 2 and first < len(record.items):
                for field in ("customer_id", "device", "source", "language", "country", "metadata"):
                    setattr(parts[-1], field, None)
        for start in range(0, len(parts), together):
            with database.write() as connection:
                stored = append.append(connection, 0, agent, parts[start : start + together])
            for each in stored:
                assert each.id is not None
                assert each.conversation_id is not None
                numbers[each.conversation_id] = each.id
        between()
    for record, name in zip(records, names, strict=True):
        if record.deleted:
            with database.write() as connection:
                assert conversations.delete(connection, {agent}, numbers[name])
    return [(name, numbers[name]) for name in names]


def _first(items: Sequence[Item], pieces: int) -> int:
    """How many items come with the first piece: among them, if there is any, one that is not feedback. What makes a
    conversation says whether anybody took part in it."""
    if pieces == 1:
        return len(items)
    leading = sum(1 for _ in itertools.takewhile(lambda item: item.kind == "feedback", items))
    return min(len(items), max(len(items) // pieces, leading + 1))
