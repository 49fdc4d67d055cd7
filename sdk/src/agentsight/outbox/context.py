"""The current conversation of each context (thread, asyncio task), for each tracker on its own.

A context variable holds one mapping from trackers to places. It is never changed, only replaced, so that what a
task does to its copy stays in that task. A generator that chooses a conversation takes its choice along: it may be
resumed in any context, and others may be resumed in this one.
"""

from __future__ import annotations

import itertools
import weakref
from contextvars import ContextVar

from agentsight.outbox.frames import find_mark, mark, marked, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentsight.outbox.pending import Lane

__all__ = ["Current", "Place", "current_lanes", "current_places", "places"]

places: ContextVar[dict[int, Place]] = ContextVar("agentsight_conversations", default={})  # noqa: B039 - never changed
current_places = places.get
_numbers = itertools.count()
_alive: weakref.WeakValueDictionary[int, Current] = weakref.WeakValueDictionary()


class Place:
    """A conversation being current in a context.

    Attributes:
        outer: the `with` block around this one, restored when this one ends.
        before: what was current, without a block, just before; restored too.
        entered: a `with` block belongs to this place.
        over: that block has ended. Contexts that were copied from within it still have this place, but whatever
            they do now is not known to belong to it.
        job: the executor's job in which this was set, and what was current before that job.
        generator: the number of the mark of the generator in which this was chosen, or 0.
        under: what the context had when the generator chose.
    """

    __slots__ = ("before", "entered", "generator", "job", "lane", "outer", "over", "under")

    def __init__(self, lane: Lane, outer: Place | None = None, before: Place | None = None) -> None:
        self.lane = lane
        self.outer = outer
        self.before = before
        self.entered = False
        self.over = False
        self.job: tuple[Any, Place | None] | None = None
        self.generator = 0
        self.under: Place | None = None


class Current:
    """The current conversation of one tracker."""

    __slots__ = ("__weakref__", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        _alive[self.number] = self

    def place(self) -> Place | None:
        """Where the running code stands; None also where it was in a block that has ended."""
        place = self._top()
        return None if place is None or place.over else place

    def _top(self) -> Place | None:
        place = find_mark(self.number) if marked else None
        return places.get().get(self.number) if place is None else place

    def set(self, lane: Lane, entered: bool = False) -> Place:
        """Make a conversation current in this context, and in the generator that chooses it.

        Args:
            entered: by a `with` block; usually right after it was made current without one.
        """
        future, generator, managed = surroundings()
        own = None if generator is None else mark(generator)
        flow = 0 if own is None else own.number
        now, under = self._top(), places.get().get(self.number)
        if entered and now is not None and not (now.over or now.entered) and now.lane is lane:
            # A place of its own, because child tasks may have the one that is there.
            place = Place(lane, now.outer, now.before)
            place.job = now.job
            if flow:
                place.under = now.under if now.generator == flow else under
        else:
            if now is None or now.over:
                place = Place(lane)
            elif now.entered:
                place = Place(lane, now)
            else:
                before = Place(
                    now.lane, now.outer
                )  # without what was before that: chains would grow for good
                before.generator = now.generator
                place = Place(lane, now.outer, before)
            if flow:
                same = under is not None and under.generator == flow and not under.entered
                place.under = under.under if same and under is not None else under
            if future is not None:
                self._until_job_ends(place, under, future)
        place.entered, place.generator = entered, flow
        if own is not None:
            own.choose(self.number, place)
            under = place.under
            if entered and not managed and under is not None and not under.over and under.generator != flow:
                # The block is the generator's own. Whoever resumes it has chosen for themselves.
                self._put(under)
                return place
        self._put(place)
        return place

    def leave(self, blocks: list[Place]) -> None:
        """A `with` block ends: what was current before it is current again.

        Args:
            blocks: the open blocks of the handle that is left; the one that ends is taken out.
        """
        top = place = self._top()
        above = []
        while place is not None and (place.over or not any(place is each for each in blocks)):
            above.append(place)
            place = place.outer
        if place is None:
            # Left in another context than it was entered in; that one keeps its place, but it is over.
            if blocks:
                blocks.pop().over = True
            return
        blocks[:] = [each for each in blocks if each is not place]
        place.over = True
        if any(each.entered or each.generator != place.generator for each in above):
            return  # blocks that cross: the one that began later is still there
        for each in above:
            each.over = True
        restored = place.outer
        while restored is not None and restored.over and restored.generator:
            restored = restored.outer
        if place.before is not None:
            restored = place.before
            restored.job = place.job
        if place.generator:
            generator = surroundings()[1]
            own = None if generator is None else mark(generator)
            if own is not None:
                its = restored is not None and restored.generator == own.number
                own.choose(self.number, restored if its else None)
        if places.get().get(self.number) is top:
            self._put(restored)

    def _put(self, place: Place | None) -> None:
        kept = {number: other for number, other in places.get().items() if number in _alive}
        if place is None:
            kept.pop(self.number, None)
        else:
            kept[self.number] = place
        places.set(kept)

    def _until_job_ends(self, place: Place, before: Place | None, future: Any) -> None:
        """In a pool's thread, forget the conversation when the pool's job ends.

        `ThreadPoolExecutor` runs one job after the other in a thread's own context, so that a conversation set by
        one request would be there for a job of another. The job's future runs its callbacks in that thread as
        soon as the job is done, which is the one place where this can be undone. Jobs that run in a copied
        context (`asyncio.to_thread`, anyio, asgiref) leave nothing behind, and for them this does nothing.
        """
        if before is not None and before.job is not None and before.job[0] is future:
            place.job = before.job
            return
        place.job = (future, before)

        def undo(done: Any) -> None:
            now = places.get().get(self.number)
            if now is not None and now.job is not None and now.job[0] is done:
                now.lane.left = True
                self._put(now.job[1])

        future.add_done_callback(undo)


def current_lanes() -> dict[int, Lane]:
    """What is current in the running code, for each tracker that has anything."""
    found = {number: current.place() for number, current in list(_alive.items())}
    return {number: place.lane for number, place in found.items() if place is not None}
