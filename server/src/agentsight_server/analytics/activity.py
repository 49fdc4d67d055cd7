"""What goes on right now, and whether an agent has gone silent against its own habit."""

from __future__ import annotations

import msgspec

from agentsight_server.analytics.engine import conversation_of
from agentsight_server.analytics.query import MetricContext
from agentsight_server.domain import zones

NOW = 300_000_000
"""How long "now" lasts, in microseconds; into the future as well, where clocks are a little ahead."""

_WEEK = 7 * zones.DAY
_WEEKS = 4
# A silence is worth a word when, in each of the weeks before, the same hours had so many conversations ...
_LEAST = 3
# ... and so many on the average.
_USUAL = 5


class ActiveNow(msgspec.Struct, frozen=True):
    """The present moment of an agent.

    Attributes:
        conversations: in how many something was said within NOW.
        last_at: when something was said last, in microseconds; None: never.
    """

    conversations: int
    last_at: int | None


def active_now(context: MetricContext, now: int) -> ActiveNow:
    """What goes on, whatever the period of the scope."""
    q = context.query()
    recent = f"CASE WHEN moment BETWEEN {now - NOW} AND {now + NOW} THEN {conversation_of('session')} END"
    count, last = q.row(
        f"SELECT count(DISTINCT {recent}), max(moment) FROM messages WHERE {q.whose}"  # noqa: S608
    )
    return ActiveNow(count, last)


def inactive_since(context: MetricContext, now: int) -> int | None:
    """Since when an agent has been silent that is not silent at this time of the week; None: it is not.

    The hours since its last conversation began are held against the same hours of the four weeks before (those that
    it has lived through; at least two): a quiet night or weekend is no silence.
    """
    q = context.query()
    first, last = q.row(
        f"SELECT min(started_at), max(started_at) FROM sessions WHERE {q.whose} AND engaged "  # noqa: S608
        f"AND started_at <= {now}"
    )
    if first is None:
        return None
    shifts = [week * _WEEK for week in range(1, _WEEKS + 1) if last - week * _WEEK >= first]
    if len(shifts) < 2:
        return None
    q = context.query()
    # The conversation with which the silence began is not part of it.
    windows = ", ".join(
        f"count(CASE WHEN started_at > {last - shift} AND started_at <= {now - shift} THEN 1 END)"
        for shift in shifts
    )
    counts = q.row(f"SELECT {windows} FROM sessions WHERE {q.whose} AND engaged")  # noqa: S608
    silent = min(counts) >= _LEAST and sum(counts) >= _USUAL * len(counts)
    return last if silent else None
