"""The headline figures: each one definition, one query."""

from __future__ import annotations

from typing import Any

from agentsight_server.analytics.query import MetricContext


def rate(numerator: int, denominator: int) -> dict[str, Any]:
    """A share with what it is made of; absent over nothing.

    Example:
        >>> rate(1, 4)
        {'value': 0.25, 'numerator': 1, 'denominator': 4}
    """
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def milliseconds(microseconds: Any) -> float | None:
    """A duration in the unit of answers."""
    return None if microseconds is None else float(microseconds) / 1000


def conversations(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    count, threads = q.row(
        "SELECT count(*), count(DISTINCT conversation) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    return {"value": count, "threads": threads}


def messages(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    (count,) = q.row(f"SELECT count(*) FROM messages WHERE {q.happened}")  # noqa: S608
    return {"value": count}


def users(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    people, anonymous = q.row(
        "SELECT count(DISTINCT customer), count(*) - count(customer) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    return {"value": people, "anonymous_conversations": anonymous}


def response_time(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    mean, median, p95, count = q.row(
        f"SELECT {q.mean_and_quantiles('response')}, count(*) FROM messages "  # noqa: S608
        f"WHERE {q.happened} AND response IS NOT NULL"
    )
    return {
        "mean_ms": milliseconds(mean),
        "median_ms": milliseconds(median),
        "p95_ms": milliseconds(p95),
        "count": count,
    }


def duration(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    mean, median, count = q.row(
        f"SELECT {q.mean_and_quantiles('ended_at - started_at', (0.5,))}, count(*) FROM sessions "  # noqa: S608
        f"WHERE {q.begun} AND engaged AND messages >= 2"
    )
    return {"mean_ms": milliseconds(mean), "median_ms": milliseconds(median), "count": count}


def messages_per_conversation(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    said, count = q.row(
        f"SELECT sum(messages), count(*) FROM sessions WHERE {q.begun} AND engaged"  # noqa: S608
    )
    return rate(int(said or 0), count)


def escalation_rate(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    handed, count = q.row(
        f"SELECT count(CASE WHEN {q.escalated()} THEN 1 END), count(*) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    return rate(handed, count)


def feedback(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    given: dict[str, int] = dict(
        q.rows(f"SELECT sentiment, count(*) FROM feedback WHERE {q.happened} GROUP BY sentiment")  # noqa: S608
    )
    q = context.query()
    answered, count = q.row(
        "SELECT count(CASE WHEN positive OR neutral OR negative THEN 1 END), count(*) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    positive, negative = given.get("positive", 0), given.get("negative", 0)
    return {
        "positive": positive,
        "neutral": given.get("neutral", 0),
        "negative": negative,
        "satisfaction": rate(positive, positive + negative)["value"],
        "response_rate": rate(answered, count),
    }


def interactions(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    engaged, offered = q.row(
        "SELECT count(CASE WHEN engaged THEN 1 END), count(*) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND offered"
    )
    return {"offered": offered, "engaged": engaged, **rate(engaged, offered)}


def returning_users(context: MetricContext) -> dict[str, Any]:
    """Who was here before may have come by another way then: the filters choose the people, not their past."""
    q = context.query()
    people, returning = q.row(
        "SELECT count(*), count(before.customer) FROM "  # noqa: S608
        f"(SELECT DISTINCT customer FROM sessions WHERE {q.begun} AND engaged AND customer IS NOT NULL) AS now "
        f"LEFT JOIN (SELECT DISTINCT customer FROM sessions WHERE {q.whose} AND engaged "
        f"AND customer IS NOT NULL AND started_at < {q.scope.start}) AS before ON before.customer = now.customer"
    )
    return rate(returning, people)


def outreach(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    reached, engaged = q.row(
        "SELECT count(*), count(CASE WHEN engaged THEN 1 END) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND outreach"
    )
    return {"sessions": reached, "engaged": engaged}


def unanswered(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    waiting, count = q.row(
        f"SELECT count(CASE WHEN last_from_user THEN 1 END), count(*) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    return {"value": waiting, "share": rate(waiting, count)}
