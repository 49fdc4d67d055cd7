"""Conversations of calls that have none: each its own, marked as such, and said once for each place in the code.

A stray is remembered for the running context, and there for as long as the function runs in which the user's code
began: a thread that serves one request after another has one context for all of them. Copies of the context, which
child tasks and `asyncio.to_thread` make, do not have it.
"""

from __future__ import annotations

from contextvars import ContextVar

from agentsight.config import log
from agentsight.helpers import generate_conversation_id
from agentsight.outbox.frames import GENERATOR, mark, marks, origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token

    from agentsight.outbox.context import Binding
    from agentsight.outbox.outbox import Outbox
    from agentsight.outbox.pending import PendingConversation

__all__ = ["Strays"]

MOST_PLACES = 1000  # that are remembered as said

_remembered: ContextVar[dict[int, _Stray]] = ContextVar("agentsight_strays", default={})  # noqa: B039 - never changed
_here: ContextVar[None] = ContextVar("agentsight_here")


class _Stray:
    __slots__ = ("function", "pending", "token")

    def __init__(self, pending: PendingConversation, function: int) -> None:
        self.pending = pending
        self.function = function  # the number of the mark on its frame, 0: none could be put there
        self.token: Token[None] = _here.set(None)

    def is_here(self) -> bool:
        """Whether it was made in this very context: a token can be given back nowhere else."""
        try:
            _here.reset(self.token)
        except ValueError:
            return False
        self.token = _here.set(None)
        return True


class Strays:
    """The strays of one tracker.

    Args:
        number: the tracker's, in `Current`.
    """

    def __init__(self, number: int, outbox: Outbox) -> None:
        self._number = number
        self._outbox = outbox
        self._said: set[str] = set()

    def find(self) -> PendingConversation | None:
        """The stray of the running code."""
        if not self._outbox.roster.several:  # there was never a stray
            return None
        running = marks()
        for each in running.values():
            pending = each.strays.get(self._number)
            if pending is not None and pending.outbox is self._outbox:
                return pending
        stray = _remembered.get().get(self._number)
        if stray is None or (stray.function and stray.function not in running) or not stray.is_here():
            return None
        return stray.pending

    def make(self, ended: Binding | None) -> PendingConversation:
        """A new conversation for a call that has none.

        Args:
            ended: what the call's context has, if anything: a place in a block that has ended.
        """
        entry, place = origin()
        if ended is not None and not ended.over:
            ended = None
        pending = self._new(place)
        if entry is not None:
            own = mark(entry)
            if own is not None and entry.f_code.co_flags & GENERATOR:
                own.strays[self._number] = pending  # it may be resumed in any context
            else:
                stray = _Stray(pending, 0 if own is None else own.number)
                _remembered.set({**_remembered.get(), self._number: stray})
        self._say(pending, place, ended)
        return pending

    def apart(self) -> PendingConversation:
        """A new conversation for one call alone: it named a conversation, and nobody knows which."""
        return self._new(origin()[1])

    def _new(self, place: str) -> PendingConversation:
        pending = self._outbox.find(generate_conversation_id())
        self._outbox.roster.add_stray(pending)
        pending.announce({"metadata": {"unattached": True, "unattached_at": place}})
        return pending

    def _say(self, pending: PendingConversation, place: str, ended: Binding | None) -> None:
        if place in self._said or len(self._said) >= MOST_PLACES:
            return
        self._said.add(place)
        why = (
            ""
            if ended is None
            else f" (the block on {ended.conversation.conversation_id!r}, from which its context was copied, has ended)"
        )
        log().warning(
            "no conversation is current here: %s%s; tracking into the new conversation %s, and each such call "
            "into one of its own. Call get_or_create_conversation first, use its handle, pass conversation_id, or "
            "tie what runs later to it with conversation.stream(...) or agentsight.bind(...). Said once for "
            "each place",
            place,
            why,
            pending.conversation_id,
        )
