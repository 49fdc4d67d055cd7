"""Random conversations around the moments at which counting goes wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.oracle import Item, Record

HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# (zone, first day, last day): clocks turned forward and back by an hour, by half an hour, over midnight; a day left
# out; half-hour and quarter-hour zones; one day, two, a month, more than two months, more than two years.
PERIODS = [
    ("UTC", date(2026, 8, 1), date(2026, 8, 31)),
    ("Europe/Zagreb", date(2026, 3, 28), date(2026, 3, 30)),
    ("Europe/Zagreb", date(2026, 3, 29), date(2026, 3, 29)),
    ("Europe/Zagreb", date(2026, 10, 25), date(2026, 10, 26)),
    ("Asia/Kolkata", date(2026, 8, 1), date(2026, 8, 2)),
    ("Asia/Kathmandu", date(2026, 8, 1), date(2026, 8, 7)),
    ("Australia/Lord_Howe", date(2026, 4, 5), date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 3), date(2026, 10, 4)),
    ("America/Sao_Paulo", date(2017, 10, 14), date(2017, 10, 16)),
    ("America/Sao_Paulo", date(2018, 2, 17), date(2018, 2, 18)),
    ("America/Havana", date(2026, 11, 1), date(2026, 11, 1)),
    ("Pacific/Apia", date(2011, 12, 28), date(2011, 12, 31)),
    ("Pacific/Apia", date(2011, 12, 30), date(2011, 12, 30)),
    ("America/New_York", date(2026, 1, 14), date(2026, 6, 20)),
    ("Europe/London", date(2024, 2, 29), date(2026, 10, 1)),
]

periods = st.sampled_from(PERIODS)


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def edges(zone: str, first: date, last: date) -> list[int]:
    """Moments worth trying: the period's ends, its middle, and the days before and after."""
    tz = ZoneInfo(zone)
    midnights = [
        micros(datetime(day.year, day.month, day.day, tzinfo=tz))
        for day in (first - timedelta(days=1), first, last, last + timedelta(days=1))
    ]
    return [*midnights, (midnights[1] + midnights[3]) // 2]


def moments(period: tuple[str, date, date]) -> st.SearchStrategy[int]:
    """Three in four lie within the period: at its ends, around its middle, anywhere."""
    zone, first, last = period
    _, start, _, end, middle = edges(*period)
    # The day that Samoa left out has no moments.
    inside = max(0, end - 1 - start)
    within = st.one_of(
        st.sampled_from([0, 1, 1_500, HOUR, inside, max(0, inside - 1), max(0, inside - HOUR)]),
        st.integers(-3, 30).map(lambda halves: middle - start + halves * HOUR // 2),
        st.integers(0, inside),
    ).map(lambda away: start + min(max(away, 0), inside))
    near = st.one_of(
        st.sampled_from([-1, 0, 0, 1, 1_500]),
        st.integers(-3, 30).map(lambda halves: halves * HOUR // 2),
        st.integers(-2 * HOUR, 26 * HOUR),
    )
    around = st.builds(lambda edge, away: edge + away, st.sampled_from(edges(zone, first, last)), near)
    return st.integers(0, 3).flatmap(lambda place: around if place == 3 else within)


def times(period: tuple[str, date, date], started_at: int) -> st.SearchStrategy[int]:
    """When items of a conversation happen, three in four soon after it began."""
    soon = st.sampled_from([0, 0, 1, 900_000, 4_000_000, 61_000_000]) | st.integers(0, 2 * HOUR)
    later = soon.map(lambda away: started_at + away)
    return st.integers(0, 3).flatmap(lambda place: moments(period) if place == 3 else later)


def items(period: tuple[str, date, date], started_at: int) -> st.SearchStrategy[Item]:
    at = times(period, started_at)
    counts = st.integers(0, 5_000)
    sums = st.tuples(counts, counts, counts).flatmap(
        lambda three: st.sampled_from([0, three[0] + three[1], sum(three) + 7]).map(
            lambda total: (*three, total)
        )
    )
    usage = st.sampled_from([(0, 0, 90, 0), (0, 0, 0, 50)]) | sums
    message = st.builds(
        Item,
        kind=st.sampled_from(["message", "message", "message", "attachments"]),
        at=at,
        sender=st.sampled_from(["end_user", "agent", "end_user", "agent", "system"]),
    )
    action = st.builds(
        Item,
        kind=st.just("action"),
        at=at,
        name=st.sampled_from(["check", "search", "open_ticket", "contact_human", "odd 'name'"]),
        failed=st.booleans(),
        duration_ms=st.none() | st.integers(0, 90_000),
    )
    button = st.builds(
        Item,
        kind=st.just("button"),
        at=at,
        sender=st.just("end_user"),
        name=st.sampled_from(["after_chat", "menu"]),
        label=st.sampled_from(["Yes", "No", "日本"]),
    )
    tokens = st.builds(
        Item,
        kind=st.just("token_usage"),
        at=at,
        model=st.sampled_from(
            ["gpt-4o-mini", "claude-3-5-haiku-latest", "gpt-realtime", "homemade-7b", None]
        ),
        tokens=usage,
    ).flatmap(_with_parts)
    feedback = st.builds(
        Item,
        kind=st.just("feedback"),
        at=at,
        sentiment=st.sampled_from(["positive", "neutral", "negative"]),
        source=st.sampled_from(["customer", "customer", "platform"]),
    )
    return st.one_of(message, message, message, action, button, tokens, feedback)


def _with_parts(item: Item) -> st.SearchStrategy[Item]:
    prompt, completion, *_ = item.tokens
    prompts = st.tuples(st.integers(0, prompt), st.integers(0, prompt), st.integers(0, prompt))
    completions = st.tuples(st.integers(0, completion), st.integers(0, completion))
    # What is written into the cache was not read from it; audio and reasoning may overlap with anything.
    parts = st.tuples(prompts, completions).map(
        lambda each: (each[0][0], min(each[0][1], prompt - each[0][0]), each[0][2], *each[1])
    )
    return st.builds(replace, st.just(item), parts=st.just((0, 0, 0, 0, 0)) | parts)


def records(period: tuple[str, date, date]) -> st.SearchStrategy[list[Record]]:
    def record(started_at: int) -> st.SearchStrategy[Record]:
        return st.builds(
            Record,
            started_at=st.just(started_at),
            customer=st.sampled_from([None, "anna", "bert", "carla"]),
            device=st.sampled_from([None, "mobile", "desktop"]),
            source=st.sampled_from([None, "web", "whatsapp"]),
            language=st.sampled_from([None, "en", "en-US", "en_GB", "EN-us", "hr", "zh-Hant-TW"]),
            country=st.sampled_from([None, "HR", "DE"]),
            metadata=st.sampled_from(METADATA),
            production=st.sampled_from([True, True, True, False]),
            offered=st.sampled_from([False, False, True]),
            deleted=st.sampled_from([False, False, False, True]),
            items=st.lists(said(period, started_at), max_size=6).map(
                lambda parts: [*itertools.chain(*parts)]
            ),
        )

    return st.lists(moments(period).flatmap(record), max_size=10)


def said(period: tuple[str, date, date], started_at: int) -> st.SearchStrategy[list[Item]]:
    """One item, or a question with its answer."""
    waits = st.sampled_from([0, 1, 900_000, 4_000_000]) | st.integers(0, HOUR)
    turn = st.builds(
        lambda at, wait: [Item("message", at, sender="end_user"), Item("message", at + wait, sender="agent")],
        times(period, started_at),
        waits,
    )
    return items(period, started_at).map(lambda item: [item]) | turn


METADATA: list[dict[str, Any]] = [
    {},
    {"plan": "pro"},
    {"plan": {"name": "pro"}},
    {"plan.name": "pro", "a/b~c": "x"},
    {"plan": None, "vip": True, "n": 3},
    {'quo"te': "it's"},
]
