"""Conversations as answers of bounded size: what does not fit is had with the next call, and the answer says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from agentsight_server.analytics.threads import SessionRow
from agentsight_server.contract import response_schemas
from agentsight_server.domain import times
from agentsight_server.store import extents, transcripts
from agentsight_server.store.conversations import ConversationRow, ids
from agentsight_server.store.transcripts import Transcript

LARGEST = 8_000_000
"""Bytes of JSON that conversations may be in one answer. A single conversation, or message, that is larger alone is
answered alone."""

_encode = msgspec.json.encode


def whole(
    connection: Connection,
    rows: list[ConversationRow],
    links: response_schemas.FileLinks,
    address: str,
    *,
    full: bool = True,
) -> list[msgspec.Raw]:
    """The API's form of as many rows as fit, at least one of them, which the caller may see.

    Args:
        links: makes the addresses of files.
        address: of the list of conversations, for the address of a conversation's further messages.
        full: with messages and feedback.
    """
    numbers = ids(rows)
    sizes = extents.sizes(connection, numbers) if full else {}
    # Usually all of them fit, and are had with one look.
    said = transcripts.load(connection, numbers) if sum(sizes.values()) <= LARGEST else {}
    usage = transcripts.usage_of(connection, numbers)
    made: list[msgspec.Raw] = []
    room = LARGEST
    for row in rows:
        mine = links.of_deleted() if row.is_deleted else links
        transcript = said.get(row.id) if full else None
        if full and transcript is None:
            if made and sizes[row.id] > room:
                break
            if sizes[row.id] <= LARGEST:
                transcript = transcripts.load(connection, [row.id])[row.id]
        total = transcripts.total_usage(usage.get(row.id, []))
        bare = full and transcript is None
        answer = response_schemas.conversation(row, total, Transcript() if bare else transcript, mine)
        text = _encode(answer)
        if bare or (full and len(text) > LARGEST):
            if made:
                break
            _beginning(connection, answer, None, mine, address)
            text = _encode(answer)
        if made and len(text) > room:
            break
        made.append(msgspec.Raw(text))
        room -= len(text)
    return made


def further(
    connection: Connection, row: ConversationRow, after: int, links: response_schemas.FileLinks, address: str
) -> msgspec.Raw:
    """A conversation with what comes after an item of it.

    Raises:
        LookupError: it has no item of that number.
    """
    usage = transcripts.total_usage(transcripts.usage_of(connection, [row.id]).get(row.id, []))
    answer = response_schemas.conversation(row, usage, Transcript(), links)
    _beginning(connection, answer, after, links, address)
    return msgspec.Raw(_encode(answer))


def with_sessions(told: msgspec.Raw, cut: Sequence[SessionRow]) -> msgspec.Raw:
    """A conversation's answer with its sessions."""
    sessions = [
        response_schemas.Session(
            each.ordinal,
            times.to_text(each.started_at),
            times.to_text(each.ended_at),
            each.messages,
            each.engaged,
            each.offered,
            each.outreach,
        )
        for each in cut
    ]
    # It may be megabytes: what is there is not read again.
    return msgspec.Raw(bytes(told)[:-1] + b',"sessions":' + _encode(sessions) + b"}")


def _beginning(
    connection: Connection,
    answer: response_schemas.Conversation,
    after: int | None,
    links: response_schemas.FileLinks,
    address: str,
) -> None:
    """Put as many of a conversation's messages, with the feedback among them, into its answer as fit."""
    messages: list[Any] = []
    feedbacks: list[Any] = []
    room, last = LARGEST, None
    for stretch in extents.stretches(connection, answer.id, after):
        given = {row.id: row for row in stretch.feedbacks}
        for entry in stretch.entries:
            opinion = given.get(entry.id)
            if not entry.is_line and opinion is None:
                continue
            made = (
                response_schemas.message(entry, links)
                if opinion is None
                else response_schemas.feedback(opinion)
            )
            text = msgspec.Raw(_encode(made))
            size = len(bytes(text))
            if last is not None and size > room:
                deleted = "&include_deleted=true" if answer.is_deleted else ""
                answer.messages_next = f"{address}{answer.id}/?messages_after={last}{deleted}"
                break
            (messages if opinion is None else feedbacks).append(text)
            room -= size
            last = entry.id
        if answer.messages_next is not msgspec.UNSET:
            break
    answer.messages, answer.feedbacks = messages, feedbacks
