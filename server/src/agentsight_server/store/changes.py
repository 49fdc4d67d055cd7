"""What changed since a revision: the conversations whole, and of their items what the follower lacks.

Read from one moment of the store, in whole revisions, so that a follower that remembers the last revision it
took never skips a change and never sees half of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from agentsight_server.store import dialect
from agentsight_server.store.conversations import latest_revision
from agentsight_server.store.messages import messages_sql
from agentsight_server.store.schema import ACTION, ATTACHMENTS, BUTTON, MESSAGE, conversations, erased


class ChangedRow(msgspec.Struct, frozen=True):
    """A conversation as it is now; what is true or false may be 1 or 0."""

    id: int
    revision: int
    agent_id: int
    production: int
    is_deleted: int
    is_used: int
    is_offered: int
    started_at: int
    ended_at: int
    customer_id: str | None
    device: str | None
    source: str | None
    language: str | None
    country: str | None
    metadata: str
    rewritten: int


_COLUMNS = ChangedRow.__struct_fields__
_LISTED = ", ".join(
    "environment = 'production' AS production" if name == "production" else name for name in _COLUMNS
)


_USAGE = (
    "model", "prompt_tokens", "completion_tokens", "embedding_tokens", "total_tokens", "cached_tokens",
    "cache_write_tokens", "input_audio_tokens", "reasoning_tokens", "output_audio_tokens",
)  # fmt: skip


# What makes a session: all but tokens and feedback.
_MADE = ", ".join(map(str, (MESSAGE, ACTION, BUTTON, ATTACHMENTS)))
# Of a longer text than twice as many characters, only so many at either end.
_ENDS = 2_000
_TEXT = (
    f"CASE WHEN {messages_sql('i')} THEN CASE WHEN length(i.content) > {2 * _ENDS} "
    f"THEN substr(i.content, 1, {_ENDS}) || substr(i.content, length(i.content) - {_ENDS - 1}) "
    "ELSE i.content END END"
)


class Changes(msgspec.Struct):
    """Conversations that changed, and the revision up to which nothing is missing.

    `upto` is also right when there are none: a transaction may take a revision and change nothing.
    """

    rows: list[ChangedRow]
    upto: int
    more: bool
    gone: list[int] = []  # erased for good: of these nothing may be left


class Items(msgspec.Struct):
    """Items by kind, each a row that begins with (item id, conversation, timestamp), in order of time and id.

    made: everything that was written, sent, run or clicked: + kind, sender, text (of messages; of a very long one its
    beginning and its end);
    actions: + action_name, failed, duration_ms; clicks: + button_event, label;
    usage: + model, prompt, completion, embedding, total, cached, cache-writing, input audio, reasoning, output audio
    tokens; feedback: + sentiment, source.
    """

    made: list[Sequence[Any]] = []
    actions: list[Sequence[Any]] = []
    clicks: list[Sequence[Any]] = []
    usage: list[Sequence[Any]] = []
    feedback: list[Sequence[Any]] = []


def since(connection: Connection, revision: int, *, limit: int = 1_000) -> Changes:
    """The conversations that changed after `revision`, about `limit` of them, cut between two revisions."""
    found = _since(connection, revision, limit)
    if found.upto > revision:
        query = select(erased.c.number).where(
            erased.c.revision > revision, erased.c.revision <= found.upto, erased.c.number.is_not(None)
        )
        found.gone = list(connection.execute(query).scalars())
    return found


def _since(connection: Connection, revision: int, limit: int) -> Changes:
    latest = latest_revision(connection)
    if latest <= revision:
        return Changes([], latest, False)
    mark = dialect.mark(dialect.of(connection))
    rows = _changed(connection, f"revision > {mark}", (revision, limit), limit=f"LIMIT {mark}")
    if len(rows) < limit:
        return Changes(rows, latest, False)
    last = rows[-1].revision
    whole = [row for row in rows if row.revision < last]
    if not whole:  # one transaction that touched more than the limit
        return Changes(_changed(connection, f"revision = {mark}", (last,)), last, True)
    return Changes(whole, last - 1, True)


def _changed(
    connection: Connection, condition: str, values: tuple[int, ...], *, limit: str = ""
) -> list[ChangedRow]:
    query = f"SELECT {_LISTED} FROM conversations WHERE {condition} ORDER BY revision, id {limit}"  # noqa: S608
    return [ChangedRow(*row) for row in dialect.fetch(connection, _COLUMNS, query, values)]


def items_of(connection: Connection, wanted: Mapping[int, int], *, by_time: bool = False) -> Items:
    """The items of conversations, each only those numbered above its value in `wanted`.

    Args:
        wanted: {conversation: number of the last item that the caller has; 0 for all}.
        by_time: the values are times instead, in microseconds: those at that time and after it.
    """
    if not wanted:
        return Items()
    source, values = dialect.pairs(connection, wanted)

    def fetch(columns: dict[str, str], table: str, condition: str = "") -> list[Sequence[Any]]:
        # CROSS JOIN makes SQLite begin with the short list, never with the table.
        of_items = "items i WHERE i.conversation = wanted.conversation AND "
        if by_time:
            joined = f"{of_items} i.timestamp >= wanted.above"
            if table != "items":
                joined = (
                    f"items i CROSS JOIN {table} d WHERE {joined.partition('WHERE')[2]} AND d.item = i.id"
                )
        elif table == "items":
            joined = f"{of_items} i.id > wanted.above"
        else:
            joined = (
                f"{table} d CROSS JOIN items i WHERE d.conversation = wanted.conversation "
                "AND d.item > wanted.above AND i.id = d.item"
            )
        named = {"item": "i.id", "conversation": "i.conversation", "moment": "i.timestamp", **columns}
        listed = ", ".join(f"{expression} AS {name}" for name, expression in named.items())
        return dialect.fetch(
            connection,
            list(named),
            f"WITH wanted(conversation, above) AS ({source}) "  # noqa: S608 - no value is part of the text
            f"SELECT {listed} FROM wanted CROSS JOIN {joined} {condition} ORDER BY i.timestamp, i.id",
            values,
        )

    def own(*names: str) -> dict[str, str]:
        return {name: f"d.{name}" for name in names}

    return Items(
        fetch({"kind": "i.kind", "sender": "i.sender", "text": _TEXT}, "items", f"AND i.kind IN ({_MADE})"),
        fetch(
            {"action_name": "d.action_name", "failed": "d.error_msg IS NOT NULL", **own("duration_ms")},
            "actions",
        ),
        fetch(own("button_event", "label"), "buttons"),
        fetch(
            own(*_USAGE),
            "token_usage",
        ),
        fetch(own("sentiment", "source"), "feedbacks"),
    )


def of_agent(connection: Connection, agent: int, above: int, *, limit: int) -> list[ChangedRow]:
    """An agent's conversations numbered above `above`, in that order, deleted ones too."""
    mark = dialect.mark(dialect.of(connection))
    query = (
        f"SELECT {_LISTED} FROM conversations WHERE agent_id = {mark} AND id > {mark} "  # noqa: S608
        f"ORDER BY id LIMIT {mark}"
    )
    return [ChangedRow(*row) for row in dialect.fetch(connection, _COLUMNS, query, (agent, above, limit))]


def total(connection: Connection, agent: int | None = None) -> int:
    """How many conversations there are, deleted ones too; of an agent, or in all."""
    query = select(func.count()).select_from(conversations)
    if agent is not None:
        query = query.where(conversations.c.agent_id == agent)
    return int(connection.execute(query).scalar_one())
