"""Backup while running, restore anywhere: nothing is missing, nothing half there."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from agentsight_server.settings import Settings
from agentsight_server.store.database import Database
from agentsight_server.store.schema import ingest_refusals, metadata
from tests.serving import Agent, ServerProcess
from tests.waiting import until

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "agentsight_server", *map(str, arguments)]
    return subprocess.run(command, env=CLEAN, input=stdin, capture_output=True, timeout=120, check=False)


def done(result: subprocess.CompletedProcess[bytes]) -> str:
    assert result.returncode == 0, result.stderr.decode()
    return result.stderr.decode()


def refused(result: subprocess.CompletedProcess[bytes]) -> str:
    text = result.stderr.decode()
    assert result.returncode == 2, text
    assert text.count("\n") == 1, text
    return text


def fill(agent: Agent, count: int = 30) -> None:
    pictures = [base64.b64encode(f"picture {n % 3}".encode() * 100).decode() for n in range(count)]
    given = [
        {
            "conversation_id": f"c{n}",
            "is_used": n % 4 > 0,
            "metadata": {"n": n, "ž": ["✓"]},
            "items": [
                {"type": "message", "sender": "end_user", "content": f"hello {n} žđ"},
                {"type": "action", "action_name": "look", "duration_ms": n, "response": {"a": [n]}},
                {"type": "button", "button_event": "e", "label": f"l{n}", "value": "v"},
                {"type": "attachments", "attachments": [{"filename": "a.png", "data": pictures[n]}]},
                {"type": "token_usage", "model": "m", "prompt_tokens": n},
                {"type": "feedback", "sentiment": "positive"},
            ],
        }
        for n in range(count)
    ]
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": given}).status_code == 200
        client.post("/api/ingest/batch/", content=b"{")


def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table, as the application sees them."""
    database = Database(Settings(database_url=url).sqlalchemy_url)
    with database.read() as connection:
        found: dict[str, list[Any]] = {}
        for table in metadata.sorted_tables:
            rows = connection.execute(table.select().order_by(*table.primary_key.columns))
            found[table.name] = [
                tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows
            ]
    database.close()
    # Counters differ by engine, and identity and links are made anew at each start.
    found["installation"] = [row for row in found["installation"] if row[0] != "store-identity"]
    found["counters"] = [row for row in found["counters"] if row[0] == "revision"]
    del found["one_time_links"]
    # That a copy was made, and restored, is noted after it was made.
    events = found["security_events"]
    found["security_events"] = [row for row in events if row[2] not in {"backed_up", "restored"}]
    return found


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'agentsight.db'}"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "files").rglob("*") if path.is_file()}


def place(server: ServerProcess) -> list[str]:
    more = ["--database-url", server.database_url] if server.database_url else []
    return ["--data-dir", str(server.data_dir), *more]


