"""What every engine has to do; a new one joins the `engine` fixture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from agentsight_server.analytics.engine import TABLES, AnalyticsError, Batch, Columns, Engine, known


def message(conversation: int, moment: int, response: int | None = None) -> dict[str, Any]:
    return {
        "conversation": conversation,
        "agent": 1,
        "production": True,
        "moment": moment,
        "response": response,
    }


def conversation(number: int, **values: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(TABLES["conversations"])
    fixed = {
        "id": number, "agent": 1, "production": True, "engaged": True, "offered": False, "started_at": number,
        "ended_at": number, "metadata": "{}", "messages": 0, "positive": False, "neutral": False,
        "negative": False, "last_item": 0,
    }  # fmt: skip
    return empty | fixed | values


def columns(table: str, rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in TABLES[table]}


def batch(revision: int, *rows: dict[str, Any], **fields: Any) -> Batch:
    tables = {}
    for table in ("conversations", "messages"):
        mine = [row for row in rows if ("id" in row) == (table == "conversations")]
        if mine:
            tables[table] = columns(table, mine)
    return Batch(revision, tables=tables, **fields)


def ask(engine: Engine, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with engine.reading() as query:
        return query(sql, parameters)


def test_a_batch_brings_its_rows_and_its_revision(engine: Engine) -> None:
    assert engine.last_revision() == 0
    engine.apply(batch(7, conversation(1, customer="日本 'x' \"y\""), message(1, 5), message(1, 9, 4)))
    assert engine.last_revision() == 7
    assert ask(engine, "SELECT customer FROM conversations") == [("日本 'x' \"y\"",)]
    assert ask(engine, "SELECT moment, response FROM messages ORDER BY moment") == [(5, None), (9, 4)]


def test_a_revision_without_rows_is_kept(engine: Engine) -> None:
    engine.apply(Batch(3))
    assert engine.last_revision() == 3


def test_replaced_rows_make_way_and_facts_stay_unless_emptied(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1), conversation(2), message(1, 5), message(2, 6)))
    engine.apply(batch(2, conversation(1, device="mobile"), message(1, 7), replaced=[1]))
    assert ask(engine, "SELECT id, device FROM conversations ORDER BY id") == [(1, "mobile"), (2, None)]
    assert ask(engine, "SELECT moment FROM messages ORDER BY moment") == [(5,), (6,), (7,)]
    engine.apply(batch(3, replaced=[1], emptied=[1]))
    assert ask(engine, "SELECT id FROM conversations") == [(2,)]
    assert ask(engine, "SELECT moment FROM messages") == [(6,)]


def test_a_batch_that_fails_leaves_nothing(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1), message(1, 5)))
    wrong = batch(2, conversation(1), message(1, 6), replaced=[1], emptied=[1])
    wrong.tables["messages"]["moment"] = ["no number"]
    with pytest.raises(AnalyticsError):
        engine.apply(wrong)
    assert engine.last_revision() == 1
    assert ask(engine, "SELECT moment FROM messages") == [(5,)]
    engine.apply(batch(2, conversation(2)))
    assert engine.last_revision() == 2


def test_it_remembers_what_a_growing_conversation_needs(engine: Engine) -> None:
    engine.apply(
        batch(
            1,
            conversation(4, last_item=9, last_said_at=8, last_from_user=True, messages=3, negative=True),
            conversation(5),
        )
    )
    with engine.reading() as query:
        assert known(query, [4, 6]) == {4: (9, 8, True, 3, False, False, True)}
        assert known(query, []) == {}


def test_readers_see_one_moment(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1)))
    with engine.reading() as query:
        before = query("SELECT count(*) FROM conversations", ())
        writer = threading.Thread(target=engine.apply, args=(batch(2, conversation(2)),))
        writer.start()
        writer.join(20)
        assert query("SELECT count(*) FROM conversations", ()) == before == [(1,)]
    assert ask(engine, "SELECT count(*) FROM conversations") == [(2,)]


def test_many_readers_and_a_writer_at_once(engine: Engine) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(20):
                with engine.reading() as query:
                    (conversations,) = query("SELECT count(*) FROM conversations", ())[0]
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
    engine.apply(batch(20, replaced=[3, 4], emptied=[3, 4]))
    before = ask(engine, "SELECT * FROM conversations ORDER BY id")
    engine.compact()
    assert ask(engine, "SELECT * FROM conversations ORDER BY id") == before
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
    assert ask(engine, "SELECT count(*) FROM conversations") == [(0,)]


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
    found = ask(engine, f"SELECT {engine.functions.json_text('metadata', path)} FROM conversations")
    assert found == [(expected,)]


def test_values_are_bound_not_pasted(engine: Engine) -> None:
    engine.apply(batch(1, conversation(1, customer="'; DROP TABLE messages; --")))
    where = engine.functions.parameter(1, "text")
    found = ask(
        engine, f"SELECT id FROM conversations WHERE customer = {where}", "'; DROP TABLE messages; --"
    )
    assert found == [(1,)]
