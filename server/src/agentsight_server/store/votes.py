"""Feedback on its way into the store. Of a customer, one vote counts for the conversation and one for each of its
messages: the newest.

A vote that replaces another takes its row, and from then on has its own UUID there: what comes again, or late,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from agentsight_server.store import dialect
from agentsight_server.store.dialect import Dialect
from agentsight_server.store.messages import WRITTEN

if TYPE_CHECKING:
    from agentsight_server.store.append import NewItem

CLOCK_BACK = 6 * 3_600_000_000
"""By how much an item without a time of its own is put later, at most, to keep its place (microseconds)."""
# Where a message's UUID would stand: the conversation as a whole.
_WHOLE = b""


class About(msgspec.Struct, frozen=True, gc=False):
    """What feedback is about. `message` is the message's UUID, which may not have arrived yet, or its number; None
    is the conversation. `replaces`: it takes the place of what the customer said about it before."""

    message: bytes | int | None = None
    replaces: bool = False


class _Vote(msgspec.Struct):
    """Feedback that is stored already or will be; `given` is what is to be written."""

    item: int
    timestamp: int
    uuid: bytes
    stored: bool
    message: bytes | None
    slot: bytes | None
    given: NewItem | None = None


class Votes:
    """The feedback of one transaction."""

    def __init__(self, driver: Any, engine: Dialect) -> None:
        self._driver = driver
        self._mark = dialect.mark(engine)
        self._standing: dict[tuple[int, bytes], _Vote | None] = {}
        self._new: list[tuple[int, int, _Vote]] = []  # with agent and conversation

    def take(
        self,
        agent: int,
        conversation: int,
        item: NewItem,
        uuid: bytes,
        known: dict[bytes, int],
        numbers: Iterator[int],
        *,
        is_new: bool,
    ) -> tuple[int, bool, bool]:
        """Take feedback on a conversation; `is_new`: this transaction makes it. `known` are items by UUID.

        Returns:
            The row's number (0: there is no such message), whether nothing changes, and whether a row that was there
            is another one now.
        """
        about = item.about or About()
        found, message = self._message(conversation, about)
        if not found:
            return 0, False, False
        slot = (message or _WHOLE) if about.replaces else None
        before = None if slot is None else self._find(conversation, message, slot, look=not is_new)
        if before is None:
            vote = _Vote(next(numbers), item.timestamp, uuid, False, message, slot, item)
            self._new.append((agent, conversation, vote))
            known[uuid] = vote.item
            if slot is not None:
                self._standing[conversation, slot] = vote
            return vote.item, False, False
        if item.stamped and item.timestamp < before.timestamp <= item.timestamp + CLOCK_BACK:
            item.timestamp = (
                before.timestamp
            )  # the other's clock is ahead; this one came after it all the same
        if (item.timestamp, uuid) <= (before.timestamp, before.uuid):
            return before.item, True, False
        known.pop(before.uuid, None)
        known[uuid] = before.item
        before.timestamp, before.uuid, before.given = item.timestamp, uuid, item
        before.slot = slot
        return before.item, False, before.stored

    def _message(self, conversation: int, about: About) -> tuple[bool, bytes | None]:
        """Whether there is what feedback is about, and the message's UUID."""
        if not isinstance(about.message, int):
            return True, about.message
        if not 0 < about.message < 2**63:
            return False, None
        self._driver.execute(
            f"SELECT uuid FROM items WHERE id = {self._mark} AND conversation = {self._mark} AND kind IN {WRITTEN}",  # noqa: S608
            (about.message, conversation),
        )
        found = self._driver.fetchone()
        return found is not None, None if found is None else bytes(found[0])

    def _find(self, conversation: int, message: bytes | None, slot: bytes, *, look: bool) -> _Vote | None:
        key = (conversation, slot)
        if key not in self._standing:
            self._standing[key] = self._stored(conversation, message) if look else None
        return self._standing[key]

    def _stored(self, conversation: int, message: bytes | None) -> _Vote | None:
        same = "f.message IS NULL" if message is None else f"f.message = {self._mark}"
        self._driver.execute(
            "SELECT f.item, i.timestamp, i.uuid FROM feedbacks f JOIN items i ON i.id = f.item "  # noqa: S608
            f"WHERE f.conversation = {self._mark} AND f.source = 'customer' AND {same} "
            "ORDER BY i.timestamp DESC, i.id DESC LIMIT 1",
            (conversation,) if message is None else (conversation, message),
        )
        found = self._driver.fetchone()
        return None if found is None else _Vote(found[0], found[1], bytes(found[2]), True, message, None)

    def rows(self, kind: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What is to be inserted: rows of `items`, all of that kind, and rows of `feedbacks`."""
        items, details = [], []
        for agent, conversation, vote in self._new:
            given = vote.given
            assert given is not None
            assert given.detail is not None
            items.append(
                (vote.item, agent, conversation, vote.uuid, kind, vote.timestamp, None, None, given.metadata)
            )
            details.append((vote.item, conversation, *given.detail, vote.message, vote.slot))
        return items, details

    def write_replaced(self) -> None:
        """Write the votes that took the place of stored ones."""
        mark = self._mark
        for vote in self._standing.values():
            if vote is None or not vote.stored or vote.given is None:
                continue
            given = vote.given
            assert given.detail is not None
            sentiment, _, comment, person = given.detail
            self._driver.execute(
                f"UPDATE items SET uuid = {mark}, timestamp = {mark}, metadata = {mark} WHERE id = {mark}",  # noqa: S608
                (vote.uuid, vote.timestamp, given.metadata, vote.item),
            )
            self._driver.execute(
                f"UPDATE feedbacks SET sentiment = {mark}, comment = {mark}, person_id = {mark}, slot = {mark} "  # noqa: S608
                f"WHERE item = {mark}",
                (sentiment, comment, person, vote.slot, vote.item),
            )
