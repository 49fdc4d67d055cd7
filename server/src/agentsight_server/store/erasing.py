"""Erasing for good: what is to go is marked, then taken away piece by piece; after an interruption it continues.

A marked conversation has lost its name and is there for nobody. Each function is one short transaction's work, and
can be done again: by the same process after a crash, or by another one at the same moment.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from agentsight_server.domain import times
from agentsight_server.store import installation, search_index, tombstones
from agentsight_server.store.append import next_revision
from agentsight_server.store.schema import (
    ACTION,
    ATTACHMENTS,
    BUTTON,
    FEEDBACK,
    MESSAGE,
    TOKEN_USAGE,
    agents,
    api_keys,
    attachments,
    conversations,
    erased,
    erased_files,
    erasures,
    items,
    memberships,
    metadata,
)

Kind = Literal["conversation", "customer", "agent", "retention", "replay"]
PIECE_SECONDS = 0.04
"""A piece ends when it has taken so long; the commit comes on top."""
_MARKED_AT_ONCE = 200
_ITEMS_AT_ONCE = 25
_CONVERSATIONS_AT_ONCE = 100
_FORGOTTEN = "erased-forgotten"
# Kept of an agent that goes: what says that it went.
_OUTLIVE = frozenset({"erasures", "erased", "erased_files", "security_events"})
_COUNTED = {
    MESSAGE: "messages",
    ACTION: "actions",
    BUTTON: "buttons",
    ATTACHMENTS: "messages",
    TOKEN_USAGE: "token_usage",
    FEEDBACK: "feedbacks",
}


class Criterion(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to go, of one agent: one conversation, a customer's, those that ended before a time, some that a restore
    brought back, or all."""

    conversation: int | None = None
    returned: tuple[int, ...] = ()
    customer_id: str | None = None
    environment: str | None = None
    ended_before: int | None = None  # microseconds
    whole_agent: bool = False

    @property
    def kind(self) -> Kind:
        """What the receipt calls it."""
        if self.conversation is not None:
            return "conversation"
        if self.returned:
            return "replay"
        if self.customer_id is not None:
            return "customer"
        return "retention" if self.ended_before is not None else "agent"


class Amount(msgspec.Struct, frozen=True):
    """How much would go."""

    conversations: int
    messages: int
    attachments: int
    oldest: int | None  # when the first of them began (microseconds)
    newest: int | None


def matching(agent_id: int, criterion: Criterion) -> list[ColumnElement[bool]]:
    """Which conversations are meant, deleted ones too."""
    table = conversations.c
    wanted = [table.agent_id == agent_id, table.erasure.is_(None)]
    if criterion.conversation is not None:
        wanted.append(table.id == criterion.conversation)
    if criterion.returned:
        wanted.append(table.id.in_(criterion.returned))
    if criterion.customer_id is not None:
        wanted.append(table.customer_id == criterion.customer_id)
    if criterion.environment is not None:
        wanted.append(table.environment == criterion.environment)
    if criterion.ended_before is not None:
        # None that ended earlier began later; the index is by the beginning.
        wanted += [
            table.started_at < criterion.ended_before,
            table.ended_at < criterion.ended_before,
        ]
    return wanted


def amount(connection: Connection, agent_id: int, criterion: Criterion) -> Amount:
    """How much would go.

    Example:
        >>> amount(connection, 1, Criterion(customer_id="anna")).conversations
        3
    """
    table, which = conversations.c, matching(agent_id, criterion)
    row = connection.execute(
        select(
            func.count(), func.sum(table.messages), func.min(table.started_at), func.max(table.started_at)
        ).where(*which)
    ).one()
    files = connection.execute(
        select(func.count())
        .select_from(attachments.join(conversations, conversations.c.id == attachments.c.conversation))
        .where(*which)
    ).scalar_one()
    return Amount(int(row[0]), int(row[1] or 0), int(files), row[2], row[3])


def any_of(connection: Connection, agent_id: int, criterion: Criterion) -> bool:
    """Whether anything would go."""
    query = select(conversations.c.id).where(*matching(agent_id, criterion)).limit(1)
    return connection.execute(query).first() is not None


