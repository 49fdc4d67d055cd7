"""The sessions of one conversation: where it was cut, and what figures take each part for."""

from __future__ import annotations

import msgspec

from agentsight_server.analytics.engine import MOST_SESSIONS, Execute, session_id

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
