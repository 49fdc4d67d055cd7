"""Requests that wait for the same transaction are stored as one, and each hears what became of its own part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import text

from agentsight_server.store import agents, conversations
from agentsight_server.store.append import Appended, NewConversation, NewItem, uuid7
from agentsight_server.store.database import Database
from agentsight_server.store.schema import END_USER, MESSAGE
from agentsight_server.store.writer import Writer


def said(when: int, content: str, uuid: bytes | None = None) -> NewItem:
    return NewItem(MESSAGE, when, uuid, END_USER, content)


def together(
    database: Database, *requests: tuple[int, Sequence[NewConversation]]
) -> list[list[Appended] | BaseException]:
    """The outcomes of requests that were all waiting when the writer began."""

    async def scenario() -> list[list[Appended] | BaseException]:
        writer = Writer(database)
        waiting = [asyncio.ensure_future(writer.append(agent, batch)) for agent, batch in requests]
        await asyncio.sleep(0)
        assert writer.waiting == len(requests)
        writer.start()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        writer.stop()
        assert writer.commits == 1
        return list(outcomes)

    return asyncio.run(scenario())


def stored(outcome: list[Appended] | BaseException) -> list[Appended]:
    assert not isinstance(outcome, BaseException), outcome
    return outcome


def another(database: Database) -> int:
    with database.write() as connection:
        return agents.create(connection, "Another")


def test_requests_of_several_agents_stay_apart(database: Database, agent: int) -> None:
    other = another(database)
    same = uuid7()
    outcomes = together(
        database,
        (agent, [NewConversation("c", items=[said(5, "ours", same)])]),
        (other, [NewConversation("c", items=[said(7, "theirs", same)])]),
        (agent, [NewConversation("c", items=[said(9, "ours again")]), NewConversation("d")]),
    )
    first, foreign, second = (stored(each) for each in outcomes)
    assert [each[0].created for each in (first, foreign, second)] == [True, True, False]
    assert first[0].id == second[0].id != foreign[0].id
    assert not any(again for each in (first, foreign, second) for _, again in each[0].items)
    with database.read() as connection:
        ours = conversations.lookup(connection, {agent}, "c")
        theirs = conversations.lookup(connection, {other}, "c")
        assert ours is not None
        assert theirs is not None
        assert (ours.messages, ours.started_at, ours.ended_at, ours.first_question) == (2, 5, 9, "ours")
        assert (theirs.messages, theirs.first_question) == (1, "theirs")
        assert ours.revision == theirs.revision == conversations.latest_revision(connection)


def test_one_that_was_sent_before_does_not_disturb_the_others(database: Database, agent: int) -> None:
    known, fresh = uuid7(), uuid7()
    (before,) = together(database, (agent, [NewConversation("c", items=[said(1, "a", known)])]))
    outcomes = together(
        database,
        (agent, [NewConversation("c", items=[said(1, "a", known), said(2, "b", fresh)])]),
        (agent, [NewConversation("c", items=[said(2, "b", fresh)])]),
        (agent, [NewConversation("e", items=[said(3, "c")])]),
    )
    resent, doubled, new = (stored(each)[0] for each in outcomes)
    assert [again for _, again in resent.items] == [True, False]
    assert resent.items[0][0] == stored(before)[0].items[0][0]
    assert doubled.items == [(resent.items[1][0], True)]
    assert new.created
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM items")).scalar_one() == 3


def test_a_foreign_row_number_is_nobodys(database: Database, agent: int) -> None:
    other = another(database)
    (mine,) = together(database, (agent, [NewConversation("c", items=[said(1, "a")])]))
    number = stored(mine)[0].id
    outcomes = together(
        database,
        (other, [NewConversation(row=number, items=[said(2, "intruder")])]),
        (agent, [NewConversation(row=number, items=[said(2, "b")])]),
        (other, [NewConversation("c", items=[said(2, "theirs")])]),
    )
    refused, added, made = (stored(each)[0] for each in outcomes)
    assert (refused.id, refused.items) == (None, [])
    assert added.id == number
    assert made.created
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM items")).scalar_one() == 3
