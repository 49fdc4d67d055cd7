"""Outcomes where items touch: what is run before and after a question, and answers at the very last moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.scope import Scope
from agentsight_server.analytics.texts import fingerprint
from agentsight_server.domain import zones
from agentsight_server.domain.agreement import Agreement
from agentsight_server.store import agents
from server.tests.analytics.feeding import feed
from server.tests.analytics.world import World
from tests.oracle import Item
from tests.test_oracle_sessions import NOON, agent, clicked, judged, ran, talk, user

DAY = zones.DAY


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("outcomes")
    world = World(folder, f"sqlite:///{folder / 'agentsight.db'}")
    yield world
    world.close()


def asked(world: World, settled: Agreement, *talks: tuple[Item, ...], names: list[str]) -> dict[str, Any]:
    number = world.agent()
    with world.database.write() as connection:
        agents.set_agreement(connection, number, settled)
    feed(world.database, number, [talk(*items, customer="anna") for items in talks])
    world.projector.follow()
    scope = Scope((number,), date(2026, 9, 1), date(2026, 9, 1))
    with world.database.read() as connection:
        scope = replace(scope, now=NOON + 3 * DAY).of_store(connection)
    found: dict[str, Any] = answer(world.engine, scope, names)["metrics"]
    return found


def outcome(world: World, settled: Agreement, *items: Item) -> str:
    found = asked(world, settled, items, names=["outcomes"])["outcomes"]
    (name,) = (name for name, count in found.items() if count)
    return str(name)


SETTLED = Agreement(
    goals=("booked", "Yes"),
    fallback_actions=("no_idea",),
    marks={str(fingerprint("Anything else?")): "closing", str(fingerprint("Pardon 1?")): "fallback"},
)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((user(0), ran(1, "no_idea"), agent(2)), "unanswered"),
        ((ran(0, "no_idea"), user(1), agent(2)), "assumed"),
        # Of one moment: in the order in which they came.
        ((user(1), ran(1, "no_idea"), agent(1)), "unanswered"),
        ((ran(1, "no_idea"), user(1), agent(1)), "assumed"),
        ((user(0), agent(1, "Anything else?")), "assumed"),
        ((user(0), agent(1, "Which one?")), "pending"),
        ((user(0), agent(1, "Pardon 22?")), "unanswered"),
        ((user(0), agent(1), clicked(2, "Yes"), judged(3, "negative")), "confirmed"),
        ((user(0), agent(1), ran(2, "booked"), ran(3, "ticket")), "escalated"),
        ((user(0), agent(1), judged(2, "positive"), judged(3, "negative")), "unhappy"),
        ((clicked(0, "No"),), "unanswered"),
        ((agent(0), clicked(1, "No")), "unanswered"),
    ],
)
def test_the_first_rule_that_holds(world: World, items: tuple[Item, ...], expected: str) -> None:
    assert outcome(world, SETTLED, *items) == expected


def test_an_answer_at_the_last_moment_is_in_time_and_none_is_a_miss(world: World) -> None:
    talks = [(user(0), agent(1)), (user(0), agent(1.001)), (user(0), user(0.5), agent(1.5)), (user(0),)]
    found = asked(world, Agreement(answered_within=60_000_000), *talks, names=["sla"])["sla"]
    assert (found["numerator"], found["denominator"], found["seconds"]) == (2, 4, 60)


def test_what_means_two_things_is_named() -> None:
    settled = Agreement(goals=("ticket", "booked"), fallback_actions=("booked", "no_idea"))
    assert settled.contradictions() == {"goals": ["ticket"], "fallback_actions": ["booked"]}