def begin(connection: Connection, agent_id: int, criterion: Criterion, requested_by: str) -> int:
    """Note that it is to be erased; returns the erasure's number. Nothing is gone yet.

    Args:
        requested_by: who, in words for the receipt: "key 3", "anna@example.com", "command line".
    """
    table = conversations.c
    subject = None
    key = tombstones.secret_of(connection)
    if criterion.conversation is not None:
        name = connection.execute(
            select(table.conversation_id).where(table.id == criterion.conversation)
        ).scalar()
        subject = tombstones.hash_of(key, agent_id, "conversation", name or "")
    elif criterion.customer_id is not None:
        subject = tombstones.hash_of(key, agent_id, "customer", criterion.customer_id)
    elif criterion.whole_agent:
        name = connection.execute(select(agents.c.name).where(agents.c.id == agent_id)).scalar()
        subject = tombstones.hash_of(key, agent_id, "agent", name or "")
    number = int(
        connection.execute(
            insert(erasures).returning(erasures.c.id),
            {
                "agent_id": agent_id,
                "kind": criterion.kind,
                "environment": criterion.environment,
                "subject": subject,
                "criterion": msgspec.json.encode(criterion).decode(),
                "requested_by": requested_by,
                "requested_at": times.now(),
            },
        ).scalar_one()
    )
    if criterion.whole_agent:
        # Out of sight at once, its name free for another, its keys dead.
        connection.execute(
            update(agents)
            .where(agents.c.id == agent_id)
            .values(name=f"erased {number} {secrets.token_hex(8)}", settings="{}")
        )
        connection.execute(
            update(api_keys)
            .where(api_keys.c.agent_id == agent_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=times.now())
        )
    return number


class Job(msgspec.Struct):
    """An erasure that is not finished."""

    id: int
    agent_id: int
    kind: Kind
    criterion: Criterion | None
    requested_at: int
    gone_at: int | None


def open_jobs(connection: Connection) -> list[Job]:
    """Erasures that are not finished, oldest first."""
    table = erasures.c
    query = select(
        table.id, table.agent_id, table.kind, table.criterion, table.requested_at, table.gone_at
    ).where(table.finished_at.is_(None))
    return [
        Job(
            number,
            agent_id,
            kind,
            None if text is None else msgspec.json.decode(text, type=Criterion),
            requested_at,
            gone_at,
        )
        for number, agent_id, kind, text, requested_at, gone_at in connection.execute(
            query.order_by(table.id)
        )
    ]


def mark(connection: Connection, job: Job) -> int:
    """Mark some of the conversations that are to go: from here on they have no name and are there for nobody.

    Returns:
        How many; 0: all are marked, and what was asked for is forgotten, too.
    """
    if job.criterion is None:
        return 0
    table = conversations.c
    rows = connection.execute(
        select(table.id, table.conversation_id)
        .where(*matching(job.agent_id, job.criterion))
        .limit(_MARKED_AT_ONCE)
    ).all()
    if not rows:
        if not job.criterion.whole_agent:  # new ones may still be on their way to it
            connection.execute(update(erasures).where(erasures.c.id == job.id).values(criterion=None))
        return 0
    key, now = tombstones.secret_of(connection), times.now()
    revision = next_revision(connection)
    nothing: dict[str, Any] = {
        column.name: None
        for column in conversations.columns
        if column.nullable and column.name not in ("erasure", "begun_by")
    }
    nothing |= {"metadata": "{}", "messages": 0, "is_marked": False, "is_deleted": True, "deleted_at": now}
    stones = []
    for number, name in rows:
        # A name of its own, so that the old one is free.
        values = {"conversation_id": f"erased {number} {secrets.token_hex(8)}", "erasure": job.id}
        connection.execute(
            update(conversations).where(table.id == number).values(**nothing, **values, revision=revision)
        )
        stones.append(
            {
                "agent_id": job.agent_id,
                "hash": tombstones.hash_of(key, job.agent_id, "conversation", name),
                "erasure": job.id,
                "erased_at": now,
                "revision": revision,
                "number": number,
            }
        )
    put_stones(connection, stones)
    search_index.note_erased(connection, conversations=[number for number, _ in rows])
    _count(connection, job.id, {"conversations": len(rows)})
    return len(rows)


def put_stones(connection: Connection, stones: list[dict[str, Any]]) -> None:
    """Remember what was erased; rows of the table `erased`."""
    for stone in stones:
        # A name can be used and erased again.
        connection.execute(
            delete(erased).where(erased.c.agent_id == stone["agent_id"], erased.c.hash == stone["hash"])
        )
    connection.execute(insert(erased), stones)


def remove(connection: Connection, job: Job) -> bool:
    """Take away some of what is marked; False when nothing of it is left."""
    end = time.monotonic() + PIECE_SECONDS
    counts: Counter[str] = Counter()
    left = True
    while left and time.monotonic() < end:
        left = _remove_some(connection, job, counts)
    if counts:
        _count(connection, job.id, counts)
    return left


