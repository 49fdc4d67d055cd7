"""What changed since a revision: the conversations whole, and of their items what the follower lacks.

Read from one moment of the store, in whole revisions, so that a follower that remembers the last revision it
took never skips a change and never sees half of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from agentsight.server.store import dialect
from agentsight.server.store.conversations import latest_revision
from agentsight.server.store.schema import conversations

_table = conversations.c
_changed = (
    select(
        _table.id,
        _table.revision,
        _table.agent_id,
        (_table.environment == "production").label("production"),
        _table.is_deleted,
        _table.is_used,
        _table.is_offered,
        _table.started_at,
        _table.ended_at,
        _table.customer_id,
        _table.device,
        _table.source,
        _table.language,
        _table.country,
        _table.metadata,
    )
).order_by(_table.revision, _table.id)


class Changes(msgspec.Struct):
    """Conversations that changed, and the revision up to which nothing is missing.

    `upto` is also right when there are none: a transaction may take a revision and change nothing.
    """

    rows: Sequence[Row[Any]]
    upto: int
    more: bool


class Items(msgspec.Struct):
    """Items by kind, each a tuple that begins with (item id, conversation, timestamp), in order of time and id.

    said: + sender; actions: + action_name, failed, duration_ms; clicks: + button_event, label;
    usage: + model, prompt, completion, embedding, total tokens; feedback: + sentiment, source.
    """

    said: list[tuple[Any, ...]]
    actions: list[tuple[Any, ...]]
    clicks: list[tuple[Any, ...]]
    usage: list[tuple[Any, ...]]
    feedback: list[tuple[Any, ...]]


def since(connection: Connection, revision: int, *, limit: int = 1_000) -> Changes:
    """The conversations that changed after `revision`, about `limit` of them, cut between two revisions."""
    latest = latest_revision(connection)
    if latest <= revision:
        return Changes([], latest, False)
    rows = connection.execute(_changed.where(_table.revision > revision).limit(limit)).all()
    if len(rows) < limit:
        return Changes(rows, latest, False)
    last = rows[-1].revision
    whole = [row for row in rows if row.revision < last]
    if not whole:  # one transaction that touched more than the limit
        whole = list(connection.execute(_changed.where(_table.revision == last)).all())
        return Changes(whole, last, True)
    return Changes(whole, last - 1, True)


def items_of(connection: Connection, wanted: Mapping[int, int]) -> Items:
    """The items of conversations, each only those numbered above its value in `wanted`.

    Args:
        wanted: {conversation: number of the last item that the caller has; 0 for all}.
    """
    if not wanted:
        return Items([], [], [], [], [])
    source, values = dialect.pairs(connection, wanted)
    driver = connection.connection.cursor()

    def fetch(columns: str, table: str, condition: str = "") -> list[tuple[Any, ...]]:
        # CROSS JOIN makes SQLite begin with the short list, never with the table.
        if table == "items":
            joined = "items i WHERE i.conversation = wanted.conversation AND i.id > wanted.above"
        else:
            joined = (
                f"{table} d CROSS JOIN items i WHERE d.conversation = wanted.conversation "
                "AND d.item > wanted.above AND i.id = d.item"
            )
        driver.execute(
            f"WITH wanted(conversation, above) AS ({source}) "  # noqa: S608 - no value is part of the text
            f"SELECT i.id, i.conversation, i.timestamp, {columns} FROM wanted CROSS JOIN {joined} {condition} "
            "ORDER BY i.timestamp, i.id",
            values,
        )
        return list(driver.fetchall())

    try:
        return Items(
            # Messages of the two parties; notes by the system are neither's.
            fetch("i.sender", "items", "AND i.kind IN (0, 3) AND i.sender IN (0, 1)"),
            fetch("d.action_name, d.error_msg IS NOT NULL, d.duration_ms", "actions"),
            fetch("d.button_event, d.label", "buttons"),
            fetch(
                "d.model, d.prompt_tokens, d.completion_tokens, d.embedding_tokens, d.total_tokens",
                "token_usage",
            ),
            fetch("d.sentiment, d.source", "feedbacks"),
        )
    finally:
        driver.close()


def total(connection: Connection) -> int:
    """How many conversations there are, deleted ones too."""
    return int(connection.execute(select(func.count()).select_from(conversations)).scalar_one())
