"""Everything that the SDK raises.

AgentSightError
├── NoApiKeyException                    no key where one is needed
├── InvalidApiKeyException               a key that cannot be one (also a ValueError)
├── ConfigurationException               any other setting that cannot be used (also a ValueError)
├── MissingConversationIdException       a conversation id is needed and was blank (also a ValueError)
├── InvalidConversationDataException     a wrong argument (also a ValueError)
│   ├── InvalidQuestionDataException     … of track_human_message
│   ├── InvalidAnswerDataException       … of track_agent_message
│   └── InvalidAttachmentException       … an attachment
├── NoDataToSendException                send_tracked_data found nothing pending
├── ConversationNetworkException         the server could not be reached
└── ConversationApiException             the server answered with an error: status_code, response_data
    ├── UnauthorizedException            401
    ├── ForbiddenException               403
    └── NotFoundException                404
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AgentSightError",
    "ConfigurationException",
    "ConversationApiException",
    "ConversationNetworkException",
    "ForbiddenException",
    "InvalidAnswerDataException",
    "InvalidApiKeyException",
    "InvalidAttachmentException",
    "InvalidConversationDataException",
    "InvalidQuestionDataException",
    "MissingConversationIdException",
    "NoApiKeyException",
    "NoDataToSendException",
    "NotFoundException",
    "UnauthorizedException",
]


class AgentSightError(Exception):
    """Base of every exception of this package."""


class NoApiKeyException(AgentSightError):
    """A call needed an API key and found none."""

    def __init__(
        self,
        message: str = "no API key: set AGENTSIGHT_API_KEY or pass api_key=…; "
        "`agentsight keys create --agent NAME` on the server makes one",
    ) -> None:
        super().__init__(message)


class InvalidApiKeyException(AgentSightError, ValueError):
    """An API key that does not have the shape of one. The message never carries the key."""

    def __init__(
        self,
        message: str = "this is no API key: it has the shape ags_<32 hex digits>_<6 hex digits>; "
        "`agentsight keys create --agent NAME` on the server makes one",
    ) -> None:
        super().__init__(message)


class ConfigurationException(AgentSightError, ValueError):
    """A setting that cannot be used; the message names it and what it takes."""


class MissingConversationIdException(AgentSightError, ValueError):
    """A conversation id is needed, and none or a blank one was given."""

    def __init__(self, message: str = "conversation_id takes text that is not blank") -> None:
        super().__init__(message)


class InvalidConversationDataException(AgentSightError, ValueError):
    """A wrong argument; the message names it and what it takes. Nothing was stored."""


class InvalidQuestionDataException(InvalidConversationDataException):
    """A wrong message in `track_human_message`."""


class InvalidAnswerDataException(InvalidConversationDataException):
    """A wrong message in `track_agent_message`."""


class InvalidAttachmentException(InvalidConversationDataException):
    """A wrong attachment."""

    def __init__(self, message: str = "a wrong attachment") -> None:
        super().__init__(message)
        self.contents: dict[int, bytes] = {}  # of the files before it, which may not be readable twice


class NoDataToSendException(AgentSightError):
    """There is nothing to send: nothing was tracked since the last time."""

    def __init__(self, message: str = "nothing to send: nothing was tracked since the last time") -> None:
        super().__init__(message)


class ConversationNetworkException(AgentSightError):
    """The server could not be reached, or the connection broke."""


class ConversationApiException(AgentSightError):
    """The server answered with an error.

    Attributes:
        status_code: the HTTP status, or None if the answer had none that made sense.
        response_data: the decoded body (dict, list or text), or None.
    """

    def __init__(self, message: str, status_code: int | None = None, response_data: Any = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.response_data = response_data


class UnauthorizedException(ConversationApiException):
    """401: the server does not know the key."""

    def __init__(
        self, message: str = "the API key is not known to the server", response_data: Any = None
    ) -> None:
        super().__init__(message, 401, response_data)


class ForbiddenException(ConversationApiException):
    """403: the key's role does not allow this."""

    def __init__(self, message: str = "the API key does not allow this", response_data: Any = None) -> None:
        super().__init__(message, 403, response_data)


class NotFoundException(ConversationApiException):
    """404: there is no such conversation for this key."""

    def __init__(self, message: str = "not found", response_data: Any = None) -> None:
        super().__init__(message, 404, response_data)
