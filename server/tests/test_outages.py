"""What the server leans on fails: it says so, answers 503, and works again when the cause is gone."""

from __future__ import annotations

import base64
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.serving import Agent, ServerProcess
from tests.waiting import until


def message(number: int, text: str = "hello", **more: Any) -> dict[str, Any]:
    item = {"type": "message", "sender": "end_user", "content": text, **more}
    return {"conversations": [{"conversation_id": f"c{number}", "items": [item]}]}


def send(client: httpx.Client, number: int, text: str = "hello", **more: Any) -> httpx.Response:
    return client.post("/api/ingest/batch/", json=message(number, text, **more))


def refused_kindly(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "try again" in answer.json()["detail"]


def stored(agent: Agent) -> set[str]:
    with agent.client() as client:
        results = client.get("/api/conversations/", params={"page_size": 100, "full": "false"}).json()[
            "results"
        ]
    return {each["conversation_id"] for each in results}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def fill_up(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    # Without the space that attachments leave free, so that they meet the end of the disk, too.
    with ServerProcess(small_disk / "data", arguments=("--least-free-percent", "0")) as server:
        agent = server.agent()
        client = agent.client()
        assert send(client, 0).status_code == 200
        filler = fill_up(small_disk)
        accepted, number = {"c0"}, 0
        # What is free inside the database's own files is still used.
        while number < 200:
            number += 1
            answer = send(client, number, "x" * 5000)
            if answer.status_code != 200:
                break
            accepted.add(f"c{number}")
        refused_kindly(answer)
        picture = [{"filename": "a.bin", "data": base64.b64encode(os.urandom(300_000)).decode()}]
        refused_kindly(send(client, 900, attachments=picture))
        assert stored(agent) == accepted, "reading goes on"
        filler.unlink()
        until(lambda: send(client, 901).status_code == 200)
        assert send(client, 902, attachments=picture).status_code == 200
        assert stored(agent) == accepted | {"c901", "c902"}
        client.close()
        server.stop()
        log = "".join(server.output)
        assert "the database did not take a write" in log
        assert "an attachment could not be stored: No space left on device" in log
        assert "takes writes again" in log
        assert "Traceback" not in log
        assert "hello" not in log


def test_a_limit_on_files_is_survived(tmp_path: Path) -> None:
    """The same without rights: the system stops the process from writing more into a file."""
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        client = agent.client()
        assert send(client, 0).status_code == 200
        largest = max(path.stat().st_size for path in tmp_path.glob("agentsight.db*"))
        before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest, before[1]))
        answer = send(client, 1, "x" * 500_000)
        refused_kindly(answer)
        refused_kindly(send(client, 2, "y" * 500_000))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
        until(lambda: send(client, 3).status_code == 200)
        assert stored(agent) == {"c0", "c3"}
        client.close()


def immutable(files: list[Path], sign: str) -> bool:
    return not subprocess.run(
        ["chattr", f"{sign}i", *map(str, files)], capture_output=True, check=False
    ).returncode


