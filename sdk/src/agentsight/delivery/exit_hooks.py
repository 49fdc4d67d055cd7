"""Being told that the process ends: by `atexit`, and where a process ends without it.

A child forked by multiprocessing (ProcessPoolExecutor too) and a worker of Celery's pool end in `os._exit`: what
`atexit` was told is never called there. Both have a place of their own for such calls. They are not imported here;
one that the process has not loaded cannot end it.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["at_exit"]

_functions: list[Callable[[], None]] = []
_told: set[str] = set()  # the libraries that will call


def at_exit(function: Callable[[], None]) -> None:
    """Call a function when this process ends, or a child of it does. It may be called more than once."""
    atexit.register(function)
    _functions.append(function)
    _tell()


def _tell() -> None:
    """Tell the libraries that are loaded by now; again in each forked child, before the library goes on there."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and "multiprocessing" not in _told:
        _told.add("multiprocessing")
        # A child first forgets the finalizers of its parent, and then makes these calls.
        util.register_after_fork(_call, lambda _: util.Finalize(None, _call, exitpriority=0))
        util.Finalize(None, _call, exitpriority=0)
    signals = sys.modules.get("celery.signals")
    if signals is not None and "celery" not in _told:
        _told.add("celery")
        signals.worker_process_shutdown.connect(_call, weak=False)


def _call(**_: object) -> None:
    for function in _functions:
        function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
