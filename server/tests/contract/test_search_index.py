"""The search index finds what reading every message finds, and forgets what was erased."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from agentsight_server.store import agents, append, conversations, erasing, search_index, trigrams
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.conversations import Filters
from agentsight_server.store.database import Database
from agentsight_server.store.dialect import Dialect, contains
from agentsight_server.store.erasing import Criterion
from agentsight_server.store.schema import ACTION, AGENT, END_USER, MESSAGE, items
from agentsight_server.store.search_follower import SearchFollower
from agentsight_server.store.search_index import SearchIndex, forget_erased

TEXTS = [
    "Where is my order?", "ISTANBUL and İstanbul, ısı and ISI", "Straße, STRASSE, straẞe", "ﬁnance ŉ ǰ ΐ",
    "ΟΔΥΣΣΕΎΣ, Οδυσσεύς ς σ Σ", "日本語の東京タワー", "東京", "서울특별시 안녕하세요", "مرحبا بالعالم", "नमस्ते दुनिया",
    "👩‍👩‍👧 family 🇭🇷🇩🇪 flags", "50% off_now", "a*b (c) NEAR AND OR NOT \"quoted\" 'single'", "tab\tand\nline\r\nend",
    "e\u0301te\u0301 and été", "ǅungla ǆ Ǆ", "\u0345 \u03b9 \u1f80 ᾈ", "Čevapčići", "aaaaaaaaaaaa",
    "xyz" * 3000 + "needle in the end",
    "k \u212a \u00e5 \u212b", "",
]  # fmt: skip


def said(*texts: str) -> list[NewItem]:
    return [NewItem(MESSAGE, 10 + at, None, END_USER, text) for at, text in enumerate(texts)]


def database_at(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder / 'agentsight.db'}")
    database.migrate()
    return database


def fill(database: Database, *batches: tuple[str, list[NewItem]]) -> None:
    with database.write() as connection:
        found = [agent.id for agent in agents.listing(connection)]
        agent = found[0] if found else agents.create(connection, "Concierge")
        append.append(connection, 1, agent, [NewConversation(name, items=items) for name, items in batches])


def follow(index: SearchIndex, database: Database) -> None:
    while index.step(database):
        pass


def found(
    database: Database, needle: str, *, by: SearchIndex | None = None, asked: str = "message_contains"
) -> list[str]:
    database.index = by
    filters = Filters(**{asked: needle})
    with database.read() as connection:
        listed = conversations.before(connection, None, filters)
        assert conversations.count(connection, None, filters) == len(listed)
    return sorted(row.conversation_id for row in listed)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "BLOCK", 4)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, SearchIndex]]:
    """A store of odd texts, in blocks of four items, with its index."""
    folder = tmp_path_factory.mktemp("odd")
    database, index = database_at(folder), SearchIndex(folder / "search.db", "odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_index, "BLOCK", 4)
        fill(database, *((f"c{at}", said(text, "and more")) for at, text in enumerate(TEXTS)))
        # What is no message is not looked at.
        named = [
            NewConversation(f"n{at}", name=text, customer_id=text[::-1]) for at, text in enumerate(TEXTS)
        ]
        with database.write() as connection:
            append.append(connection, 1, agents.listing(connection)[0].id, named)
        other = NewItem(ACTION, 9, None, AGENT, "the words of a tool", detail=("t", *[None] * 6))
        fill(database, ("tool", [other]))
        follow(index, database)
        yield database, index
    index.close()
    database.close()


pieces = st.sampled_from([text for text in TEXTS if text]).flatmap(
    lambda text: st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12)).map(
        lambda at: text[at[0] : at[0] + at[1]]
    )
)
cases: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [str, str.upper, str.lower, str.casefold, str.title, str.swapcase]
)


@given(st.builds(lambda case, text: case(text), cases, pieces) | st.text(max_size=6).filter(str.strip))
def test_it_finds_what_reading_finds(odd: tuple[Database, SearchIndex], needle: str) -> None:
    database, index = odd
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in needle):
        return  # no text of a request has these
    if len(needle.casefold()) >= 3:
        assert index.candidates(needle) is not None
    assert found(database, needle, by=index) == found(database, needle)
    if needle.strip():
        assert "\n" in needle.casefold() or index.named(needle) is not None
        assert found(database, needle, by=index, asked="search") == found(database, needle, asked="search")


@pytest.mark.parametrize(
    ("needle", "names"),
    [
        ("straße", ["c2"]),
        ("東京", ["c5", "c6"]),
        ("京タワ", ["c5"]),
        ("👩‍👧", ["c10"]),
        ("0% off_", ["c11"]),
        ("%", ["c11"]),
        ('not "QUOTED" \'s', ["c12"]),
        ("NEEDLE IN", ["c19"]),
        ("the words of a tool", []),
    ],
)
def test_what_people_look_for(odd: tuple[Database, SearchIndex], needle: str, names: list[str]) -> None:
    database, index = odd
    assert found(database, needle, by=index) == sorted(names)


def test_each_engine_finds_the_same_with_an_index_of_its_own(database: Database, agent: int) -> None:
    fill(database, *((f"c{at}", said(text, "and more")) for at, text in enumerate(TEXTS)))
    if database.dialect is Dialect.POSTGRESQL:
        assert trigrams.ensure(database)
        assert trigrams.ensure(database), "it is there already"
        with database.write() as connection:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            has = contains(database.dialect, items.c.content, "needle in", indexed=True)
            query = select(items.c.id).where(items.c.kind.in_([0, 3]), has)
            asked = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN {asked}")
            assert "ix_items_said" in " ".join(row[0] for row in plan)
    for needle in (
        "STRASSE",
        "京タワ",
        "東京",
        "👩‍👧",
        "0% off_",
        "%",
        "f_n",
        "*B (",
        "\\",
        "ǆungla",
        "οδυσσεύς",
        "needle IN",
        "zz",
    ):
        expected = sorted(f"c{at}" for at, text in enumerate(TEXTS) if needle.casefold() in text.casefold())
        assert found(database, needle) == expected, needle


def test_what_very_many_say_is_found_as_well(
    odd: tuple[Database, SearchIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, index = odd
    monkeypatch.setattr(search_index, "MOST_CANDIDATES", 2)
    assert index.candidates("and more") is None
    assert len(found(database, "AND more", by=index)) == len(TEXTS)


def test_what_the_index_does_not_have_yet_is_found(tmp_path: Path, small_blocks: None) -> None:
    database, index = database_at(tmp_path), SearchIndex(tmp_path / "search.db", "a")
    fill(database, ("old", said("a refund, please")))
    assert index.candidates("refund") is None, "nothing was taken yet"
    follow(index, database)
    fill(database, ("new", said("no Refund?")), ("old", said("x", "REFUND!")))
    assert found(database, "refund", by=index) == ["new", "old"]
    assert found(database, "refund!", by=index) == ["old"]
    follow(index, database)
    assert index.candidates("refund!") is not None
    assert found(database, "refund!", by=index) == ["old"]


def test_a_new_name_is_found_and_the_old_one_is_not(tmp_path: Path, small_blocks: None) -> None:
    database, index = database_at(tmp_path), SearchIndex(tmp_path / "search.db", "a")
    for at in range(9):
        fill(database, (f"c{at}", said("hello")))
    follow(index, database)
    with database.write() as connection:
        row = conversations.lookup(connection, None, "c5")
        assert row is not None
        conversations.change(connection, None, row.id, {"name": "Überraschung"})
    assert found(database, "überR", by=index, asked="search") == ["c5"]
    follow(index, database)
    assert found(database, "überR", by=index, asked="search") == ["c5"]
    with database.write() as connection:
        conversations.change(connection, None, row.id, {"name": "Another"})
    assert found(database, "überR", by=index, asked="search") == []
    assert found(database, "another", by=index, asked="search") == ["c5"]
    assert found(database, "C5", by=index, asked="search") == ["c5"]


def letters_in(path: Path) -> set[str]:
    """What stands in the index, by SQLite's own word for it."""
    with closing(sqlite3.connect(path)) as own:
        names = own.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall()
        seen: set[str] = set()
        for (name,) in names:
            own.execute(f"CREATE VIRTUAL TABLE temp.v_{name} USING fts5vocab(main, {name}, row)")
            seen.update(term for (term,) in own.execute(f"SELECT term FROM temp.v_{name}"))
        return seen


