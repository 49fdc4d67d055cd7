"""The words that an argument may be, where there are a few. `agentsight.types` has the same for type checkers."""

from __future__ import annotations

__all__ = ["DEVICES", "ENVIRONMENTS", "EVENTS", "FEEDBACK_SOURCES", "SENDERS", "SENTIMENTS", "TOKEN_HANDLERS"]

DEVICES = ("desktop", "mobile", "tablet")
EVENTS = ("message", "answer", "tool", "button", "feedback", "tokens")
SENDERS = ("end_user", "agent", "system")
SENTIMENTS = ("positive", "neutral", "negative")
FEEDBACK_SOURCES = ("customer", "platform")
TOKEN_HANDLERS = ("llamaindex", "langchain")
# How people spell them, in any case.
ENVIRONMENTS = {
    "production": "production",
    "prod": "production",
    "development": "development",
    "dev": "development",
}
