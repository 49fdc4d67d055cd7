"""Finding conversations: every filter, paging and order, on every engine, never beyond the viewer's agents."""

from __future__ import annotations

import pytest

from agentsight_server.domain.filters import Filters
from agentsight_server.store import agents, append, changes, conversations, transcripts
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import ACTION, AGENT, END_USER, FEEDBACK, MESSAGE


def said(content: str, when: int = 10) -> NewItem:
    return NewItem(MESSAGE, when, None, END_USER, content)


RECORDS = [
    NewConversation("order-1", name="Bestellung", customer_id="Anna@Example.com", device="mobile", source="web",
                    language="en-US", country="HR", city="Split", customer_ip_address="161.53.72.1", started_at=100,
                    metadata={"tier": "pro", "analysis": {"sentiment": "positive", "score": 5},
                              "vip": True, "a.b": "x"},
                    items=[said("Where is my ČEVAPČIĆI order?"), said("50% off_now")]),
    NewConversation("order-2", name="Über uns", customer_id="bert", device="desktop", source="whatsapp",
                    language="en", environment="development", started_at=200, is_used=False,
                    metadata={"tier": "free", "analysis": {"sentiment": "negative"}, "note": "pro"},
                    items=[NewItem(ACTION, 210, None, AGENT, detail=("look_up", None, None, 5, None, None, None))]),
    NewConversation("order-3", language="eng", started_at=300,
                    items=[said("ΟΔΥΣΣΕΎΣ und Straße"),
                           NewItem(FEEDBACK, 310, detail=("negative", "customer", "no", None)),
                           NewItem(FEEDBACK, 320, detail=("positive", "platform", None, 1))]),
    NewConversation("order-4", language="EN_gb", started_at=300, metadata={"vip": "true", "quote\"d": "y"}),
]  # fmt: skip


@pytest.fixture
def filled(database: Database, agent: int) -> Database:
    with database.write() as connection:
        append.append(connection, 1, agent, RECORDS)
        other = agents.create(connection, "Somebody else's")
        append.append(connection, 1, other, RECORDS)
        deleted = append.append(connection, 1, agent, [NewConversation("gone", started_at=400)])
        assert deleted[0].id is not None
        conversations.delete(connection, {agent}, deleted[0].id)
        marked = conversations.lookup(connection, {agent}, "order-2")
        assert marked is not None
        conversations.change(connection, {agent}, marked.id, {"is_marked": True})
    return database


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "1234"),
        ({"conversation_id": "order-1"}, "1"),
        ({"conversation_id": "ORDER-1"}, ""),
        ({"customer_id": "bert"}, "2"),
        ({"customer_id__icontains": "EXAMPLE"}, "1"),
        ({"name": "bestell"}, "1"),
        ({"name": "ÜBER"}, "2"),
        ({"language": "en"}, "124"),
        ({"language": "en-US"}, "1"),
        ({"language": "EN-GB"}, "4"),
        ({"language": "e_g"}, ""),
        ({"device": "mobile"}, "1"),
        ({"source": "whatsapp"}, "2"),
        ({"country": "hr"}, "1"),
        ({"city": "Split"}, "1"),
        ({"city": "split"}, ""),
        ({"city__isnull": True}, "234"),
        ({"city__isnull": False}, "1"),
        ({"environment": "development"}, "2"),
        ({"environment": "production"}, "134"),
        ({"customer_ip_address": "161.53.72.1"}, "1"),
        ({"is_marked": True}, "2"),
        ({"is_marked": False}, "134"),
        ({"started_at_after": 200}, "234"),
        ({"started_at_before": 200}, "12"),
        ({"started_at_after": 150, "started_at_before": 250}, "2"),
        ({"has_messages": True}, "13"),
        ({"has_messages": False}, "24"),
        ({"message_contains": "čevapčići"}, "1"),
        ({"message_contains": "0% off"}, "1"),
        ({"message_contains": "f_n"}, "1"),
        ({"message_contains": "%"}, "1"),
        ({"message_contains": "where%order"}, ""),
        ({"message_contains": "STRASSE"}, "3"),
        ({"message_contains": "οδυσσεύς"}, "3"),
        ({"action_name": "look_up"}, "2"),
        ({"action_name": "look"}, ""),
        ({"has_feedback": True}, "3"),
        ({"has_feedback": False}, "124"),
        ({"feedback_sentiment__isnull": True}, "124"),
        ({"feedback_sentiment__isnull": False, "feedback_source": "platform"}, "3"),
        ({"action_name__in": ("look_up", "look")}, "2"),
        ({"handed_over": ("",)}, ""),
        ({"feedback_sentiment": "positive"}, "3"),
        ({"feedback_sentiment": "positive", "feedback_source": "customer"}, ""),
        ({"feedback_sentiment": "negative", "feedback_source": "customer"}, "3"),
        ({"feedback_source": "platform"}, "3"),
        ({"metadata": (("tier", "pro"),)}, "1"),
        ({"metadata": (("tier", "pro"), ("vip", "true"))}, "1"),
        ({"metadata": (("vip", "true"),)}, "14"),
        ({"metadata": (("analysis.sentiment", "positive"),)}, "1"),
        ({"metadata": (("analysis.score", "5"),)}, "1"),
        ({"metadata": (("a.b", "x"),)}, "1"),
        ({"metadata": (("missing", "x"),)}, ""),
        ({"metadata": (('quote"d', "y"),)}, "4"),
        ({"search": "straße"}, "3"),
        ({"search": "anna@"}, "1"),
        ({"search": "ORDER-2"}, "2"),
        ({"device": "mobile", "source": "whatsapp"}, ""),
    ],
    ids=str,
)
def test_filter(filled: Database, agent: int, filters: dict[str, object], expected: str) -> None:
    chosen = Filters(**filters)
    with filled.read() as connection:
        rows = conversations.page(connection, {agent}, chosen, limit=50)
        count = conversations.count(connection, {agent}, chosen)
    assert sorted(row.conversation_id for row in rows) == [f"order-{digit}" for digit in expected]
    assert count == len(expected)
    assert {row.agent_id for row in rows} <= {agent}


