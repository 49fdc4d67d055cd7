"""Adding to conversations: creation rules, idempotence and summaries, on every engine."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import text

from agentsight_server.store import agents, append, conversations, transcripts
from agentsight_server.store.append import NewConversation, NewItem, uuid7
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SYSTEM,
    TOKEN_USAGE,
)
from agentsight_server.store.writer import Writer


def store(database: Database, agent: int, *batch: NewConversation) -> list[append.Appended]:
    with database.write() as connection:
        return append.append(connection, 1, agent, batch)


def read(database: Database, agent: int, name: str) -> ConversationRow:
    with database.read() as connection:
        row = conversations.lookup(connection, {agent}, name)
    assert row is not None
    return row


def said(when: int, content: str, sender: int = END_USER, uuid: bytes | None = None) -> NewItem:
    return NewItem(MESSAGE, when, uuid, sender, content)


def test_an_item_makes_its_conversation_and_gives_it_its_times(database: Database, agent: int) -> None:
    stored = store(
        database,
        agent,
        NewConversation("c", items=[said(3_000, "later"), said(1_000, "first"), said(9_000, "x", AGENT)]),
    )
    row = read(database, agent, "c")
    assert stored[0].created
    assert (row.started_at, row.ended_at, row.messages) == (1_000, 9_000, 3)
    assert row.environment == "production"
    assert row.is_used
    assert not row.is_offered


def test_empty_fields_are_filled_and_what_is_there_stays(database: Database, agent: int) -> None:
    store(database, agent, NewConversation("c", customer_id="anna", metadata={"a": 1, "b": None}))
    later = NewConversation(
        "c",
        customer_id="bert",
        device="mobile",
        environment="development",
        started_at=5,
        metadata={"b": 2, "c": {"d": 3}},
    )
    assert not store(database, agent, later)[0].created
    row = read(database, agent, "c")
    assert (row.customer_id, row.device, row.environment) == ("anna", "mobile", "production")
    assert row.metadata == '{"a":1,"b":null,"c":{"d":3}}'
    assert row.started_at != 5


def test_offered_stays_offered_and_turns_used_once(database: Database, agent: int) -> None:
    store(database, agent, NewConversation("c", is_used=False))
    row = read(database, agent, "c")
    assert (row.is_offered, row.is_used) == (True, False)
    store(database, agent, NewConversation("c", items=[said(1, "Welcome!", AGENT), said(1, "note", SYSTEM)]))
    assert not read(database, agent, "c").is_used, "the assistant's greeting is no engagement"
    store(database, agent, NewConversation("c", items=[said(2, "hello")]))
    row = read(database, agent, "c")
    assert (row.is_offered, row.is_used) == (True, True)
    store(database, agent, NewConversation("c", is_used=False))
    assert read(database, agent, "c").is_used


@pytest.mark.parametrize("item", [NewItem(ACTION, 1, None, AGENT, detail=("look", None, None, 1, None, None, None)),
                                  NewItem(BUTTON, 1, None, END_USER, detail=("e", "l", "v"))])  # fmt: skip
def test_a_tool_call_or_a_click_is_engagement_but_no_message(
    database: Database, agent: int, item: NewItem
) -> None:
    store(database, agent, NewConversation("c", is_used=False))
    store(database, agent, NewConversation("c", items=[item]))
    row = read(database, agent, "c")
    assert row.is_used
    assert row.messages == 0


def test_feedback_and_tokens_leave_messages_alone_and_feedback_the_end(
    database: Database, agent: int
) -> None:
    items = [
        said(10, "hi"),
        NewItem(TOKEN_USAGE, 20, detail=("gpt-4o", 1, 2, 3, 0, 1, 0, 0, 2, 0)),
        NewItem(FEEDBACK, 90, detail=("positive", "customer", "nice", None)),
    ]
    store(database, agent, NewConversation("c", items=items))
    row = read(database, agent, "c")
    assert (row.messages, row.ended_at) == (1, 20)


def test_sent_again_is_told_and_not_stored(database: Database, agent: int) -> None:
    first, second = uuid7(), uuid7()
    before = store(database, agent, NewConversation("c", items=[said(1, "a", uuid=first)]))
    again = store(
        database, agent, NewConversation("c", items=[said(1, "a", uuid=first), said(2, "b", uuid=second)])
    )
    assert again[0].items[0] == (before[0].items[0][0], True)
    assert again[0].items[1][1] is False
    assert read(database, agent, "c").messages == 2


def test_the_same_id_twice_in_one_request_is_one_item(database: Database, agent: int) -> None:
    same = uuid7()
    stored = store(
        database, agent, NewConversation("c", items=[said(1, "a", uuid=same), said(1, "a", uuid=same)])
    )
    assert [duplicate for _, duplicate in stored[0].items] == [False, True]
    assert read(database, agent, "c").messages == 1


def test_another_agent_may_use_the_same_ids(database: Database, agent: int) -> None:
    with database.write() as connection:
        other = agents.create(connection, "Shop")
    same = uuid7()
    for each in (agent, other):
        stored = store(database, each, NewConversation("c", items=[said(1, "a", uuid=same)]))
        assert stored[0].created
        assert stored[0].items[0][1] is False


def test_a_conversation_named_twice_in_one_request_counts_once(database: Database, agent: int) -> None:
    stored = store(
        database,
        agent,
        NewConversation("c", items=[said(1, "a")]),
        NewConversation("c", device="mobile", items=[said(2, "b")]),
    )
    assert [each.created for each in stored] == [True, False]
    row = read(database, agent, "c")
    assert (row.messages, row.device, row.ended_at) == (2, "mobile", 2)


def test_a_number_that_is_not_the_agents_is_not_found(database: Database, agent: int) -> None:
    with database.write() as connection:
        other = agents.create(connection, "Shop")
    number = store(database, other, NewConversation("theirs"))[0].id
    stored = store(database, agent, NewConversation(row=number, items=[said(1, "intruder")]))
    assert stored[0].id is None
    assert read(database, other, "theirs").messages == 0


def test_every_change_gives_a_higher_revision(database: Database, agent: int) -> None:
    seen = []
    for step in range(3):
        store(database, agent, NewConversation("c", items=[said(step, "x")]))
        seen.append(read(database, agent, "c").revision)
    number = read(database, agent, "c").id
    with database.write() as connection:
        conversations.change(connection, {agent}, number, {"name": "New"})
    seen.append(read(database, agent, "c").revision)
    assert seen == sorted(set(seen))
    store(database, agent, NewConversation("c"))
    assert read(database, agent, "c").revision == seen[-1], "nothing changed"


def test_first_question_is_the_customers(database: Database, agent: int) -> None:
    store(
        database,
        agent,
        NewConversation(
            "c", items=[said(1, "Hi, how can I help?", AGENT), said(2, "  Where is\nmy   order? ")]
        ),
    )
    assert read(database, agent, "c").first_question == "Where is my order?"


def test_transcript_is_in_order_of_time_then_arrival(database: Database, agent: int) -> None:
    number = store(
        database, agent, NewConversation("c", items=[said(5, "b"), said(1, "a"), said(5, "c", AGENT)])
    )[0].id
    assert number is not None
    with database.read() as connection:
        entries = transcripts.load(connection, [number])[number].entries
    assert [entry.content for entry in entries] == ["a", "b", "c"]


def test_one_bad_request_in_a_group_fails_alone(database: Database, agent: int) -> None:
    async def scenario() -> list[object]:
        writer = Writer(database)
        good = NewConversation("good", items=[said(1, "a")])
        bad = NewConversation(
            "bad", items=[said(1, "b"), NewItem(MESSAGE, 2, b"x" * 16, 1, None, None, None)]
        )

        def broken(connection, attempt):
            append.append(connection, attempt, agent, [bad])
            raise ValueError("later trouble")

        jobs = [
            writer.run(lambda c, n: append.append(c, n, agent, [good])),
            writer.run(broken),
            writer.run(lambda c, n: append.append(c, n, agent, [NewConversation("also")])),
        ]
        outcomes = asyncio.gather(*jobs, return_exceptions=True)
        await asyncio.sleep(0)  # all three wait in the queue before the thread begins
        writer.start()
        result = await outcomes
        writer.stop()
        return list(result)

    outcomes = asyncio.run(scenario())
    assert isinstance(outcomes[1], ValueError)
    assert read(database, agent, "good").messages == 1
    assert read(database, agent, "also").messages == 0
    with database.read() as connection:
        assert conversations.lookup(connection, {agent}, "bad") is None
        assert connection.execute(text("SELECT count(*) FROM items")).scalar_one() == 1


def test_a_duplicate_met_in_a_group_is_an_outcome_not_an_error(database: Database, agent: int) -> None:
    same = uuid7()

    async def scenario() -> list[list[append.Appended]]:
        writer = Writer(database)
        jobs = [
            writer.run(
                lambda c, n: append.append(
                    c, n, agent, [NewConversation("c", items=[said(1, "a", uuid=same)])]
                )
            )
            for _ in range(5)
        ]
        outcomes = asyncio.gather(*jobs)
        await asyncio.sleep(0)
        writer.start()
        result = await outcomes
        writer.stop()
        return list(result)

    outcomes = asyncio.run(scenario())
    assert [each[0].items[0][1] for each in outcomes] == [False, True, True, True, True]
    assert len({each[0].items[0][0] for each in outcomes}) == 1


def test_two_writers_at_once_store_each_item_once(database: Database, agent: int) -> None:
    """Two processes' worth of writers (their own connections) race for the same conversations and ids."""
    uuids = [uuid7() for _ in range(40)]
    outcomes: list[list[append.Appended]] = []
    start = threading.Barrier(3)

    def race(offset: int) -> None:
        async def scenario() -> None:
            writer = Writer(database)
            writer.start()
            order = uuids[offset:] + uuids[:offset]
            jobs = [
                writer.run(
                    lambda c, n, u=u: append.append(
                        c, n, agent, [NewConversation(f"c{uuids.index(u) % 5}", items=[said(1, "a", uuid=u)])]
                    )
                )
                for u in order
            ]
            outcomes.extend(await asyncio.gather(*jobs))
            writer.stop()

        start.wait()
        asyncio.run(scenario())

    threads = [threading.Thread(target=race, args=(offset,)) for offset in (0, 13, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 120
    fresh = [each for each in outcomes if not each[0].items[0][1]]
    assert len(fresh) == 40
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM items")).scalar_one() == 40
        assert connection.execute(text("SELECT sum(messages) FROM conversations")).scalar_one() == 40


def test_a_button_with_a_label_of_any_length_is_kept(database: Database, agent: int) -> None:
    # Text that does not compress: an index on PostgreSQL has no room for it.
    label = "".join(chr(0x4E00 + each * 7919 % 20_000) for each in range(2_000))
    click = NewItem(BUTTON, 1, None, END_USER, detail=("event", label, "v"))
    stored = store(database, agent, NewConversation("c", items=[click, said(2, "hi")]))
    with database.read() as connection:
        entries = transcripts.load(connection, [stored[0].id or 0])[stored[0].id or 0].entries
    assert entries[0].button is not None
    assert entries[0].button.label == label


def test_a_write_that_the_engine_refuses_fails_alone(database: Database, agent: int) -> None:
    """Many requests share a transaction; one that is too much for the engine must not take the others along."""

    def poison(connection, attempt: int) -> None:  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("SELECT * FROM there_is_no_such_table")

    def good(number: int):  # type: ignore[no-untyped-def]
        given = NewConversation(f"c{number}", items=[said(1, "hi")])
        return lambda connection, attempt: append.append(connection, attempt, agent, [given])

    async def run() -> list[object]:
        gate = threading.Event()
        writer = Writer(database)
        writer.start()
        first = asyncio.ensure_future(writer.run(lambda *_: gate.wait(10) and None))
        work = [good(1), poison, good(2), good(3)]
        waiting = [asyncio.ensure_future(writer.run(each)) for each in work]
        await asyncio.sleep(0)  # all of them are in the queue
        gate.set()
        await first
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        writer.stop()
        return list(outcomes)

    outcomes = asyncio.run(run())
    assert isinstance(outcomes[1], Exception)
    assert not any(isinstance(outcomes[each], BaseException) for each in (0, 2, 3))
    for number in (1, 2, 3):
        assert read(database, agent, f"c{number}").messages == 1
