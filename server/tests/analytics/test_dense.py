"""Every figure under every filter, over one fixed corpus in which all of them have much to count."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import Connection

from agentsight_server.analytics import shapes
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.scope import Scope
from agentsight_server.analytics.texts import fingerprint
from agentsight_server.api.filters import parse_filters
from agentsight_server.domain.agreement import Agreement, OpeningHours
from agentsight_server.settings import Settings
from agentsight_server.store import agents, conversations
from server.tests.analytics.chosen import CHOSEN, Chosen, can_be_told_together, scope_of
from server.tests.analytics.dense import TEXTS, corpus, moment
from server.tests.analytics.feeding import feed
from server.tests.analytics.world import World, near
from tests.drawing import longer
from tests.oracle import PAUSES, Oracle, Question
from tests.oracle.outcomes import Agreed, Hours, Outcomes, normal_form
from tests.oracle.records import DAY, HOUR, MINUTE

MOST = ("UTC", date(2026, 3, 1), date(2026, 3, 31))
# Whole days on clocks that are turned, or that are ahead by odd minutes; by hour, day, week and month.
PERIODS = [
    ("Europe/Zagreb", date(2026, 3, 28), date(2026, 3, 30)),
    ("Europe/Zagreb", date(2026, 3, 29), date(2026, 3, 29)),
    ("Europe/Zagreb", date(2026, 10, 25), date(2026, 10, 26)),
    ("Asia/Kathmandu", date(2026, 3, 15), date(2026, 4, 2)),
    ("America/New_York", date(2026, 3, 7), date(2026, 3, 9)),
    ("America/Havana", date(2026, 11, 1), date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 4), date(2026, 4, 5)),
    ("Pacific/Kiritimati", date(2026, 2, 1), date(2026, 11, 30)),
    ("Europe/London", date(2024, 2, 29), date(2026, 12, 31)),
]
ESCALATIONS = ["search", "odd 'name'"]
# What is settled for the other agent, in the server's words and in the oracle's.
SETTLED = Agreement(
    tuple(ESCALATIONS),
    goals=("book", "Yes", "menu"),
    fallback_actions=("open_ticket",),
    marks={str(fingerprint(TEXTS[1])): "fallback", str(fingerprint(TEXTS[2])): "closing"},
    closes_after=7 * HOUR,
    answered_within=45_000_000,
    hours=OpeningHours("Europe/Zagreb", {"0": ((480, 720), (780, 1020)), "6": ((0, 1440),)}, ("2026-03-02",)),
    minutes_a_case=4.5,
    monthly_cost=99.0,
)
AGREED = Agreed(
    0,
    7 * HOUR,
    frozenset(ESCALATIONS),
    frozenset(SETTLED.goals),
    frozenset(SETTLED.fallback_actions),
    frozenset([normal_form(TEXTS[1])]),
    frozenset([normal_form(TEXTS[2])]),
    45_000_000,
    Hours(
        ZoneInfo("Europe/Zagreb"),
        {0: [(time(8), time(12)), (time(13), time(17))], 6: [(time(0), time.max)]},
        frozenset([date(2026, 3, 2)]),
    ),
    4.5,
    99.0,
)
NOW = moment("2026-03-24T12:00")
# Pauses of an agent's own: shorter ones, longer ones, and one for all sources that have none.
OWN_PAUSES = {"web": 2 * HOUR, "whatsapp": 20 * MINUTE, "": 5 * MINUTE}


class Told:
    """A world that holds the corpus of one agent, and other conversations of another."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records = corpus()
        self.others = corpus(7)[:60]
        self.own_pauses: dict[str, int] = {}
        self.agent, self.other = world.agent(), world.agent()
        world.projector.batch = 90
        with world.database.write() as connection:
            agents.set_agreement(connection, self.other, SETTLED)
            set_pauses(connection, self.other, OWN_PAUSES)
        for number, records in ((self.other, self.others), (self.agent, self.records)):
            # The columns follow after each piece: most of a conversation is there already when more of it comes.
            feed(
                world.database,
                number,
                records,
                pieces=4,
                together=40,
                between=world.projector.follow,
                fields_later=True,
            )
        world.projector.follow()

    def differing(
        self,
        period: tuple[str, date, date],
        environment: str = "production",
        chosen: Iterable[Chosen] = (),
        *,
        other: bool = False,
    ) -> list[tuple[Any, ...]]:
        """The figures that are not what plain Python counts: where, which, found, expected."""
        chosen = tuple(chosen)
        zone, first, last = period
        scope = scope_of(self.other if other else self.agent, zone, first, last, environment, chosen)
        question = Question(
            first,
            last,
            ZoneInfo(zone),
            environment == "production",
            lambda session: all(each.passes(session) for each in chosen),
        )
        if other:
            question.escalations = set(ESCALATIONS)
        question.pauses = PAUSES | (OWN_PAUSES if other else self.own_pauses)
        oracle = Oracle(self.others if other else self.records, question)
        outcomes = Outcomes(oracle, replace(AGREED, now=NOW) if other else Agreed(NOW))
        found = self.asked(scope)
        expected = {name: outcomes.answer(name) for name in METRICS}
        return [
            (period, environment, chosen, name, found[name], expected[name])
            for name in METRICS
            if found[name] != near(expected[name])
        ]

    def asked(self, scope: Scope) -> dict[str, Any]:
        """What the figures are."""
        with self.world.database.read() as connection:
            found = answer(self.world.engine, replace(scope, now=NOW).of_store(connection), METRICS)
        msgspec.convert(found, shapes.Answer, strict=True)
        metrics: dict[str, Any] = found["metrics"]
        return metrics


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("dense")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'agentsight.db'}"
    else:
        url = Settings(database_url=request.getfixturevalue("new_postgres")()).sqlalchemy_url
    world = World(folder, url)
    yield Told(world)
    world.close()