def test_deleted_ones_only_when_asked(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        names = [
            row.conversation_id
            for row in conversations.page(connection, {agent}, Filters(include_deleted=True))
        ]
    assert names[0] == "gone"
    assert len(names) == 5


def test_nobody_sees_what_is_not_theirs(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        theirs = conversations.page(connection, {agent + 1}, Filters())[0]
        assert conversations.get(connection, {agent}, theirs.id) is None
        assert conversations.page(connection, set(), Filters()) == []
        assert conversations.count(connection, set(), Filters()) == 0
        assert conversations.count(connection, None, Filters()) == 8
        assert conversations.of_customer(connection, {agent}, theirs) == []
    with filled.write() as connection:
        assert conversations.change(connection, {agent}, theirs.id, {"name": "mine"}) is None
        assert conversations.delete(connection, {agent}, theirs.id) is None
    with filled.read() as connection:
        assert conversations.get(connection, {agent + 1}, theirs.id) == theirs


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [("-started_at", "4321"), ("started_at", "1234"), ("id", "1234"), ("-messages", "1342")],
)
def test_order_is_whole_and_pages_do_not_overlap(
    filled: Database, agent: int, ordering: str, expected: str
) -> None:
    with filled.read() as connection:
        pages = [
            conversations.page(connection, {agent}, Filters(), ordering=ordering, offset=offset, limit=1)
            for offset in range(4)
        ]
    found = "".join(row.conversation_id[-1] for page in pages for row in page)
    assert found == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_show_each_conversation_once_also_those_of_one_moment(
    database: Database, agent: int, limit: int
) -> None:
    began = [100, 300, 300, 300, 300, 200, 300]
    made = [NewConversation(f"c{place}", started_at=at) for place, at in enumerate(began)]
    with database.write() as connection:
        numbers = [each.id for each in append.append(connection, 1, agent, made)]
    newest_first = sorted(zip(began, numbers, strict=True), reverse=True)
    for find, expected in (
        (conversations.before, newest_first),
        (conversations.oldest_first, newest_first[::-1]),
    ):
        found: list[tuple[int, int]] = []
        cursor = None
        with database.read() as connection:
            while rows := find(connection, {agent}, Filters(), cursor=cursor, limit=limit):
                found += [(row.started_at, row.id) for row in rows]
                cursor = found[-1]
        assert found == expected


def test_older_pages_stay_right_while_new_ones_arrive(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        first = conversations.before(connection, {agent}, Filters(), limit=2)
    with filled.write() as connection:
        append.append(
            connection,
            1,
            agent,
            [NewConversation("new", started_at=999), NewConversation("tie", started_at=300)],
        )
    last = first[-1]
    with filled.read() as connection:
        rest = conversations.before(
            connection, {agent}, Filters(), cursor=(last.started_at, last.id), limit=9
        )
    assert [row.conversation_id for row in first + rest] == ["order-4", "order-3", "order-2", "order-1"]


def test_changes_since_a_revision(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        seen = conversations.latest_revision(connection)
        assert conversations.after_revision(connection, {agent}, Filters(), seen) == []
    with filled.write() as connection:
        append.append(connection, 1, agent, [NewConversation("order-3", items=[said("more", 999)])])
    with filled.read() as connection:
        changed = conversations.after_revision(connection, {agent}, Filters(), seen)
        assert [row.conversation_id for row in changed] == ["order-3"]
        assert conversations.after_revision(connection, {agent}, Filters(device="mobile"), seen) == []


def test_a_deleted_conversation_takes_no_more_changes(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        assert conversations.lookup(connection, {agent}, "gone") is None
        gone = conversations.lookup(connection, {agent}, "gone", include_deleted=True)
    assert gone is not None
    assert gone.deleted_at is not None
    with filled.write() as connection:
        assert conversations.change(connection, {agent}, gone.id, {"name": "back"}) is None


def test_tokens_are_added_up_by_model(database: Database, agent: int) -> None:
    usage = [
        ("a", 1, 2, 3, 0, 1, 0, 0, 1, 2),
        ("b", 10, 0, 10, 4, 3, 7, 0, 0, 0),
        ("a", 1, 1, 2, 0, 0, 0, 1, 1, 0),
    ]
    items = [NewItem(4, number, detail=row) for number, row in enumerate(usage)]
    with database.write() as connection:
        number = append.append(connection, 1, agent, [NewConversation("c", items=items)])[0].id
        assert number is not None
        rows = transcripts.usage_of(connection, [number])[number]
    assert [(row.model, row.total_tokens) for row in rows] == [("b", 10), ("a", 5)]
    total = transcripts.total_usage(rows)
    assert (total.prompt_tokens, total.completion_tokens, total.embedding_tokens) == (12, 3, 4)
    parts = (
        total.cached_tokens,
        total.cache_write_tokens,
        total.input_audio_tokens,
        total.reasoning_tokens,
        total.output_audio_tokens,
    )
    assert parts == (4, 7, 1, 2, 2)


def test_a_deletion_and_its_undoing_are_changes_that_followers_see(filled: Database, agent: int) -> None:
    with filled.read() as connection:
        row = conversations.lookup(connection, {agent}, "order-1")
    assert row is not None
    for change in (conversations.delete, conversations.restore):
        with filled.write() as connection:
            seen = conversations.latest_revision(connection)
            assert change(connection, {agent}, row.id) is not None
        with filled.read() as connection:
            assert [each.id for each in changes.since(connection, seen).rows] == [row.id]


def test_beside_a_conversation_stand_the_others_of_its_customer_alone(database: Database, agent: int) -> None:
    made = [
        NewConversation(name, customer_id=customer, started_at=began)
        for began, (name, customer) in enumerate(
            (
                ("first", "anna"),
                ("bert's", "bert"),
                ("nobody's", None),
                ("second", "anna"),
                ("this", "anna"),
                ("gone", "anna"),
            )
        )
    ]
    with database.write() as connection:
        numbers = [each.id for each in append.append(connection, 1, agent, made)]
        other = agents.create(connection, "Somebody else's")
        append.append(connection, 1, other, [NewConversation("elsewhere", customer_id="anna")])
        assert numbers[-1] is not None
        conversations.delete(connection, {agent}, numbers[-1])
    with database.read() as connection:
        for name, expected in (("this", ["second", "first"]), ("bert's", []), ("nobody's", [])):
            row = conversations.lookup(connection, {agent}, name)
            assert row is not None
            beside = conversations.of_customer(connection, None, row)
            assert [each.conversation_id for each in beside] == expected
