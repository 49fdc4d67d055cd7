"""Following the store: nothing skipped, nothing twice, from any point, on both databases."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import TABLES, Engine
from agentsight_server.analytics.projector import Projector, rest_after
from agentsight_server.domain.pauses import HOUR, MINUTE
from agentsight_server.store import append, changes, conversations
from agentsight_server.store.append import NewConversation, NewItem, next_revision
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    SYSTEM,
    TOKEN_USAGE,
)
from tests.waiting import until


def said(moment: int, sender: int = END_USER) -> NewItem:
    return NewItem(MESSAGE, moment, None, sender, "words")


def store(database: Database, agent: int, name: str, *items: NewItem, **fields: Any) -> int:
    with database.write() as connection:
        stored = append.append(connection, 0, agent, [NewConversation(name, items=list(items), **fields)])
    assert stored[0].id is not None
    return stored[0].id


def content(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the engine has, in an order of its own."""
    with engine.reading() as ask:
        return {table: sorted(ask(f"SELECT * FROM {table}", ()), key=repr) for table in TABLES}


def rebuilt(database: Database, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What an engine that starts from nothing has."""
    engine = DuckEngine(folder / f"fresh-{time.monotonic_ns()}.duckdb", threads=1)
    engine.open("store")
    try:
        Projector(database, engine).follow()
        return content(engine)
    finally:
        engine.close()


@pytest.fixture
def projector(database: Database, engine: Engine) -> Projector:
    return Projector(database, engine, batch=4)


def messages(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.reading() as ask:
        return ask("SELECT moment, response FROM messages ORDER BY moment, response NULLS FIRST", ())


def test_a_conversation_that_grows_keeps_its_answer_times(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    store(database, agent, "c", said(100))
    projector.follow()
    store(
        database, agent, "c", NewItem(ACTION, 150, None, AGENT, detail=("t", *[None] * 6)), said(400, AGENT)
    )
    projector.follow()
    store(database, agent, "c", said(500, AGENT), said(600), said(600, AGENT))
    projector.follow()
    assert messages(engine) == [(100, None), (400, 300), (500, None), (600, None), (600, 0)]


def test_a_message_that_comes_late_changes_the_answer_times_after_it(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    store(database, agent, "c", said(100), said(900, AGENT))
    projector.follow()
    assert messages(engine) == [(100, None), (900, 800)]
    store(database, agent, "c", said(300, AGENT), said(700))
    projector.follow()
    assert messages(engine) == [(100, None), (300, 200), (700, None), (900, 200)]


def test_edits_renames_and_deletes_follow(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    number = store(database, agent, "c", said(1), customer_id="anna")
    other = store(database, agent, "d", said(2))
    projector.follow()
    with database.write() as connection:
        conversations.change(connection, {agent}, number, {"name": "Renamed", "customer_id": "bert"})
        conversations.delete(connection, {agent}, other)
    projector.follow()
    with engine.reading() as ask:
        assert ask("SELECT customer FROM sessions", ()) == [("bert",)]
    assert messages(engine) == [(1, None)]


def test_what_follows_a_deleted_conversation_stays_out(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    number = store(database, agent, "c", said(1))
    with database.write() as connection:
        conversations.delete(connection, {agent}, number)
    projector.follow()
    store(database, agent, "c", said(2))
    projector.follow()
    assert all(not rows for rows in content(engine).values())


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_writing_and_following_ends_like_a_rebuild(
    database: Database, agent: int, engine: Engine, projector: Projector, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"c{each}" for each in range(6)]
    numbers: dict[str, int] = {}
    # Half of what comes is later than all before; pauses are shorter and longer than those between sessions.
    clock = 1_000 * HOUR

    def moment() -> int:
        nonlocal clock
        if chance.random() < 0.5:
            clock += chance.choice([0, 1, 7, 31, 90, 60 * 25, 60 * 80]) * MINUTE
            return clock
        return clock - chance.choice([0, 1, 29, 31, 60 * 24, 60 * 200]) * MINUTE

    for _ in range(150):
        name, at = chance.choice(names), moment()
        kind = chance.randrange(12)
        if kind < 5 or name not in numbers:
            source = chance.choice([None, "web", "WhatsApp"])
            sender = chance.choice([END_USER, AGENT, SYSTEM])
            numbers[name] = store(
                database, agent, name, said(at, sender), source=source, is_used=chance.choice([None, False])
            )
        elif kind == 5:
            verdict = (
                chance.choice(["positive", "negative"]),
                chance.choice(["customer", "platform"]),
                None,
                None,
            )
            store(database, agent, name, NewItem(FEEDBACK, at, detail=verdict))
        elif kind == 6:
            store(database, agent, name, NewItem(TOKEN_USAGE, at, detail=("m", 1, 2, 3, *[0] * 6)))
        elif kind == 7:
            store(database, agent, name, NewItem(BUTTON, at, None, END_USER, detail=("menu", "Yes", "v")))
        elif kind == 8:
            store(database, agent, name, NewItem(ACTION, at, None, AGENT, detail=("tool", *[None] * 6)))
        elif kind == 9:
            store(database, agent, name, NewItem(ATTACHMENTS, at, None, chance.choice([END_USER, AGENT])))
        else:
            with database.write() as connection:
                if kind == 10 or chance.random() < 0.9:
                    values = {
                        "device": chance.choice(["mobile", None]),
                        "source": chance.choice(["email", "web", None]),
                        "metadata": f'{{"n": {at}}}',
                    }
                    conversations.change(connection, {agent}, numbers[name], values)
                else:
                    conversations.delete(connection, {agent}, numbers[name])
        if chance.random() < 0.4:
            projector.step()
    projector.follow()
    assert content(engine) == rebuilt(database, tmp_path)
    with engine.reading() as ask:
        assert ask("SELECT max(sessions) > 3 FROM conversations", ()) == [(True,)], "threads"
        assert ask("SELECT count(*) > 0 FROM messages WHERE NOT counted", ()) == [(True,)], "nobody answered"


def test_a_transaction_larger_than_a_batch_is_taken_whole(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    batch = [NewConversation(f"c{each}", items=[said(each)]) for each in range(30)]
    store(database, agent, "before", said(1))
    with database.write() as connection:
        append.append(connection, 0, agent, batch)
    store(database, agent, "after", said(1))
    reached = []
    more = True
    while more:
        _, more = projector.step()
        with engine.reading() as ask:
            reached.append(ask("SELECT count(*) FROM conversations", ())[0][0])
    assert reached[-1] == 32
    assert not {count for count in reached if 1 < count < 31}, "a transaction was cut"


def test_a_transaction_that_commits_late_is_not_skipped(
    database: Database, agent: int, engine: Engine, projector: Projector
) -> None:
    begun, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with database.write() as connection:
            append.append(connection, 0, agent, [NewConversation("slow", items=[said(1)])])
            begun.set()
            finish.wait(20)

    writers = [threading.Thread(target=slow)]
    writers[0].start()
    assert begun.wait(20)
    # Others want to write meanwhile; none of them may overtake it.
    writers += [
        threading.Thread(target=store, args=(database, agent, f"c{each}", said(2))) for each in range(3)
    ]
    for each in writers[1:]:
        each.start()
    projector.follow()
    assert content(engine)["conversations"] == []
    finish.set()
    for each in writers:
        each.join(30)
    projector.follow()
    with engine.reading() as ask:
        assert ask("SELECT count(*) FROM conversations", ()) == [(4,)]


def test_many_writers_while_it_follows(
    database: Database, agent: int, engine: Engine, projector: Projector, tmp_path: Path
) -> None:
    def write(worker: int) -> None:
        for each in range(25):
            store(database, agent, f"c{worker}-{each % 7}", said(each), said(each, AGENT))

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        projector.step()
    for each in writers:
        each.join()
    projector.follow()
    with engine.reading() as ask:
        assert ask("SELECT count(*) FROM messages", ()) == [(200,)]
    assert content(engine) == rebuilt(database, tmp_path)


def test_a_revision_without_a_change_is_reached_too(
    database: Database, agent: int, projector: Projector
) -> None:
    store(database, agent, "c", said(1))
    projector.follow()
    with database.write() as connection:
        next_revision(connection)
    projector.follow()
    assert projector.wait_for(projector.latest(), 0)


def test_an_older_store_makes_it_begin_anew(
    database: Database, agent: int, engine: Engine, projector: Projector, caplog: pytest.LogCaptureFixture
) -> None:
    store(database, agent, "c", said(1))
    projector.follow()
    with database.write() as connection:  # as a restored backup has it
        connection.exec_driver_sql("UPDATE counters SET value = 1 WHERE name = 'revision'")
        connection.exec_driver_sql("UPDATE conversations SET revision = 1")
    from agentsight_server.analytics.engine import Batch

    engine.apply(Batch(900))
    projector.follow()
    assert engine.last_revision() == 1
    assert "built anew" in caplog.text
    assert len(content(engine)["conversations"]) == 1


def test_who_waits_is_woken_when_it_is_there(database: Database, agent: int, projector: Projector) -> None:
    projector.start()
    try:
        for each in range(5):
            store(database, agent, f"c{each}", said(each))
            projector.notice()
            assert projector.wait_for(projector.latest(), 20)
            with projector.engine.reading() as ask:
                assert ask("SELECT count(*) FROM conversations", ()) == [(each + 1,)]
        assert not projector.wait_for(projector.latest() + 1, 0.05)
    finally:
        projector.stop()


@pytest.mark.parametrize("took", [0.0, 0.001, 0.05, 0.3, 2.0])
def test_it_rests_longer_when_ingest_is_pressed(took: float) -> None:
    for more in (True, False):
        pressed, idle = rest_after(took, more, True), rest_after(took, more, False)
        assert pressed >= max(idle, 0.1)
        assert took / (took + pressed) <= (1 / 7 + 0.001 if took <= 0.5 else 0.5)
    assert rest_after(took, True, False) == 0, "what lies behind is caught up with at once"


def test_while_it_makes_way_for_ingest_it_still_follows_and_hurries_for_a_reader(
    database: Database, agent: int, engine: Engine
) -> None:
    projector = Projector(database, engine, batch=1)
    projector.make_way = lambda: True
    projector.start()
    try:
        for number in range(30):
            store(database, agent, f"c{number}", said(number))
            projector.notice()
        assert projector.wait_for(projector.latest(), timeout=20)
        assert len(messages(engine)) == 30
    finally:
        projector.stop()


def test_it_finds_what_other_processes_wrote(database: Database, agent: int, projector: Projector) -> None:
    projector.start()
    try:
        store(database, agent, "c", said(1))  # nobody tells it

        def followed() -> bool:
            with projector.engine.reading() as ask:
                return ask("SELECT count(*) FROM conversations", ()) == [(1,)]

        until(followed)
    finally:
        projector.stop()


_FOLLOWER = """
import sys
from pathlib import Path
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.projector import Projector, rest_after
from agentsight_server.store.database import Database

engine = DuckEngine(Path(sys.argv[2]), threads=1)
engine.open("store")
projector = Projector(Database(sys.argv[1]), engine, batch=5)
more = True
while more:
    _, more = projector.step()
    print(engine.last_revision(), flush=True)
"""


def test_it_may_be_killed_at_any_point(database: Database, agent: int, tmp_path: Path) -> None:
    chance = random.Random(7)
    for start in range(0, 400, 20):
        batch = [
            NewConversation(f"c{each}", items=[said(each), said(each + 9, AGENT)])
            for each in range(start, start + 20)
        ]
        for each in batch:
            with database.write() as connection:
                append.append(connection, 0, agent, [each])
    file = tmp_path / "followed.duckdb"
    url = database.url.render_as_string(hide_password=False)
    kills = 0
    for _ in range(6):
        follower = subprocess.Popen(
            [sys.executable, "-c", _FOLLOWER, url, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert follower.stdout is not None
        lines = chance.randrange(1, 15)
        for _ in range(lines):
            if not follower.stdout.readline():
                break
        for _ in range(chance.randrange(200_000)):
            pass  # it goes on meanwhile: the end comes anywhere in its work
        if follower.poll() is None:
            follower.send_signal(signal.SIGKILL)
            kills += 1
        follower.wait(20)
        follower.stdout.close()
    assert kills >= 3, "it was never killed at work"
    engine = DuckEngine(file, threads=1)
    engine.open("store")
    try:
        # Whatever it had, it had whole.
        with engine.reading() as ask:
            (have,) = ask("SELECT count(*) FROM conversations", ())[0]
            assert ask("SELECT count(*) FROM messages", ()) == [(have * 2,)]
        Projector(database, engine).follow()
        assert content(engine) == rebuilt(database, tmp_path)
        assert len(content(engine)["conversations"]) == 400
    finally:
        engine.close()


def test_only_new_items_are_read_of_a_conversation_that_grows(database: Database, agent: int) -> None:
    number = store(database, agent, "c", said(1), said(2, AGENT))
    with database.read() as connection:
        last = max(item[0] for item in changes.items_of(connection, {number: 0}).made)
    store(database, agent, "c", said(3))
    with database.read() as connection:
        assert [item[2] for item in changes.items_of(connection, {number: last}).made] == [3]
