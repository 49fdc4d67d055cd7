"""What waits to be sent.

One lane for each conversation. Tracking appends to its lane without a lock; whoever sends takes lanes whole,
sends without holding anything, and lands them again: what was accepted is gone, the rest waits in its place.
The outbox is bounded by count and bytes, and every item that it gives up is counted.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections import OrderedDict, deque

from agentsight.config import log
from agentsight.outbox.context import current_places
from agentsight.outbox.pending import Lane, Parcel, add_up, merge
from agentsight.outbox.roster import Roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from agentsight.client.stream import Answer
    from agentsight.items.encoding import Prepared
    from agentsight.outbox.spool import Spool

__all__ = ["Outbox"]

LARGEST_BODY = 16 * 1024 * 1024  # bytes of one request before compression; the server takes twice that
BATCH = 100  # items that go at once when the outbox is full, and that wake the background sender
COMPLAIN_EVERY = 60.0  # seconds between two log lines about losses

_every: weakref.WeakSet[Outbox] = weakref.WeakSet()


class Outbox:
    """All lanes of one tracker.

    Args:
        max_items: items that may wait.
        max_bytes: bytes of heavy items (long texts, metadata, files) that may wait.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.wake: Callable[[bool], None] | None = None
        self.first: Callable[[], None] | None = None  # called once, before there is anything in here
        self.spool: Spool | None = None
        self.told: set[tuple[str, str]] = set()  # kinds of changes that the log has told of
        self.adopted: dict[str, Lane] = {}  # with items that another process left; they go with any send
        self.lanes: weakref.WeakValueDictionary[str, Lane] = weakref.WeakValueDictionary()
        self.roster = Roster()
        self.streams: weakref.WeakSet[Answer] = weakref.WeakSet()  # that have not ended
        # Streams that were thrown away. That may happen in the middle of anything, whatever locks are held.
        self.dropped: deque[Answer] = deque()
        self._complained = float("-inf")
        self._reset()
        _every.add(self)

    def _reset(self) -> None:
        # Reentrant, because a signal handler that tracks may interrupt its own thread in here.
        self.lock = threading.RLock()
        self.landed = threading.Condition(self.lock)
        self.picking_up = threading.RLock()
        self.coming = False  # a thread is on its way to pick up what was dropped
        self.waiting: OrderedDict[str, Lane] = OrderedDict()  # the longest waiting first
        self.tick = itertools.count()  # how many were ever put; next() is atomic
        self.gone = 0  # how many of those were accepted, refused or lost
        self.bytes = 0
        self.flying = 0  # parcels under way
        self.aloft = 0  # items in them
        self.newest_ns = 0  # the newest time that an item was given
        self.lost: dict[str, int] = {}
        self.largest_body = LARGEST_BODY  # as far as the line has shown that it carries it in time
        self.woken = 0  # the count at which the background sender was last woken for a batch
        self.mark = 0  # the count at which something has to be done
        self._set_mark()

    def _set_mark(self) -> None:
        self.mark = self.gone + self.max_items
        if self.wake is not None:
            self.mark = min(self.mark, self.woken + BATCH)

    def set_wake(self, wake: Callable[[bool], None]) -> None:
        """Name who is to be told, without a lock, when something waits (False) and when a batch does (True)."""
        with self.lock:
            self.wake = wake
            self.mark = 0
            waits = bool(self.waiting)
        if waits:
            wake(False)

    def set_bounds(self, max_items: int, max_bytes: int) -> None:
        """Change the bounds; they are held from the next item on."""
        with self.lock:
            self.max_items, self.max_bytes = max_items, max_bytes
            self.mark = 0

    def lane(self, conversation_id: str) -> Lane:
        """The one lane of a conversation that this process works on."""
        lane = self.lanes.get(conversation_id)
        if lane is None or not lane.had:
            lane = self.find(conversation_id)
            self.roster.have(lane)
        return lane

    def find(self, conversation_id: str) -> Lane:
        """The one lane of a conversation, which may be another process's."""
        lane = self.lanes.get(conversation_id)
        if lane is None:
            if self.first is not None:
                self.first()
                self.first = None
            with self.lock:
                lane = self.lanes.get(conversation_id)
                if lane is None:
                    lane = self.lanes[conversation_id] = Lane(self, conversation_id)
        return lane

    def enqueue(self, lane: Lane) -> None:
        """Note that a lane has something to send."""
        with self.lock:
            lane.queued = True
            self.waiting.setdefault(lane.conversation_id, lane)
        if self.wake is not None:
            self.wake(False)

    def weigh(self, weight: int) -> None:
        """Count the bytes of a heavy item before it is put."""
        with self.lock:
            self.bytes += weight
            over = self.bytes > self.max_bytes
        if over:
            self._shed()

    def reached(self, number: int) -> None:
        """The count went over the mark: make room, or wake the background sender."""
        with self.lock:
            over = number + 1 - self.gone > self.max_items
        if over:
            self._shed(number)
        with self.lock:
            batch = self.wake is not None and number + 1 - self.woken >= BATCH
            if batch:
                self.woken = number + 1
            self._set_mark()
        if batch and self.wake is not None:
            self.wake(True)

    def _shed(self, number: int | None = None) -> None:
        """Give up the oldest batch, and more of them until what waits fits. What is under way stays."""
        lost = 0
        with self.lock:
            while self.waiting and (
                self.bytes > self.max_bytes
                or (number is not None and number + 1 - self.gone > self.max_items)
            ):
                lost += self._drop(next(iter(self.waiting.values())))
        if lost:
            self.lose("the outbox was full", lost)

    def _drop(self, lane: Lane) -> int:
        dropped: list[str] = []
        while len(dropped) < BATCH:
            if lane.backlog:
                prepared = lane.backlog.pop(0)
                self.bytes -= prepared.weight
                dropped.append(prepared.id)
            elif lane.items:
                item = lane.items.popleft()
                if isinstance(item, tuple):
                    self.bytes -= item[2]
                    dropped.append("")
                else:
                    self.bytes -= item.weight
                    dropped.append(item.id)
            else:
                break
        count = len(dropped)
        if not lane.backlog and not lane.items:
            if not dropped and lane.announced:
                lane.announced = False
                dropped, lane.papers = lane.papers, []
                count = 1
            if not lane.announced:
                lane.queued = False
                self.waiting.pop(lane.conversation_id, None)
                if lane.items:  # tracked meanwhile, by somebody who still saw `queued`
                    lane.queued = True
                    self.waiting[lane.conversation_id] = lane
        self.gone += count
        if self.spool is not None:
            self.spool.settle(dropped)
        return count

    def lose(self, why: str, count: int) -> None:
        """Count a loss; say so in the log, at most once a minute."""
        with self.lock:
            self.lost[why] = self.lost.get(why, 0) + count
            now = time.monotonic()
            quiet = now - self._complained < COMPLAIN_EVERY
            if not quiet:
                self._complained = now
            total = dict(self.lost)
        if not quiet:
            try:  # noqa: SIM105 - contextlib would cost time at import
                log().warning(
                    "lost: %s", ", ".join(f"{number} ({reason})" for reason, number in total.items())
                )
            except Exception:  # noqa: S110 - a log handler that raises must not reach the bot
                pass

    def report_losses(self) -> dict[str, int]:
        """Losses by reason since the last report."""
        with self.lock:
            lost, self.lost = self.lost, {}
        return lost

    def pick_up(self) -> None:
        """Track what was seen of streams that were thrown away."""
        while self.dropped:
            with self.picking_up:
                if self.dropped:
                    self.dropped.popleft().end(interrupted=True)

    def come(self) -> None:
        """Pick up, in a thread of its own."""
        self.coming = False  # first: what is dropped from now on asks for another one
        self.pick_up()

    def end_streams(self) -> None:
        """Track what was seen of streams that have not ended: nobody will read on."""
        self.pick_up()
        for answer in list(self.streams):
            answer.end(interrupted=True)

    def take(self, lanes: Iterable[Lane] | None) -> list[Parcel]:
        """Take what waits in these lanes (None: in all) to send it. Each parcel must be landed."""
        self.pick_up()
        parcels = []
        with self.lock:
            for lane in list(self.waiting.values()) if lanes is None else lanes:
                if not lane.queued:
                    continue
                lane.queued = False
                self.waiting.pop(lane.conversation_id, None)
                parcel = Parcel(lane, lane.announced, lane.fields, lane.backlog)
                parcel.papers, parcel.adjusted = lane.papers, lane.adjusted
                lane.announced, lane.fields, lane.backlog = False, {}, []
                lane.papers, lane.adjusted = [], {}
                parcel.raw = lane.take_items()
                if lane.items:
                    lane.queued = True
                    self.waiting[lane.conversation_id] = lane
                if parcel.announced or parcel.items or parcel.raw:
                    lane.flights += 1
                    self.flying += 1
                    self.aloft += len(parcel.items) + len(parcel.raw)
                    parcels.append(parcel)
        return parcels

    def land(self, parcel: Parcel) -> None:
        """Let what was settled go, and put the rest back where it was."""
        lane = parcel.lane
        with self.lock:
            lane.flights -= 1
            self.flying -= 1
            self.aloft -= len(parcel.settled) + len(parcel.items) + len(parcel.raw)
            self.gone += len(parcel.settled)
            self.bytes -= sum(each.weight for each in parcel.settled)
            self._set_mark()
            if parcel.items:
                lane.backlog = sorted([*parcel.items, *lane.backlog], key=_age)
            lane.items.extendleft(reversed(parcel.raw))
            lane.adjusted = add_up(parcel.adjusted, lane.adjusted)
            if parcel.announced:
                lane.announced = True
                lane.fields = merge(parcel.fields, lane.fields)
                lane.papers = [*parcel.papers, *lane.papers]
            if parcel.items or parcel.raw or parcel.announced:
                lane.queued = True
                self.waiting[lane.conversation_id] = lane
                self.waiting.move_to_end(lane.conversation_id, last=False)
            elif not lane.queued:
                self.adopted.pop(lane.conversation_id, None)
            self.landed.notify_all()
        if self.spool is not None:
            papers = [] if parcel.announced else parcel.papers
            self.spool.settle([*(each.id for each in parcel.settled), *papers])

    def settle(self, parcel: Parcel, accepted: Iterable[Prepared], announced: bool) -> None:
        """Note within a parcel what the server has accepted or refused for good."""
        settled = {each.id for each in accepted}
        parcel.settled.extend(each for each in parcel.items if each.id in settled)
        parcel.items = [each for each in parcel.items if each.id not in settled]
        if announced and parcel.announced:
            parcel.announced = False
            with self.lock:
                self.gone += 1

    def wait_landed(self, lanes: Iterable[Lane] | None, seconds: float) -> bool:
        """Wait until nothing of these lanes (None: of all) is under way; False if it still is."""
        watched = None if lanes is None else list(lanes)
        with self.landed:
            return self.landed.wait_for(lambda: not self.is_flying(watched), seconds)

    def is_flying(self, lanes: Iterable[Lane] | None) -> bool:
        """Whether something of these lanes (None: of any) is under way."""
        return self.flying > 0 if lanes is None else any(lane.flights for lane in lanes)

    def count(self) -> int:
        """How many items wait or are under way."""
        self.pick_up()
        with self.lock:
            waiting = sum(len(lane.items) + len(lane.backlog) for lane in self.waiting.values())
            return waiting + self.aloft

    def __del__(self) -> None:
        unsent = sum(len(lane.items) + len(lane.backlog) for lane in self.waiting.values())
        if unsent and self.spool is None:
            try:  # noqa: SIM105 - contextlib would cost time at import
                log().warning("lost: %d (a tracker that nobody uses any more had not sent them)", unsent)
            except Exception:  # noqa: S110 - at the end of the interpreter there may be nobody to tell
                pass

    def adopt_item(self, lane: Lane, opened_ns: int, item: Prepared) -> None:
        """Take over an item that another process has tracked and spooled."""
        with self.lock:
            self._adopt(lane, opened_ns)
            self.bytes += item.weight
            lane.backlog = sorted([*lane.backlog, item], key=_age)
            next(self.tick)

    def adopt_fields(self, conversation_id: str, opened_ns: int, fields: dict[str, Any], paper: str) -> None:
        """Take over what another process was told of a conversation."""
        lane = self.find(conversation_id)
        with self.lock:
            self._adopt(lane, opened_ns)
            lane.known = merge(lane.known, fields)
            lane.fields = merge(lane.fields, fields)
            lane.papers.append(paper)
            if not lane.announced:
                lane.announced = True
                next(self.tick)

    def _adopt(self, lane: Lane, opened_ns: int) -> None:
        lane.opened_ns = min(lane.opened_ns, opened_ns)
        lane.queued = True
        self.waiting[lane.conversation_id] = lane
        self.adopted[lane.conversation_id] = lane

    def forget(self) -> None:
        """After a fork, in the child: what waits belongs to the parent, which will send it."""
        self._reset()
        for lane in list(self.lanes.values()):
            lane.items.clear()
            lane.backlog, lane.fields, lane.adjusted = [], {}, {}
            lane.forget_tokens()
            lane.announced, lane.queued, lane.flights, lane.papers = False, False, 0, []
            lane.had = False
        self.adopted = {}
        self.dropped.clear()
        for answer in list(self.streams):
            answer.ended = True  # its reader is the parent's
        # The child has had no conversation yet, but for what its context has current.
        self.roster = Roster()
        for place in current_places().values():
            if place.lane.outbox is self:
                self.roster.have(place.lane)
        if self.spool is not None:
            self.spool.forget()


def _age(prepared: Prepared) -> int:
    return prepared.ns


def _after_fork() -> None:
    for outbox in list(_every):
        outbox.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
