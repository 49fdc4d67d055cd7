"""Sessions: a conversation cut where it paused, item by item."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from agentsight_server.analytics.engine import MOST_SESSIONS, Known, session_id
from agentsight_server.domain import pauses
from agentsight_server.store.changes import ChangedRow

SENTIMENTS = ("positive", "neutral", "negative")
_EARLIEST = -(2**63)


class Session:
    """A stretch of a conversation, while its items are counted."""

    __slots__ = (
        "ended_at", "feedback", "feedback_at", "id", "last_asked", "last_asks", "last_at", "last_from_user",
        "last_message", "last_said_at", "last_text", "loose_at", "messages", "negative", "neutral", "ordinal",
        "outreach", "positive", "started_at", "taken_up", "user_messages",
    )  # fmt: skip

    def __init__(self, conversation: int, ordinal: int, started_at: int, *, outreach: bool = False) -> None:
        self.id = session_id(conversation, ordinal)
        self.ordinal = ordinal
        self.started_at = self.ended_at = started_at
        self.outreach = outreach
        self.taken_up = False
        self.messages = self.user_messages = 0
        self.positive = self.neutral = self.negative = False
        self.feedback: str | None = None
        self.feedback_at: int | None = None
        self.last_said_at: int | None = None
        self.last_from_user: bool | None = None
        self.last_message: int | None = None
        self.last_text: int | None = None
        self.last_asks: bool | None = None
        self.last_at: int | None = None
        self.last_asked = False
        self.loose_at: int | None = None

    @classmethod
    def restored(cls, row: Mapping[str, Any]) -> Session:
        """The session of a row of the columns."""
        session = cls(row["conversation"], row["ordinal"], row["started_at"], outreach=row["outreach"])
        session.taken_up = row["engaged"]
        for name in _RESTORED:
            setattr(session, name, row[name])
        return session

    @property
    def counted(self) -> bool:
        """Whether its items count: where the agent reached out, only when somebody answered."""
        return self.taken_up or not self.outreach

    def judge(self, sentiment: str, moment: int) -> None:
        """Take what the customer said of it."""
        if sentiment in SENTIMENTS:
            setattr(self, sentiment, True)
            if self.feedback_at is None or moment >= self.feedback_at:
                self.feedback, self.feedback_at = sentiment, moment


_OWN = frozenset({"id", "ordinal", "started_at", "outreach", "taken_up"})
_RESTORED = tuple(name for name in Session.__slots__ if name not in _OWN)


class Thread:
    """A conversation while its items are taken: the session that runs, and those that were touched.

    Attributes:
        current: the session that runs; before the first item is taken it may be one that stays as it is.
        sessions: those whose rows are to be written, by their beginning.
    """

    __slots__ = ("current", "fields", "last_item", "pause", "row", "sessions", "starts", "untouched")

    def __init__(self, row: ChangedRow, pause: int, last_item: int = 0) -> None:
        self.row = row
        self.pause = pause
        self.fields = fields_of(row)
        self.last_item = last_item
        self.current = Session(row.id, 1, row.started_at)
        # A session that stands before those that are taken anew; it is not written.
        self.untouched: Session | None = None
        self.sessions = [self.current]
        self.starts = [_EARLIEST]

    def go_on(self, last: Mapping[str, Any]) -> None:
        """Go on from the conversation's last session as it is in the columns."""
        self.current = Session.restored(last)
        self.sessions = [self.current]

    def go_on_after(self, before: Mapping[str, Any]) -> None:
        """Take anew what comes after that session."""
        self.current = self.untouched = Session.restored(before)
        self.sessions, self.starts = [], []

    def begin(self, moment: int, *, outreach: bool) -> Session:
        """Another session, unless there are too many."""
        if self.current.ordinal < MOST_SESSIONS:
            self.current = Session(self.row.id, self.current.ordinal + 1, moment, outreach=outreach)
            self.sessions.append(self.current)
            self.starts.append(moment)
        return self.current

    def running(self, moment: int) -> Session:
        """The session that runs at a moment: the last one begun; the first one before there is any."""
        return self.sessions[max(0, bisect_right(self.starts, moment) - 1)]

    @property
    def first_written(self) -> int:
        """The number of the first session that is written."""
        return self.sessions[0].id if self.sessions else self.current.id + 1


def fields_of(row: ChangedRow) -> int:
    """A number of all that sessions have from their conversation."""
    told = (
        row.production, row.is_used, row.is_offered, row.started_at, row.customer_id, row.device, row.source,
        row.language, row.country, row.metadata,
    )  # fmt: skip
    text = msgspec.json.encode([int(each) if isinstance(each, bool) else each for each in told])
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def copied(row: ChangedRow) -> dict[str, Any]:
    """What sessions have from their conversation, by column."""
    return {
        "agent": row.agent_id,
        "production": bool(row.production),
        "customer": row.customer_id or None,
        "device": row.device or None,
        "source": row.source or None,
        "language": row.language or None,
        "country": row.country or None,
        "metadata": row.metadata,
    }


def values_of(session: Session, row: ChangedRow) -> dict[str, Any]:
    """A session's row, by column."""
    first = session.ordinal == 1
    own = {name: getattr(session, name) for name in _RESTORED}
    return (
        copied(row)
        | own
        | {
            "id": session.id,
            "conversation": row.id,
            "ordinal": session.ordinal,
            "engaged": bool(row.is_used) if first else session.taken_up,
            "offered": first and bool(row.is_offered),
            "outreach": session.outreach,
            "started_at": session.started_at,
        }
    )


def is_cut_otherwise(row: ChangedRow, pause: int, known: Known, own_pauses: Mapping[str, int]) -> bool:
    """Whether changed fields move the borders of sessions, or the environment of their items."""
    return (
        bool(row.production) != known.last["production"]
        or row.started_at != known.started_at
        or pause != pauses.pause(known.last["source"], own_pauses)
    )
