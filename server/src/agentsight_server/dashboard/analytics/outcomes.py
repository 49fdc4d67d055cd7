"""How it went: what customers said, and what was handed to a human."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.analytics.breakdowns import Bar
from agentsight_server.dashboard.analytics.view import View
from agentsight_server.dashboard.analytics.words import Change
from agentsight_server.dashboard.formats import number, plural
from agentsight_server.dashboard.names import label, sentiment_icon, sentiment_name
from agentsight_server.store.comments import CommentRow

SENTIMENTS = ("positive", "neutral", "negative")


class Comment(msgspec.Struct):
    """A customer's words."""

    sentiment: str
    text: str
    at: int
    href: str


class Feedback(msgspec.Struct):
    """The card of feedback: parts are (sentiment, bar), left to right in one line."""

    given: int
    satisfaction: str
    change: Change | None
    parts: list[tuple[str, Bar, float]]
    rated: str
    rated_href: str
    comments: list[Comment]


def feedback(view: View, found: dict[str, Any], comments: Sequence[CommentRow]) -> Feedback:
    """What customers said in the period."""
    given = sum(found[name] for name in SENTIMENTS)
    parts = []
    start = 0.0
    for name in SENTIMENTS:
        width = found[name] / given * 100 if given else 0.0
        bar = Bar(
            label=sentiment_name(name),
            count=found[name],
            share=words.share(found[name] / given) if given else "",
            width=round(width, 2),
            href=view.events("feedback", name),
            icon=sentiment_icon(name),
        )
        parts.append((name, bar, round(start, 2)))
        start += width
    rate = found["response_rate"]
    return Feedback(
        given=given,
        satisfaction=words.share(found["satisfaction"]),
        change=words.change("satisfied", found["satisfaction"], found.get("previous")),
        parts=parts,
        rated=f"{plural(rate['numerator'], 'conversation')} rated, {words.share(rate['value'])} of all",
        rated_href=view.listed(has_feedback="true", feedback_source="customer"),
        comments=[
            Comment(
                row.sentiment,
                row.comment,
                row.at,
                f"/agents/{view.agent_id}/conversations/{row.conversation}/",
            )
            for row in comments
        ],
    )


class Escalation(msgspec.Struct):
    """The card of what was handed over."""

    rate: str
    of: str
    href: str
    change: Change | None
    bars: list[Bar]
    some: bool
    none: str


def escalation(
    view: View, found: dict[str, Any], tools: list[dict[str, Any]], actions: Sequence[str]
) -> Escalation:
    """How often, and by which action. `actions`: those that count as handing over."""
    rows = [row for row in tools if row["action_name"] in actions]
    total = sum(row["runs"] for row in rows)
    most = max((row["runs"] for row in rows), default=1)
    bars = [
        Bar(
            label=label(row["action_name"]),
            count=row["runs"],
            share=words.share(row["runs"] / total),
            width=round(row["runs"] / most * 100, 2),
            href=view.events("tool", row["action_name"]),
        )
        for row in rows
    ]
    return Escalation(
        rate=words.share(found["value"]),
        of=f"{number(found['numerator'])} of {plural(found['denominator'], 'conversation')}",
        href=view.listed(handed_over="true"),
        change=words.change("handed", found["value"], found.get("previous")),
        bars=bars,
        some=found["numerator"] > 0,
        none=_none(actions),
    )


def _none(actions: Sequence[str]) -> str:
    if not actions:
        return "No action counts as handing over."
    return f"None of these ran: {', '.join(actions[:3])}{' and others' if len(actions) > 3 else ''}."
