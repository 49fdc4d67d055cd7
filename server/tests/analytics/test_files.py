"""The analytics file: damaged, held by others, of another version, rebuilt beside a running server."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest

from agentsight_server.analytics import duckdb_engine
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.duckdb_errors import is_damage, is_held_elsewhere
from agentsight_server.analytics.engine import AnalyticsError, Batch, Broken, Engine
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.rebuild import rebuild
from agentsight_server.analytics.service import Analytics
from agentsight_server.store import agents, append
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import MESSAGE
from tests.serving import ServerProcess


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Database]:
    """A store with ten conversations."""
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    database.migrate()
    with database.write() as connection:
        agent = agents.create(connection, "Concierge")
        batch = [
            NewConversation(f"c{each}", items=[NewItem(MESSAGE, each, None, 0, "x")]) for each in range(10)
        ]
        append.append(connection, 0, agent, batch)
    yield database
    database.close()


def count(engine: Engine) -> int:
    with engine.reading() as ask:
        found: int = ask("SELECT count(*) FROM conversations", ())[0][0]
        return found


def followed(database: Database, engine: DuckEngine) -> int:
    Projector(database, engine).follow()
    return count(engine)


@contextmanager
def opened(file: Path) -> Iterator[DuckEngine]:
    engine = DuckEngine(file, threads=1)
    engine.open("store")
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def held_by_another_program(file: Path) -> Iterator[None]:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        yield
    finally:
        holder.stdin.close()
        holder.wait(20)
        holder.stdout.close()


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut off", "header"])
def test_a_damaged_file_is_moved_aside_and_built_anew(
    filled: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    file = tmp_path / "analytics.duckdb"
    with opened(file) as engine:
        assert followed(filled, engine) == 10
        engine.compact()
    good = file.read_bytes()
    file.write_bytes(
        {
            "garbage": b"this is no database" * 1_000,
            "empty": b"",
            "cut off": good[: len(good) // 3],
            "header": b"\xff" * 8_192 + good[8_192:],
        }[damage]
    )
    with caplog.at_level(logging.WARNING), opened(file) as engine:
        assert followed(filled, engine) == 10
    assert len(caplog.messages) == 1
    assert "built anew" in caplog.text
    assert len(list(tmp_path.glob("analytics.duckdb.broken-*"))) == 1


def test_a_file_of_another_layout_is_emptied(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE state (layout INTEGER, store VARCHAR, revision BIGINT)")
        connection.execute("INSERT INTO state VALUES (0, 'store', 99)")
        connection.execute("CREATE TABLE conversations (something VARCHAR)")
    with opened(file) as engine:
        assert engine.last_revision() == 0
        assert followed(filled, engine) == 10


def test_while_another_program_holds_the_file_a_second_one_serves(
    filled: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_engine, "LOCK_PATIENCE", 0.3)
    file = tmp_path / "analytics.duckdb"
    with held_by_another_program(file):
        with opened(file) as engine:
            assert followed(filled, engine) == 10
            assert (tmp_path / f"analytics.duckdb.{os.getpid()}").exists()
        assert "in use by another program" in caplog.text
    assert not list(tmp_path.glob("analytics.duckdb.*")), (
        "the second file goes when it is not needed any more"
    )
    with opened(file) as engine:
        assert followed(filled, engine) == 10


def test_a_file_that_is_let_go_in_time_is_used(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "analytics.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    tries = []

    class Held(DuckEngine):
        def adopt_next(self) -> None:
            tries.append(holder.poll())
            if len(tries) == 2:  # it has met the other program, which goes now
                holder.communicate(timeout=20)
            super().adopt_next()

    engine = Held(file, threads=1)
    engine.open("store")
    try:
        assert followed(filled, engine) == 10
    finally:
        engine.close()
    assert tries[:2] == [None, None]
    assert not list(tmp_path.glob("analytics.duckdb.*"))


def test_damage_that_shows_while_it_runs_is_recovered_from(filled: Database, tmp_path: Path) -> None:
    with opened(tmp_path / "analytics.duckdb") as engine:
        assert followed(filled, engine) == 10
        engine.recover("was found damaged")
        assert engine.last_revision() == 0
        assert followed(filled, engine) == 10


def test_damage_is_told_from_other_trouble_without_reading_the_words(tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS i, md5(range::VARCHAR) AS s FROM range(50000)")
    good = bytearray(file.read_bytes())
    good[len(good) // 2 : len(good) // 2 + 64] = b"\xff" * 64
    file.write_bytes(good)
    with duckdb.connect(str(file)) as connection:
        with pytest.raises(duckdb.Error) as damaged:
            connection.execute("SELECT max(s), max(i) FROM t")
        assert is_damage(damaged.value), repr(damaged.value)
        for trouble in ("SELECT nothing FROM t", "SELEC", "SELECT 'x'::INTEGER", "SELECT * FROM 'none.csv'"):
            with pytest.raises(duckdb.Error) as other:
                connection.execute(trouble)
            assert not is_damage(other.value), repr(other.value)
    with held_by_another_program(tmp_path / "held.duckdb"):
        with pytest.raises(duckdb.Error) as held:
            duckdb.connect(str(tmp_path / "held.duckdb"))
        assert not is_damage(held.value)
        assert is_held_elsewhere(tmp_path / "held.duckdb")
    assert not is_held_elsewhere(tmp_path / "held.duckdb")


def test_a_file_that_is_let_go_before_anybody_looks_is_not_moved_aside(
    filled: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "analytics.duckdb"
    with opened(file) as engine:
        assert followed(filled, engine) == 10
    failed: list[bool] = []

    class Unlucky(DuckEngine):
        def adopt_next(self) -> None:
            if not failed:
                failed.append(True)
                raise duckdb.IOException("Could not set lock on file: somebody has it, who is gone by now")

    engine = Unlucky(file, threads=1)
    engine.open("store")
    try:
        assert count(engine) == 10
    finally:
        engine.close()
    assert not list(tmp_path.glob("analytics.duckdb.broken-*"))


def test_damage_that_a_reader_finds_is_mended_behind_its_back(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "analytics.duckdb"
    with opened(file) as engine:
        assert followed(filled, engine) == 10

    def look(engine: Engine, whole: bool) -> int:
        if not found:
            found.append("damage")
            raise Broken("is damaged (so says a test)")
        return count(engine)

    async def ask() -> int:
        with pytest.raises(AnalyticsError, match="built anew"):
            await analytics.run(look)
        return await analytics.run(look)

    found: list[str] = []
    analytics = Analytics(filled, DuckEngine(file, threads=1), "store")
    analytics.start()
    try:
        assert asyncio.run(ask()) == 10
    finally:
        analytics.stop()
    assert len(list(tmp_path.glob("analytics.duckdb.broken-*"))) == 1


def test_a_rebuild_replaces_the_file(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "analytics.duckdb"
    with opened(file) as engine:
        engine.apply(Batch(filled_revision(filled)))  # as if everything had been lost
        assert followed(filled, engine) == 0
    seen: list[tuple[int, int]] = []
    done = rebuild(filled, file, "store", lambda done, total: seen.append((done, total)))
    assert (done.conversations, done.rows, done.in_use) == (10, 30, True)
    assert seen[-1] == (10, 10)
    assert [each.name for each in tmp_path.glob("analytics*")] == ["analytics.duckdb"]
    with opened(file) as engine:
        assert count(engine) == 10
        assert engine.last_revision() == filled_revision(filled)


def filled_revision(database: Database) -> int:
    return Projector(database, DuckEngine(Path("unused"))).latest()


def test_one_that_runs_takes_the_rebuilt_file_over(filled: Database, tmp_path: Path) -> None:
    file = tmp_path / "analytics.duckdb"
    with opened(file) as engine, opened(tmp_path / "other.duckdb") as other:
        engine.apply(Batch(filled_revision(filled)))
        followed(filled, other)
        assert not engine.take_over()
        other.export(engine.next_path)
        assert engine.take_over()
        assert count(engine) == 10
        assert not engine.take_over()
    assert not engine.next_path.exists()


def test_the_command_rebuilds_below_a_running_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        with agent.client() as client:
            for each in range(5):
                message = {"conversation_id": f"c{each}", "sender": "end_user", "content": "hello"}
                assert client.post("/api/track/", json=message).status_code == 201
            command = [
                sys.executable,
                "-m",
                "agentsight_server",
                "analytics",
                "rebuild",
                "--data-dir",
                str(tmp_path),
            ]
            before = (tmp_path / "analytics.duckdb").stat().st_ino
            result = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert result.returncode == 0, result.stderr
            assert result.stdout.startswith("5 conversations, 15 rows in ")
            assert (tmp_path / "analytics.duckdb").stat().st_ino != before
            assert total(client) == 5
            message = {"conversation_id": "one more", "sender": "end_user", "content": "hello"}
            client.post("/api/track/", json=message)
            assert total(client) == 6
        assert not [line for line in server.output if "WARNING" in line or "ERROR" in line]


def total(client: httpx.Client) -> int:
    found: int = client.get("/api/analytics/?metrics=conversations").json()["metrics"]["conversations"][
        "value"
    ]
    return found


def test_a_server_starts_on_a_damaged_file_and_loses_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        with agent.client() as client:
            client.post("/api/track/", json={"conversation_id": "c", "sender": "end_user", "content": "hi"})
            assert total(client) == 1
        server.kill()
        (tmp_path / "analytics.duckdb").write_bytes(b"\0" * 50_000)
        server.start()
        with agent.client() as client:
            assert total(client) == 1
        assert len([line for line in server.output if "built anew" in line]) == 1
