"""Sessions in the columns: where they begin, what a new item costs, and what a changed pause does."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agentsight_server.analytics import facts
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import TABLES, Engine, session_id
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.scope import Scope
from agentsight_server.domain.pauses import HOUR, MINUTE, pause
from agentsight_server.store import agents, append, changes, conversations
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import ACTION, AGENT, BUTTON, END_USER, FEEDBACK, MESSAGE, TOKEN_USAGE
from server.tests.analytics.feeding import feed
from server.tests.analytics.world import near
from tests.oracle import Item, Oracle, Question, Record
from tests.oracle.outcomes import Agreed, Outcomes
from tests.oracle.records import PAUSES

BEGUN = 1_000 * 24 * HOUR


def said(at: int, sender: int = END_USER, text: str = "words") -> NewItem:
    return NewItem(MESSAGE, BEGUN + at, None, sender, text)


def store(database: Database, agent: int, name: str, *items: NewItem, **fields: Any) -> int:
    with database.write() as connection:
        stored = append.append(connection, 0, agent, [NewConversation(name, items=list(items), **fields)])
    assert stored[0].id is not None
    return stored[0].id


@pytest.fixture
def projector(database: Database, engine: Engine) -> Projector:
    return Projector(database, engine, batch=4)


def begun(engine: Engine, *more: str, agent: int | None = None) -> list[tuple[Any, ...]]:
    """When sessions begin, in hours, and more of them."""
    listed = ", ".join((f"(started_at - {BEGUN}) / {HOUR}", *more))
    where = "TRUE" if agent is None else f"agent = {agent}"
    with engine.reading() as ask:
        return ask(f"SELECT {listed} FROM sessions WHERE {where} ORDER BY id", ())


def content(engine: Engine, agent: int) -> dict[str, list[tuple[Any, ...]]]:
    with engine.reading() as ask:
        return {
            table: sorted(ask(f"SELECT * FROM {table} WHERE agent = {agent}", ()), key=repr)
            for table in TABLES
        }


def test_another_session_begins_after_a_pause_but_not_with_a_late_answer(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    click = NewItem(BUTTON, BEGUN + 40 * HOUR, None, END_USER, detail=("menu", "Yes", "v"))
    store(
        database, agent, "web", said(0), said(20 * HOUR, AGENT), said(21 * HOUR, AGENT), click,
        said(70 * HOUR, AGENT), said(80 * HOUR), source="web",
    )  # fmt: skip
    projector.follow()
    # A late answer; the agent once more, an hour later; a click; a reply to it after 30 hours; a question.
    assert begun(engine, "outreach", "engaged", "messages") == [
        (0, False, True, 2), (21, True, False, 1), (40, False, True, 0), (70, True, False, 1), (80, False, True, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "hours"),
    [("WhatsApp", 24), (" sms", 24), ("email", 72), ("web", 0.5), (None, 0.5), ("Kiosk", 0.5)],
)
def test_a_pause_has_the_length_that_its_source_has(
    database: Database, agent: int, engine: Engine, projector: Projector, source: str | None, hours: float
) -> None:
    length = int(hours * HOUR)
    store(database, agent, "c", said(0), said(length), said(2 * length + 1), source=source)
    projector.follow()
    assert [each for (each,) in begun(engine)] == [0, (2 * length + 1) / HOUR]
    assert pause(source, {}) == length


def test_where_the_agent_reaches_out_it_counts_from_the_moment_somebody_answers(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    scope = Scope((agent,), date(1972, 9, 1), date(1972, 10, 30), ZoneInfo("UTC"))
    whatsapp = {"source": "whatsapp"}
    store(database, agent, "c", said(0), said(MINUTE, AGENT), said(100 * HOUR, AGENT), **whatsapp)
    projector.follow()
    names = ("conversations", "messages", "outreach")
    told = answer(engine, scope, names)["metrics"]
    assert told["conversations"]["value"] == 1
    assert told["messages"] == {"value": 2}
    assert told["outreach"] == {"sessions": 1, "engaged": 0}
    store(database, agent, "c", said(120 * HOUR), **whatsapp)
    projector.follow()
    told = answer(engine, scope, names)["metrics"]
    assert told["conversations"] == {"value": 2, "threads": 1}
    assert told["messages"] == {"value": 4}
    assert told["outreach"] == {"sessions": 1, "engaged": 1}


def test_an_item_of_a_long_thread_costs_what_one_of_a_short_thread_does(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    items = [said(each * 30 * HOUR) for each in range(600)]
    number = store(database, agent, "long", *items, source="whatsapp")
    projector.follow()
    store(database, agent, "long", said(600 * 30 * HOUR))
    with engine.reading() as ask, database.read() as connection:
        reached = ask("SELECT revision FROM state", ())[0][0]
        found = changes.since(connection, reached)
        batch = facts.collect(connection, ask, found.rows, {}, reached, found.upto)
    assert batch.sessions_from == {number: session_id(number, 600)}
    assert not batch.facts_from
    assert {name: len(columns["agent"]) for name, columns in batch.tables.items()} == {
        "messages": 1, "conversations": 1, "sessions": 2,
    }  # fmt: skip
    projector.follow()
    # One that comes late takes along what comes after it, and nothing before it.
    store(database, agent, "long", said(597 * 30 * HOUR + HOUR))
    with engine.reading() as ask, database.read() as connection:
        found = changes.since(connection, batch.revision)
        batch = facts.collect(connection, ask, found.rows, {}, batch.revision, found.upto)
    assert batch.sessions_from == batch.facts_from == {number: session_id(number, 598)}
    assert len(batch.tables["messages"]["agent"]) == 5


def test_ten_thousand_items_of_one_second_are_one_session(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    store(database, agent, "c", *[said(each * 100, each % 2) for each in range(10_000)])
    projector.follow()
    assert begun(engine, "messages", "user_messages") == [(0, 10_000, 5_000)]


def test_what_the_last_message_says_is_known_without_its_text(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    texts = [
        "Order 17 is late.",
        "order 4,  is LATE",
        "Anything else? 🙂",
        "Έτοιμος;",
        "هل أنت هنا؟",
        "No; thanks;",
        "",
    ]
    for place, text in enumerate(texts):
        store(database, agent, f"c{place}", said(place, AGENT, text))
    projector.follow()
    with engine.reading() as ask:
        found = ask("SELECT last_text, last_asks FROM sessions ORDER BY conversation", ())
        assert ask("SELECT text, asks FROM messages ORDER BY item", ()) == found
    assert [asks for _, asks in found] == [False, False, True, True, True, False, False]
    assert found[0][0] == found[1][0], "only a number and blanks differ"
    assert len({number for number, _ in found}) == 6
    assert found[-1][0] is None


def chaos(database: Database, agent: int) -> list[int]:
    """A few threads with everything in them."""
    numbers = []
    for thread in range(9):
        items: list[NewItem] = []
        for day in range(6):
            at = day * (20 + thread) * HOUR
            usage = NewItem(TOKEN_USAGE, BEGUN + at, detail=("m", 1, 2, 3, *[0] * 6))
            tool = NewItem(ACTION, BEGUN + at + 2, None, AGENT, detail=("search", *[None] * 6))
            vote = NewItem(FEEDBACK, BEGUN + at + 3, detail=("positive", "customer", None, None))
            items += [said(at, (day + thread) % 2), usage, tool, vote]
        numbers.append(
            store(database, agent, f"t{thread}", *items, source="whatsapp" if thread % 2 else "web")
        )
    return numbers


def test_a_changed_pause_holds_for_the_whole_past_of_its_agent_alone(
    database: Database, agent: int, engine: Engine, projector: Projector, tmp_path: Path
) -> None:
    with database.write() as connection:
        other = agents.create(connection, "Other")
    numbers = chaos(database, agent)
    chaos(database, other)
    projector.follow()
    before, others = content(engine, agent), content(engine, other)
    with database.write() as connection:
        agents.set_pauses(connection, agent, {"whatsapp": 30 * MINUTE, "other": 21 * HOUR})

    # Until it is done, figures are what they were, and what is new is among them.
    assert projector.step() == (0, False)
    assert projector.recut()
    assert projector.recutting is not None
    assert 0 < projector.recutting.done < projector.recutting.total == len(numbers)
    assert content(engine, agent) == before
    store(database, agent, "t0", said(10_000 * HOUR))
    store(database, agent, "t1", said(5 * HOUR), said(11_000 * HOUR))
    store(database, agent, "new", said(0))
    with database.write() as connection:
        conversations.delete(connection, {agent}, numbers[2])
    while projector.step()[1]:
        pass
    assert len(content(engine, agent)["messages"]) == len(before["messages"]) - 6 + 4

    projector.follow()
    assert projector.recutting is None
    fresh = DuckEngine(tmp_path / "fresh.duckdb", threads=1)
    fresh.open("store")
    try:
        Projector(database, fresh).follow()
        assert content(engine, agent) == content(fresh, agent)
    finally:
        fresh.close()
    assert content(engine, other) == others
    assert len(content(engine, agent)["sessions"]) != len(before["sessions"])

    # And back again.
    with database.write() as connection:
        agents.set_pauses(connection, agent, None)
    projector.follow()
    projector.recut()
    kept = {row[0] for row in begun(engine, agent=agent)} - {10_000, 11_000, 5}
    assert kept <= {row[0] for row in begun(engine, agent=other)}


def test_pauses_that_change_again_meanwhile_and_erasing_begin_it_anew(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    chaos(database, agent)
    projector.follow()
    for hours in (1, 48):
        with database.write() as connection:
            agents.set_pauses(connection, agent, {"whatsapp": hours * HOUR, "other": hours * HOUR})
        projector.step()
        assert projector.recut()
    projector.scrub()
    assert projector.recutting is None
    projector.follow()
    assert {row[0] for row in begun(engine, agent=agent)} == {0}
    with engine.reading() as ask:
        assert ask("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'staged%'", ()) == [(0,)]


def dialogues() -> list[Record]:
    """Some hundred of the dialogues, as the oracle has them."""
    path = Path(__file__).parents[3] / "tests" / "data" / "sgd_conversations.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [record(json.loads(line)) for line in itertools.islice(lines, 0, None, 6)]


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def record(line: dict[str, Any]) -> Record:
    kinds = {"message": "content", "action": "action_name", "button": "button_event"}
    items = []
    for each in line["items"]:
        one = Item(each["type"], moment(each["timestamp"]), each.get("sender"))
        if one.kind == "button":
            one.sender, one.label = "end_user", each.get("label", "")
        if one.kind in kinds and one.kind != "message":
            one.name = each[kinds[one.kind]]
        items.append(one)
    items += [
        Item(
            "feedback",
            moment(line["started_at"]),
            sentiment=each["sentiment"],
            source=each.get("source", "customer"),
        )
        for each in line.get("feedbacks", ())
    ]
    return Record(
        moment(line["started_at"]),
        line.get("customer_id"),
        line.get("device"),
        line.get("source"),
        items=items,
    )


def test_where_no_pause_is_long_every_figure_is_what_it_was(
    database: Database, agent: int, engine: Engine
) -> None:
    records = dialogues()
    moments = [sorted(item.at for item in each.items) for each in records]
    longest = max(later - earlier for each in moments for earlier, later in itertools.pairwise(each))
    assert longest < PAUSES[""], "there is no long pause in these"
    feed(database, agent, records, together=100)
    Projector(database, engine).follow()
    days = [datetime.fromtimestamp(each.started_at / 1e6, ZoneInfo("UTC")).date() for each in records]
    scope = Scope((agent,), min(days), max(days), ZoneInfo("UTC"))
    with database.read() as connection:
        scope = scope.of_store(connection)
    whole = Oracle(records, Question(scope.first, scope.last, scope.zone, pauses=None))
    by_conversation = Outcomes(whole, Agreed(scope.now))
    found = answer(engine, scope, METRICS)["metrics"]
    assert found["conversations"]["value"] == found["conversations"].pop("threads") > 200
    assert found.pop("outreach") == {"sessions": 0, "engaged": 0}
    for name in found:
        assert found[name] == near(by_conversation.answer(name)), name
