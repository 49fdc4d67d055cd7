"""What every engine has to do; a new one joins the `engine` fixture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from agentsight_server.analytics.engine import (
    TABLES,
    AnalyticsError,
    Batch,
    Columns,
    Engine,
    known,
    session_id,
)


def message(conversation: int, moment: int, response: int | None = None) -> dict[str, Any]:
    return dict.fromkeys(TABLES["messages"]) | {
        "session": session_id(conversation, 1),
        "agent": 1,
        "production": True,
        "counted": True,
        "moment": moment,
        "response": response,
    }


def conversation(number: int, **values: Any) -> dict[str, Any]:
    """The one session of a conversation."""
    fixed = {
        "id": session_id(number, 1), "conversation": number, "agent": 1, "production": True, "ordinal": 1,
        "engaged": True, "offered": False, "outreach": False, "started_at": number, "ended_at": number,
        "metadata": "{}", "messages": 0, "positive": False, "neutral": False, "negative": False,
    }  # fmt: skip
    return dict.fromkeys(TABLES["sessions"]) | fixed | values


def columns(table: str, rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in TABLES[table]}


def batch(revision: int, *rows: dict[str, Any], **fields: Any) -> Batch:
    tables = {}
    for table in ("sessions", "messages"):
        mine = [row for row in rows if ("ordinal" in row) == (table == "sessions")]
        if mine:
            tables[table] = columns(table, mine)
    sessions = [row for row in rows if "ordinal" in row]
    if sessions:
        tables["conversations"] = {
            "id": [row["conversation"] for row in sessions],
            "agent": [row["agent"] for row in sessions],
            "fields": [0 for _ in sessions],
            "started_at": [row["started_at"] for row in sessions],
            "sessions": [row["ordinal"] for row in sessions],
            "last_item": [9 for _ in sessions],
        }
    return Batch(revision, tables=tables, **fields)


def ask(engine: Engine, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with engine.reading() as query:
        return query(sql, parameters)


def test_a_batch_brings_its_rows_and_its_revision(engine: Engine) -> None:
    assert engine.last_revision() == 0
    engine.apply(batch(7, conversation(1, customer="日本 'x' \"y\""), message(1, 5), message(1, 9, 4)))
    assert engine.last_revision() == 7
    assert ask(engine, "SELECT customer FROM sessions") == [("日本 'x' \"y\"",)]
    assert ask(engine, "SELECT moment, response FROM messages ORDER BY moment") == [(5, None), (9, 4)]


def test_a_revision_without_rows_is_kept(engine: Engine) -> None:
    engine.apply(Batch(3))
    assert engine.last_revision() == 3


def test_replaced_rows_make_way_and_facts_stay_unless_they_go_too(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1), conversation(2), message(1, 5), message(2, 6)))
    grown = batch(2, conversation(1, device="mobile"), message(1, 7), replaced=[1], sessions_from={1: 0})
    engine.apply(grown)
    listed = "SELECT conversation, device FROM sessions ORDER BY id"
    assert ask(engine, listed) == [(1, "mobile"), (2, None)]
    assert ask(engine, "SELECT moment FROM messages ORDER BY moment") == [(5,), (6,), (7,)]
    engine.apply(batch(3, replaced=[1], sessions_from={1: 0}, facts_from={1: 0}))
    assert ask(engine, listed) == [(2, None)]
    assert ask(engine, "SELECT id FROM conversations") == [(2,)]
    assert ask(engine, "SELECT moment FROM messages") == [(6,)]


def test_only_the_later_sessions_of_a_conversation_go(engine: Engine) -> None:
    rows = [conversation(4, id=session_id(4, each), ordinal=each) for each in (1, 2, 3)]
    facts = [message(4, each) | {"session": session_id(4, each)} for each in (1, 2, 3)]
    engine.apply(batch(1, *rows, *facts, conversation(5), message(5, 9)))
    from_second = {4: session_id(4, 2)}
    engine.apply(batch(2, sessions_from=from_second, facts_from=from_second))
    assert ask(engine, "SELECT conversation, ordinal FROM sessions ORDER BY id") == [(4, 1), (5, 1)]
    assert ask(engine, "SELECT moment FROM messages ORDER BY moment") == [(1,), (9,)]


def test_a_batch_that_fails_leaves_nothing(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1), message(1, 5)))
    wrong = batch(2, conversation(1), message(1, 6), replaced=[1], facts_from={1: 0})
    wrong.tables["messages"]["moment"] = ["no number"]
    with pytest.raises(AnalyticsError):
        engine.apply(wrong)
    assert engine.last_revision() == 1
    assert ask(engine, "SELECT moment FROM messages") == [(5,)]
    engine.apply(batch(2, conversation(2)))
    assert engine.last_revision() == 2


def test_it_remembers_what_a_growing_conversation_needs(engine: Engine) -> None:
    engine.apply(batch(1, conversation(4, last_said_at=8, messages=3, negative=True), conversation(5)))
    with engine.reading() as query:
        found = known(query, [4, 6])
        assert list(found) == [4]
        assert (found[4].sessions, found[4].last_item) == (1, 9)
        last = found[4].last
        assert (last["last_said_at"], last["messages"], last["negative"], last["customer"]) == (
            8,
            3,
            True,
            None,
        )
        assert known(query, []) == {}


def test_readers_see_one_moment(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1)))
    with engine.reading() as query:
        before = query("SELECT count(*) FROM sessions", ())
        writer = threading.Thread(target=engine.apply, args=(batch(2, conversation(2)),))
        writer.start()
        writer.join(20)
        assert query("SELECT count(*) FROM sessions", ()) == before == [(1,)]
    assert ask(engine, "SELECT count(*) FROM sessions") == [(2,)]


def test_many_readers_and_a_writer_at_once(engine: Engine) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(20):
                with engine.reading() as query:
                    (conversations,) = query("SELECT count(*) FROM sessions", ())[0]
                    (messages,) = query("SELECT count(*) FROM messages", ())[0]
                    assert messages == conversations
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for each in readers:
        each.start()
    for number in range(1, 30):
        engine.apply(batch(number, conversation(number), message(number, number)))
    for each in readers:
        each.join(30)
    assert not failures


def test_reset_forgets_everything(engine: Engine) -> None:
    engine.apply(batch(5, conversation(1), message(1, 5)))
    engine.reset()
    assert engine.last_revision() == 0
    assert ask(engine, "SELECT count(*) FROM messages") == [(0,)]
    engine.apply(batch(1, conversation(1)))
    assert engine.last_revision() == 1


def test_compacting_changes_no_answer(engine: Engine) -> None:
    for number in range(1, 20):
        engine.apply(batch(number, conversation(number, started_at=-number), message(number, 100 - number)))
    engine.apply(batch(20, replaced=[3, 4], sessions_from={3: 0, 4: 0}, facts_from={3: 0, 4: 0}))
    before = ask(engine, "SELECT * FROM sessions ORDER BY id")
    engine.compact()
    assert ask(engine, "SELECT * FROM sessions ORDER BY id") == before
    assert engine.last_revision() == 20
    engine.apply(batch(21, conversation(30), message(30, 1)))
    assert ask(engine, "SELECT count(*) FROM messages") == [(18,)]


def test_what_was_applied_is_there_after_closing(engine: Engine) -> None:
    engine.apply(batch(4, conversation(1), message(1, 5)))
    engine.close()
    with pytest.raises(AnalyticsError):
        engine.last_revision()
    engine.open("store")
    assert engine.last_revision() == 4
    assert ask(engine, "SELECT moment FROM messages") == [(5,)]
    assert engine.size() > 0


def test_columns_of_another_store_are_not_mixed_up(engine: Engine) -> None:
    engine.apply(batch(4, conversation(1)))
    engine.close()
    engine.open("another store")
    assert engine.last_revision() == 0
    assert ask(engine, "SELECT count(*) FROM sessions") == [(0,)]


def one(engine: Engine, expression: str, values: Sequence[int | None] = ()) -> Any:
    engine.apply(batch(1, *(message(1, 0, value) for value in values)))
    return ask(engine, f"SELECT {expression} FROM messages")[0][0]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([None], 0.5, None),
        ([7], 0.95, 7),
        ([1, 2], 0.5, 1.5),
        ([40, 10, 20, 30], 0.5, 25),
        ([10, 20, 30, 40, None], 0.95, 38.5),
        ([5, 5, 5], 0.95, 5),
        ([2**53 + 1, 2**53 + 3], 0.5, 2**53 + 2),
    ],
)
def test_quantiles_interpolate(
    engine: Engine, values: list[int | None], share: float, expected: float | None
) -> None:
    assert one(engine, engine.functions.quantile("response", share), values) == expected


def test_division_is_whole(engine: Engine) -> None:
    assert one(engine, engine.functions.divide("max(response)", 86_400), [86_400 * 3 - 1]) == 2


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ('{"a": "text"}', ["a"], "text"),
        ('{"a": {"b": {"c": 1}}}', ["a", "b", "c"], "1"),
        ('{"a": true, "b": false}', ["b"], "false"),
        ('{"a": null}', ["a"], None),
        ('{"a": 1}', ["b"], None),
        ("{}", ["a", "b"], None),
        ('{"a.b": "dots"}', ["a.b"], "dots"),
        ('{"a/b": "slash", "c~d": "tilde"}', ["a/b"], "slash"),
        ('{"a/b": "slash", "c~d": "tilde"}', ["c~d"], "tilde"),
        ('{"it\'s": "quoted"}', ["it's"], "quoted"),
        ('{"say \\"hi\\"": "double"}', ['say "hi"'], "double"),
        ('{"$": "dollar", "*": "star"}', ["*"], "star"),
        ('{"": "empty"}', [""], "empty"),
        ('{"日本": "語"}', ["日本"], "語"),
    ],
)
def test_json_values_are_found(engine: Engine, document: str, path: list[str], expected: str | None) -> None:
    engine.apply(batch(1, conversation(1, metadata=document)))
    found = ask(engine, f"SELECT {engine.functions.json_text('metadata', path)} FROM sessions")
    assert found == [(expected,)]


def test_values_are_bound_not_pasted(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1, customer="'; DROP TABLE messages; --")))
    where = engine.functions.parameter(1, "text")
    found = ask(
        engine, f"SELECT conversation FROM sessions WHERE customer = {where}", "'; DROP TABLE messages; --"
    )
    assert found == [(1,)]
