"""Erased is erased: no byte is left, nothing else is touched, and nothing comes back."""

from __future__ import annotations

import base64
import itertools
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from agentsight_server.store.schema import metadata
from tests.serving import Agent, ServerProcess
from tests.waiting import until

_numbers = itertools.count(1)


def word() -> str:
    """One that is nowhere else."""
    return f"w{uuid.uuid4().hex[:14]}"


class Planted:
    """A conversation's record in which every place that takes text has words of its own."""

    def __init__(self, customer: str | None = None, *, turns: int = 4, shared: bytes | None = None) -> None:
        self.words: set[str] = set()
        self.name = self.new()
        self.customer = customer or self.new()
        items: list[dict[str, Any]] = []
        for number in range(turns):
            items += [
                self.item(
                    "message", sender="end_user", content=self.text(number), metadata={self.new(): self.new()}
                ),
                self.item("message", sender="agent", content=self.text(number)),
            ]
        self.data = self.new().encode() if shared is None else shared
        file = {
            "filename": f"{self.new()}.txt",
            "mime_type": "text/plain",
            "data": base64.b64encode(self.data).decode(),
        }
        items += [
            self.item(
                "action",
                action_name=self.new(),
                tools_used={"tool": self.new()},
                response={"answer": [self.new(), self.text(40)]},
                error_msg=self.new(),
                metadata={"note": self.new()},
            ),
            self.item("button", button_event=self.new(), label=self.new(), value=self.new()),
            self.item("attachments", sender="end_user", attachments=[file]),
            self.item("token_usage", prompt_tokens=7, completion_tokens=5, total_tokens=12, model=self.new()),
            self.item("feedback", sentiment="negative", comment=self.new(), metadata={"more": self.new()}),
        ]
        self.record = {
            "conversation_id": self.name,
            "name": self.new(),
            "customer_id": self.customer,
            "customer_ip_address": "198.51.100.7",
            "source": self.new(),
            "metadata": {self.new(): {"deep": self.new()}},
            "items": items,
        }

    def new(self) -> str:
        made = word()
        self.words.add(made)
        return made

    def text(self, size: int) -> str:
        """Long enough to need pages of its own now and then."""
        return " ".join(self.new() for _ in range(2)) + " filler" * size * 60

    def item(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"id": str(uuid.uuid4()), "type": kind, "timestamp": iso(), **fields}


def iso(ago: float = 1) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))


def send(client: httpx.Client, planted: Iterable[Planted]) -> list[int]:
    body = {"conversations": [each.record for each in planted]}
    answer = client.post("/api/ingest/batch/", json=body)
    assert answer.status_code == 200, answer.text
    assert all(item["success"] for each in answer.json()["conversations"] for item in each["items"])
    return [int(each["id"]) for each in answer.json()["conversations"]]


def found_in(folder: Path, words: Iterable[str]) -> set[str]:
    """Which of the words lie in some byte of the folder."""
    bytes_of = b"\0".join(
        path.read_bytes() + path.name.encode() for path in folder.rglob("*") if path.is_file()
    )
    there = set(re.findall(rb"w[0-9a-f]{14}", bytes_of))
    return {each for each in words if each.encode() in there}


def halves_in(folder: Path, words: Iterable[str]) -> set[str]:
    """Words of which one half lies somewhere: they may be broken over two pages."""
    bytes_of = b"\0".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return {each for each in words if each[:8].encode() in bytes_of or each[-8:].encode() in bytes_of}


def in_tables(server: ServerProcess, words: Iterable[str]) -> set[str]:
    """Which of the words lie in some column of some table."""
    found: set[str] = set()
    with server.database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                found.update(re.findall(r"w[0-9a-f]{14}", " ".join(map(str, row))))
    return found & set(words)


def finished(client: httpx.Client, number: int) -> dict[str, Any]:
    receipt: dict[str, Any] = {}

    def done() -> bool:
        receipt.update(client.get(f"/api/erasures/{number}/").json())
        return receipt["finished_at"] is not None

    until(done)
    return receipt


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def client(agent: Agent) -> Iterator[httpx.Client]:
    with agent.client() as client:
        yield client


def lies(server: ServerProcess, words: Iterable[str]) -> set[str]:
    """Which of the words are anywhere: in a byte of the data folder, and on PostgreSQL in a row."""
    found = found_in(server.data_dir, words)
    return found | in_tables(server, words) if server.database_url else found


