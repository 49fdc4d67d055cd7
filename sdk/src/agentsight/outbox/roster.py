"""Which conversations this process has had: whether there was but one, that a call without any could be of."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentsight.outbox.pending import Lane

__all__ = ["Roster"]


class Roster:
    """The conversations that this process has ever worked on, as far as it matters: none, one or several."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.only: Lane | None = None
        self.several = False

    def have(self, lane: Lane) -> None:
        """Note that this process works on a conversation."""
        with self.lock:
            lane.had = True
            if self.several or (self.only is not None and self.only is not lane):
                self.only, self.several = None, True
            else:
                self.only = lane

    def have_stray(self, lane: Lane) -> None:
        """Note a conversation that was made for a call that had none. It is nobody else's."""
        with self.lock:
            lane.had = self.several = True
            self.only = None

    def the_only_one(self) -> Lane | None:
        """The only conversation that this process ever had, unless it is known to have ended."""
        lane = self.only
        return None if lane is None or lane.left else lane
