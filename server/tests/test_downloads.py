"""Files to take along over HTTP: tables with types, of a period, under a name that says so."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import duckdb
import httpx

from agentsight_server.domain.filters import Filters
from agentsight_server.store import conversations
from agentsight_server.store.database import Database
from tests.serving import Agent, ServerProcess

_numbers = itertools.count(1)
DAY = {
    "event": "message",
    "event_after": "2026-08-02T22:00:00Z",
    "event_before": "2026-08-03T21:59:59.999999Z",
    "tz": "Europe/Zagreb",
}


def filled(server: ServerProcess) -> Agent:
    """An agent with a talk over two days, another of the second day, and one that begins on the third."""
    agent = server.agent(f"Čuvar “{server.data_dir.name}” {next(_numbers)}")
    talks = {
        "two-days": ["2026-08-02T21:59:59Z", "2026-08-02T22:00:00Z", "2026-08-03T21:59:59Z"],
        "one-day": ["2026-08-03T10:00:00Z"],
        "later": ["2026-08-03T22:00:00Z"],
    }
    given = [
        {
            "conversation_id": name,
            "timestamp": times[0],
            "device": "mobile",
            "items": [
                {"type": "message", "sender": "end_user", "content": f"=said {at}", "timestamp": at}
                for at in times
            ],
        }
        for name, times in talks.items()
    ]
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": given}).status_code == 200
    return agent


def read_parquet(answer: httpx.Response, folder: Path, columns: str) -> list[tuple[object, ...]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    file = folder / "got.parquet"
    file.write_bytes(answer.content)
    query = f"SELECT {columns} FROM read_parquet(?) ORDER BY 1"
    return duckdb.connect().execute(query, [str(file)]).fetchall()


def test_parquet_is_the_same_table_and_leaves_nothing_behind(server: ServerProcess, tmp_path: Path) -> None:
    agent = filled(server)
    with agent.client("read") as client:
        answer = client.get("/api/export/", params={"format": "parquet"})
        rows = read_parquet(answer, tmp_path, "conversation_id, messages, typeof(started_at)")
        zoned = "TIMESTAMP WITH TIME ZONE"
        assert rows == [("later", 1, zoned), ("one-day", 1, zoned), ("two-days", 3, zoned)]
        none = client.get("/api/export/", params={"format": "parquet", "device": "tablet"})
        assert read_parquet(none, tmp_path, "conversation_id") == []
        assert client.get("/api/export/", params={"format": "parquet", "device": "x"}).status_code == 400
    assert not list(server.data_dir.glob(".export-*"))


def test_messages_of_a_time_are_those_of_that_time(server: ServerProcess, tmp_path: Path) -> None:
    agent = filled(server)
    expected = [
        "=said 2026-08-02T22:00:00Z",
        "=said 2026-08-03T10:00:00Z",
        "=said 2026-08-03T21:59:59Z",
    ]
    with agent.client("read") as client:
        asked = {"what": "messages", **DAY}
        answer = client.get("/api/export/", params={"format": "parquet", **asked})
        assert [row[0] for row in read_parquet(answer, tmp_path, "content")] == expected
        text = client.get("/api/export/", params={"format": "csv", **asked}).text
        assert sorted(line.split(",")[6] for line in text.splitlines()[1:]) == [
            "'" + each for each in expected
        ]


def test_the_name_says_whose_and_of_which_days(server: ServerProcess) -> None:
    agent = filled(server)
    with agent.client("read") as client:
        said = client.get("/api/export/", params={"format": "csv", "what": "messages", **DAY})
        assert "_messages_2026-08-03_2026-08-03.csv" in said.headers["content-disposition"]
        begun = {"started_at_after": "2026-08-01T00:00:00Z", "started_at_before": "2026-08-31T23:59:59Z"}
        name = client.get("/api/export/", params=begun).headers["content-disposition"]
        assert "_conversations_2026-08-01_2026-08-31.jsonl" in name
        assert 'filename="cuvar-' in name
        last = {"started_at_before": "9999-12-31T23:59:59Z", "tz": "Pacific/Kiritimati"}
        assert client.get("/api/export/", params=last).status_code == 200


def test_a_country_of_an_archive_is_found_however_it_was_written(tmp_path: Path) -> None:
    record = tmp_path / "one.jsonl"
    record.write_text('{"conversation_id": "c", "geo_location": {"country": "hr", "city": "Split"}}\n')
    command = [
        sys.executable,
        "-m",
        "agentsight_server",
        "import",
        str(record),
        "--agent",
        "A",
        "--data-dir",
        ".",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    with database.read() as connection:
        assert conversations.count(connection, None, Filters(country="hr")) == 1
        assert conversations.page(connection, None, Filters())[0].country == "HR"
    database.close()
