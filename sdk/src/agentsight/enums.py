"""The fixed choices of the public API. Each is also plain text: `Sender.AGENT == "agent"`."""

from __future__ import annotations

from enum import Enum


class AttachmentMode(str, Enum):
    """How an attachment's bytes are given: as base64 text, or as bytes or a binary file."""

    BASE64 = "base64"
    FORM_DATA = "form_data"


class Environment(str, Enum):
    """Where the bot runs; the dashboard shows production unless told otherwise."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class LogLevel(str, Enum):
    """Level of the `agentsight` logger."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"
    DEBUG = "DEBUG"


class Sender(str, Enum):
    """Who an item comes from."""

    END_USER = "end_user"
    USER = "end_user"  # noqa: PIE796 - its older name
    AGENT = "agent"
    SYSTEM = "system"


class Sentiment(str, Enum):
    """What a customer thought of a conversation."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class TokenHandlerType(str, Enum):
    """Frameworks whose token counts can be collected by themselves."""

    LLAMAINDEX = "llamaindex"
    LANGCHAIN = "langchain"
