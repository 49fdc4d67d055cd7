"""Every figure against plain Python, over random conversations that took the real way into the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentsight_server.analytics import shapes
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.scope import Scope
from agentsight_server.settings import Settings
from agentsight_server.store import agents
from server.tests.analytics.chosen import CHOSEN, can_be_told_together, scope_of
from server.tests.analytics.feeding import feed
from server.tests.analytics.records import periods, records
from server.tests.analytics.world import World, near
from tests.drawing import examples
from tests.oracle import PAUSES, Oracle, Question
from tests.oracle.outcomes import Agreed, Outcomes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("oracle")
    world = World(folder, f"sqlite:///{folder / 'agentsight.db'}")
    yield world
    world.close()


@pytest.fixture
def postgresql_world(new_postgres: Callable[[], str], tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Settings(database_url=new_postgres()).sqlalchemy_url)
    yield world
    world.close()


@given(data=st.data())
@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
def test_every_figure_is_what_plain_python_counts(world: World, data: st.DataObject) -> None:
    check(world, data)


@given(data=st.data())
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
def test_on_postgresql_too(postgresql_world: World, data: st.DataObject) -> None:
    check(postgresql_world, data)


def check(world: World, data: st.DataObject) -> None:
    """Draw a corpus and a question, and compare every figure."""
    period = data.draw(periods, label="period")
    corpus = data.draw(records(period), label="records")
    most = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
    chosen = data.draw(st.lists(st.sampled_from(CHOSEN), max_size=most), label="filters")
    assume(len(chosen) < 2 or can_be_told_together(*chosen))
    production = data.draw(st.sampled_from([True, True, True, False]), label="production")
    escalations = data.draw(st.sampled_from([None, ["search"], []]), label="escalations")
    pieces = data.draw(st.integers(1, 3), label="pieces")

    number = world.agent()
    follow = world.projector.follow
    feed(
        world.database,
        number,
        corpus,
        pieces=pieces,
        between=data.draw(st.sampled_from([follow, lambda: None])),
    )
    follow()
    zone, first, last = period
    scope = scope_of(number, zone, first, last, "production" if production else "development", chosen)
    with world.database.write() as connection:
        if escalations is not None:
            agents.set_escalations(connection, number, escalations)
        scope = scope.of_store(connection)
    question = Question(
        first,
        last,
        ZoneInfo(zone),
        production,
        lambda session: all(each.passes(session) for each in chosen),
        pauses=PAUSES,
    )
    if escalations is not None:
        question.escalations = set(escalations)
    agreed = (
        Agreed(scope.now) if escalations is None else Agreed(scope.now, escalations=frozenset(escalations))
    )
    outcomes = Outcomes(Oracle(corpus, question), agreed)

    found = answer(world.engine, scope, METRICS)
    for name in METRICS:
        assert found["metrics"][name] == near(outcomes.answer(name)), name
    msgspec.convert(found, shapes.Answer, strict=True)


@given(data=st.data())
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_period_before_is_counted_as_if_it_were_asked_for(world: World, data: st.DataObject) -> None:
    period = data.draw(periods, label="period")
    corpus = data.draw(records(period), label="records")
    comparison = data.draw(st.sampled_from(["previous", "year"]))
    number = world.agent()
    feed(world.database, number, corpus)
    world.projector.follow()
    zone, first, last = period
    # The corpus lies in the period that is compared with.
    length = last - first
    later = last + timedelta(days=1)
    if comparison == "year":
        later = first.replace(year=first.year + 1, day=min(first.day, 28))
        first, last = later.replace(year=later.year - 1), later.replace(year=later.year - 1) + length
    now = Scope((number,), later, later + length, ZoneInfo(zone))
    before = replace(now, first=first, last=last)

    compared = answer(world.engine, now, METRICS, comparison)
    alone = answer(world.engine, before, METRICS)["metrics"]
    assert compared["scope"]["compared_with"] == {"from": str(first), "to": str(last)}
    for name, metric in METRICS.items():
        found = compared["metrics"][name]
        if metric.headline is not None:
            assert found["previous"] == near(alone[name][metric.headline]), name
            past, present = alone[name][metric.headline], found[metric.headline]
            expected = (present - past) / past if past and present is not None else None
            assert found["change"] == near(expected), name
    assert compared["metrics"]["over_time"]["previous"] == alone["over_time"]["rows"]
    msgspec.convert(compared, shapes.Answer, strict=True)


def test_an_hour_that_comes_twice_is_two(world: World) -> None:
    """Also where summer time is half an hour: 01:00 to 02:00, then 01:30 to 02:00 once more."""
    for name, day, hours in (
        ("Australia/Lord_Howe", date(2026, 4, 5), ["01:00:00+11:00", "01:00:00+10:30", "02:00:00+10:30"]),
        ("Europe/Zagreb", date(2026, 10, 25), ["01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00"]),
    ):
        scope = Scope((world.agent(),), day, day, ZoneInfo(name))
        rows = answer(world.engine, scope, ["over_time"])["metrics"]["over_time"]["rows"]
        assert [row["start"] for row in rows][1:4] == [f"{day}T{hour}" for hour in hours]
