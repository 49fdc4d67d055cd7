"""The current conversation of each context (thread, asyncio task), for each tracker on its own.

A context variable holds one mapping from trackers to places. It is never changed, only replaced, so that what a
task does to its copy stays in that task. A `Place` lives as long as some context has it: that is how a tracker
knows which conversations are still being worked on.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentsight.lane import Lane

__all__ = ["Current", "Place", "current_places", "places"]

places: ContextVar[dict[int, Place]] = ContextVar("agentsight_conversations", default={})  # noqa: B039 - never changed
current_places = places.get
_numbers = itertools.count()
_alive: weakref.WeakValueDictionary[int, Current] = weakref.WeakValueDictionary()


class Place:
    """A conversation being current in a context.

    Attributes:
        outer: the `with` block around this one, restored when this one ends.
        before: what was current, without a block, just before; restored too, but not kept open by this.
        entered: a `with` block belongs to this place.
        job: the executor's job in which this was set, and what was current before that job.
    """

    __slots__ = ("__weakref__", "before", "entered", "job", "lane", "outer")

    def __init__(self, lane: Lane, outer: Place | None, before: Lane | None) -> None:
        self.lane = lane
        self.outer = outer
        self.before = before
        self.entered = False
        self.job: tuple[Any, Place | None] | None = None
        lane.places.add(self)


class Current:
    """The current conversation of one tracker."""

    __slots__ = ("__weakref__", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        _alive[self.number] = self

    def place(self) -> Place | None:
        """Where this context stands."""
        return places.get().get(self.number)

    def set(self, lane: Lane) -> Place:
        """Make a conversation current in this context."""
        now = self.place()
        if now is None:
            place = Place(lane, None, None)
        elif now.entered:
            place = Place(lane, now, None)
        else:
            place = Place(lane, now.outer, now.lane)
        self._put(place)
        if threading.current_thread() is not threading.main_thread():
            self._until_job_ends(place, now)
        return place

    def enter(self, lane: Lane) -> None:
        """A `with` block on a conversation begins; usually right after it was made current."""
        place = self.place()
        if place is None or place.lane is not lane or place.entered:
            place = self.set(lane)
        place.entered = True

    def leave(self, lane: Lane) -> None:
        """A `with` block ends: what was current before it is current again."""
        place = self.place()
        while place is not None and not (place.entered and place.lane is lane):
            place = place.outer
        if place is None:
            return  # left in another context than it was entered in; that one keeps its place
        restored = place.outer
        if place.before is not None:
            restored = Place(place.before, place.outer, None)
            restored.job = place.job
        self._put(restored)

    def _put(self, place: Place | None) -> None:
        kept = {number: other for number, other in places.get().items() if number in _alive}
        if place is None:
            kept.pop(self.number, None)
        else:
            kept[self.number] = place
        places.set(kept)

    def _until_job_ends(self, place: Place, before: Place | None) -> None:
        """In a pool's thread, forget the conversation when the pool's job ends.

        `ThreadPoolExecutor` runs one job after the other in a thread's own context, so that a conversation set by
        one request would be there for a job of another. The job's future runs its callbacks in that thread as
        soon as the job is done, which is the one place where this can be undone. Jobs that run in a copied
        context (`asyncio.to_thread`, anyio, asgiref) leave nothing behind, and for them this does nothing.
        """
        future = _running_job()
        if future is None:
            return
        if before is not None and before.job is not None and before.job[0] is future:
            place.job = before.job
            return
        place.job = (future, before)

        def undo(done: Any) -> None:
            now = self.place()
            if now is not None and now.job is not None and now.job[0] is done:
                self._put(now.job[1])

        future.add_done_callback(undo)


def _running_job() -> Any:
    """The future of the `ThreadPoolExecutor` job that this thread is running, or None."""
    frame = sys._getframe(1) if hasattr(sys, "_getframe") else None
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "concurrent.futures.thread":
            future = getattr(frame.f_locals.get("self"), "future", None)
            return future if hasattr(future, "add_done_callback") else None
        frame = frame.f_back
    return None
