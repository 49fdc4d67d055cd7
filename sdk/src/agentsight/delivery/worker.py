"""Sending on its own: a daemon thread that starts when something waits, and the exit of the process."""

from __future__ import annotations

import os
import threading
import time
import weakref

from agentsight.config import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentsight.delivery.dispatcher import Dispatcher

__all__ = ["BackgroundSender"]

WAIT = 1.0  # seconds that an item waits for company
IDLE = 5.0  # seconds without work after which the thread ends; the next item starts another
LONGEST_PAUSE = 30.0  # seconds between two attempts while the server is away

_every: weakref.WeakSet[BackgroundSender] = weakref.WeakSet()


class BackgroundSender:
    """Sends what waits after a second, or as soon as there is a batch of it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._reset()
        _every.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._batch = threading.Event()
        self._hurry = threading.Event()  # somebody waits for the rest to be sent
        self._deadline = 0.0
        self._thread: threading.Thread | None = None

    def wake(self, batch: bool) -> None:
        """Something waits, or a whole batch of it."""
        self._something.set()
        if batch:
            self._batch.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="agentsight-sender", daemon=True)
        with self._lock:
            if self._thread is not None:
                return
            self._thread = thread
        # Without the lock: gevent runs others meanwhile, and where it patched the process only after the lock was
        # made, they would wait for it in the very thread that has to let it go.
        try:
            thread.start()
        except RuntimeError:
            self._thread = None  # the interpreter is ending; what waits is sent or counted there

    def _run(self) -> None:
        failures = 0
        while True:
            if not self._something.wait(IDLE):
                with self._lock:
                    if not self._something.is_set():
                        self._thread = None
                        return
            self._wait_for_batch()
            self._something.clear()
            self._batch.clear()
            failures = 0 if self._flush_once() else failures + 1
            if self._hurry.is_set():
                with self._lock:
                    self._thread = None
                return
            if failures:
                self._hurry.wait(min(WAIT * 2**failures, LONGEST_PAUSE) * (0.5 + os.urandom(1)[0] / 255))
                self._something.set()

    def _wait_for_batch(self) -> None:
        until = time.monotonic() + WAIT
        while not self._hurry.is_set() and not self._batch.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            self._batch.wait(left)

    def _flush_once(self) -> bool:
        """Send what waits. False if something is left because it could not be sent."""
        timeout = max(self._deadline - time.monotonic(), 0.05) if self._hurry.is_set() else None
        try:
            return self._dispatcher.flush_once(timeout, self._hurry.wait)
        except Exception:
            # Nothing that happens here may end the thread silently; what was taken has been put back.
            log().exception("sending in the background failed")
            return False

    def finish(self, timeout: float) -> bool:
        """Let the thread send the rest now and end. False if it is still at it after `timeout` seconds."""
        with self._lock:
            thread = self._thread
        if thread is None or thread is threading.current_thread() or not thread.is_alive():
            return True
        self._deadline = time.monotonic() + timeout
        self._hurry.set()
        self._batch.set()
        self._something.set()
        thread.join(timeout)
        self._hurry.clear()
        return not thread.is_alive()

    def reset_after_fork(self) -> None:
        """After a fork, in the child: the thread is the parent's."""
        self._reset()


def _after_fork() -> None:
    for sender in list(_every):
        sender.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