def erase(database: Database, name: str) -> None:
    with database.write() as connection:
        number = agents.listing(connection)[0].id
        there = conversations.lookup(connection, None, name)
        assert there is not None
        asked = erasing.begin(connection, number, Criterion(conversation=there.id), "a test")
        job = next(each for each in erasing.open_jobs(connection) if each.id == asked)
        while erasing.mark(connection, job):
            pass
        while erasing.remove(connection, job):
            pass


def test_what_is_erased_leaves_no_byte_behind(tmp_path: Path, small_blocks: None) -> None:
    database, path = database_at(tmp_path), tmp_path / "search.db"
    index = SearchIndex(path, "a")
    with database.write() as connection:
        going = NewConversation("gone", name="Vgyrkaw", customer_id="jkqzzword")
        append.append(connection, 1, agents.create(connection, "Concierge"), [going])
    for at in range(6):
        fill(database, (f"kept{at}", said(f"quiet {at}", "common")), ("gone", said(f"qzxj{at}w", "common")))
    follow(index, database)
    assert {"qzx", "zxj", "qui"} <= letters_in(path)
    erase(database, "gone")
    assert found(database, "qzxj", by=index) == []
    # Killed before it was clean: the next one knows from the store.
    index.close()
    index = SearchIndex(path, "a")
    done = index.clean(database)
    assert done
    assert "qzx" not in letters_in(path)
    everything = b"".join(each.read_bytes() for each in tmp_path.glob("search.db*"))
    assert b"zxj" not in everything
    assert b"vgyrkaw" not in everything
    assert b"jkqzzword" not in everything
    with database.write() as connection:
        forget_erased(connection, done)
    assert index.clean(database) == {}
    # The next one counts anew, and is no less gone.
    fill(database, ("later", said("jqvwk")))
    follow(index, database)
    erase(database, "later")
    done = index.clean(database)
    assert done
    assert "jqv" not in letters_in(path)
    follow(index, database)
    assert found(database, "quiet", by=index) == [f"kept{at}" for at in range(6)]
    assert found(database, "common", by=index) == [f"kept{at}" for at in range(6)]


