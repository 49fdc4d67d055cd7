"""Erasing from the command line and by age: with a server and without one, and after a kill in the midst of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from agentsight_server.domain import times
from agentsight_server.erasure.eraser import keep_up
from agentsight_server.store import erasing, receipts, retention
from agentsight_server.store.erasing import Criterion
from agentsight_server.store.schema import metadata
from tests.serving import Agent, ServerProcess
from tests.waiting import until

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}


def agentsight(data: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agentsight_server", *arguments, "--data-dir", str(data)],
        env=CLEAN, input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def talk(agent: Agent, name: str, customer: str, word: str, *, days_ago: int = 0, **more: str) -> None:
    """A conversation that holds a word in its text, a file and a tool's answer."""
    at = times.to_text(times.now() - days_ago * times.DAY - 60_000_000)
    file = {"filename": f"{word}.txt", "mime_type": "text/plain", "data": "aGVsbG8="}
    items = [
        {"type": "message", "sender": "end_user", "content": f"{word} please", "timestamp": at},
        {"type": "action", "action_name": "look_up", "response": {"found": word}, "timestamp": at},
        {"type": "attachments", "attachments": [file], "timestamp": at},
    ]
    conversation = {"conversation_id": name, "customer_id": customer, "timestamp": at, "items": items, **more}
    with agent.client() as client:
        stored = client.post("/api/ingest/batch/", json={"conversations": [conversation]}).json()
        assert stored["conversations"][0]["success"], stored


def bytes_with(folder: Path, word: str) -> list[str]:
    """The files below a folder that hold a word."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def names(agent: Agent) -> set[str]:
    """What the agent still has."""
    with agent.client() as client:
        return {
            each["conversation_id"]
            for each in client.get("/api/conversations/?page_size=100").json()["results"]
        }


def test_a_customer_goes_while_the_server_runs(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent("Desk")
        for number in range(3):
            talk(agent, f"ana-{number}", "ana", "marzipan")
        talk(agent, "bob-1", "bob", "nougat")
        tried = agentsight(tmp_path, "erase", "--agent", "Desk", "--customer", "ana", "--dry-run")
        assert tried.returncode == 0
        assert "3 conversations" in tried.stderr
        assert len(names(agent)) == 4
        asked = agentsight(tmp_path, "erase", "--agent", "Desk", "--customer", "ana")
        assert asked.returncode == 2, "nobody answers"
        assert "--yes" in asked.stderr
        assert len(names(agent)) == 4
        done = agentsight(tmp_path, "erase", "--agent", "Desk", "--customer", "ana", "--yes")
        assert done.returncode == 0, done.stderr
        assert "3 conversations" in done.stdout
        assert names(agent) == {"bob-1"}
    assert bytes_with(tmp_path, "nougat")


def test_a_conversation_goes_to_the_last_byte_without_a_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent("Desk")
        talk(agent, "one", "ana", "marzipan")
        talk(agent, "two", "bob", "nougat")
        with agent.client() as client:
            client.get("/api/analytics/?metrics=conversations")  # the figures have read it
    done = agentsight(tmp_path, "erase", "--agent", "Desk", "--conversation", "one", "--yes")
    assert done.returncode == 0, done.stderr
    assert "no byte of it is left" in done.stdout
    assert bytes_with(tmp_path, "marzipan") == []
    assert bytes_with(tmp_path, "nougat")
    missing = agentsight(tmp_path, "erase", "--agent", "Desk", "--conversation", "one", "--yes")
    assert missing.returncode == 2
    assert "no conversation" in missing.stderr


def test_a_whole_agent_goes_with_its_keys(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent, other = server.agent("Desk"), server.agent("Shop")
        talk(agent, "one", "ana", "marzipan")
        talk(other, "one", "bob", "nougat")
        done = agentsight(tmp_path, "erase", "--agent", "Desk", "--yes")
        assert done.returncode == 0, done.stderr
        with agent.client() as client:
            assert client.get("/api/me/").status_code == 401
        assert names(other) == {"one"}
        server.stop()
        assert "Desk" not in agentsight(tmp_path, "keys", "list").stdout
        server.start()
        # Its name is free again, and what is made under it is another agent.
        assert server.agent("Desk").id != agent.id
        rest = httpx.get(server.address + "/healthz")
        assert rest.status_code == 200
    agentsight(
        tmp_path, "erase", "--agent", "Shop", "--customer", "nobody", "--yes"
    )  # what is left is done here
    assert bytes_with(tmp_path, "marzipan") == []


def test_killed_in_the_midst_it_goes_on_after_the_next_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent("Desk")
        for number in range(120):
            talk(agent, f"ana-{number}", "ana", "marzipan")
        talk(agent, "bob-1", "bob", "nougat")
        with server.database.write() as connection:
            job = erasing.begin(connection, agent.id, Criterion(customer_id="ana"), "test")
        until(lambda: "bob-1" in names(agent) and len(names(agent)) < 100)
        server.kill()
        server.start()

        def is_gone() -> bool:
            with server.database.read() as connection:
                found = receipts.one(connection, None, job)
            return found is not None and found.gone_at is not None

        until(is_gone)
        assert names(agent) == {"bob-1"}


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_what_is_too_old_goes_by_itself_and_only_that(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    url = request.getfixturevalue("new_postgres")() if store == "postgresql" else None
    with ServerProcess(tmp_path, database_url=url) as server:
        agent, other = server.agent(), server.agent()
        for each in (agent, other):
            talk(each, "old", "ana", "marzipan", days_ago=40)
            talk(each, "old-try", "ana", "marzipan", days_ago=40, environment="development")
            talk(each, "new", "ana", "nougat", days_ago=1)
        with agent.client() as client:
            before = client.get("/api/retention/").json()
            assert before["production"]["days"] is None, "off unless somebody says so"
            tried = client.put("/api/retention/", json={"production": 30, "dry_run": True}).json()
            assert tried["production"]["due"]["conversations"] == 1
            assert client.get("/api/retention/").json()["production"]["days"] is None
            assert client.put("/api/retention/", json={"production": 30}).status_code == 200
        with server.database.write() as connection:
            assert len(keep_up(connection, 0)) == 1, "as the server does once an hour"
            assert retention.begin_all(connection) == [], "one at a time"
        until(lambda: names(agent) == {"old-try", "new"})
        assert names(other) == {"old", "old-try", "new"}


def test_retention_from_the_command_line(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        talk(server.agent("Desk"), "old", "ana", "marzipan", days_ago=40)
    said = agentsight(tmp_path, "retention", "--agent", "Desk", "--days", "30", "--dry-run")
    assert "1 conversations" in said.stderr
    assert "production: for ever" in said.stdout
    assert (
        "production: 30 days" in agentsight(tmp_path, "retention", "--agent", "Desk", "--days", "30").stdout
    )
    assert "production: for ever" in agentsight(tmp_path, "retention", "--agent", "Desk", "--off").stdout


def test_every_table_that_holds_something_of_a_conversation_is_emptied() -> None:
    """A table that is added must be thought of: here, or in what the eraser takes away."""
    holds_nothing = {
        "agents", "agent_revisions", "api_keys", "counters", "erased", "erased_files", "erasures", "ingest_adjustments",
        "ingest_ledger", "ingest_refusals", "installation", "memberships", "one_time_links", "people",
        "security_events", "sessions",
    }  # fmt: skip
    of_conversations = {
        table.name
        for table in metadata.sorted_tables
        if table.name == "conversations" or {"conversation", "item"} & set(table.c.keys())
    }
    assert {table.name for table in metadata.sorted_tables} - of_conversations - holds_nothing == set()
