"""What waits to be sent.

Tracking appends to its conversation without a lock; whoever sends takes conversations whole, sends without holding
anything, and releases what was taken: what was accepted is gone, the rest waits in its place.
The outbox is bounded by count and bytes, and every item that it gives up is counted.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import OrderedDict
from weakref import WeakSet, WeakValueDictionary

from agentsight.config import log
from agentsight.outbox.context import current_bindings
from agentsight.outbox.open_streams import OpenStreams
from agentsight.outbox.pending import InFlight, PendingConversation, add_up, merge
from agentsight.outbox.roster import Roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from agentsight.items.encoding import PreparedItem
    from agentsight.outbox.spool import Spool

__all__ = ["Outbox"]

LARGEST_BODY = 16 * 1024 * 1024  # bytes of one request before compression; the server takes twice that
BATCH = 100  # items that go at once when the outbox is full, and that wake the background sender
COMPLAIN_EVERY = 60.0  # seconds between two log lines about losses

_every: WeakSet[Outbox] = WeakSet()


class Outbox:
    """What waits of all conversations of one tracker.

    Args:
        max_items: items that may wait.
        max_bytes: bytes of heavy items (long texts, metadata, files) that may wait.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self.max_items = max_items
        self.max_bytes = max_bytes
        self.wake: Callable[[bool], None] | None = None
        self.on_first_use: Callable[[], None] | None = None  # called once, before there is anything in here
        self.spool: Spool | None = None
        self.warned: set[tuple[str, str]] = set()  # kinds of changes that the log has told of
        # With items that another process left; they go with any send.
        self.adopted: dict[str, PendingConversation] = {}
        # By id. One lives as long as somebody works with it, or something of it waits.
        self.conversations: WeakValueDictionary[str, PendingConversation] = WeakValueDictionary()
        self.roster = Roster()
        self.streams = OpenStreams()
        self._complained = float("-inf")
        self._reset()
        _every.add(self)

    def _reset(self) -> None:
        # Reentrant, because a signal handler that tracks may interrupt its own thread in here.
        self.lock = threading.RLock()
        self.released = threading.Condition(self.lock)
        self.waiting: OrderedDict[str, PendingConversation] = OrderedDict()  # the longest waiting first
        self.counter = itertools.count()  # how many were ever put; next() is atomic
        self.finished = 0  # how many of those were accepted, refused or lost
        self.bytes = 0
        self.in_flight = 0  # how many takings are under way
        self.in_flight_items = 0  # items in them
        self.newest_ns = 0  # the newest time that an item was given
        self.lost: dict[str, int] = {}
        self.largest_body = LARGEST_BODY  # as far as the line has shown that it carries it in time
        self.woken = 0  # the count at which the background sender was last woken for a batch
        self.threshold = 0  # the count at which something has to be done
        self._set_threshold()

    def _set_threshold(self) -> None:
        self.threshold = self.finished + self.max_items
        if self.wake is not None:
            self.threshold = min(self.threshold, self.woken + BATCH)

    def set_wake(self, wake: Callable[[bool], None]) -> None:
        """Name who is to be told, without a lock, when something waits (False) and when a batch does (True)."""
        with self.lock:
            self.wake = wake
            self.threshold = 0
            waits = bool(self.waiting)
        if waits:
            wake(False)

    def set_bounds(self, max_items: int, max_bytes: int) -> None:
        """Change the bounds; they are held from the next item on."""
        with self.lock:
            self.max_items, self.max_bytes = max_items, max_bytes
            self.threshold = 0

    def conversation(self, conversation_id: str) -> PendingConversation:
        """The conversation of this id, which this process works on."""
        conversation = self.conversations.get(conversation_id)
        if conversation is None or not conversation.is_ours:
            conversation = self.find(conversation_id)
            self.roster.add(conversation)
        return conversation

    def find(self, conversation_id: str) -> PendingConversation:
        """The conversation of this id, which may be another process's."""
        conversation = self.conversations.get(conversation_id)
        if conversation is None:
            if self.on_first_use is not None:
                self.on_first_use()
                self.on_first_use = None
            with self.lock:
                conversation = self.conversations.get(conversation_id)
                if conversation is None:
                    conversation = PendingConversation(self, conversation_id)
                    self.conversations[conversation_id] = conversation
        return conversation

    def enqueue(self, conversation: PendingConversation) -> None:
        """Note that a conversation has something to send."""
        with self.lock:
            conversation.queued = True
            self.waiting.setdefault(conversation.conversation_id, conversation)
        if self.wake is not None:
            self.wake(False)

    def weigh(self, weight: int) -> None:
        """Count the bytes of a heavy item before it is put."""
        with self.lock:
            self.bytes += weight
            over = self.bytes > self.max_bytes
        if over:
            self._shed()

    def on_threshold(self, number: int) -> None:
        """The count went over the threshold: make room, or wake the background sender."""
        with self.lock:
            over = number + 1 - self.finished > self.max_items
        if over:
            self._shed(number)
        with self.lock:
            batch = self.wake is not None and number + 1 - self.woken >= BATCH
            if batch:
                self.woken = number + 1
            self._set_threshold()
        if batch and self.wake is not None:
            self.wake(True)

    def _shed(self, number: int | None = None) -> None:
        """Give up the oldest batch, and more of them until what waits fits. What is under way stays."""
        lost = 0
        with self.lock:
            while self.waiting and (
                self.bytes > self.max_bytes
                or (number is not None and number + 1 - self.finished > self.max_items)
            ):
                lost += self._drop(next(iter(self.waiting.values())))
        if lost:
            self.lose("the outbox was full", lost)

    def _drop(self, conversation: PendingConversation) -> int:
        dropped: list[str] = []
        while len(dropped) < BATCH:
            if conversation.backlog:
                prepared = conversation.backlog.pop(0)
                self.bytes -= prepared.weight
                dropped.append(prepared.id)
            elif conversation.items:
                item = conversation.items.popleft()
                if isinstance(item, tuple):
                    self.bytes -= item[2]
                    dropped.append("")
                else:
                    self.bytes -= item.weight
                    dropped.append(item.id)
            else:
                break
        count = len(dropped)
        if not conversation.backlog and not conversation.items:
            if not dropped and conversation.announced:
                conversation.announced = False
                dropped, conversation.record_ids = conversation.record_ids, []
                count = 1
            if not conversation.announced:
                conversation.queued = False
                self.waiting.pop(conversation.conversation_id, None)
                if conversation.items:  # tracked meanwhile, by somebody who still saw `queued`
                    conversation.queued = True
                    self.waiting[conversation.conversation_id] = conversation
        self.finished += count
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

    def take(self, conversations: Iterable[PendingConversation] | None) -> list[InFlight]:
        """Take what waits in these conversations (None: in all) to send it. All of it must be released."""
        self.streams.end_abandoned()
        taken = []
        with self.lock:
            for conversation in list(self.waiting.values()) if conversations is None else conversations:
                if not conversation.queued:
                    continue
                conversation.queued = False
                self.waiting.pop(conversation.conversation_id, None)
                in_flight = InFlight(
                    conversation, conversation.announced, conversation.unsent_fields, conversation.backlog
                )
                in_flight.record_ids, in_flight.adjusted = conversation.record_ids, conversation.adjusted
                conversation.announced, conversation.unsent_fields, conversation.backlog = False, {}, []
                conversation.record_ids, conversation.adjusted = [], {}
                in_flight.raw = conversation.take_items()
                if conversation.items:
                    conversation.queued = True
                    self.waiting[conversation.conversation_id] = conversation
                if in_flight.announced or in_flight.items or in_flight.raw:
                    conversation.in_flight += 1
                    self.in_flight += 1
                    self.in_flight_items += len(in_flight.items) + len(in_flight.raw)
                    taken.append(in_flight)
        return taken

    def release(self, in_flight: InFlight) -> None:
        """Let what was settled go, and put the rest back where it was."""
        conversation = in_flight.conversation
        with self.lock:
            conversation.in_flight -= 1
            self.in_flight -= 1
            self.in_flight_items -= len(in_flight.settled) + len(in_flight.items) + len(in_flight.raw)
            self.finished += len(in_flight.settled)
            self.bytes -= sum(each.weight for each in in_flight.settled)
            self._set_threshold()
            if in_flight.items:
                conversation.backlog = sorted([*in_flight.items, *conversation.backlog], key=_age)
            conversation.items.extendleft(reversed(in_flight.raw))
            conversation.adjusted = add_up(in_flight.adjusted, conversation.adjusted)
            if in_flight.announced:
                conversation.announced = True
                conversation.unsent_fields = merge(in_flight.fields, conversation.unsent_fields)
                conversation.record_ids = [*in_flight.record_ids, *conversation.record_ids]
            if in_flight.items or in_flight.raw or in_flight.announced:
                conversation.queued = True
                self.waiting[conversation.conversation_id] = conversation
                self.waiting.move_to_end(conversation.conversation_id, last=False)
            elif not conversation.queued:
                self.adopted.pop(conversation.conversation_id, None)
            self.released.notify_all()
        if self.spool is not None:
            record_ids = [] if in_flight.announced else in_flight.record_ids
            self.spool.settle([*(each.id for each in in_flight.settled), *record_ids])

    def settle(self, in_flight: InFlight, accepted: Iterable[PreparedItem], announced: bool) -> None:
        """Note within what was taken what the server has accepted or refused for good."""
        settled = {each.id for each in accepted}
        in_flight.settled.extend(each for each in in_flight.items if each.id in settled)
        in_flight.items = [each for each in in_flight.items if each.id not in settled]
        if announced and in_flight.announced:
            in_flight.announced = False
            with self.lock:
                self.finished += 1

    def wait_released(self, conversations: Iterable[PendingConversation] | None, seconds: float) -> bool:
        """Wait until nothing of these conversations (None: of all) is under way; False if it still is."""
        watched = None if conversations is None else list(conversations)
        with self.released:
            return self.released.wait_for(lambda: not self.is_in_flight(watched), seconds)

    def is_in_flight(self, conversations: Iterable[PendingConversation] | None) -> bool:
        """Whether something of these conversations (None: of any) is under way."""
        return (
            self.in_flight > 0
            if conversations is None
            else any(conversation.in_flight for conversation in conversations)
        )

    def count(self) -> int:
        """How many items wait or are under way."""
        self.streams.end_abandoned()
        with self.lock:
            waiting = sum(
                len(conversation.items) + len(conversation.backlog) for conversation in self.waiting.values()
            )
            return waiting + self.in_flight_items

    def __del__(self) -> None:
        unsent = sum(
            len(conversation.items) + len(conversation.backlog) for conversation in self.waiting.values()
        )
        if unsent and self.spool is None:
            try:  # noqa: SIM105 - contextlib would cost time at import
                log().warning("lost: %d (a tracker that nobody uses any more had not sent them)", unsent)
            except Exception:  # noqa: S110 - at the end of the interpreter there may be nobody to tell
                pass

    def adopt_item(self, conversation: PendingConversation, opened_ns: int, item: PreparedItem) -> None:
        """Take over an item that another process has tracked and spooled."""
        with self.lock:
            self._adopt(conversation, opened_ns)
            self.bytes += item.weight
            conversation.backlog = sorted([*conversation.backlog, item], key=_age)
            next(self.counter)

    def adopt_fields(
        self, conversation_id: str, opened_ns: int, fields: dict[str, Any], record_id: str
    ) -> None:
        """Take over what another process was told of a conversation."""
        conversation = self.find(conversation_id)
        with self.lock:
            self._adopt(conversation, opened_ns)
            conversation.known_fields = merge(conversation.known_fields, fields)
            conversation.unsent_fields = merge(conversation.unsent_fields, fields)
            conversation.record_ids.append(record_id)
            if not conversation.announced:
                conversation.announced = True
                next(self.counter)

    def _adopt(self, conversation: PendingConversation, opened_ns: int) -> None:
        conversation.opened_ns = min(conversation.opened_ns, opened_ns)
        conversation.queued = True
        self.waiting[conversation.conversation_id] = conversation
        self.adopted[conversation.conversation_id] = conversation

    def reset_after_fork(self) -> None:
        """After a fork, in the child: what waits belongs to the parent, which will send it."""
        self._reset()
        for conversation in list(self.conversations.values()):
            conversation.items.clear()
            conversation.backlog, conversation.unsent_fields, conversation.adjusted = [], {}, {}
            conversation.clear_tokens()
            conversation.announced, conversation.queued, conversation.in_flight, conversation.record_ids = (
                False,
                False,
                0,
                [],
            )
            conversation.is_ours = False
        self.adopted = {}
        self.streams.reset_after_fork()
        # The child has had no conversation yet, but for what its context has current.
        self.roster = Roster()
        for binding in current_bindings().values():
            if binding.conversation.outbox is self:
                self.roster.add(binding.conversation)
        if self.spool is not None:
            self.spool.reset_after_fork()


def _age(prepared: PreparedItem) -> int:
    return prepared.ns


def _after_fork() -> None:
    for outbox in list(_every):
        outbox.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
