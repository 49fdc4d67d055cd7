"""Lists opened from a figure that counts things: exactly the conversations with them, and how many there are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from agentsight_server.domain import zones
from agentsight_server.domain.filters import Filters
from agentsight_server.store import append, conversations
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SYSTEM,
    TOKEN_USAGE,
)

HOUR = zones.HOUR


def said(at: int, sender: int, kind: int = MESSAGE) -> NewItem:
    return NewItem(kind, at, None, sender, "words")


def ran(at: int, name: str, error: str | None = None) -> NewItem:
    return NewItem(ACTION, at, None, AGENT, detail=(name, None, None, 5, None, None, error))


def clicked(at: int, event: str, label: str) -> NewItem:
    return NewItem(BUTTON, at, None, END_USER, detail=(event, label, "v"))


def judged(at: int, sentiment: str, source: str = "customer") -> NewItem:
    return NewItem(FEEDBACK, at, detail=(sentiment, source, None, None))


def used(at: int, model: str | None, total: int) -> NewItem:
    return NewItem(TOKEN_USAGE, at, detail=(model, total, 0, total, *[0] * 6))


TALKS: dict[str, tuple[dict[str, Any], list[NewItem]]] = {
    "long": (
        {"device": "mobile", "language": "en_US"},
        [
            said(0, END_USER),
            ran(1, "look up"),
            said(2, AGENT),
            said(3, AGENT),
            ran(10 * HOUR, "look up", "broke"),
            ran(10 * HOUR + 1, " look up"),
            said(10 * HOUR + 2, END_USER, ATTACHMENTS),
            said(10 * HOUR + 3, SYSTEM),
            clicked(10 * HOUR + 4, "end", "Yes"),
            clicked(10 * HOUR + 4, "end", "Yes"),
            said(10 * HOUR + 5, AGENT),
            used(10 * HOUR + 5, "small", 70),
            used(10 * HOUR + 6, None, 5),
        ],
    ),
    "offered": (
        {"is_used": False, "device": "mobile", "language": "en-us-x-old"},
        [said(10 * HOUR, AGENT), clicked(10 * HOUR + 1, "end", "No"), used(10 * HOUR + 2, "small", 7)],
    ),
    "judged": (
        {"device": "desktop", "language": "en"},
        [said(0, END_USER), judged(10 * HOUR, "positive"), judged(10 * HOUR, "positive", "platform")],
    ),
}


@pytest.fixture
def talks(database: Database, agent: int) -> dict[int, str]:
    """The conversations' names by their numbers."""
    found = {}
    for name, (fields, items) in TALKS.items():
        given = NewConversation(name, started_at=0, items=items, **fields)
        with database.write() as connection:
            number = append.append(connection, 0, agent, [given])[0].id
        assert number is not None
        found[number] = name
    return found


def listed(
    connection: Connection, agent: int, talks: dict[int, str], filters: Filters
) -> tuple[list[str], int]:
    rows = conversations.page(connection, {agent}, filters, limit=10)
    assert conversations.count(connection, {agent}, filters) == len(rows)
    return sorted(talks[row.id] for row in rows), conversations.count_events(connection, {agent}, filters)


@pytest.mark.parametrize(
    ("wanted", "names", "amount"),
    [
        ({"event": "tool", "event_name": "look up"}, ["long"], 2),
        ({"event": "tool", "event_name": " look up"}, ["long"], 1),
        ({"event": "tool", "event_name": "look up", "event_failed": True}, ["long"], 1),
        ({"event": "tool", "event_name": "look up", "event_after": HOUR}, ["long"], 1),
        ({"event": "tool", "event_name": "look up", "event_after": 11 * HOUR}, [], 0),
        ({"event": "tool", "event_before": 0}, [], 0),
        ({"event": "message"}, ["judged", "long", "offered"], 7),
        ({"event_after": 10 * HOUR, "event": "message"}, ["long", "offered"], 3),
        ({"event": "message", "hour": 10, "weekday": 3}, ["long", "offered"], 3),
        # On a clock five and a half hours ahead it is another hour.
        ({"event": "message", "hour": 15, "tz": zones.find("Asia/Kolkata")}, ["long", "offered"], 3),
        ({"event": "message", "hour": 10, "tz": zones.find("Asia/Kolkata")}, [], 0),
        # The second of two messages in a row answers nobody, nor does the first of a conversation.
        ({"event": "answer"}, ["long"], 2),
        ({"event": "answer", "event_after": 10 * HOUR}, ["long"], 1),
        ({"event": "button", "event_name": "end"}, ["long", "offered"], 3),
        ({"event": "button", "event_name": "end", "event_label": "Yes"}, ["long"], 2),
        # What the team noted is not what customers said; feedback may come after the end.
        ({"event": "feedback", "event_name": "positive", "event_after": HOUR}, ["judged"], 1),
        ({"event": "tokens", "event_name": "small"}, ["long", "offered"], 77),
        ({"event": "tokens", "event_name__isnull": True}, ["long"], 5),
        # Other filters are about the conversation, whenever they are met in it.
        ({"event": "message", "event_before": 0, "action_name": "look up"}, ["long"], 1),
        ({"event": "button", "event_name": "end", "is_offered": False}, ["long"], 2),
        ({"event": "message", "event_after": HOUR, "is_helpful": True}, [], 0),
        ({"event": "message", "event_before": HOUR, "is_helpful": True}, ["judged"], 1),
        ({"event": "message", "language__iexact": "EN-us"}, ["long"], 5),
        ({"event": "message", "language": "en-us"}, ["long", "offered"], 6),
    ],
)
def test_which_events_and_how_many(
    database: Database,
    agent: int,
    talks: dict[int, str],
    wanted: dict[str, Any],
    names: list[str],
    amount: int,
) -> None:
    with database.read() as connection:
        assert listed(connection, agent, talks, Filters(**wanted)) == (names, amount)


def test_two_actions_may_be_two_runs(database: Database, agent: int, talks: dict[int, str]) -> None:
    both = Filters(action_name="look up", action_name__in=(" look up", "other"))
    with database.read() as connection:
        assert conversations.count(connection, {agent}, both) == 1
        assert conversations.people(connection, {agent}, Filters()) == 0
