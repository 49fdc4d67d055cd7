"""ConversationManager: feedback, names, marks, fields and deletion."""

from __future__ import annotations

from agentsight.client.base import ApiClient, numbered
from agentsight.delivery.responses import cast_answer
from agentsight.exceptions import InvalidConversationDataException
from agentsight.items.choices import DEVICES, SENTIMENTS
from agentsight.items.validation import (
    COMMENT_LENGTH,
    NAME_LENGTH,
    choice,
    metadata_text,
    optional_name,
    optional_text,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentsight.types import ConversationRecord, DeletedRecord, DeviceName, FeedbackRecord, SentimentName

__all__ = ["ConversationManager"]


class ConversationManager(ApiClient):
    """Changes conversations on the server; every method is a request, and raises when it fails.

    `conversation_id` is the text id, or the integer database id. A text id is looked up first.

    Every method raises:
        NoApiKeyException: there is no key.
        MissingConversationIdException, InvalidConversationDataException: an argument is wrong; nothing was sent.
        NotFoundException: there is no such conversation.
        UnauthorizedException, ForbiddenException: the server refuses the key, or its role.
        ConversationApiException: the server answered with another error.
        ConversationNetworkException: the server could not be reached.

    Example:
        >>> from agentsight import conversation_manager
        >>> conversation_manager.submit_feedback("conv_1", "positive", comment="Quick!")  # doctest: +SKIP
    """

    def submit_feedback(
        self,
        conversation_id: str | int,
        sentiment: SentimentName,
        comment: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> FeedbackRecord:
        """Store what the customer thought of a conversation.

        Args:
            sentiment: `positive`, `neutral` or `negative`.
            comment: at most 5,000 characters.
            metadata: a dict of anything that fits JSON.

        Returns:
            The feedback as the server has it.
        """
        number = numbered(conversation_id)
        payload: dict[str, Any] = {"sentiment": choice("sentiment", sentiment, SENTIMENTS)}
        if number is not None:
            payload["conversation"] = number
        else:
            payload["conversation_id"] = conversation_id
        said = optional_text("comment", comment, COMMENT_LENGTH)
        if said is not None:
            payload["comment"] = said
        if metadata_text("metadata", metadata) is not None:
            payload["metadata"] = metadata
        # Not tried again once it may have arrived: a second one would count twice.
        stored = self._transport.call("POST", "/api/conversation-feedbacks/", payload, again=False)
        answer: FeedbackRecord = cast_answer(stored)
        return answer

    def rename_conversation(self, conversation_id: str | int, name: str) -> ConversationRecord:
        """Give a conversation a name, at most 255 characters. Returns it without messages."""
        title = text("name", name, NAME_LENGTH).strip()
        answer: ConversationRecord = self._change("PATCH", conversation_id, "rename", {"name": title})
        return answer

    def mark_conversation(self, conversation_id: str | int, is_marked: bool) -> ConversationRecord:
        """Mark a conversation, or take the mark away. Returns it without messages."""
        fields = {"is_marked": _flag(is_marked)}
        answer: ConversationRecord = self._change("POST", conversation_id, "mark", fields)
        return answer

    def update_conversation(
        self,
        conversation_id: str | int,
        name: str | None = None,
        is_marked: bool | None = None,
        customer_id: str | int | None = None,
        device: DeviceName | None = None,
        language: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> ConversationRecord:
        """Set the fields that are given, `metadata` as a whole.

        Raises:
            InvalidConversationDataException: a field is wrong, or none is given.

        Returns:
            The conversation without messages.
        """
        fields: dict[str, Any] = {}
        if name is not None:
            fields["name"] = text("name", name, NAME_LENGTH).strip()
        if is_marked is not None:
            fields["is_marked"] = _flag(is_marked)
        if customer_id is not None:
            fields["customer_id"] = optional_name("customer_id", customer_id)
        if device is not None:
            fields["device"] = choice("device", device, DEVICES)
        if language is not None:
            fields["language"] = optional_text("language", language, NAME_LENGTH)
        if metadata is not None:
            metadata_text("metadata", metadata)
            fields["metadata"] = metadata
        if not fields:
            raise InvalidConversationDataException(
                "update_conversation takes at least one of name, is_marked, customer_id, device, language, "
                "metadata"
            )
        answer: ConversationRecord = self._change("PATCH", conversation_id, "update", fields)
        return answer

    def delete_conversation(self, conversation_id: str | int) -> DeletedRecord:
        """Delete a conversation softly: it is kept, but shown and counted no more. Returns when."""
        answer: DeletedRecord = self._change("DELETE", conversation_id, "delete", None)
        return answer

    def _change(
        self, method: str, conversation_id: str | int, what: str, payload: dict[str, Any] | None
    ) -> Any:
        deadline = self._transport.deadline()
        path = f"/api/conversations/{self._number(conversation_id, deadline)}/{what}/"
        return cast_answer(self._transport.call(method, path, payload, deadline=deadline))


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidConversationDataException(f"is_marked takes True or False, not {value!r:.60}")
