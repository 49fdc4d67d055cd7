"""Ending a query in the database itself: when it has taken too long, or nobody waits for its answer any more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CutOff(Exception):
    """The work was ended before it was done."""


class Cutoff:
    """How long a piece of work may take, and how what it asks of a database is interrupted.

    The time begins with the work, not while it waits for its turn.

    Example:
        >>> cutoff = Cutoff(10)
        >>> with cutoff.interrupting(connection.interrupt):
        ...     connection.execute(query)
    """

    __slots__ = ("_end", "_interrupts", "_lock", "_stopped", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = math.inf
        self._stopped = False
        self._lock = threading.Lock()
        self._interrupts: list[tuple[Callable[[], None], bool]] = []

    def begin(self) -> None:
        """The work begins now."""
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left; endless before the work begins, and less than 0 when it takes too long."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the work is to end."""
        return self._stopped or self.left <= 0

    def check(self) -> None:
        """Raise CutOff when the work is to end."""
        if self.is_over:
            raise CutOff

    def stop(self) -> None:
        """Interrupt the database. A statement that was about to begin goes on: call again while work is left."""
        with self._lock:
            self._stopped = True
            for interrupt, is_slow in self._interrupts:
                if is_slow:
                    threading.Thread(target=self._interrupt, args=(interrupt,), daemon=True).start()
                else:
                    interrupt()

    def _interrupt(self, interrupt: Callable[[], None]) -> None:
        with self._lock:  # which the block below needs to end: a connection is never another query's by then
            if any(interrupt is known for known, _ in self._interrupts):
                interrupt()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None], *, is_slow: bool = False) -> Iterator[None]:
        """While the block runs, stop() calls `interrupt`; in a thread of its own where that `is_slow`.

        Raises:
            CutOff: the work is to end already.
        """
        entry = (interrupt, is_slow)
        with self._lock:
            self.check()
            self._interrupts.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(entry)


CURRENT: ContextVar[Cutoff | None] = ContextVar("cutoff", default=None)
"""What bounds the work that this thread is doing; None: nothing does, as on the command line."""