def _remove_some(connection: Connection, job: Job, counts: Counter[str]) -> bool:
    marked = list(
        connection.execute(
            select(conversations.c.id).where(conversations.c.erasure == job.id).limit(_CONVERSATIONS_AT_ONCE)
        ).scalars()
    )
    if not marked:
        return False
    found = connection.execute(
        select(items.c.id, items.c.kind).where(items.c.conversation.in_(marked)).limit(_ITEMS_AT_ONCE)
    ).all()
    if not found:
        connection.execute(delete(conversations).where(conversations.c.id.in_(marked)))
        return True
    numbers = [number for number, _ in found]
    files = connection.execute(select(attachments.c.sha256).where(attachments.c.item.in_(numbers))).scalars()
    for sha in set(kept := list(files)):
        waiting = {"sha256": sha, "erasure": job.id}
        if connection.execute(select(erased_files).filter_by(**waiting)).first() is None:
            connection.execute(insert(erased_files), waiting)
    counts.update(_COUNTED[kind] for _, kind in found)
    counts["attachments"] += len(kept)
    for table in details():
        for column in table.columns:
            if column.name != "item" and any(key.column.table is items for key in column.foreign_keys):
                connection.execute(update(table).where(column.in_(numbers)).values({column.name: None}))
        connection.execute(delete(table).where(table.c.item.in_(numbers)))
    search_index.note_erased(connection, items=numbers)
    connection.execute(delete(items).where(items.c.id.in_(numbers)))
    return True


def details() -> list[Table]:
    """The tables that hold more of an item."""
    return [table for table in metadata.sorted_tables if "item" in table.columns]


def forgotten(connection: Connection) -> int:
    """The revision up to which it is not known any more which numbers were erased: who follows the store and is
    behind that starts over."""
    return int(installation.value_of(connection, _FORGOTTEN) or 0)


def forget_numbers(connection: Connection) -> None:
    """Let the numbers of what was erased more than a day ago go, too."""
    table = erased.c
    old = (table.number.is_not(None), table.erased_at < times.now() - times.DAY)
    last = connection.execute(select(func.max(table.revision)).where(*old)).scalar()
    if last is not None:
        installation.keep_value(connection, _FORGOTTEN, str(max(last, forgotten(connection))))
        connection.execute(update(erased).where(*old).values(number=None))


def files_to_look_at(connection: Connection, job: Job, *, limit: int = 100) -> list[str]:
    """Files of what is gone, by their hash, that nobody has looked at yet."""
    query = select(erased_files.c.sha256).where(erased_files.c.erasure == job.id)
    return list(connection.execute(query.limit(limit)).scalars())


def is_named(connection: Connection, sha: str) -> bool:
    """Whether a row still names the file."""
    query = select(attachments.c.id).where(attachments.c.sha256 == sha).limit(1)
    return connection.execute(query).first() is not None


def looked_at(connection: Connection, job: Job, files: Sequence[str], removed: int) -> None:
    """Note that these files were looked at, and how many of them are gone."""
    connection.execute(
        delete(erased_files).where(erased_files.c.erasure == job.id, erased_files.c.sha256.in_(files))
    )
    _count(connection, job.id, {"files": removed})


def remove_agent(connection: Connection, job: Job) -> bool:
    """Take away the agent itself, its keys, and what they sent; False when conversations came to it meanwhile."""
    if connection.execute(
        select(conversations.c.id).where(conversations.c.agent_id == job.agent_id).limit(1)
    ).first():
        return False
    keys = list(
        connection.execute(select(api_keys.c.id).where(api_keys.c.agent_id == job.agent_id)).scalars()
    )
    for table in reversed(metadata.sorted_tables):
        if table.name in _OUTLIVE or table is agents:
            continue
        if "key_id" in table.columns and table is not api_keys:
            connection.execute(delete(table).where(table.c.key_id.in_(keys)))
        if "agent_id" in table.columns:
            connection.execute(delete(table).where(table.c.agent_id == job.agent_id))
    connection.execute(delete(memberships).where(memberships.c.agent_id == job.agent_id))
    connection.execute(delete(agents).where(agents.c.id == job.agent_id))
    connection.execute(update(erasures).where(erasures.c.id == job.id).values(criterion=None))
    return True


def gone(connection: Connection, job: Job) -> None:
    """Note that no row is left."""
    connection.execute(
        update(erasures)
        .where(erasures.c.id == job.id, erasures.c.gone_at.is_(None))
        .values(gone_at=times.now())
    )


def finish(connection: Connection, jobs: Sequence[Job]) -> None:
    """Note that no byte is left."""
    connection.execute(
        update(erasures)
        .where(erasures.c.id.in_([job.id for job in jobs]), erasures.c.finished_at.is_(None))
        .values(finished_at=times.now())
    )


def _count(connection: Connection, number: int, more: Any) -> None:
    text = connection.execute(select(erasures.c.counts).where(erasures.c.id == number)).scalar_one()
    counts = Counter(msgspec.json.decode(text, type=dict[str, int]))
    counts.update(more)
    kept = {name: count for name, count in sorted(counts.items()) if count}
    connection.execute(
        update(erasures).where(erasures.c.id == number).values(counts=msgspec.json.encode(kept).decode())
    )