def test_files_that_take_no_writes_are_said_and_survived(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        client = agent.client()
        assert send(client, 0).status_code == 200
        files = [tmp_path / "agentsight.db", tmp_path / "agentsight.db-wal"]
        try:
            if shutil.which("chattr") is None or not immutable(files, "+"):
                pytest.skip("needs the right to make files immutable")
            refused_kindly(send(client, 1))
            ready = client.get("/readyz")
            assert ready.status_code == 503, ready.text
            assert ready.json()["checks"]["writer"] == "the database takes no writes"
            assert stored(agent) == {"c0"}, "reading goes on"
        finally:
            if shutil.which("chattr") is not None:
                immutable(files, "-")
        assert client.get("/readyz").status_code == 200, "it finds out without being sent anything"
        assert send(client, 2).status_code == 200
        assert stored(agent) == {"c0", "c2"}
        client.close()


def test_a_server_on_a_full_disk_says_so_in_one_line(small_disk: Path) -> None:
    fill_up(small_disk)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "agentsight_server",
            "serve",
            "--port",
            "0",
            "--data-dir",
            str(small_disk / "data"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_disk_that_takes_no_writes_is_said_in_one_line(small_disk: Path) -> None:
    data = small_disk / "data"
    with ServerProcess(data) as server:
        server.agent()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "agentsight_server", "serve", "--port", "0", "--data-dir", str(data)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "cannot be written" in done.stderr


# ------------------------------------------------------------------ PostgreSQL


@pytest.fixture
def on_postgres(new_postgres: Callable[[], str], tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, database_url=new_postgres()) as server:
        yield server


def as_admin(server: ServerProcess, statement: str) -> None:
    """Run a statement as somebody else in the server's PostgreSQL."""
    assert server.database_url is not None
    name = psycopg.conninfo.conninfo_to_dict(server.database_url)["dbname"]
    with psycopg.connect(server.database_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(statement.replace("{name}", str(name)).encode())


_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


def test_terminated_connections_are_made_anew(on_postgres: ServerProcess) -> None:
    agent = on_postgres.agent()
    on_postgres.database.close()
    client = agent.client()
    accepted = set()
    for number in range(12):
        if number % 3 == 0:
            as_admin(on_postgres, _TERMINATE)
        answer = send(client, number)
        if answer.status_code == 200:
            accepted.add(f"c{number}")
        else:
            refused_kindly(answer)
    until(lambda: send(client, 50).status_code == 200)
    assert stored(agent) == accepted | {"c50"}
    assert len(accepted) >= 8
    client.close()


def test_a_database_that_is_away_comes_back(on_postgres: ServerProcess) -> None:
    agent = on_postgres.agent()
    on_postgres.database.close()
    client = agent.client()
    assert send(client, 0).status_code == 200
    # Nobody is let in any more, and those who are in are thrown out.
    as_admin(on_postgres, "ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    as_admin(on_postgres, _TERMINATE)
    refused_kindly(send(client, 1))
    until(lambda: client.get("/api/conversations/").status_code == 503)
    refused_kindly(client.get("/api/conversations/"))
    page = httpx.get(on_postgres.address + "/sign-in", headers={"Accept": "text/html"})
    assert page.status_code in (200, 503)
    as_admin(on_postgres, "ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    until(lambda: send(client, 2).status_code == 200)
    assert stored(agent) == {"c0", "c2"}
    client.close()
    on_postgres.stop()
    log = "".join(on_postgres.output)
    assert "Traceback" not in log
    assert "the database did not take a write" in log
    assert "takes writes again" in log


def test_a_database_that_only_reads_refuses_writes_and_shows_what_it_has(on_postgres: ServerProcess) -> None:
    agent = on_postgres.agent()
    on_postgres.database.close()
    client = agent.client()
    assert send(client, 0).status_code == 200
    as_admin(on_postgres, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    as_admin(on_postgres, _TERMINATE)
    refused_kindly(send(client, 1))
    assert stored(agent) == {"c0"}
    as_admin(on_postgres, "ALTER DATABASE {name} SET default_transaction_read_only = off")
    as_admin(on_postgres, _TERMINATE)
    until(lambda: send(client, 2).status_code == 200)
    assert stored(agent) == {"c0", "c2"}
    client.close()


# ------------------------------------------------------------------ two servers


def test_a_second_server_on_the_folder_refuses_and_commands_go_on(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agentsight_server", *arguments, "--data-dir", str(tmp_path)]
        return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)

    with ServerProcess(tmp_path) as server:
        second = run("serve", "--port", "0")
        assert second.returncode == 2
        assert second.stderr.count("\n") == 1
        assert f"process {server.pid}" in second.stderr
        assert run("keys", "create", "--agent", "A").returncode == 0
        server.kill()
        server.start()  # what a killed one held is free
        assert httpx.get(server.address + "/api/openapi.json").status_code == 200


def test_a_damaged_database_is_said_in_one_line(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.agent()
    database = tmp_path / "agentsight.db"
    database.write_bytes(os.urandom(8192))
    for name in ("agentsight.db-wal", "agentsight.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "agentsight_server", "serve", "--port", "0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
