"""What became of conversations: the outcome of a session as one expression, and the figures that rest on it."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

from agentsight_server.analytics import spending
from agentsight_server.analytics.figures import rate
from agentsight_server.analytics.query import MetricContext, Query
from agentsight_server.domain import zones
from agentsight_server.domain.agreement import HOUR, MINUTE, Agreement, OpeningHours

OUTCOMES = ("open", "escalated", "confirmed", "unhappy", "unanswered", "pending", "assumed")
RESOLVED = ("confirmed", "assumed")
_LASTING_HOURS = (24, 72, 168)
_AGAIN_HOURS = 72
_MOST_STEPS = 100
"""Of those that somebody said more in, the last step tells together."""


def outcome(q: Query) -> str:
    """SQL: the outcome of an engaged session, the first rule that holds."""
    over = " ".join(
        f"WHEN agent = {agent} THEN {agreement.closes_after}" for agent, agreement in q.scope.agreements
    )
    usual = Agreement().closes_after
    closes = f"CASE {over} ELSE {usual} END" if over else str(usual)
    fallback = _marked(q, "fallback")
    closing = _marked(q, "closing")
    return (
        "CASE "
        f"WHEN ended_at > {q.scope.now} - ({closes}) THEN 'open' "
        f"WHEN {q.escalated()} THEN 'escalated' "
        f"WHEN coalesce(feedback = 'positive', FALSE) OR {_reached(q)} THEN 'confirmed' "
        "WHEN coalesce(feedback = 'negative', FALSE) THEN 'unhappy' "
        "WHEN last_said_at IS NULL THEN 'unanswered' "
        f"WHEN last_from_user OR {fallback} OR {_fell_back(q)} THEN 'unanswered' "
        f"WHEN last_asks AND NOT {closing} THEN 'pending' "
        "WHEN user_messages > 0 THEN 'assumed' "
        "ELSE 'unanswered' END"
    )


def _by_agent(q: Query, condition: Callable[[Agreement], str]) -> str:
    """A condition that depends on what is settled for each agent; FALSE where it is empty."""
    parts = [
        f"(agent = {int(agent)} AND {found})"
        for agent, agreement in q.scope.agreements
        if (found := condition(agreement))
    ]
    return f"({' OR '.join(parts)})" if parts else "FALSE"


def _named(q: Query, column: str, names: Iterable[str]) -> str:
    listed = ", ".join(q.bind(name) for name in names)
    return f"{column} IN ({listed})" if listed else ""


def _marked(q: Query, mark: Any) -> str:
    def texts(agreement: Agreement) -> str:
        numbers = ", ".join(str(each) for each in agreement.marked(mark))
        return f"coalesce(last_text IN ({numbers}), FALSE)" if numbers else ""

    return _by_agent(q, texts)


def _reached(q: Query) -> str:
    """Sessions in which an action, or a click, of the goal set is."""
    ran = _by_agent(q, lambda agreement: _named(q, "name", agreement.goals))
    if ran == "FALSE":
        return ran

    def clicked(agreement: Agreement) -> str:
        named = [_named(q, column, agreement.goals) for column in ("label", "event")]
        return f"({' OR '.join(named)})" if agreement.goals else ""

    return (
        f"(id IN (SELECT session FROM actions WHERE {q.whose} AND {ran}) "  # noqa: S608
        f"OR id IN (SELECT session FROM clicks WHERE {q.whose} AND {_by_agent(q, clicked)}))"
    )


def _fell_back(q: Query) -> str:
    """Sessions in which an action of the fallback set follows the end user's last message."""
    ran = _by_agent(q, lambda agreement: _named(q, "name", agreement.fallback_actions))
    if ran == "FALSE":
        return ran
    last_run = (
        f"SELECT session, max((moment, item)) AS ran FROM actions WHERE {q.whose} AND {ran} GROUP BY session"  # noqa: S608
    )
    last_asked = (
        "SELECT session, max((moment, item)) AS asked FROM messages "  # noqa: S608
        f"WHERE {q.whose} AND from_user GROUP BY session"
    )
    return (
        f"id IN (SELECT runs.session FROM ({last_run}) AS runs JOIN ({last_asked}) AS said "  # noqa: S608
        "ON said.session = runs.session WHERE runs.ran > said.asked)"
    )


def _sessions(q: Query, columns: str) -> str:
    """The engaged sessions of the scope with their outcome."""
    return f"(SELECT {columns}, {outcome(q)} AS outcome FROM sessions WHERE {q.begun} AND engaged)"  # noqa: S608