def test_no_byte_of_a_customer_is_left_and_the_neighbours_are_whole(
    agent: Agent, client: httpx.Client
) -> None:
    shared = b"bytes of a file that two people sent"
    anna, words = word(), set()
    mine = [Planted(anna, shared=shared if not each else None) for each in range(16)]
    others = [Planted(shared=shared if not each else None) for each in range(16)]
    # Mixed, and grown later, so that they stand beside each other in the same pages.
    for pair in zip(mine, others, strict=True):
        send(client, pair)
    for each in [*mine, *others]:
        send(client, [each])
        later = {"conversation_id": each.name, "metadata": {each.new(): each.new()}, "items": []}
        client.post("/api/ingest/batch/", json={"conversations": [later]})
    words = set().union(*(each.words for each in mine)) | {anna}
    kept = set().union(*(each.words for each in others))
    assert len(words) >= 500
    client.get("/api/analytics/?metrics=conversations")
    assert lies(agent.server, words) == words
    before = figures(client)

    asked = {"customer_id": anna, "dry_run": True}
    would = client.post("/api/erasures/", json=asked)
    assert (would.status_code, would.json()["conversations"]) == (200, 16)
    assert lies(agent.server, words) == words
    begun = client.post("/api/erasures/", json={"customer_id": anna})
    assert begun.status_code == 202, begun.text
    receipt = finished(client, begun.json()["id"])

    assert lies(agent.server, words) == set()
    assert halves_in(agent.server.data_dir, words) == set()
    assert lies(agent.server, kept) == kept
    assert receipt["counts"] == {
        "conversations": 16, "messages": 16 * 9, "actions": 16, "buttons": 16, "attachments": 16, "files": 15,
        "token_usage": 16, "feedbacks": 16,
    }  # fmt: skip
    assert anna not in str(receipt)
    for each in others:
        there = client.get(f"/api/conversations/lookup/?conversation_id={each.name}").json()
        whole = client.get(f"/api/conversations/{there['id']}/").json()
        assert len(whole["messages"]) == len(each.record["items"]) - 2
        files = client.get(f"/api/conversations/{there['id']}/attachments/").json()["messages"]
        assert httpx.get(files[0]["attachments"][0]["file_url"]).content == each.data
    after = figures(client)
    assert after["conversations"] == 16
    assert before["conversations"] == 32

    # Figures are those of a store that never had it.
    with agent.server.agent().client() as fresh:
        send(fresh, others)
        for each in others:
            client.post(
                "/api/ingest/batch/", json={"conversations": [{"conversation_id": each.name, "items": []}]}
            )
        assert figures(fresh) == after


def figures(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/analytics/")
    assert answer.status_code == 200, answer.text
    found = answer.json()["metrics"]
    return {**found, "conversations": found["conversations"]["value"]}


def test_an_old_batch_does_not_bring_it_back_and_the_name_may_be_used_again(
    agent: Agent, client: httpx.Client
) -> None:
    planted = Planted()
    [number] = send(client, [planted])
    begun = client.post("/api/erasures/", json={"conversation": number}).json()
    finished(client, begun["id"])
    for _ in range(2):
        again = client.post("/api/ingest/batch/", json={"conversations": [planted.record]}).json()[
            "conversations"
        ][0]
        assert (again["success"], again["id"]) == (False, None)
        assert "was erased" in again["errors"]["conversation_id"][0]
        assert client.get("/api/conversations/").json()["count"] == 0
    assert lies(agent.server, planted.words) == set()
    # Today's words of the same conversation are new ones; what is older is left out.
    old, new = planted.record["items"][0], planted.item("message", sender="end_user", content="hello again")
    new["timestamp"] = iso(-2)
    mixed = {"conversation_id": planted.name, "items": [old, new]}
    told = client.post("/api/ingest/batch/", json={"conversations": [mixed]}).json()["conversations"][0]
    assert [item["success"] for item in told["items"]] == [False, True]
    assert told["items"][0]["errors"] == {"timestamp": ["is from before the conversation was erased"]}
    again = client.post("/api/ingest/batch/", json={"conversations": [planted.record]}).json()[
        "conversations"
    ][0]
    assert not again["success"]
    [there] = client.get("/api/conversations/").json()["results"]
    assert [message["content"] for message in there["messages"]] == ["hello again"]
    totals = client.get("/api/ingest/ledger/").json()["totals"]
    assert totals["received"] == totals["accepted"] + totals["duplicate"] + totals["refused"]
