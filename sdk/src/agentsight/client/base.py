"""What ConversationManager and AgentSightAPI share: settings, requests, and finding a conversation's number."""

from __future__ import annotations

from agentsight.config import Config, set_log_level
from agentsight.delivery.transport import Transport
from agentsight.exceptions import ConversationApiException, InvalidConversationDataException
from agentsight.items.validation import conversation_id as check_conversation_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Unpack

    from agentsight.types import Options

__all__ = ["ApiClient", "numbered"]


class ApiClient:
    """Settings and connections of a client whose every call is a request.

    Args:
        options: as in `ConversationTracker`.
    """

    _patient = False  # whether each call may take all of its time, also after a failure

    def __init__(self, **options: Unpack[Options]) -> None:
        self.config = Config()
        self._transport = Transport(self.config, patient=self._patient)
        self.configure(**options)

    def configure(self, **options: Unpack[Options]) -> None:
        """Change settings; what is left out stays as it is.

        Raises:
            InvalidApiKeyException, ConfigurationException: a value cannot be used; nothing is changed.
        """
        self.config.configure(**options)
        if self.config.given("log_level") is not None:
            set_log_level(self.config.log_level)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._transport.close()

    def _number(self, conversation_id: str | int, deadline: float) -> int:
        """The database id; a text id, even one of digits, is looked up.

        Raises:
            MissingConversationIdException: blank or None.
            InvalidConversationDataException: neither text nor a number from 1.
            NotFoundException: there is no such conversation.
        """
        number = numbered(conversation_id)
        if number is not None:
            return number
        found = self._transport.call(
            "GET",
            "/api/conversations/lookup/",
            params={"conversation_id": check_conversation_id(conversation_id)},
            deadline=deadline,
        )
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise ConversationApiException("the answer to the lookup has no id", 200, found)
        return int(found["id"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"


def numbered(conversation_id: object) -> int | None:
    """A conversation's database id, or None when it is named by text; checked either way.

    Raises:
        MissingConversationIdException, InvalidConversationDataException: it is neither.
    """
    if isinstance(conversation_id, int) and not isinstance(conversation_id, bool):
        if not 1 <= conversation_id < 2**63:
            raise InvalidConversationDataException("conversation_id takes a text id or a database id from 1")
        return conversation_id
    if conversation_id is not None and not isinstance(conversation_id, str):
        raise InvalidConversationDataException(
            f"conversation_id takes a text id or a database id, not {type(conversation_id).__name__}"
        )
    check_conversation_id(conversation_id)
    return None
