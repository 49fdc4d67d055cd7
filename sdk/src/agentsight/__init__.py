"""AgentSight: conversation analytics for AI agents. This package is the SDK.

Importing it reads no file, opens no connection and starts no thread; the clients are made on first use.

Example:
    >>> from agentsight import conversation_tracker
    >>> conversation_tracker.get_or_create_conversation("conv_1")  # doctest: +SKIP
    >>> conversation_tracker.track_human_message("Hello")  # doctest: +SKIP
    >>> conversation_tracker.send_tracked_data()  # doctest: +SKIP
"""

from __future__ import annotations

from agentsight._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentsight.client.async_clients import AsyncAgentSightAPI, AsyncConversationManager
    from agentsight.client.binding import bind
    from agentsight.client.manager import ConversationManager
    from agentsight.client.reader import AgentSightAPI
    from agentsight.client.tracker import Conversation, ConversationTracker
    from agentsight.config import Config

    conversation_tracker: ConversationTracker
    conversation_manager: ConversationManager
    agentsight_api: AgentSightAPI

__all__ = [
    "AgentSightAPI",
    "AsyncAgentSightAPI",
    "AsyncConversationManager",
    "Config",
    "Conversation",
    "ConversationManager",
    "ConversationTracker",
    "__version__",
    "agentsight_api",
    "bind",
    "conversation_manager",
    "conversation_tracker",
]

_HOMES = {
    "AgentSightAPI": "client.reader",
    "AsyncAgentSightAPI": "client.async_clients",
    "AsyncConversationManager": "client.async_clients",
    "Config": "config",
    "Conversation": "client.tracker",
    "ConversationManager": "client.manager",
    "ConversationTracker": "client.tracker",
    "bind": "client.binding",
}
_READY_MADE = {
    "agentsight_api": "AgentSightAPI",
    "conversation_manager": "ConversationManager",
    "conversation_tracker": "ConversationTracker",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for (PEP 562)."""
    if name in _READY_MADE:
        # setdefault keeps one client when two threads ask at the same time.
        return globals().setdefault(name, __getattr__(_READY_MADE[name])())  # type: ignore[operator]
    if name in _HOMES:
        value = getattr(__import__(f"agentsight.{_HOMES[name]}", fromlist=[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