def test_another_stores_an_older_stores_and_a_damaged_index_are_made_anew(tmp_path: Path) -> None:
    database, path = database_at(tmp_path), tmp_path / "search.db"
    fill(database, ("one", said("first words")))
    index = SearchIndex(path, "a")
    follow(index, database)
    with database.write() as connection:  # a backup from before was restored
        connection.exec_driver_sql("UPDATE items SET content = 'other words'")
        connection.exec_driver_sql("UPDATE counters SET value = 0 WHERE name = 'revision'")
    follow(index, database)
    assert found(database, "other words", by=index) == ["one"]
    assert "fir" not in letters_in(path)
    index.close()
    index = SearchIndex(path, "b")
    follow(index, database)
    assert found(database, "other", by=index) == ["one"]
    index.close()
    path.write_bytes(os.urandom(5000))
    index = SearchIndex(path, "b")
    follow(index, database)
    assert index.candidates("other") is not None
    assert found(database, "other", by=index) == ["one"]
    index.close()


def test_nothing_is_written_while_nothing_happens(tmp_path: Path) -> None:
    database, index = database_at(tmp_path), SearchIndex(tmp_path / "search.db", "a")
    fill(database, ("one", said("first words")))
    follow(index, database)
    assert index.candidates("first") is not None  # a reader keeps the log of changes open

    def written() -> list[tuple[str, int, int]]:
        files = sorted(tmp_path.glob("search.db*"))
        return [
            (each.name, each.stat().st_size, each.stat().st_mtime_ns)
            for each in files
            if "shm" not in each.name
        ]

    before = written()
    for _ in range(3):
        assert not index.step(database)
    assert written() == before
    (tmp_path / "search.db").unlink()  # by somebody who read that it may be deleted
    fill(database, ("two", said("second words")))
    follow(index, database)
    assert found(database, "words", by=index) == ["one", "two"]
    now = index.candidates("words")
    assert now is not None
    assert len(now.items) == 2


def test_the_thread_follows_and_stops(tmp_path: Path) -> None:
    database, index = database_at(tmp_path), SearchIndex(tmp_path / "search.db", "a")
    taken = threading.Event()
    step = index.step

    def watched(store: Database) -> bool:
        more = step(store)
        if index.candidates("refund") is not None and index.candidates("refund").items:  # type: ignore[union-attr]
            taken.set()
        return more

    index.step = watched  # type: ignore[method-assign]
    follower = SearchFollower(database, index, lambda: False)
    follower.start()
    fill(database, ("one", said("a refund")))
    follower.notice()
    assert taken.wait(20)
    follower.stop()
    assert index.candidates("refund") is None
    assert found(database, "refund", by=index) == ["one"]