def outcomes(context: MetricContext) -> dict[str, Any]:
    found = context.once(_counts)
    return {name: found.get(name, 0) for name in OUTCOMES}


def _counts(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    rows = q.rows(f"SELECT outcome, count(*) FROM {_sessions(q, 'id')} AS s GROUP BY outcome")  # noqa: S608
    return {name: int(count) for name, count in rows}


def resolution(context: MetricContext) -> dict[str, Any]:
    found = context.once(_counts)
    parts = {name: found.get(name, 0) for name in RESOLVED}
    still = found.get("open", 0)
    return {**rate(sum(parts.values()), sum(found.values()) - still), **parts, "open": still}


def containment(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    kept, count = q.row(
        f"SELECT count(CASE WHEN NOT {q.escalated()} THEN 1 END), count(*) "  # noqa: S608
        f"FROM sessions WHERE {q.begun} AND engaged"
    )
    found = context.once(_counts)
    helpless = found.get("unhappy", 0) + found.get("unanswered", 0)
    closed = sum(found.values()) - found.get("open", 0)
    return {**rate(kept, count), "left_without_help": rate(helpless, closed)}


def durable_resolution(context: MetricContext) -> dict[str, Any]:
    """Whoever comes back may come by another way: the filters choose the sessions, not what follows them."""
    q = context.query()
    wanted = f"SELECT * FROM {_sessions(q, 'customer, ended_at')} AS s WHERE customer IS NOT NULL"  # noqa: S608
    resolved = f"{wanted} AND outcome IN ('confirmed', 'assumed')"
    counts = ", ".join(
        f"count(CASE WHEN ended_at + {hours * HOUR} <= {q.scope.now} THEN 1 END), "
        f"count(CASE WHEN ended_at + {hours * HOUR} <= {q.scope.now} "
        f"AND (next_at IS NULL OR next_at > ended_at + {hours * HOUR}) THEN 1 END)"
        for hours in _LASTING_HOURS
    )
    row = q.row(
        f"SELECT {counts} FROM (SELECT now.ended_at, later.started_at AS next_at "  # noqa: S608
        f"FROM ({resolved}) AS now ASOF LEFT JOIN ({_people(q)}) AS later "
        "ON now.customer = later.customer AND now.ended_at < later.started_at) AS pairs"
    )
    return {
        "hours": {
            str(hours): rate(row[2 * place + 1], row[2 * place]) for place, hours in enumerate(_LASTING_HOURS)
        }
    }


def _people(q: Query) -> str:
    """Every engaged session of somebody who is known, at any time."""
    return (
        "SELECT customer, started_at, ended_at FROM sessions "  # noqa: S608
        f"WHERE {q.whose} AND engaged AND customer IS NOT NULL"
    )


def recontact(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    named = (
        f"SELECT id, customer, started_at FROM sessions WHERE {q.begun} AND engaged AND customer IS NOT NULL"  # noqa: S608
    )
    again, count = q.row(
        "SELECT count(CASE WHEN coalesce("  # noqa: S608
        f"ended_before + {_AGAIN_HOURS * HOUR} >= started_at, FALSE) OR touched THEN 1 END), count(*) FROM ("
        "SELECT now.started_at, earlier.ended_at AS ended_before, "
        # One that ends at the very moment: not itself, which may begin and end in one.
        f"(now.customer, now.started_at) IN (SELECT (customer, ended_at) FROM ({_people(q)}) AS other "
        "WHERE other.started_at < other.ended_at) AS touched "
        f"FROM ({named}) AS now ASOF LEFT JOIN ({_people(q)}) AS earlier "
        "ON now.customer = earlier.customer AND now.started_at > earlier.ended_at) AS pairs"
    )
    return rate(again, count)


def drop_off(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    rows = q.rows(
        "SELECT user_messages, outcome, count(*) "  # noqa: S608
        f"FROM {_sessions(q, 'user_messages')} AS s WHERE outcome <> 'open' GROUP BY user_messages, outcome"
    )
    ended: dict[int, dict[str, int]] = {}
    for said, what, count in rows:
        step = ended.setdefault(min(int(said), _MOST_STEPS), {})
        step[what] = step.get(what, 0) + int(count)
    reached = sum(sum(step.values()) for said, step in ended.items() if said > 0)
    answer = []
    for said in range(1, max(ended, default=0) + 1):
        step = ended.get(said, {})
        answer.append({"messages": said, "reached": reached, "ended": step})
        reached -= sum(step.values())
    return {"rows": answer}


def after_hours(context: MetricContext) -> dict[str, Any]:
    q = context.query()
    known = [(agent, each.hours) for agent, each in q.scope.agreements if each.hours is not None]
    if not known:
        return rate(0, 0)
    within = " OR ".join(f"(agent = {int(agent)} AND {_are_open(q, hours)})" for agent, hours in known)
    listed = ", ".join(str(int(agent)) for agent, _ in known)
    outside, count = q.row(
        f"SELECT count(CASE WHEN NOT ({within}) THEN 1 END), count(*) FROM sessions "  # noqa: S608
        f"WHERE {q.begun} AND engaged AND agent IN ({listed})"
    )
    return rate(outside, count)


def _are_open(q: Query, hours: OpeningHours) -> str:
    local = f"(started_at + ({q.offset('started_at', zones.find(hours.zone))}))"
    day = q.functions.divide(local, zones.DAY)
    stretches = [
        # 1970 began on a Thursday.
        f"(({day}) % 7 = {(int(weekday) - 3) % 7} AND {local} - ({day}) * {zones.DAY} >= {begin * MINUTE} "
        f"AND {local} - ({day}) * {zones.DAY} < {end * MINUTE})"
        for weekday, parts in sorted(hours.weekdays.items())
        for begin, end in parts
    ]
    if not stretches:
        return "FALSE"
    free = ", ".join(str((date.fromisoformat(each) - date(1970, 1, 1)).days) for each in hours.holidays)
    working = f" AND ({day}) NOT IN ({free})" if free else ""
    return f"(({' OR '.join(stretches)}){working})"


def sla(context: MetricContext) -> dict[str, Any]:
    """Turns of the sessions that begin in the period; the time is that of the agent."""
    kept = due = 0
    for agent, agreement in context.scope.agreements:
        within, now = agreement.answered_within, context.scope.now
        q = context.query()
        answered, in_time = q.row(
            f"SELECT count(*), count(CASE WHEN response <= {within} THEN 1 END) FROM messages "  # noqa: S608
            f"WHERE agent = {int(agent)} AND response IS NOT NULL AND moment - response + {within} <= {now} "
            f"AND session IN (SELECT id FROM sessions WHERE {q.begun} AND engaged)"
        )
        q = context.query()
        (waiting,) = q.row(
            f"SELECT count(*) FROM sessions WHERE agent = {int(agent)} AND {q.begun} AND engaged "  # noqa: S608
            f"AND last_from_user AND last_said_at + {within} <= {now}"
        )
        kept += in_time
        due += answered + waiting
    seconds = {each.answered_within // 1_000_000 for _, each in context.scope.agreements}
    return {**rate(kept, due), "seconds": seconds.pop() if len(seconds) == 1 else None}


def hours_saved(context: MetricContext) -> dict[str, Any]:
    assumed = {agent: each.minutes_a_case for agent, each in context.scope.agreements}
    known = {agent: minutes for agent, minutes in assumed.items() if minutes is not None}
    if not known:
        return {"value": None, "minutes": None}
    q = context.query()
    rows = q.rows(
        f"SELECT agent, count(*) FROM {_sessions(q, 'agent')} AS s "  # noqa: S608
        "WHERE outcome IN ('confirmed', 'assumed') GROUP BY agent"
    )
    resolved = {int(agent): int(count) for agent, count in rows}
    saved = sum(resolved.get(agent, 0) * minutes / 60 for agent, minutes in known.items())
    each = set(known.values())
    return {"value": saved, "minutes": each.pop() if len(each) == 1 else None}


def cost_per_resolved(context: MetricContext) -> dict[str, Any]:
    tokens = context.once(spending.cost)
    found = context.once(_counts)
    resolved = sum(found.get(name, 0) for name in RESOLVED)
    monthly = sum(agreement.monthly_cost for _, agreement in context.scope.agreements)
    fixed = sum(monthly / monthrange(day.year, day.month)[1] for day in _days(context)) if monthly else 0.0
    value = ((tokens["value"] or 0.0) + fixed) / resolved if resolved else None
    return {"value": value, "at_least": tokens["unpriced_tokens"] > 0}


def _days(context: MetricContext) -> Iterable[date]:
    return (context.scope.first + timedelta(days=each) for each in range(context.scope.days))
