"""Which conversations this process has had: whether there was but one, that a call without any could be of."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentsight.outbox.pending import PendingConversation

__all__ = ["Roster"]


class Roster:
    """The conversations that this process has ever worked on, as far as it matters: none, one or several."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.only: PendingConversation | None = None
        self.several = False

    def add(self, conversation: PendingConversation) -> None:
        """Note that this process works on a conversation."""
        with self.lock:
            conversation.is_ours = True
            if self.several or (self.only is not None and self.only is not conversation):
                self.only, self.several = None, True
            else:
                self.only = conversation

    def add_stray(self, conversation: PendingConversation) -> None:
        """Note a conversation that was made for a call that had none. It is nobody else's."""
        with self.lock:
            conversation.is_ours = self.several = True
            self.only = None

    def the_only_one(self) -> PendingConversation | None:
        """The only conversation that this process ever had, unless it is known to have ended."""
        conversation = self.only
        return None if conversation is None or conversation.was_left else conversation
