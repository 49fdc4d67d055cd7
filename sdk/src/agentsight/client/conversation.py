"""Conversation, the handle of one conversation, and the `send_tracked_data` that knows where it was looked up."""

from __future__ import annotations

from agentsight.client.track_methods import Tracking
from agentsight.exceptions import InvalidConversationDataException
from agentsight.items.kinds import ANSWER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, NoReturn, TypeVar

    from agentsight.client.tracker import ConversationTracker
    from agentsight.delivery.dispatcher import Dispatcher
    from agentsight.outbox.context import Binding
    from agentsight.outbox.pending import PendingConversation
    from agentsight.types import SendResult

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["BoundSend", "Conversation", "bound_send"]


class BoundSend:
    """`send_tracked_data`, which remembers whether something was pending when it was looked up.

    A handler hands `tracker.send_tracked_data` to a background task. When the task runs, another request may
    have sent the same items already: in a context without a conversation all that is pending is sent, and two
    requests may share a conversation. Then nothing is pending, and nothing is wrong; without this, bots would
    now and then log an exception from the background.
    """

    __slots__ = ("_owed", "_owner")
    __name__ = "send_tracked_data"

    def __init__(self, owner: Conversation | ConversationTracker) -> None:
        self._owner = owner
        self._owed = owner._has_pending()

    def __call__(self, conversation_id: str | None = None) -> SendResult:
        owed, self._owed = self._owed, False
        return self._owner._dispatcher.send(self._owner._chosen(conversation_id), owed=owed)


class _BoundSendMethod:
    """Descriptor that makes a `Sending` at each lookup."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, owner: Conversation | ConversationTracker | None, kind: type) -> Callable[..., Any]:
        return self._function if owner is None else BoundSend(owner)


def bound_send(function: F) -> F:
    """Decorator for `send_tracked_data`; the class shows the function, its instances a `Sending`."""
    return _BoundSendMethod(function)  # type: ignore[return-value]


class Conversation(Tracking):
    """The handle of one conversation: what it tracks goes there, whatever is current.

    Made by `get_or_create_conversation`. In a `with` block the conversation is current until the block ends;
    then the one around it is current again. Nothing is sent by leaving the block.

    Example:
        >>> with conversation_tracker.get_or_create_conversation("conv_1") as conversation:  # doctest: +SKIP
        ...     conversation.track_human_message("Hello")
        ...     conversation.send_tracked_data()
    """

    __slots__ = ("_blocks", "_pending", "_tracker")

    def __init__(self, tracker: ConversationTracker, pending: PendingConversation) -> None:
        self._tracker = tracker
        self._pending = pending
        self._blocks: list[Binding] = []  # those that are open

    @property
    def conversation_id(self) -> str:
        """The conversation's text id."""
        return self._pending.conversation_id

    def _pending_for(self, conversation_id: str | None) -> PendingConversation:
        if conversation_id is not None and conversation_id != self._pending.conversation_id:
            raise InvalidConversationDataException(
                f"conversation_id: this is the handle of {self._pending.conversation_id!r}; "
                "track other conversations through the tracker"
            )
        return self._pending

    def _is_strict(self, conversation_id: object) -> bool:
        return self._tracker.config.is_strict(self._pending.known_fields.get("environment"))

    def _handle(self, conversation_id: str | None) -> Conversation:
        self._pending_for(conversation_id)
        return self

    def _track_answer(self, content: str, metadata: dict[str, Any], name: str | None, ns: int) -> None:
        """Track an answer of which the last word was seen at this time."""
        self._message(ANSWER, content, metadata=metadata, message_id=name, now=ns)

    @bound_send
    def send_tracked_data(self, conversation_id: str | None = None) -> SendResult:
        """Send what is pending in this conversation, as `ConversationTracker.send_tracked_data`."""
        return self._dispatcher.send(self._chosen(conversation_id))

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._tracker._dispatcher

    def _chosen(self, conversation_id: str | None) -> list[PendingConversation]:
        return [self._pending_for(conversation_id)]

    def _has_pending(self) -> bool:
        return self._pending.queued or self._pending.in_flight > 0

    def __enter__(self) -> Conversation:
        self._pending.enter()
        self._blocks.append(self._tracker._current.set(self._pending, entered=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracker._current.leave(self._blocks)
        self._pending.leave()

    def __deepcopy__(self, memo: object = None) -> Conversation:
        return self  # of a state that frameworks copy and keep: there is but one of the conversation

    __copy__ = __deepcopy__

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the handle of {self.conversation_id!r} cannot be pickled: pass its conversation_id on, and call "
            "get_or_create_conversation there"
        )

    def __repr__(self) -> str:
        return f"Conversation({self._pending.conversation_id!r})"
