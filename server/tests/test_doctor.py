"""The doctor: well when all is well, and one line with advice for each thing that can go wrong."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ServerProcess

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}


def doctor(*arguments: str | Path, environ: dict[str, str] | None = None) -> tuple[int, str]:
    command = [sys.executable, "-m", "agentsight_server", "doctor", *map(str, arguments)]
    result = subprocess.run(
        command, env=CLEAN | (environ or {}), capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stdout


def fill(server: ServerProcess) -> None:
    agent = server.agent()
    picture = base64.b64encode(b"a picture").decode()
    items: list[dict[str, Any]] = [
        {"type": "message", "sender": "end_user", "content": "hello"},
        {"type": "message", "sender": "system", "content": "noted"},
        {"type": "attachments", "attachments": [{"filename": "photo.png", "data": picture}]},
    ]
    given = [{"conversation_id": f"c{n}", "items": items} for n in range(5)]
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": given}).status_code == 200
        number = client.get("/api/conversations/").json()["results"][0]["id"]
        client.delete(f"/api/conversations/{number}/delete/")
        # The figures have caught up when they are asked for.
        assert client.get("/api/analytics/", params={"metrics": "conversations"}).status_code == 200


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has been stopped."""
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with ServerProcess(folder) as server:
        fill(server)
    return folder


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(stopped, tmp_path / "data"))


def sql(statement: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        with closing(sqlite3.connect(data / "agentsight.db")) as connection, connection:
            connection.execute(statement)

    return change


def attachment(data: Path) -> Path:
    return next(path for path in (data / "files").rglob("*") if path.is_file())


def test_all_is_well(server: ServerProcess) -> None:
    fill(server)
    more = ["--database-url", server.database_url] if server.database_url else []
    code, said = doctor("--data-dir", server.data_dir, *more, "--thorough")
    assert (code, said.splitlines()[-1]) == (0, "All is well."), said
    assert "a server runs on it" in said
    assert "a server has them open" in said


def test_the_figures_are_compared_when_the_server_is_stopped(data: Path) -> None:
    code, said = doctor("--data-dir", data)
    assert code == 0, said
    assert "they agree with the database" in said
    assert "no server runs on it" in said


def _lose_attachment(data: Path) -> None:
    attachment(data).unlink()


def _shorten_attachment(data: Path) -> None:
    attachment(data).write_bytes(b"a")


def _break_database(data: Path) -> None:
    path = data / "agentsight.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(content)


def _other_figures(data: Path) -> None:
    import duckdb

    with duckdb.connect(str(data / "analytics.duckdb")) as connection:
        connection.execute("DELETE FROM messages WHERE session = (SELECT min(session) FROM messages)")


def _break_figures(data: Path) -> None:
    (data / "analytics.duckdb").write_bytes(os.urandom(20_000))


_TO_COME = f"{(time.time() + 9e5) * 1e6:.0f}"
_ORPHAN = sql("DELETE FROM conversations WHERE id = 1")
_SUMMARY = sql("UPDATE conversations SET messages = 7 WHERE id = 2")
_NUMBERS = sql("UPDATE counters SET value = 1 WHERE name = 'items'")
_NEWER = sql("UPDATE alembic_version SET version_num = '9999'")
_OLDER = sql("UPDATE alembic_version SET version_num = '0001'")
_CLOCK = sql(f"UPDATE agents SET created_at = {_TO_COME}")

FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "attachment lost": (_lose_attachment, "the bytes of 1 are missing: photo.png", "backup"),
    "attachment cut": (_shorten_attachment, "1 are damaged: photo.png", "backup"),
    "database damaged": (_break_database, "damaged|malformed|not a database", "restore"),
    "row without parent": (_ORPHAN, "lead nowhere", "restore"),
    "wrong summary": (_SUMMARY, "another number of messages", "report"),
    "numbers behind": (_NUMBERS, "running numbers are behind", "backup"),
    "newer": (_NEWER, "newer AgentSight", "update agentsight-server"),
    "older": (_OLDER, "older than this program", "start the server"),
    "clock went back": (_CLOCK, "the clock went back", "NTP"),
    "figures differ": (_other_figures, "they count other messages than the database", "analytics rebuild"),
    "figures damaged": (_break_figures, "analytics.duckdb cannot be read", "analytics rebuild"),
    "database gone": (lambda data: (data / "agentsight.db").unlink(), "is not there", "restore"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_found_with_advice(data: Path, fault: str) -> None:
    make, said, advice = FAULTS[fault]
    make(data)
    code, output = doctor("--data-dir", data)
    assert code == 1, output
    lines = output.splitlines()
    found = [
        number
        for number, line in enumerate(lines)
        if line.startswith("wrong") and any(part in line for part in said.split("|"))
    ]
    assert found, output
    assert advice in lines[found[0] + 1], output


def test_a_changed_byte_is_found_by_the_thorough_look(data: Path) -> None:
    path = attachment(data)
    path.write_bytes(b"A" + path.read_bytes()[1:])
    assert doctor("--data-dir", data)[0] == 0
    code, said = doctor("--data-dir", data, "--thorough")
    assert code == 1
    assert "1 are damaged: photo.png" in said


def test_files_that_belong_to_nothing_are_noted(data: Path) -> None:
    from agentsight_server.attachments.blobs import FileStore

    FileStore(data / "files").put(b"left over")
    code, said = doctor("--data-dir", data)
    assert code == 0
    assert "1 files (9 bytes) belong to nothing" in said


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    code, said = doctor("--data-dir", tmp_path / "none")
    assert code == 1
    assert "does not exist" in said
    assert not (tmp_path / "none").exists()


def test_a_database_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    url = "postgresql://nobody@127.0.0.1:1/none"
    code, said = doctor("--data-dir", tmp_path / "data", "--database-url", url)
    assert code == 1
    assert "cannot be opened" in said
