"""The clock of the machine goes back, or leaps ahead, while the server runs."""

from __future__ import annotations

import base64
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentsight_server.security import sessions
from tests.serving import Agent, ServerProcess

HOUR = 3600.0
# Python runs this before anything else: every look at the clock, but not at the monotonic one, is off by what the
# file says.
_SHIFTED = """
import time

def shift(now=time.time, now_ns=time.time_ns):
    def seconds():
        with open({file!r}) as file:
            return float(file.read())
    time.time = lambda: now() + seconds()
    time.time_ns = lambda: now_ns() + int(seconds() * 1e9)

shift()
"""


class Clock:
    """The server's clock, off by so many seconds from the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "shift"
        folder.mkdir()
        self.set(0)
        (folder / "sitecustomize.py").write_text(_SHIFTED.format(file=str(self._file)))

    def set(self, seconds: float) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[ServerProcess]:
    paths = [str(clock.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {"PYTHONPATH": os.pathsep.join(paths)}
    with ServerProcess(tmp_path / "data", environ=environ) as process:
        yield process


def batch(name: str, *texts: str, **more: Any) -> dict[str, Any]:
    items = [
        {"id": str(uuid.uuid4()), "type": "message", "sender": "end_user", "content": text, **more}
        for text in texts
    ]
    return {"conversations": [{"conversation_id": name, "environment": "production", "items": items}]}


def say(client: httpx.Client, name: str, sender: str, text: str) -> None:
    """A call that leaves the time to the server."""
    answer = client.post("/api/track/", json={"conversation_id": name, "sender": sender, "content": text})
    assert answer.status_code == 201, answer.text


def told(client: httpx.Client, name: str) -> list[str]:
    found = client.get("/api/conversations/lookup/", params={"conversation_id": name})
    assert found.status_code == 200, found.text
    whole = client.get(f"/api/conversations/{found.json()['id']}/").json()
    return [each["content"] for each in whole["messages"]]


def counts(client: httpx.Client) -> tuple[int, int]:
    metrics = client.get("/api/analytics/", params={"metrics": "conversations,messages"}).json()["metrics"]
    return metrics["conversations"]["value"], metrics["messages"]["value"]


def now_line(server: ServerProcess, agent: Agent, cookie: str) -> str:
    page = httpx.get(
        f"{server.address}/agents/{agent.id}/now",
        cookies={sessions.COOKIE: cookie},
        headers={"Accept": "text/html"},
    )
    assert page.status_code == 200, "whoever has signed in stays signed in"
    return page.text


def test_an_hour_back_while_serving(server: ServerProcess, clock: Clock) -> None:
    agent = server.agent()
    person = server.person("owner@example.com")
    with server.database.write() as connection:
        cookie = sessions.open_session(connection, person, 1)
    with agent.client() as client:
        first = batch("own ids", "one", "two")
        assert client.post("/api/ingest/batch/", json=first).status_code == 200
        say(client, "long talk", "end_user", "Where is my order?")
        picture = {"filename": "a.png", "data": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()}
        files = {"conversation_id": "long talk", "attachments": [picture]}
        link = client.post("/api/attachments/", json=files).json()["attachments"][0]["file_url"]
        assert counts(client) == (2, 4)
        assert '<span class="num">2</span> now' in now_line(server, agent, cookie)

        clock.set(-HOUR)
        # What was sent before is known, and what is new is stored, counted, and stands where it belongs.
        again = client.post("/api/ingest/batch/", json=first).json()["conversations"][0]["items"]
        assert [item["duplicate"] for item in again] == [True, True]
        say(client, "long talk", "agent", "It left this morning.")
        say(client, "long talk", "end_user", "Thanks.")
        assert [text for text in told(client, "long talk") if text] == [
            "Where is my order?",
            "It left this morning.",
            "Thanks.",
        ]
        say(client, "new talk", "end_user", "Hello?")
        assert counts(client) == (3, 7)
        # What lies ahead of the clock is not the present.
        assert '<span class="num">1</span> now' in now_line(server, agent, cookie)
        assert httpx.get(link).status_code == 200
        ledger = client.get("/api/ingest/ledger/").json()["totals"]
        assert (ledger["accepted"], ledger["duplicate"]) == (7, 2)

        clock.set(0)
        say(client, "long talk", "agent", "You are welcome.")
        assert told(client, "long talk")[-1] == "You are welcome."
        assert counts(client) == (3, 8)
    server.stop()
    assert "Traceback" not in "".join(server.output)


def test_waiting_times_do_not_follow_the_clock(server: ServerProcess, clock: Clock) -> None:
    """Who has to wait before trying again waits no hour longer, and cannot skip it either."""
    form = {"email": "owner@example.com", "password": "wrong"}

    def attempt() -> httpx.Response:
        return httpx.post(server.address + "/sign-in", data=form)

    server.person("owner@example.com")
    for _ in range(8):
        assert attempt().status_code == 400
    for shift in (-HOUR, 0.0, HOUR):
        clock.set(shift)
        answer = attempt()
        assert answer.status_code == 429
        assert "try again in" in answer.text.lower()


def test_a_leap_ahead_while_serving(server: ServerProcess, clock: Clock) -> None:
    agent = server.agent()
    person = server.person("owner@example.com")
    with server.database.write() as connection:
        cookie = sessions.open_session(connection, person, 30)
    with agent.client() as client:
        say(client, "a", "end_user", "one")
        assert counts(client) == (1, 1)
        clock.set(26 * HOUR)
        say(client, "a", "end_user", "two")
        assert told(client, "a") == ["one", "two"]
        assert counts(client) == (2, 2), "a day later it is another conversation of the thread"
        assert '<span class="num">1</span> now' in now_line(server, agent, cookie)
        days = client.get("/api/ingest/ledger/").json()["days"]
        assert [each["accepted"] for each in days] == [1, 1]
        assert httpx.get(server.address + "/readyz").status_code == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 15