def written_down(server: ServerProcess) -> None:
    """Wait until the refusal that `fill` caused is on disk: the ledger follows a refused request."""

    def there() -> bool:
        with server.database.read() as connection:
            return bool(connection.execute(select(func.count()).select_from(ingest_refusals)).scalar_one())

    until(there)


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A running server with data, on each engine."""
    url = None if request.param == "sqlite" else request.getfixturevalue("new_postgres")()
    with ServerProcess(tmp_path / "source", database_url=url) as server:
        server.person("ana@example.com")
        agent = server.agent("Concierge")
        fill(agent)
        written_down(server)
        server.concierge = agent  # type: ignore[attr-defined]
        yield server


@pytest.mark.parametrize(("to", "name"), [("sqlite", "all.tar"), ("postgresql", "all.tar.gz")])
def test_a_backup_of_a_running_server_is_restored_on_either_engine(
    source: ServerProcess, to: str, name: str, tmp_path: Path, new_postgres: Callable[[], str]
) -> None:
    file = tmp_path / name
    said = done(run("backup", file, *place(source)))
    assert "30 conversations, 180 items, 3 attachments" in said
    assert file.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    fresh = tmp_path / "fresh"
    url = new_postgres() if to == "postgresql" else None
    more = ["--database-url", url] if url else []
    assert "30 conversations" in done(run("restore", file, "--data-dir", fresh, *more))
    before = content(source.database_url or sqlite(source.data_dir))
    assert content(url or sqlite(fresh)) == before
    assert files_of(fresh) == files_of(source.data_dir)
    assert len(before["ingest_ledger"]) == 1
    # The restored one runs, lets the same key in, and goes on counting where the other stopped.
    agent: Agent = source.concierge  # type: ignore[attr-defined]
    with ServerProcess(fresh, database_url=url) as restored:
        key = {"Authorization": f"Api-Key {agent.keys['write']}"}
        with httpx.Client(base_url=restored.address, headers=key) as client:
            assert client.get("/api/conversations/").json()["count"] == 30
            item = {"type": "message", "sender": "end_user", "content": "again"}
            body = {"conversations": [{"conversation_id": "new", "items": [item]}]}
            answer = client.post("/api/ingest/batch/", json=body)
            assert answer.json()["conversations"][0]["created"]
            file_url = client.get("/api/conversations/", params={"conversation_id": "c5"}).json()["results"][
                0
            ]
            link = next(m for m in file_url["messages"] if m["attachments"])["attachments"][0]["file_url"]
            assert client.get(link).content == b"picture 2" * 100
            figures = client.get("/api/analytics/", params={"metrics": "conversations"}).json()
            assert "conversations" in json.dumps(figures)
    assert done(run("doctor", "--data-dir", fresh, *more, "--thorough")) == ""


def test_a_backup_under_load_holds_one_moment(tmp_path: Path) -> None:
    """Each batch is two conversations in one transaction: a backup has both or none."""
    stop = threading.Event()
    with ServerProcess(tmp_path / "data") as server:
        agent = server.agent()

        def write(worker: int) -> None:
            with agent.client() as client:
                number = 0
                while not stop.is_set():
                    number += 1
                    item = {"type": "message", "sender": "end_user", "content": "x" * 300}
                    attached = {
                        "type": "attachments",
                        "attachments": [{"filename": "a", "data": base64.b64encode(os.urandom(50)).decode()}],
                    }
                    pair = [
                        {"conversation_id": f"{side}-{worker}-{number}", "items": [item, attached]}
                        for side in ("left", "right")
                    ]
                    client.post("/api/ingest/batch/", json={"conversations": pair})

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        try:
            with agent.client("read") as client:
                until(
                    lambda: client.get("/api/conversations/", params={"page_size": 1}).json()["count"] >= 20
                )
            for number in range(3):
                done(run("backup", tmp_path / f"{number}.tar", "--data-dir", tmp_path / "data"))
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    counts = []
    for number in range(3):
        fresh = tmp_path / f"fresh{number}"
        done(run("restore", tmp_path / f"{number}.tar", "--data-dir", fresh))
        names = {row[2] for row in content(sqlite(fresh))["conversations"]}
        left = {name[5:] for name in names if name.startswith("left")}
        right = {name[6:] for name in names if name.startswith("right")}
        assert left == right
        assert len(left) > 0
        assert done(run("doctor", "--data-dir", fresh, "--thorough")) == ""
        counts.append(len(left))
    assert counts == sorted(counts)


def test_restore_refuses_to_overwrite_and_sets_aside_when_forced(
    source: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "all.tar"
    done(run("backup", file, *place(source)))
    held = refused(run("restore", file, *place(source)))
    assert "a server" in held
    before = content(source.database_url or sqlite(source.data_dir))
    agent: Agent = source.concierge  # type: ignore[attr-defined]
    with agent.client() as client:
        client.post("/api/conversations/", json={"conversation_id": "after the backup"})
    source.stop()
    assert "--force" in refused(run("restore", file, *place(source)))
    assert len(content(source.database_url or sqlite(source.data_dir))["conversations"]) == 31
    said = done(run("restore", file, *place(source), "--force"))
    assert content(source.database_url or sqlite(source.data_dir)) == before
    if not source.database_url:
        aside = next(source.data_dir.glob("replaced-*"))
        assert str(aside) in said
        assert len(content(sqlite(aside))["conversations"]) == 31


def test_through_a_pipe_to_another_machine(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        fill(server.agent(), 3)
        copied = run("backup", "-", "--data-dir", tmp_path / "data")
        done(copied)
    done(run("restore", "-", "--data-dir", tmp_path / "fresh", stdin=copied.stdout))
    assert len(content(sqlite(tmp_path / "fresh"))["conversations"]) == 3


@pytest.fixture(scope="module")
def backup_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("backup")
    with ServerProcess(folder / "data") as server:
        fill(server.agent(), 5)
        done(run("backup", folder / "all.tar", "--data-dir", folder / "data"))
    return (folder / "all.tar").read_bytes()


def _changed(data: bytes, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            changed = change(member.name, file.read())
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.size = len(changed[1])
                new.addfile(info, io.BytesIO(changed[1]))
    return out.getvalue()


def _newer(name: str, data: bytes) -> tuple[str, bytes]:
    return (name, data.replace(b'"schema": "0', b'"schema": "9')) if name == "manifest.json" else (name, data)


def _without(start: str) -> Callable[[bytes], bytes]:
    return lambda data: _changed(data, lambda n, d: None if n.startswith(start) else (n, d))


def _with(start: str, ending: bytes) -> Callable[[bytes], bytes]:
    return lambda data: _changed(data, lambda n, d: (n, d + ending if n.startswith(start) else d))


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "no backup"),
    "nonsense": (lambda data: os.urandom(5000), "no backup"),
    "cut off": (lambda data: data[: len(data) * 2 // 3], "cut off"),
    "cut between files": (_without("files/"), "cut off"),
    "another tar": (lambda data: _changed(data, lambda n, d: (f"x/{n}", d)), "no backup of AgentSight"),
    "database changed": (_with("agentsight.db", b"x"), "damaged"),
    "database gone": (_without("agentsight.db"), "missing or damaged"),
    "attachment changed": (_with("files/", b"x"), "is damaged"),
    "newer": (lambda data: _changed(data, _newer), "newer AgentSight"),
    "gzip cut off": (lambda data: gzip.compress(data)[:3000], "cut off"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_backup_is_refused_and_leaves_nothing(backup_file: bytes, how: str, tmp_path: Path) -> None:
    change, said = BROKEN[how]
    (tmp_path / "broken.tar").write_bytes(change(backup_file))
    fresh = tmp_path / "fresh"
    assert said in refused(run("restore", tmp_path / "broken.tar", "--data-dir", fresh))
    assert not (fresh / "agentsight.db").exists()
    assert list(fresh.glob(".*")) == []


def test_a_path_in_a_backup_leads_nowhere(backup_file: bytes, tmp_path: Path) -> None:
    evil = _changed(backup_file, lambda n, d: ("../../evil", d) if n.startswith("files/") else (n, d))
    (tmp_path / "evil.tar").write_bytes(evil)
    refused(run("restore", tmp_path / "evil.tar", "--data-dir", tmp_path / "a" / "b"))
    assert not list(tmp_path.rglob("evil"))


def test_missing_bytes_are_said_and_the_rest_is_backed_up(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        fill(server.agent(), 3)
    lost = next(path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file())
    lost.unlink()
    result = run("backup", tmp_path / "all.tar", "--data-dir", tmp_path / "data")
    assert result.returncode == 1
    assert b"1 attachments are missing" in result.stderr
    done(run("restore", tmp_path / "all.tar", "--data-dir", tmp_path / "fresh"))


def test_where_there_is_nothing_to_back_up_or_no_room(tmp_path: Path) -> None:
    assert "no database" in refused(run("backup", tmp_path / "x.tar", "--data-dir", tmp_path / "none"))
    with ServerProcess(tmp_path / "data") as server:
        server.agent()
    assert "not made" in refused(run("backup", tmp_path / "no" / "x.tar", "--data-dir", tmp_path / "data"))
    assert not (tmp_path / "x.tar").exists()
