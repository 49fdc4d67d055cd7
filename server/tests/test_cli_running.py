"""Commands beside a running server, and the demo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agentsight_server.demo.fill import EMAIL, KNOWN_PASSWORD
from agentsight_server.security import passwords
from agentsight_server.store import agents, people
from agentsight_server.store.database import Database
from tests.waiting import until

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}


class Running:
    """A command that goes on until it is stopped."""

    def __init__(self, folder: Path, *arguments: str, stdin: str = "", **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentsight_server", *arguments],
            cwd=folder,
            env=CLEAN | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(stdin)
        self.process.stdin.close()
        self.out: list[str] = []
        self.errors: list[str] = []
        self._ready = threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
        for line in stream:
            lines.append(line)
            if "Ctrl+C" in line:
                self._ready.set()
        if lines is self.out:
            self._ready.set()

    def card(self) -> dict[str, str]:
        """What it printed when it was up, by label."""
        assert self._ready.wait(60), self.errors
        found = [re.fullmatch(r"  (\S.*?)  +(\S.*)\n", line) for line in self.out]
        card = {match[1]: match[2] for match in found if match}
        assert "Address" in card, self.out + self.errors
        return card

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


@contextmanager
def running(folder: Path, *arguments: str, stdin: str = "", **environ: str) -> Iterator[Running]:
    command = Running(folder, *arguments, stdin=stdin, **environ)
    try:
        yield command
    finally:
        command.stop(signal.SIGKILL)


def agentsight(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentsight_server", *arguments],
        cwd=folder,
        env=CLEAN,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_start_up_says_what_a_person_needs(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0", "--data-dir", "my data") as server:
        card = server.card()
        assert card["Data"] == str(tmp_path / "my data")
        link = card["First account"].split()[0]
        assert link.startswith(card["Address"] + "/welcome/")
        assert card["Make a key"] == "agentsight keys create --agent NAME --data-dir 'my data'"
        assert httpx.get(card["Address"] + "/api/openapi.json").status_code == 200
        assert httpx.get(card["Address"] + "/api/me/").status_code == 401
        assert server.stop(signal.SIGINT) == 0
    with running(tmp_path, "serve", "--port", "0", AGENTSIGHT_DATA_DIR="my data") as server:
        again = server.card()
        assert again["First account"].split()[0] != link  # a link of its own for each start
        assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_an_account_ends_the_first_account_link(tmp_path: Path) -> None:
    made = agentsight(tmp_path, "people", "create", "a@b.c", "--password-stdin", stdin="a long password\n")
    assert made.returncode == 0, made.stderr
    with running(tmp_path, "serve", "--port", "0") as server:
        assert "First account" not in server.card()


def test_commands_work_beside_the_running_server(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0") as server:
        address = server.card()["Address"]
        key = agentsight(tmp_path, "keys", "create", "--agent", "Concierge").stdout.strip()
        client = httpx.Client(base_url=address, headers={"Authorization": f"Api-Key {key}"})
        assert client.get("/api/me/").json()["agent"]["name"] == "Concierge"
        record = {
            "conversation_id": "conv_1",
            "items": [
                {
                    "type": "message",
                    "sender": "end_user",
                    "content": "Hi",
                    "timestamp": "2026-08-01T08:00:00Z",
                }
            ],
        }
        (tmp_path / "a.jsonl").write_text(json.dumps(record))
        imported = agentsight(tmp_path, "import", "a.jsonl", "--agent", "Concierge")
        assert imported.returncode == 0, imported.stderr
        assert client.get("/api/conversations/").json()["count"] == 1
        assert agentsight(tmp_path, "keys", "revoke", key).returncode == 0
        until(lambda: client.get("/api/me/").status_code == 401)
        client.close()


def test_a_place_database_that_cannot_be_read_is_said_at_start(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", "0", "--geo-database", "nowhere.mmdb") as server:
        server.card()
        server.stop()
        assert any("nowhere.mmdb" in line and "no such file" in line for line in server.errors)


# ------------------------------------------------------------------ demo


def test_the_demo_fills_its_folder_once_and_stays_alive(tmp_path: Path) -> None:
    arguments = ("demo", "--port", "0", "--days", "2")
    # A data folder named in the environment holds real data: the demo keeps away from it.
    with running(tmp_path, *arguments, AGENTSIGHT_DATA_DIR="real") as server:
        card = server.card()
        assert card["Data"] == str(tmp_path / ".demo")
        assert (card["Sign in with"], card["Password"]) == (EMAIL, KNOWN_PASSWORD)
        key = card["Key"].split()[0]
        client = httpx.Client(base_url=card["Address"], headers={"Authorization": f"Api-Key {key}"})
        assert client.get("/api/me/").json()["agent"]["name"] == "Hotel Adria"
        assert client.get("/api/conversations/").json()["count"] > 5
        client.close()
        database = Database(f"sqlite:///{tmp_path / '.demo' / 'agentsight.db'}")

        def conversations() -> int:
            with database.read() as connection:
                return int(connection.exec_driver_sql("SELECT count(*) FROM conversations").scalar_one())

        with database.read() as connection:
            assert len(agents.listing(connection)) == 4
            credentials = people.credentials(connection, EMAIL)
        assert credentials is not None
        assert passwords.matches(KNOWN_PASSWORD, credentials[1])
        filled = conversations()
        until(lambda: conversations() > filled)  # somebody has written since
        server.stop()
        before = conversations()
    assert not (tmp_path / "real").exists()
    assert (tmp_path / ".demo" / "demo.json").stat().st_mode & 0o077 == 0
    with running(tmp_path, *arguments, "--still") as server:
        card = server.card()
        assert card["Key"].split()[0] == key
        assert conversations() == before
    database.close()


def test_a_demo_from_another_day_is_topped_up(tmp_path: Path) -> None:
    with running(tmp_path, "demo", "--port", "0", "--days", "2", "--still") as server:
        server.card()
    notes = tmp_path / ".demo" / "demo.json"
    content = json.loads(notes.read_text())
    database = Database(f"sqlite:///{tmp_path / '.demo' / 'agentsight.db'}")
    with database.write() as connection:
        week = 7 * 86_400 * 1_000_000
        connection.exec_driver_sql(f"UPDATE conversations SET started_at = started_at - {week}")
        before = connection.exec_driver_sql("SELECT count(*), max(started_at) FROM conversations").one()
    moment = time.time() - 7 * 86_400
    content["filled"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    notes.write_text(json.dumps(content))
    with running(tmp_path, "demo", "--port", "0", "--days", "2", "--still") as server:
        server.card()
    with database.read() as connection:
        after = connection.exec_driver_sql("SELECT count(*), max(started_at) FROM conversations").one()
    database.close()
    assert after[0] > before[0]
    assert after[1] / 1e6 > time.time() - 86_400


def test_the_known_password_never_meets_other_machines(tmp_path: Path) -> None:
    refused = agentsight(tmp_path, "demo", "--host", "0.0.0.0", "--port", "0", "--days", "1")
    assert refused.returncode == 2
    assert "--password" in refused.stderr
    assert not (tmp_path / ".demo").exists()
    short = agentsight(
        tmp_path, "demo", "--host", "0.0.0.0", "--port", "0", "--password-stdin", stdin="short\n"
    )
    assert short.returncode == 2
    assert "at least" in short.stderr
    with running(tmp_path, "demo", "--port", "0", "--days", "1", "--still") as server:
        server.card()
    own = ("--host", "0.0.0.0", "--password-stdin")
    refused = agentsight(tmp_path, "demo", "--port", "0", *own, stdin="a long password\n")
    assert refused.returncode == 2
    assert "fresh --data-dir" in refused.stderr
    with running(
        tmp_path, "demo", "--port", "0", "--days", "1", "--data-dir", "open", *own, stdin="a long password\n"
    ) as server:
        card = server.card()
        assert KNOWN_PASSWORD not in "".join(server.out)
        assert "a long password" not in "".join(server.out)
        assert httpx.get(card["Address"] + "/api/me/").status_code == 401


def test_the_demo_keeps_away_from_a_folder_with_other_data(tmp_path: Path) -> None:
    agentsight(tmp_path, "keys", "create", "--agent", "A", "--data-dir", "real")
    refused = agentsight(tmp_path, "demo", "--data-dir", "real", "--port", "0")
    assert refused.returncode == 2
    assert "not the demo's" in refused.stderr
    assert sorted(path.name for path in (tmp_path / "real").glob("*.json")) == []


@pytest.mark.parametrize("content", ["", "{}", "nonsense"])
def test_broken_notes_are_said_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "demo.json").write_text(content)
    refused = agentsight(tmp_path, "demo", "--port", "0")
    assert refused.returncode == 2
    assert "demo.json" in refused.stderr
    assert refused.stderr.count("\n") == 1
