"""What is changed later on items that are there: files that join a message."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, update

from agentsight_server.store.append import NewFile, next_revision
from agentsight_server.store.schema import attachments, conversations, items


def extend_message(
    connection: Connection, conversation: int, message: int, files: Sequence[NewFile], metadata: str | None
) -> None:
    """Add files to a message that is there, and set its metadata (JSON text)."""
    if files:
        rows = [
            {"item": message, "conversation": conversation, **msgspec.structs.asdict(file)} for file in files
        ]
        connection.execute(insert(attachments), rows)
    connection.execute(update(items).where(items.c.id == message).values(metadata=metadata))
    revision = next_revision(connection)
    connection.execute(
        update(conversations).where(conversations.c.id == conversation).values(revision=revision)
    )
