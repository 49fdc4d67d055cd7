"""What a public key may write, and what it is answered.

An `ingest` key stands in pages that everybody can read. So it plants nothing that would pass for the owner's own, and
is answered nothing that it did not bring itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight.server.errors import Invalid
from agentsight.server.ingest import wire
from agentsight.server.security.access import Viewer
from agentsight.server.store.append import NewConversation

_MANAGED = "is for a key with the role write, not ingest"


class Receipt(msgspec.Struct):
    """What an `ingest` key is answered: the number of what it wrote, the text id that it sent, and whether this call
    began the conversation."""

    id: int
    conversation_id: str
    created: bool


class NotAllowed(Invalid):
    """403: the named fields are not this key's to write."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.status = 403


class Author:
    """Who writes with a public key: judges what is written, and marks it as this key's.

    Example:
        >>> author = Author.of(viewer)   # None for a key that may do it all, and for a person
        >>> if author: author.reference(given)
    """

    def __init__(self, key_id: int) -> None:
        self.key_id = key_id

    @classmethod
    def of(cls, viewer: Viewer) -> Author | None:
        """The viewer as an author with limits, or None where there are none."""
        if viewer.role != "ingest" or viewer.key_id is None:
            return None
        return cls(viewer.key_id)

    def reference(self, conversation: int | str | None) -> None:
        """Judge how a single call names its conversation.

        Raises:
            NotAllowed: by a number; numbers can be counted through, text ids cannot.
        """
        if isinstance(conversation, str) and conversation.strip() in wire.NO_REFERENCE:
            return
        if conversation is not None:
            raise NotAllowed(
                {"conversation": [f"by number {_MANAGED}: name it by its text id, conversation_id"]}
            )

    def conversation(self, given: wire.ConversationFields) -> None:
        """Judge a conversation's own fields.

        Raises:
            NotAllowed: it marks, deletes or otherwise says what only the owner's side can know.
        """
        if not isinstance(given, wire.ConversationIn):
            return
        said: dict[str, Any] = {
            "is_marked": given.is_marked or None,
            "is_offered": given.is_offered,
            "deleted_at": given.deleted_at,
        }
        wrong = {name: [_MANAGED] for name, value in said.items() if value is not None}
        if wrong:
            raise NotAllowed(wrong)

    def item(self, given: wire.ItemIn) -> None:
        """Judge an item.

        Raises:
            NotAllowed: feedback in the name of the platform.
        """
        if isinstance(given, wire.FeedbackIn) and given.source == "platform":
            raise NotAllowed(
                {"source": ["platform is for a signed-in person; a key's feedback is customer's"]}
            )

    def sign(self, target: NewConversation) -> None:
        """Mark what is to be stored as this key's."""
        target.author = self.key_id