def set_pauses(connection: Connection, agent: int, own: dict[str, int]) -> None:
    agents.set_pauses(connection, agent, {source or "other": pause for source, pause in own.items()})


def named(period: tuple[str, date, date]) -> str:
    zone, first, last = period
    return f"{zone} {first} {last}"


@pytest.mark.parametrize("period", [MOST, *PERIODS], ids=named)
def test_every_figure_of_every_period(told: Told, period: tuple[str, date, date]) -> None:
    for environment in ("production", "development"):
        assert not told.differing(period, environment)
    assert not told.differing(period, other=True)


@pytest.mark.parametrize("environment", ["production", "development"])
def test_every_figure_under_every_filter(told: Told, environment: str) -> None:
    for chosen in CHOSEN:
        assert not told.differing(MOST, environment, [chosen])


@pytest.mark.parametrize("told", ["sqlite"], indirect=True)
@pytest.mark.parametrize("period", PERIODS, ids=named)
def test_every_figure_under_every_filter_of_every_period(told: Told, period: tuple[str, date, date]) -> None:
    for chosen in CHOSEN:
        assert not told.differing(period, chosen=[chosen])


@pytest.mark.parametrize("told", ["sqlite"], indirect=True)
def test_every_figure_under_two_filters(told: Told) -> None:
    pairs = [pair for pair in itertools.combinations(CHOSEN, 2) if can_be_told_together(*pair)]
    # Every filter is in several of these; AGENTSIGHT_EXAMPLES asks for all.
    for pair in pairs[:: 1 if longer() else 7]:
        assert not told.differing(MOST, chosen=pair)


def test_a_pause_that_is_changed_holds_for_the_whole_past(told: Told) -> None:
    scope = scope_of(told.agent, *MOST)
    before = told.asked(scope)
    for own in (OWN_PAUSES, {"web": 1, "": 400 * DAY}, {}):
        with told.world.database.write() as connection:
            set_pauses(connection, told.agent, own)
        told.own_pauses = own
        told.world.projector.follow()
        for period in (MOST, *PERIODS[:3]):
            assert not told.differing(period)
    assert told.asked(scope) == before


def test_the_list_of_conversations_means_the_same_by_a_filter(told: Told) -> None:
    """What the store's conditions find is what plain Python finds; a list is of whole conversations."""
    zone, first, last = MOST
    for environment, chosen in itertools.product(("production", "development"), CHOSEN):
        scope = scope_of(told.agent, zone, first, last, environment, [chosen])
        question = Question(first, last, ZoneInfo(zone), environment == "production", chosen.passes)
        with told.world.database.read() as connection:
            count = conversations.count(connection, {told.agent}, parse_filters(scope.listed()))
        assert count == Oracle(told.records, question).conversations()["value"], (environment, chosen)


def test_the_corpus_has_something_to_count() -> None:
    """What would be the same whichever way it is counted proves nothing."""
    zone, first, last = MOST
    records = corpus()

    def ask(*chosen: Chosen) -> Oracle:
        passes = [each.passes for each in chosen]
        question = Question(
            first, last, ZoneInfo(zone), True, lambda one: all(each(one) for each in passes), pauses=PAUSES
        )
        return Oracle(records, question)

    for chosen in CHOSEN:
        assert ask(chosen).conversations()["value"] >= 3, chosen
    oracle = ask()
    waits, length = oracle.response_time(), oracle.duration()
    assert waits["count"] > 200
    assert len({waits["mean_ms"], waits["median_ms"], waits["p95_ms"]}) == 3
    assert length["mean_ms"] != length["median_ms"]
    assert all(row["runs"] > 20 for row in oracle.tools()["rows"][:4])
    assert all(oracle.feedback()[each] > 10 for each in ("positive", "neutral", "negative"))
    returning, offered = oracle.returning_users(), oracle.interactions()
    assert 5 < returning["numerator"] < returning["denominator"] - 5
    assert 5 < offered["engaged"] < offered["offered"] - 5
    assert oracle.users()["anonymous_conversations"] > 3
    assert len([row for row in oracle.cost()["by_model"] if row["value"]]) == 3
