"""Streamed answers that have not ended yet."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentsight.client.stream import StreamedAnswer

__all__ = ["OpenStreams"]


class OpenStreams:
    """The open streams of one tracker: those that somebody reads, and those that were thrown away.

    A stream may be thrown away in the middle of anything, whatever locks are held. So it is only noted then, and ended
    by a thread of its own, or by whoever sends before that.
    """

    def __init__(self) -> None:
        self._open: WeakSet[StreamedAnswer] = WeakSet()
        self._abandoned: deque[StreamedAnswer] = deque()
        self._reset()

    def _reset(self) -> None:
        self._ending = threading.RLock()
        self._thread_is_coming = False

    def add(self, answer: StreamedAnswer) -> None:
        """It is read."""
        self._open.add(answer)

    def discard(self, answer: StreamedAnswer) -> None:
        """It has ended."""
        self._open.discard(answer)

    def abandon(self, answer: StreamedAnswer) -> None:
        """It was thrown away; takes no lock."""
        self._abandoned.append(answer)
        if not self._thread_is_coming:
            self._thread_is_coming = True
            try:
                _thread.start_new_thread(self._come, ())
            except RuntimeError:  # no thread at the end of the interpreter: whoever sends ends it
                self._thread_is_coming = False

    def _come(self) -> None:
        self._thread_is_coming = False  # first: what is thrown away from now on asks for another one
        self.end_abandoned()

    def end_abandoned(self) -> None:
        """Track what was seen of streams that were thrown away."""
        while self._abandoned:
            with self._ending:
                if self._abandoned:
                    self._abandoned.popleft().end(interrupted=True)

    def end_all(self) -> None:
        """Track what was seen of all that have not ended."""
        self.end_abandoned()
        for answer in list(self._open):
            answer.end(interrupted=True)

    def reset_after_fork(self) -> None:
        """In the child."""
        self._reset()
        self._abandoned.clear()
        for answer in list(self._open):
            answer.reset_after_fork()
