"""What is known and what waits of one conversation, and what a sender takes of it."""

from __future__ import annotations

import time
from collections import deque

from agentsight.items.kinds import moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agentsight.items.encoding import PreparedItem
    from agentsight.items.kinds import Item
    from agentsight.outbox.outbox import Outbox

__all__ = ["InFlight", "PendingConversation", "add_up", "merge"]

_SECOND = 1_000_000_000  # ns
if TYPE_CHECKING:
    _Tuple = tuple[Any, ...]
else:
    _Tuple = tuple


class PendingConversation:
    """What is known and what waits of one conversation."""

    __slots__ = (
        "__weakref__",
        "adjusted",
        "announced",
        "asked_ns",
        "backlog",
        "blocks",
        "conversation_id",
        "counts",
        "in_flight",
        "is_ours",
        "items",
        "known_fields",
        "last_ns",
        "opened_ns",
        "outbox",
        "queued",
        "record_ids",
        "sent_elsewhere",
        "unsent_fields",
        "was_left",
    )

    def __init__(self, outbox: Outbox, conversation_id: str) -> None:
        self.outbox = outbox
        self.conversation_id = conversation_id
        self.items: deque[Item | PreparedItem] = deque()  # tracked, in order
        self.backlog: list[PreparedItem] = []  # older than items: was on its way and came back
        self.known_fields: dict[str, Any] = {}  # the conversation's fields, as far as they were told
        self.unsent_fields: dict[str, Any] = {}  # those of them that the server has not acknowledged
        self.record_ids: list[str] = []  # ids of what the spool has written of the conversation itself
        self.announced = False  # the conversation itself waits to be sent
        self.queued = False  # stands in outbox.waiting
        self.in_flight = 0  # senders that have items of this lane under way
        self.last_ns = outbox.newest_ns  # of the newest item that has its time for good
        self.is_ours = False  # this process works on it, or did
        self.blocks = 0  # `with` blocks on it that are open
        self.was_left = False  # its `with` blocks have ended, or the pool's job that chose it
        self.opened_ns = time.time_ns()
        self.asked_ns = 0  # when the end user last wrote, unless there was an answer since
        self.sent_elsewhere: dict[str, int] = {}  # what others sent of it since it was last sent by name
        self.counts: deque[tuple[int, int, int, int]] = deque()  # tokens of calls, the oldest added up
        self.adjusted: dict[tuple[str, str], int] = {}  # what was changed to fit: (field, how) and how often

    def put(self, item: Item) -> None:
        """Add an item, as `items.kinds` makes it."""
        outbox = self.outbox
        if item[2]:
            outbox.weigh(item[2])
        kept = item if outbox.spool is None else outbox.spool.keep(self, item)
        # First append, then look: a sender clears `queued` before it empties `items`, so whichever way the
        # two meet, the item is either taken with the rest or the conversation is queued again.
        self.items.append(kept)
        if not self.queued:
            outbox.enqueue(self)
        number = next(outbox.counter)
        if number >= outbox.threshold:
            outbox.on_threshold(number)

    def rising(self, ns: int) -> int:
        """The time of an item that follows those before it.

        Times rise strictly within a conversation: two calls within a microsecond, or a clock that was set back by
        less than a second, do not change the order of a transcript.
        """
        self.last_ns = ns = _after(self.last_ns, ns)
        # This lives as long as somebody works with it; the next one of the same conversation goes on from here.
        if ns > self.outbox.newest_ns:
            self.outbox.newest_ns = ns
        return ns

    def take_items(self) -> list[Item | PreparedItem]:
        """Take what waits, in order, with the outbox's lock: who takes first has the earlier items."""
        taken: list[Item | PreparedItem] = []
        for _ in range(len(self.items)):
            try:
                item = self.items.popleft()
            except IndexError:  # a signal handler that sends came in between
                break
            # What was taken before and came back keeps the time that it was given then.
            taken.append(Timed(moved(item, self.rising(item[1]))) if type(item) is tuple else item)
        return taken

    def fix_times(self) -> None:
        """Give what waits its times now, with the outbox's lock: what follows gets its own at once."""
        self.items.extendleft(reversed(self.take_items()))

    def preview(self) -> list[Item | PreparedItem]:
        """What waits, as it would be taken now."""
        last, seen = self.last_ns, []
        for item in list(self.items):
            if type(item) is tuple:
                last = _after(last, item[1])
                item = moved(item, last)
            seen.append(item)
        return seen

    def tokens(self) -> tuple[int, int, int, int]:
        """Tokens tracked since the last send: prompt, completion, total, embedding."""
        with self.outbox.lock:
            return _added(self.counts.copy())

    def add_up_tokens(self) -> None:
        """Keep one sum in place of many counts."""
        with self.outbox.lock:
            taken = []
            for _ in range(len(self.counts)):
                try:
                    taken.append(self.counts.popleft())
                except IndexError:  # a signal handler that tracks came in between, and adds up what it finds
                    break
            self.counts.appendleft(_added(taken))

    def clear_tokens(self) -> None:
        """Begin to count anew."""
        with self.outbox.lock:
            self.counts.clear()

    def adjust(self, counts: dict[tuple[str, str], int]) -> None:
        """Note what was changed before it was put here; the server is told with what is sent next."""
        if counts:
            with self.outbox.lock:
                self.adjusted = add_up(self.adjusted, counts)

    def enter(self) -> None:
        """A `with` block on it begins."""
        with self.outbox.lock:
            self.blocks += 1
            self.was_left = False

    def leave(self) -> None:
        """A `with` block on it ends."""
        with self.outbox.lock:
            self.blocks -= 1
            self.was_left = self.blocks <= 0

    def announce(self, fields: dict[str, Any]) -> None:
        """Let the conversation itself be sent. Fields given earlier stay, empty ones are filled."""
        outbox = self.outbox
        with outbox.lock:
            news = {name: value for name, value in fields.items() if name not in self.known_fields}
            if "metadata" in fields and "metadata" in self.known_fields:
                known = self.known_fields["metadata"]
                added = {key: value for key, value in fields["metadata"].items() if key not in known}
                if added:
                    news["metadata"] = added
        # Before it can be sent, so that whoever sends it knows which record to take back.
        record_ids = [] if outbox.spool is None else [outbox.spool.announce(self, news)]
        with outbox.lock:
            self.known_fields = merge(self.known_fields, news)
            self.unsent_fields = merge(self.unsent_fields, news)
            self.record_ids += record_ids
            self.was_left = False
            first = not self.announced
            self.announced = True
        outbox.enqueue(self)
        if first:
            number = next(outbox.counter)
            if number >= outbox.threshold:
                outbox.on_threshold(number)


