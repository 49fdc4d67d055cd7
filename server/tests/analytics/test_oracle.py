"""Every figure against plain Python, over random conversations that took the real way into the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsight_server.analytics import shapes
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import Engine
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.scope import Filter, Scope
from agentsight_server.settings import Settings
from agentsight_server.store import agents
from agentsight_server.store.database import Database
from server.tests.analytics.feeding import feed
from server.tests.analytics.records import periods, records
from tests.oracle import Oracle, Question, Record


class World:
    """A store, an engine behind it, and a new agent for every corpus."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = Database(url)
        self.database.migrate()
        self.engine: Engine = DuckEngine(folder / "analytics.duckdb", threads=1)
        self.engine.open("store")
        self.projector = Projector(self.database, self.engine, batch=3)
        self.agents = 0

    def agent(self) -> int:
        self.agents += 1
        with self.database.write() as connection:
            return agents.create(connection, f"Agent {self.agents}")

    def close(self) -> None:
        self.engine.close()
        self.database.close()


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


def inside(*path: str) -> Callable[[Record], Any]:
    def look(record: Record) -> Any:
        value: Any = record.metadata
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None or isinstance(value, bool):
            return None if value is None else str(value).lower()
        return value if isinstance(value, str) else str(value)

    return look


# A filter, and what it means in plain Python.
FILTERS: list[tuple[Filter, Callable[[Record], bool]]] = [
    (Filter("device", "mobile"), lambda each: each.device == "mobile"),
    (Filter("device", None), lambda each: each.device is None),
    (Filter("source", "web"), lambda each: each.source == "web"),
    (Filter("source", True), lambda each: each.source is not None),
    (Filter("language", "en"), lambda each: (each.language or "")[:2].lower() == "en"),
    (Filter("language", "en-us"), lambda each: each.language in {"en-US", "EN-us"}),
    (Filter("language", None), lambda each: each.language is None),
    (Filter("country", "HR"), lambda each: each.country == "HR"),
    (Filter("customer", "anna"), lambda each: each.customer == "anna"),
    (Filter("feedback", "negative"), lambda each: "negative" in each.said_of_it()),
    (Filter("feedback", None), lambda each: not each.said_of_it()),
    (
        Filter("action", "odd 'name'"),
        lambda each: any(item.name == "odd 'name'" for item in each.items if item.kind == "action"),
    ),
    (Filter("metadata", "pro", "plan"), lambda each: inside("plan")(each) == "pro"),
    (
        Filter("metadata", "pro", "plan.name"),
        lambda each: "pro" in (inside("plan", "name")(each), inside("plan.name")(each)),
    ),
    (Filter("metadata", "true", "vip"), lambda each: inside("vip")(each) == "true"),
    (Filter("metadata", "3", "n"), lambda each: inside("n")(each) == "3"),
    (Filter("metadata", "x", "a/b~c"), lambda each: inside("a/b~c")(each) == "x"),
    (Filter("metadata", "it's", 'quo"te'), lambda each: inside('quo"te')(each) == "it's"),
]


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_figure_is_what_plain_python_counts(world: World, data: st.DataObject) -> None:
    check(world, data)


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_on_postgresql_too(postgresql_world: World, data: st.DataObject) -> None:
    check(postgresql_world, data)


def check(world: World, data: st.DataObject) -> None:
    """Draw a corpus and a question, and compare every figure."""
    period = data.draw(periods, label="period")
    corpus = data.draw(records(period), label="records")
    chosen = data.draw(st.lists(st.sampled_from(FILTERS), max_size=2), label="filters")
    production = data.draw(st.booleans(), label="production")
    escalations = data.draw(st.sampled_from([None, ["search"], []]), label="escalations")
    pieces = data.draw(st.integers(1, 3), label="pieces")

    number = world.agent()
    feed(world.database, number, corpus, pieces=pieces)
    world.projector.follow()
    zone, first, last = period
    scope = Scope(
        (number,),
        first,
        last,
        ZoneInfo(zone),
        "production" if production else "development",
        tuple(each for each, _ in chosen),
    )
    with world.database.write() as connection:
        if escalations is not None:
            agents.set_escalations(connection, number, escalations)
        scope = scope.of_store(connection)
    question = Question(
        first, last, ZoneInfo(zone), production, lambda record: all(passes(record) for _, passes in chosen)
    )
    if escalations is not None:
        question.escalations = set(escalations)
    oracle = Oracle(corpus, question)

    found = answer(world.engine, scope, METRICS)
    for name in METRICS:
        assert found["metrics"][name] == near(oracle.answer(name)), name
    msgspec.convert(found, shapes.Answer, strict=True)


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
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


def near(value: Any) -> Any:
    """Equal but for the last digits of a float."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-9, abs=1e-9)
    if isinstance(value, dict):
        return {key: near(each) for key, each in value.items()}
    if isinstance(value, list):
        return [near(each) for each in value]
    return value
