"""Makes the demo's conversations: ninety days of several agents, or the next one right now."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from agentsight_server.demo import script
from agentsight_server.demo.agents import ROLES, Role
from agentsight_server.demo.customers import Customer, Customers
from agentsight_server.demo.simulate import Simulation, moment_text

__all__ = ["AGENT_NAMES", "generate", "next_conversation", "pace"]

Record = dict[str, Any]

AGENT_NAMES: tuple[str, ...] = tuple(role.name for role in ROLES)
_VERSIONS = ((60, "2.1.0"), (34, "2.2.0"), (12, "2.3.0"), (0, "2.3.1"))
_PAGES: dict[str, tuple[str, ...]] = {
    "hotel": ("/", "/rooms", "/offers", "/restaurant", "/my-booking"),
    "shop": ("/", "/orders", "/returns", "/tents", "/jackets", "/checkout"),
    "city": ("/", "/services", "/waste", "/contact"),
    "clinic": ("/", "/appointments"),
}


def generate(seed: int, until: datetime, days: int = 90) -> Iterator[tuple[str, Record]]:
    """Make the conversations of all agents over the days before a moment, in order of time.

    Args:
        seed: the same seed and moment give the same conversations.
        until: aware; nothing happens after it.
        days: length of the period; some 28 conversations a day.

    Yields:
        The agent's name and an import record: conversation fields, ``items`` and ``feedbacks``.

    Example:
        >>> records = list(generate(1, datetime(2026, 8, 14, 12, tzinfo=timezone.utc), days=2))
        >>> records[0][0] in AGENT_NAMES
        True
    """
    lives = [_life(role, seed, until.astimezone(timezone.utc), days) for role in ROLES]
    for _, _, name, record in heapq.merge(*lives, key=lambda each: each[:2]):
        yield name, record


def pace(now: datetime) -> dict[str, float]:
    """Conversations an hour that each agent's history leads one to expect at a moment.

    Example:
        >>> sum(pace(datetime(2026, 8, 14, 12, tzinfo=timezone.utc)).values()) < 10
        True
    """
    expected = {}
    for role in ROLES:
        local = now.astimezone(ZoneInfo(role.time_zone))
        hours = [int(digit) + 0.02 for digit in role.hours]
        expected[role.name] = _expected(role, local.date(), 0, 1) * hours[local.hour] / sum(hours)
    return expected


def next_conversation(rng: random.Random, now: datetime, name: str | None = None) -> tuple[str, Record]:
    """Make one conversation that begins at ``now`` with people in a hurry: half a minute or so, seldom longer.

    Args:
        name: the agent; default: one of them, the busier the likelier.

    Example:
        >>> name, record = next_conversation(random.Random(1), datetime.now(timezone.utc))
        >>> record["is_used"]
        True
    """
    wanted = [each for each in ROLES if name is None or each.name == name]
    role = rng.choices(wanted, [each.per_day for each in wanted])[0]
    customer = Customers(role, rng).next()
    return role.name, _conversation(role, customer, now.astimezone(timezone.utc), 0, rng, pace=0.3, live=True)


def _life(role: Role, seed: int, until: datetime, days: int) -> Iterator[tuple[datetime, str, str, Record]]:
    rng = random.Random(f"{seed}/{role.slug}")  # noqa: S311
    zone = ZoneInfo(role.time_zone)
    customers = Customers(role, rng)
    today = until.astimezone(zone).date()
    for back in range(days, -1, -1):
        if role.launched is not None and back > role.launched:
            continue
        for start in _starts(role, today - timedelta(days=back), back, days, zone, rng):
            record = _conversation(role, customers.next(), start, back, rng)
            last = record["items"][-1]["timestamp"] if record["items"] else record["started_at"]
            ends = [each["created_at"] for each in record["feedbacks"]] + [last]
            if max(ends) <= moment_text(until) and start >= until - timedelta(days=days):
                yield start, record["conversation_id"], role.name, record


def _starts(
    role: Role, day: date, back: int, days: int, zone: ZoneInfo, rng: random.Random
) -> list[datetime]:
    """Draw when conversations begin on a day: busier week by week, by weekday and hour, in local time."""
    count = _poisson(_expected(role, day, back, days) * rng.lognormvariate(0, 0.12), rng)
    hours = rng.choices(range(24), [int(digit) + 0.02 for digit in role.hours], k=count)
    return sorted(
        datetime.combine(
            day, time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(10**6)), tzinfo=zone
        ).astimezone(timezone.utc)
        for hour in hours
    )


def _expected(role: Role, day: date, back: int, days: int) -> float:
    """How many conversations a day has on average."""
    weekdays = [int(digit) for digit in role.weekdays]
    season = 0.68 + 0.64 * (days - back) / max(days, 1)
    if role.launched is not None:  # a new agent is found slowly
        season = min(1.25, 0.25 + (role.launched - back) / 24)
    return role.per_day * season * weekdays[day.weekday()] * 7 / sum(weekdays)


def _poisson(expected: float, rng: random.Random) -> int:
    limit, product, count = math.exp(-expected), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _conversation(
    role: Role,
    customer: Customer,
    start: datetime,
    back: int,
    rng: random.Random,
    *,
    pace: float = 1.0,
    live: bool = False,
) -> Record:
    testing = not live and rng.random() < 0.04
    record: Record = {
        "conversation_id": f"conv_{rng.getrandbits(48):012x}",
        "customer_id": customer.customer_id,
        "customer_ip_address": customer.ip,
        "device": customer.device,
        "source": customer.channel,
        "language": customer.locale,
        "name": None,
        "environment": "development" if testing else "production",
        "is_used": True,
        "metadata": _about(role, customer, back, rng),
        "started_at": moment_text(start),
        "items": [],
        "feedbacks": [],
    }
    if testing:
        record |= {
            "customer_id": f"dev-{rng.choice(('ana', 'ivo', 'qa'))}",
            "customer_ip_address": "192.168.1.7",
        }
    widget = customer.channel == "web"
    if widget and not live and rng.random() < 0.5:
        # The widget begins a conversation when it opens; a third of those who see it never write.
        record["is_offered"] = True
        if rng.random() < 0.36:
            record |= {"is_used": False, "customer_id": None}
            return record

    lines = script.load(role.slug, customer.language)
    models = [(name, weight) for since, name, weight in role.models if back <= since]
    simulation = Simulation(
        role,
        lines,
        customer.language,
        start,
        rng,
        model=rng.choices([name for name, _ in models], [weight for _, weight in models])[0],
        troubled=role.bad_day is not None and back == role.bad_day,
        pace=pace,
    )
    topic, title = _act(simulation, role, lines, rng, live=live)
    record["items"] = simulation.items
    record["metadata"]["topic"] = topic
    if rng.random() < 0.5:
        record["name"] = title
    if rng.random() < 0.012:
        record["is_marked"] = True
    _judge(record, simulation, lines, rng)
    return record


def _about(role: Role, customer: Customer, back: int, rng: random.Random) -> dict[str, Any]:
    about: dict[str, Any] = {"bot_version": next(name for since, name in _VERSIONS if back >= since)}
    if customer.channel == "web":
        about["page"] = rng.choice(_PAGES[role.slug])
    if role.slug in ("hotel", "shop"):
        about["tier"] = customer.tier
    if back < 21 and role.slug == "shop":
        about["experiment"] = {"name": "short_answers", "group": rng.choice("AB")}
    return about


def _act(
    simulation: Simulation, role: Role, lines: script.Script, rng: random.Random, *, live: bool
) -> tuple[str, str]:
    """Play one or two stories with what stands around them; return topic and title of the first."""
    if rng.random() < 0.3:
        simulation.perform(simulation.piece("_hello").lines)
    story = rng.choices(lines.stories, [len(lines.stories) + 2 - n for n in range(len(lines.stories))])[0]
    cut = rng.random() < 0.035
    done = simulation.perform(_until_unanswered(story.lines) if cut else story.lines)
    title = simulation.title(story)
    if cut or not done:
        return story.topic, title
    if not live and len(lines.stories) > 2 and rng.random() < 0.16:
        _come_back(simulation, rng)
        more = rng.choice([each for each in lines.stories if each is not story])
        simulation.another_matter()
        simulation.perform(simulation.piece("_also").lines)
        if not simulation.perform(more.lines):
            return story.topic, title
    if not simulation.escalated and rng.random() < role.escalation_rate:
        simulation.perform(simulation.piece("_handover").lines)
        simulation.hand_over()
        return story.topic, title
    if rng.random() < 0.3:
        simulation.perform(simulation.piece("_helpful").lines)
        if simulation.choice == "no":
            simulation.disappointed = True
            return story.topic, title
    if rng.random() < 0.62:
        simulation.perform(simulation.piece("_thanks").lines)
    return story.topic, title


def _until_unanswered(lines: list[script.Line]) -> list[script.Line]:
    """Cut a story after something that the customer says, as if the bot had never answered."""
    said = [number for number, line in enumerate(lines) if line.kind == "u" and line.when is None]
    return lines[: said[-1] + 1]


def _come_back(simulation: Simulation, rng: random.Random) -> None:
    chance = rng.random()
    if chance < 0.3:
        simulation.pause(rng.uniform(6, 90) * 60)
    elif chance < 0.38:
        simulation.pause(rng.uniform(14, 30) * 3600)


def _judge(record: Record, simulation: Simulation, lines: script.Script, rng: random.Random) -> None:
    """Let some customers say what they thought, and write the bot's own analysis into the metadata."""
    unhappy = 0.75 if simulation.failed or simulation.disappointed else 0.42 if simulation.escalated else 0.06
    mood = rng.random()
    sentiment = "negative" if mood < unhappy else "neutral" if mood < unhappy + 0.13 else "positive"
    record["metadata"]["analysis"] = {
        "sentiment": sentiment,
        "resolved": not (simulation.failed or simulation.escalated or simulation.disappointed),
    }
    if rng.random() >= (
        0.3 if simulation.failed or simulation.escalated or simulation.disappointed else 0.14
    ):
        return
    kind = {"positive": "good", "negative": "bad", "neutral": "neutral"}[sentiment]
    comments = lines.comments_on(record["metadata"]["topic"], kind)
    moment = simulation.clock + timedelta(seconds=rng.uniform(4, 180))
    record["feedbacks"].append({
        "sentiment": sentiment,
        "comment": rng.choice(comments) if rng.random() < 0.6 else None,
        "source": "customer",
        "created_at": moment_text(moment),
    })  # fmt: skip
    if sentiment == "negative" and rng.random() < 0.25:
        later = moment + timedelta(hours=rng.uniform(1, 20))
        record["feedbacks"].append({
            "sentiment": "neutral",
            "comment": "Looked into it with the team; the answer is in the knowledge base now.",
            "source": "platform",
            "created_at": moment_text(later),
        })  # fmt: skip