class Timed(_Tuple):
    """An item that has its time for good."""

    __slots__ = ()


def _added(counts: Iterable[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    prompt, completion, total, embedding = (sum(column) for column in zip((0, 0, 0, 0), *counts, strict=True))
    return prompt, completion, total, embedding


def _after(last: int, ns: int) -> int:
    if last // 1000 >= ns // 1000 and last - ns < _SECOND:
        return (last // 1000 + 1) * 1000
    return ns


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Fields of a conversation from two sources, the first winning; metadata key by key."""
    merged = {**second, **first}
    if "metadata" in first and "metadata" in second:
        merged["metadata"] = {**second["metadata"], **first["metadata"]}
    return merged


def add_up(first: dict[Any, int], second: dict[Any, int]) -> dict[Any, int]:
    """Both counts, name by name."""
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


class InFlight:
    """What one sender took from one conversation, and has under way."""

    __slots__ = ("adjusted", "announced", "conversation", "fields", "items", "raw", "record_ids", "settled")

    def __init__(
        self,
        conversation: PendingConversation,
        announced: bool,
        fields: dict[str, Any],
        items: list[PreparedItem],
    ) -> None:
        self.conversation = conversation
        self.announced = announced  # still to be acknowledged
        self.fields = fields
        self.items = items  # still to be acknowledged, once `raw` is prepared
        self.record_ids: list[str] = []
        self.adjusted: dict[tuple[str, str], int] = {}
        self.raw: list[Item | PreparedItem] = []
        self.settled: list[PreparedItem] = []
