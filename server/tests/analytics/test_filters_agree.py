"""The list and the figures mean the same by a filter: every entry of the table, over one corpus of odd values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import select

from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.engine import Engine
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.scope import of_request
from agentsight_server.domain import zones
from agentsight_server.domain.filter_reading import read
from agentsight_server.domain.filters import OF_FIGURES, OF_PAGE, Filter, Filters
from agentsight_server.security.access import Actor
from agentsight_server.store import agents, append, conversations, schema
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import ACTION, AGENT, END_USER, FEEDBACK, MESSAGE

DAY = date(2026, 8, 1)
START = zones.day_number(DAY) * zones.DAY


def ran(name: str) -> NewItem:
    return NewItem(ACTION, 0, None, AGENT, detail=(name, None, None, 5, None, None, None))


def rated(sentiment: str, source: str = "customer") -> NewItem:
    return NewItem(FEEDBACK, 0, detail=(sentiment, source, None, None))


# One conversation each, an hour after the other: which hours a figure counts says which conversations it means.
TALKS: list[tuple[dict[str, Any], list[NewItem]]] = [
    ({"device": "mobile", "source": "web", "language": "en", "country": "HR", "customer_id": "anna"}, []),
    ({"device": "tablet", "source": "Web", "language": "en-US", "country": "DE", "customer_id": "Anna"}, []),
    (
        {"device": "desktop", "source": " web", "language": "en_us", "country": "US", "customer_id": "anna "},
        [],
    ),
    ({"device": "", "source": "", "language": "", "country": "", "customer_id": ""}, []),
    ({}, []),
    ({"language": "EN-GB", "source": "a_b", "customer_id": "50%"}, []),
    ({"language": "eng", "source": "a%b", "customer_id": "50_"}, []),
    ({"language": "zh_Hant-TW", "source": "o'clock", "customer_id": 'quo"te'}, []),
    ({"language": "zh", "source": "čaj", "customer_id": "日本"}, []),
    ({"metadata": {"plan": "pro", "n": 3, "vip": True, "ratio": 1.5, "none": None}}, []),
    ({"metadata": {"plan": {"name": "pro"}, "n": "3", "vip": "true"}}, []),
    ({"metadata": {"plan.name": "pro", "plan": ["pro"], "vip": False}}, []),
    ({"metadata": {"plan": "PRO", 'quo"te': "it's", "a/b~c": "x", "": "empty"}}, []),
    ({"metadata": {"plan": {"name": {"name": "pro"}}, "n": 3.0, "half": "1.50"}}, []),
    ({}, [ran("check")]),
    ({}, [ran("Check"), ran("odd 'name'")]),
    ({}, [ran(" check"), ran("check")]),
    ({}, [rated("positive")]),
    ({}, [rated("positive"), rated("negative")]),
    ({}, [rated("neutral", "platform"), rated("negative", "customer")]),
    ({}, [rated("positive", "platform")]),
]
METADATA = [
    "plan:pro", "plan:PRO", "plan.name:pro", "plan.name.name:pro", "n:3", "n:3.0", "vip:true", "vip:false", "vip:1",
    "ratio:1.5", "half:1.50", "none:null", "none:", "missing:x", "quo\"te:it's", "a/b~c:x", "plan:pro,n:3",
    "plan:pro,n:4", "plan:pro,plan:PRO",
]  # fmt: skip


def fill(database: Database, agent: int) -> None:
    """The conversations, and the same once more in development, deleted, and never taken part in."""
    with database.write() as connection:
        for number, (fields, items) in enumerate(TALKS):
            at = START + number * zones.HOUR
            for name, more in (("", {}), ("dev", {"environment": "development"}), ("gone", {}), ("not", {})):
                said = [] if name == "not" else [NewItem(MESSAGE, at, None, END_USER, "?"), *items]
                for item in said:
                    item.timestamp = at
                given = {
                    "environment": "production",
                    **fields,
                    **more,
                    "is_used": False if name == "not" else None,
                }
                new = NewConversation(f"{number}{name}", started_at=at, items=said, **given)
                stored = append.append(connection, 0, agent, [new])[0]
                if name == "gone":
                    conversations.delete(connection, {agent}, stored.id or 0)


def texts(database: Database, one: Filter) -> Iterable[str]:
    """What to ask a filter for: all that there is, spelled in several ways, and what there is not."""
    if one.kind == "flag":
        return ("true", "false")
    if one.kind == "choice":
        return one.choices
    if one.kind == "metadata":
        return METADATA
    column = schema.actions.c.action_name if one.facts == "action" else schema.conversations.c[one.of_column]
    with database.read() as connection:
        known = [each for each in connection.execute(select(column).distinct()).scalars() if each]
    assert known, f"the corpus has nothing for {one.name}"
    spelled = {
        variant for each in known for variant in (each, each.upper(), each.lower(), each[:-1], f"{each}-x")
    }
    return sorted(filter(None, {*spelled, "nothing of the kind", "%", "_", "e'n"}))


def test_the_list_and_the_figures_mean_the_same(database: Database, engine: Engine, agent: int) -> None:
    """Also what is unknown: the store keeps it as NULL or as nothing, the columns as NULL."""
    fill(database, agent)
    with database.write() as connection:
        fill_other = agents.create(connection, "Somebody else's")
    fill(database, fill_other)
    Projector(database, engine).follow()
    actor = Actor(frozenset({agent}), "read", agent)
    wrong = []
    for one in OF_FIGURES:
        different = set()
        for text in texts(database, one):
            given = {one.name: text}
            scope = of_request({**given, "from": str(DAY), "to": str(DAY)}, actor)
            with database.read() as connection:
                scope = scope.of_store(connection)
                rated = {"feedback_source": "customer"} if one.ask == "feedback" else {}
                filters = Filters(
                    **read(given, OF_PAGE).values, **rated, environment="production", is_used=True
                )
                rows = conversations.page(connection, {agent}, filters, limit=100)
            listed = {row.started_at for row in rows}
            figures = answer(engine, scope, ["over_time"])["metrics"]["over_time"]
            assert figures["unit"] == "hour"
            counted = {
                START + place * zones.HOUR
                for place, row in enumerate(figures["rows"])
                if row["conversations"]
            }
            if listed != counted:
                wrong.append((given, sorted(listed ^ counted)))
            different.add(frozenset(listed))
        assert any(0 < len(each) < len(TALKS) for each in different), f"nothing tells {one.name} apart"
    assert not wrong


def test_without_a_filter_all_are_meant(database: Database, engine: Engine, agent: int) -> None:
    fill(database, agent)
    Projector(database, engine).follow()
    scope = of_request({"from": str(DAY), "to": str(DAY)}, Actor(frozenset({agent}), "read", agent))
    with database.read() as connection:
        found = answer(engine, scope.of_store(connection), ["conversations"])["metrics"]["conversations"]
        listed = conversations.count(connection, {agent}, Filters(is_used=True, environment="production"))
    assert found["value"] == listed == len(TALKS)
