"""Figures along time are those of each part of the period alone; the funnel's steps lie in one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsight_server.analytics.activity import NOW, active_now, inactive_since
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.query import MetricContext
from agentsight_server.analytics.scope import AppliedFilter, Scope
from agentsight_server.analytics.trends import TRENDS, funnel, trends
from agentsight_server.domain.filters import Filters
from agentsight_server.domain.zones import DAY, HOUR
from agentsight_server.store import agents, comments
from agentsight_server.store.append import NewConversation, NewItem, append
from agentsight_server.store.database import Database
from agentsight_server.store.schema import FEEDBACK
from server.tests.analytics.feeding import feed
from server.tests.analytics.records import periods, records
from tests.drawing import examples
from tests.oracle import Item, Record


class World:
    """A store, and an engine that follows it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'agentsight.db'}")
        self.database.migrate()
        self.engine = DuckEngine(folder / "analytics.duckdb", threads=1)
        self.engine.open("store")
        self.projector = Projector(self.database, self.engine)
        self._agents = 0

    def agent(self) -> int:
        self._agents += 1
        with self.database.write() as connection:
            return agents.create(connection, f"Agent {self._agents}")

    def known(self, scope: Scope) -> Scope:
        with self.database.read() as connection:
            return scope.of_store(connection)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("trends"))
    yield world
    world.engine.close()
    world.database.close()


@given(data=st.data())
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_points_are_the_figures_of_their_time(world: World, data: st.DataObject) -> None:
    period = data.draw(periods, label="period")
    corpus = data.draw(records(period), label="records")
    filters = data.draw(st.sampled_from([(), (AppliedFilter("device", "mobile"),)]), label="filters")
    number = world.agent()
    feed(world.database, number, corpus)
    world.projector.follow()
    zone, first, last = period
    scope = world.known(Scope((number,), first, last, ZoneInfo(zone), filters=filters))
    over_time = answer(world.engine, scope, ["over_time"])["metrics"]["over_time"]
    starts = [row["start"] for row in over_time["rows"]]
    with world.engine.reading() as ask:
        context = MetricContext(ask, world.engine.functions, scope)
        found = trends(context, over_time["unit"], starts)
        steps = dict(funnel(context))
    assert found.keys() == TRENDS.keys()
    assert all(len(values) == len(starts) for values in found.values())
    if over_time["unit"] == "hour":
        for place, row in enumerate(over_time["rows"]):
            assert (found["escalation_rate"][place] is None) == (row["conversations"] == 0)
            assert (found["users"][place] or 0) <= row["conversations"]
    else:
        headline = {"users": "value", "response_time": "mean_ms", "escalation_rate": "value"}
        # Periods of years have many parts; those with something in them are enough.
        for place, row in enumerate(over_time["rows"]):
            if not (row["messages"] or row["conversations"]):
                continue
            end = (
                date.fromisoformat(starts[place + 1]) - timedelta(days=1) if place + 1 < len(starts) else last
            )
            part = replace(scope, first=date.fromisoformat(row["start"]), last=end)
            metrics = answer(world.engine, part, TRENDS)["metrics"]
            for name, values in found.items():
                expected = metrics[name][headline.get(name, "satisfaction")]
                assert values[place] == pytest.approx(expected), (name, row)

    asked = answer(world.engine, scope, ["interactions", "conversations", "unanswered"])["metrics"]
    if asked["interactions"]["offered"]:
        assert steps["offered"] == asked["interactions"]["offered"]
        assert steps["engaged"] == asked["interactions"]["engaged"]
    else:
        assert steps["engaged"] == asked["conversations"]["value"]
        assert steps["answered"] == asked["conversations"]["value"] - asked["unanswered"]["value"]
    counts = list(steps.values())
    assert counts == sorted(counts, reverse=True)


def _said(at: int) -> Record:
    return Record(started_at=at, items=[Item("message", at, sender="end_user")])


def test_silence_is_measured_against_the_same_hours_of_other_weeks(world: World) -> None:
    number = world.agent()
    monday = 1_787_529_600_000_000 // DAY * DAY  # some midnight
    # Twelve conversations every day from 9 to 21, for five weeks; never a word at night.
    feed(
        world.database,
        number,
        [_said(monday + day * DAY + hour * HOUR) for day in range(35) for hour in range(9, 21)],
    )
    end = monday + 34 * DAY + 20 * HOUR
    world.projector.follow()
    day = date(2026, 8, 31)
    with world.engine.reading() as ask:
        context = MetricContext(ask, world.engine.functions, Scope((number,), day, day))
        # The night after the last day is as quiet as any.
        assert inactive_since(context, end + 11 * HOUR) is None
        # At noon there should long have been somebody.
        assert inactive_since(context, end + 20 * HOUR) == end
        assert inactive_since(context, end + 9 * DAY) == end
        # Somebody who is new has no habit yet.
        assert inactive_since(context, monday + 10 * DAY + 8 * HOUR) is None
        assert active_now(context, end + NOW).conversations == 1
        assert active_now(context, end + NOW + 1).conversations == 0
        assert active_now(context, end + DAY).last_at == end


def test_comments_are_the_customers_newest_first_within_the_time(world: World) -> None:
    number = world.agent()

    def rated(at: int, sentiment: str, source: str, comment: str | None) -> NewItem:
        return NewItem(FEEDBACK, at, detail=(sentiment, source, comment, None))

    with world.database.write() as connection:
        for name, device, given_ in (
            ("one", "mobile", [rated(100, "positive", "customer", "Thanks!")]),
            (
                "two",
                "desktop",
                [rated(200, "negative", "customer", "No."), rated(300, "neutral", "platform", "Hm")],
            ),
            (
                "three",
                "mobile",
                [rated(900, "positive", "customer", "Late"), rated(150, "neutral", "customer", None)],
            ),
        ):
            append(
                connection,
                0,
                number,
                [NewConversation(name, device=device, environment="production", started_at=50, items=given_)],
            )
    with world.database.read() as connection:
        found = comments.latest(connection, {number}, Filters(), after=100, before=899)
        assert [each.comment for each in found] == ["No.", "Thanks!"]
        mobile = comments.latest(
            connection, {number}, Filters(device="mobile"), after=0, before=1000, limit=1
        )
        assert [(each.comment, each.sentiment, each.at) for each in mobile] == [("Late", "positive", 900)]
        assert not comments.latest(connection, set(), Filters(), after=0, before=1000)
