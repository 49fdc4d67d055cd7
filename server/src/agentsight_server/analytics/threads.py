"""The sessions of one conversation: where it was cut, and what figures take each part for."""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight_server.analytics.engine import MOST_SESSIONS, Execute, Functions, session_id
from agentsight_server.domain import zones
from agentsight_server.domain.filters import Filters

MOST = 1_000
"""So many sessions of a conversation are told, the newest ones."""


class SessionRow(msgspec.Struct, frozen=True):
    """A session; times are in microseconds, ordinals begin at 1."""

    ordinal: int
    started_at: int
    ended_at: int
    messages: int
    engaged: bool
    offered: bool
    outreach: bool


def sessions_of(execute: Execute, conversation: int) -> list[SessionRow]:
    """The newest sessions of a conversation, by their beginning; none where the engine has nothing of it.

    Example:
        >>> [each.ordinal for each in sessions_of(execute, 7)]
        [1, 2]
    """
    names = ", ".join(SessionRow.__struct_fields__)
    first, last = session_id(conversation, 0), session_id(conversation, MOST_SESSIONS)
    rows = execute(
        f"SELECT {names} FROM sessions WHERE id BETWEEN {first} AND {last} ORDER BY id DESC LIMIT {MOST}",  # noqa: S608
        (),
    )
    return [SessionRow(*row) for row in reversed(rows)]


class Cut(msgspec.Struct, frozen=True):
    """What a list of a period has to know of threads that were cut.

    Attributes:
        listed: {conversation: how many of its sessions count}, of those with several.
        begun: conversations with several sessions that began in the period: a list by their beginning leaves them out.
    """

    listed: dict[int, int]
    begun: list[int]


def cut_in(
    execute: Execute,
    functions: Functions,
    agent: int,
    after: int | None,
    before: int | None,
    filters: Filters,
) -> Cut:
    """Of an agent's conversations with several sessions, those with an engaged one that begins between two moments
    and is what the filters of sessions ask for.

    Args:
        after: and `before`, in microseconds, both included; None: no end.
        filters: of these the ones on what is in a session; those on the conversation's fields are left to the store.
    """
    bound: list[Any] = []

    def bind(value: Any) -> str:
        bound.append(value)
        return functions.parameter(len(bound), value)

    first, last = -(2**62) if after is None else after, 2**62 if before is None else before
    several = f"SELECT id FROM conversations WHERE agent = {int(agent)} AND sessions > 1"  # noqa: S608
    within = f"started_at BETWEEN {int(first)} AND {int(last)}"
    wanted = [f"agent = {int(agent)} AND engaged AND {within}", f"conversation IN ({several})"]
    for name in ("action_name", "action_name__in", "handed_over"):
        if filters[name] is not None:
            names = (filters[name],) if isinstance(filters[name], str) else filters[name]
            listed = ", ".join(map(bind, names))
            wanted.append(
                f"id IN (SELECT session FROM actions WHERE agent = {int(agent)} AND name IN ({listed}))"  # noqa: S608
            )
    if filters["unanswered"] is not None:
        wanted.append(f"coalesce(last_from_user, FALSE) = {bool(filters['unanswered'])}")
    rated = "(positive OR neutral OR negative)"
    if filters["feedback_sentiment"] in ("positive", "neutral", "negative"):
        wanted.append(str(filters["feedback_sentiment"]))
    elif filters["feedback_sentiment__isnull"] is not None:
        wanted.append(f"NOT {rated}" if filters["feedback_sentiment__isnull"] else rated)
    elif filters["has_feedback"] is not None:
        wanted.append(rated if filters["has_feedback"] else f"NOT {rated}")
    wanted += _on_the_clock(functions, filters)
    rows = execute(
        f"SELECT conversation, count(*) FROM sessions WHERE {' AND '.join(wanted)} GROUP BY conversation",  # noqa: S608
        bound,
    )
    begun = execute(f"{several} AND {within}", ())
    return Cut(dict(rows), [number for (number,) in begun])


def _on_the_clock(functions: Functions, filters: Filters) -> list[str]:
    """The conditions on the day of the week and the hour."""
    if filters["weekday"] is None and filters["hour"] is None:
        return []
    (_, ahead), *later = filters.offsets
    cases = " ".join(f"WHEN started_at >= {since} THEN {offset}" for since, offset in reversed(later))
    local = f"started_at + CASE {cases} ELSE {ahead} END" if later else f"started_at + {ahead}"
    found = []
    if filters["hour"] is not None:
        found.append(f"{functions.divide(local, zones.HOUR)} % 24 = {int(filters['hour'])}")
    if filters["weekday"] is not None:
        found.append(f"({functions.divide(local, zones.DAY)} + 3) % 7 = {int(filters['weekday'])}")
    return found
