"""What the call stack tells: who calls, from within which generator, and for which job of a pool.

None of this is asked by a call that finds its conversation in its context. It is asked where one is chosen, where
none is, and while generators live that chose one themselves.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from agentsight.outbox.context import Binding
    from agentsight.outbox.pending import PendingConversation

__all__ = ["Mark", "find_mark", "mark", "marked", "marks", "origin", "surroundings"]

GENERATOR = 0x20 | 0x200  # CO_GENERATOR, CO_ASYNC_GENERATOR
# Where other code than the one that called comes to run: event loops, pools, servers and frameworks. What lies
# beyond them on the stack has nothing to do with what lies before.
# fmt: off
_RUNNERS = frozenset((
    "asyncio", "concurrent", "threading", "multiprocessing", "socketserver", "http", "wsgiref", "uvloop", "trio",
    "anyio", "gevent", "greenlet", "eventlet", "asgiref", "billiard", "celery", "kombu", "flask", "werkzeug",
    "django", "starlette", "fastapi", "uvicorn", "gunicorn", "hypercorn", "waitress", "cheroot", "aiohttp",
    "tornado", "twisted", "sanic", "litestar", "quart", "bottle", "falcon", "pyramid",
))
# fmt: on
# These of ours run the code of others, in a conversation of theirs.
_OWN = ("agentsight.client.binding", "agentsight.client.stream")
# They resume a generator once to begin something and once to end it: what it chooses is meant for those in between.
_MANAGERS = ("contextlib", "_pytest.fixtures", "litestar")
_STANDARD = os.__file__.rpartition(os.sep)[0] + os.sep
_numbers = itertools.count(1)
_runs_others: dict[str, bool] = {}  # by module; there are only so many

# The marks of generators that chose a conversation and live: while there are any, each call has to look for them.
marked: dict[int, None] = {}


class Mark:
    """Hangs on a frame, and goes when the frame goes.

    Frames can be neither referred to weakly nor given attributes; holding one would keep alive all that its
    function worked with. But they have a place for a debugger's function, which nothing reads unless one is at
    work, and that is where this hangs. (A debugger that is at work has the place; then there is no mark.)

    Attributes:
        bindings: what a generator's own code has current, by tracker, wherever it is resumed.
        strays: what a generator's code made where nothing was current, by tracker.
    """

    __slots__ = ("bindings", "number", "strays")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.bindings: dict[int, Binding] = {}
        self.strays: dict[int, PendingConversation] = {}

    def choose(self, tracker: int, binding: Binding | None) -> None:
        """Note what is current in the generator's code."""
        if binding is None:
            self.bindings.pop(tracker, None)
        else:
            self.bindings[tracker] = binding
            marked[self.number] = None

    def __call__(self, *_: object) -> None:
        """A debugger came later: there is nothing to see here."""

    def __del__(self) -> None:
        marked.pop(self.number, None)


def mark(frame: FrameType) -> Mark | None:
    """The mark on a frame, put there if need be."""
    held: object = frame.f_trace
    if isinstance(held, Mark):
        return held
    if held is not None:
        return None
    made = Mark()
    try:
        frame.f_trace = made
    except AttributeError:  # frames of compiled code
        return None
    return made


def find_mark(tracker: int) -> Binding | None:
    """What the innermost generator that the caller runs in has chosen for this tracker."""
    frame = _caller()
    while frame is not None:
        held: object = frame.f_trace
        if isinstance(held, Mark):
            binding = held.bindings.get(tracker)
            if binding is not None:
                return binding
        if _is_runner(frame):
            return None
        frame = frame.f_back
    return None


def marks() -> dict[int, Mark]:
    """All marks of the running code, by number."""
    found = {}
    frame = _caller()
    while frame is not None:
        held: object = frame.f_trace
        if isinstance(held, Mark):
            found[held.number] = held
        frame = frame.f_back
    return found


def surroundings() -> tuple[Any, FrameType | None, bool]:
    """In what a choice is made.

    Returns:
        The future of the `ThreadPoolExecutor` job that this thread is running, or None; the innermost generator
        that the caller runs in, or None; and whether what that one chooses is meant for others.
    """
    generator: FrameType | None = None
    looking, managed = True, False
    in_pool = threading.current_thread() is not threading.main_thread()
    frame = _caller()
    while frame is not None and (looking or in_pool):
        if looking and frame.f_code.co_flags & GENERATOR:
            generator, looking = frame, False
            resumer = frame.f_back
            managed = resumer is not None and _module(resumer).startswith(_MANAGERS)
        elif looking and _is_runner(frame):
            looking = False
        if in_pool and frame.f_code.co_name == "run" and _module(frame) == "concurrent.futures.thread":
            future = getattr(frame.f_locals.get("self"), "future", None)
            return (future if hasattr(future, "add_done_callback") else None), generator, managed
        frame = frame.f_back
    return None, generator, managed


def origin() -> tuple[FrameType | None, str]:
    """Where in the user's code a call comes from.

    Returns:
        The frame in which their code began to run, as far as frames in between are theirs too, or of their generator
        (None: only libraries are on the stack), and the place of the call as text: `chat/views.py:41 in answer`.
    """
    frame = first = _caller()
    library: FrameType | None = None
    shown: FrameType | None = None
    while frame is not None and not _is_runner(frame):
        kind = _kind(frame)
        if kind == "theirs" and not (library is not None and frame.f_code.co_name == "<module>"):
            shown = frame
            break
        if kind == "library" and library is None:
            library = frame
        frame = frame.f_back
    shown = shown or library
    if shown is None:
        while first is not None and first.f_back is not None and _module(first).startswith("agentsight."):
            first = first.f_back
        return None, _location(first)
    entry = shown
    while entry is not library and not entry.f_code.co_flags & GENERATOR:  # which anybody may resume
        outer = entry.f_back
        if outer is None or _kind(outer) != "theirs":
            break
        entry = outer
    return entry, _location(shown)


def _caller() -> FrameType | None:
    """The frame that called the SDK."""
    frame: FrameType | None = sys._getframe(1) if hasattr(sys, "_getframe") else None
    while frame is not None and _is_sdk(_module(frame)):
        frame = frame.f_back
    return frame


def _is_sdk(module: str) -> bool:
    return module.startswith("agentsight.") and not module.startswith(("agentsight_server", *_OWN))


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _is_runner(frame: FrameType) -> bool:
    module = _module(frame)
    known = _runs_others.get(module)
    if known is None:
        known = _runs_others[module] = module.partition(".")[0] in _RUNNERS or module in _OWN
    return known


def _kind(frame: FrameType) -> str:
    """Whose code it is: `theirs`, of a `library`, or of Python itself (`standard`)."""
    file = frame.f_code.co_filename
    if "site-packages" in file or "dist-packages" in file:
        return "library"
    if file.startswith((_STANDARD, "<frozen ")):
        return "standard"
    return "library" if _is_sdk(_module(frame)) or _module(frame) in _OWN else "theirs"


def _location(frame: FrameType | None) -> str:
    if frame is None:
        return "unknown"
    from pathlib import Path

    file = Path(frame.f_code.co_filename)
    shown = "/".join(file.parts[-2:])  # no more of somebody's disk than is needed
    if _kind(frame) == "theirs":
        try:
            shown = file.relative_to(Path.cwd()).as_posix()
        except (OSError, ValueError):  # elsewhere, or the working directory is gone
            shown = file.name if file.is_absolute() else shown
    return f"{shown}:{frame.f_lineno} in {frame.f_code.co_name}"[:255]
