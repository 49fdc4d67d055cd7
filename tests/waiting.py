"""Waiting for what happens by itself, in another thread or process: for the thing, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 60, why: Callable[[], object] = str) -> None:
    """Ask until it is so.

    Args:
        condition: looks; it is asked some fifty times a second.
        seconds: how long a busy machine may take. It is a limit, not a measure: no test asserts how long it was.
        why: what to tell when it never came to be so.

    Raises:
        AssertionError: it was not so in time.
    """
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen\n{why()}"
        pause.wait(0.02)
