"""The Connect page answers "was it sent?": each key's days, and what was refused and why."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape

import httpx

from agentsight_server.domain import times
from agentsight_server.store import ledger
from agentsight_server.store.ledger import Cause, Counts, Refusals
from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"


@contextmanager
def signed_in(server: ServerProcess, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as client:
        answer = client.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert answer.status_code in {302, 303}, answer.text
        yield client


def panel(client: httpx.Client, agent: Agent) -> str:
    page = client.get(f"/agents/{agent.id}/connect/", follow_redirects=True)
    assert page.status_code == 200
    found = re.search(r'<section class="card arrived".*?</section>', page.text, re.DOTALL)
    assert found is not None
    return found[0]


def rows(html: str) -> list[list[str]]:
    """The cells of the table's rows, as they read."""
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    ]


def test_what_arrived_is_told_by_day_and_key(sqlite_server: ServerProcess) -> None:
    agent, other = sqlite_server.agent(), sqlite_server.agent()
    number = uuid.uuid4().hex[:8]
    sqlite_server.person(f"{number}@example.com", PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
    with signed_in(sqlite_server, f"{number}@example.com") as person:
        assert "Nothing was sent in the last 14 days" in panel(person, agent)
        said = {"type": "message", "sender": "agent", "content": "a <b>secret</b>", "id": str(uuid.uuid4())}
        wrong = {**said, "id": None, "sender": "<i>robot</i>"}
        with agent.client() as write, agent.client("ingest") as widget:
            for sent in ([said, wrong, wrong], [said]):
                adjusted = [{"field": "metadata", "code": "left_out", "count": 3}] if len(sent) > 1 else []
                body = {"conversations": [{"conversation_id": "c", "items": sent, "adjusted": adjusted}]}
                assert write.post("/api/ingest/batch/", json=body).status_code == 200
            body = {"conversation_id": "d", "content": "x", "sender": "agent"}
            assert widget.post("/api/track/", json=body).status_code == 201
        today = times.now() // times.DAY
        with sqlite_server.database.write() as connection:
            (ingest,) = connection.exec_driver_sql(
                f"SELECT id FROM api_keys WHERE agent_id = {agent.id} AND role = 'ingest'"
            ).one()
            ledger.settle(connection, {(ingest, today - 13): Counts(5, 1, 1284, 1284, 0, 0)})
            ledger.settle(connection, {(ingest, today - 14): Counts(5, 1, 7777, 7777, 0, 0)})
        html = panel(person, agent)
        assert "In the last 14 days 1,289 items: 1,286 stored, 1 there already, 2 refused." in html
        assert "The SDK adjusted 3 values that would not have fitted; the rest of the item was kept." in html
        head, *told = rows(html)
        assert head == ["Day", "Key", "Received", "Stored", "There already", "Refused", "Why"]
        hints = [f"{agent.keys[role][:8]}…{agent.keys[role][-6:]}" for role in ("ingest", "write")]
        assert told[0][0] == "Today"
        figures = {row[-6]: row[-5:] for row in told[:2]}
        assert figures == {
            hints[0]: ["1", "1", "0", "0", ""],
            hints[1]: [
                "4",
                "1",
                "1",
                "2",
                "2 × sender takes end_user, agent or system 3 × metadata left out",
            ],
        }
        assert told[2][1:] == [hints[0], "1,284", "1,284", "0", "0", ""]
        assert len(told) == 3, "14 days, no more"
        assert "secret" not in html
        assert "robot" not in html
        assert person.get(f"/agents/{other.id}/connect/", follow_redirects=True).status_code == 404


def test_of_many_reasons_the_usual_ones_stand_open(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    sqlite_server.person(email, PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
    refused = {
        Cause(f"field_{number}", "blank"): Refusals(100 - number, "must not be blank") for number in range(9)
    }
    refused |= {Cause("other", "blank"): Refusals(200, "must not be blank")}
    refused |= {Cause("other", "unknown_field"): Refusals(300, "a field is not known here, such as colour")}
    with sqlite_server.database.write() as connection:
        (key,) = connection.exec_driver_sql(f"SELECT min(id) FROM api_keys WHERE agent_id = {agent.id}").one()
        today = times.now() // times.DAY
        ledger.settle(connection, {(key, today): Counts(1364, 0, 1364, 0, 0, 1364, refused)})
    with signed_in(sqlite_server, email) as person:
        html = panel(person, agent)
    open_to_all, _, folded = html.partition("<details>")
    assert "5 more reasons" in folded
    assert "</span> another field must not be blank" in open_to_all
    assert "</span> a field is not known here, such as colour" in open_to_all
    assert [f"field_{number}" in open_to_all for number in range(9)] == [True] * 4 + [False] * 5
    assert all(f"field_{number}" in folded for number in range(4, 9))
