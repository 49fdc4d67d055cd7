"""Attachments are taken while the disk has space to spare, and up to the agent's limit; all else is stored anyway."""

from __future__ import annotations

import base64
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentsight_server.domain.errors import RequestError
from agentsight_server.runtime.storage import Storage
from agentsight_server.store import agents
from agentsight_server.store.database import Database
from tests.serving import ServerProcess


def file(size: int = 10) -> dict[str, str]:
    return {
        "filename": "a.bin",
        "data": base64.b64encode(uuid.uuid4().bytes * (size // 16 + 1))[: size // 3 * 4].decode(),
    }


def message(**more: Any) -> dict[str, Any]:
    return {"type": "message", "sender": "end_user", "content": "hi", **more}


def files_on_disk(folder: Path) -> int:
    return sum(each.is_file() for each in (folder / "files").rglob("*"))


def test_no_attachment_is_taken_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--least-free-percent", "100")) as server:
        agent = server.agent()
        with agent.client("ingest") as client:
            text = {"conversations": [{"conversation_id": "c", "items": [message()]}]}
            assert client.post("/api/ingest/batch/", json=text).status_code == 200
            assert client.post(
                "/api/track/", json={"conversation_id": "c", "content": "x", "sender": "end_user"}
            ).is_success
            batch = {"conversations": [{"conversation_id": "c", "items": [message(attachments=[file()])]}]}
            form = {
                "data": {"conversation_id": "c"},
                "files": {"attachment_0": ("a", b"bytes", "text/plain")},
            }
            for answer in (
                client.post("/api/attachments/", json={"conversation_id": "c", "attachments": [file()]}),
                client.post("/api/attachments/", **form),  # type: ignore[arg-type]
                client.post("/api/ingest/batch/", json=batch),
            ):
                assert answer.status_code == 507
                assert (
                    answer.json()["detail"]
                    == "no attachment is taken while less than 100 % of the disk is free"
                )
                assert answer.headers["retry-after"] == "300"
        assert files_on_disk(tmp_path) == 0
        assert any("attachments are refused" in line for line in server.output), "the operator is told"


@pytest.mark.parametrize(("percent", "taken"), [(4.9, False), (5.0, True), (80.0, True)])
def test_five_percent_stay_free(tmp_path: Path, percent: float, taken: bool) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    storage = Storage(database, tmp_path, 5, free=lambda _: percent)
    if taken:
        storage.check_disk()
    else:
        with pytest.raises(RequestError, match="507"):
            storage.check_disk()
    Storage(database, None, 5, free=lambda _: 0.0).check_disk()  # an object store has its own
    Storage(database, tmp_path, 0, free=lambda _: 0.0).check_disk()
    database.close()


def test_an_agent_keeps_to_its_limit_and_its_words_come_in_anyway(server: ServerProcess) -> None:
    agent, other = server.agent(), server.agent()
    with server.database.write() as connection:
        agents.set_storage_limit(connection, agent.id, 1_000)
    with agent.client("ingest") as client, other.client("ingest") as neighbour:

        def single(size: int, caller: httpx.Client = client) -> httpx.Response:
            return caller.post(
                "/api/attachments/", json={"conversation_id": "c", "attachments": [file(size)]}
            )

        assert single(600).status_code == 201
        full = single(600)
        assert (full.status_code, list(full.json())) == (413, ["attachments"])
        assert "1,000" not in full.text, "a stranger is not told what is set"
        items = [message(attachments=[file(600)]), message(), message(sender="nobody")]
        body = {
            "conversations": [
                {"conversation_id": "c", "items": items},
                {"conversation_id": "d", "items": [message()]},
            ]
        }
        first, second = client.post("/api/ingest/batch/", json=body).json()["conversations"]
        assert [each["success"] for each in first["items"]] == [False, True, False]
        assert list(first["items"][0]["errors"]) == ["attachments"]
        assert second["items"][0]["success"] is True
        whole = {
            "conversations": [
                {"conversation_id": "e", "items": [message(attachments=[file(600)]), message()]}
            ]
        }
        (third,) = client.post("/api/ingest/batch/", json=whole).json()["conversations"]
        assert [each["success"] for each in third["items"]] == [False, True]
        assert [each["type"] for each in third["items"]] == ["message", "message"]
        assert single(300).status_code == 201, "what still fits is taken"
        assert single(600, neighbour).status_code == 201
    with agent.client() as reader:
        found = reader.get("/api/conversations/", params={"conversation_id": "c"}).json()["results"][0]
        assert sum(len(each["attachments"]) for each in found["messages"]) == 2
        day = reader.get("/api/ingest/ledger/").json()["days"][0]
        why = {"field": "attachments", "code": "storage_full", "count": 3}
        assert why | {"example": "are more than the storage of this agent takes"} in day["reasons"]


def test_an_owner_sets_the_limit(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, "correct horse battery")
    page = f"/agents/{agent.id}/settings/"
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}) as owner:
        owner.post("/sign-in", data={"email": email, "password": "correct horse battery"})
        token = re.search(r'name="csrf_token" value="([^"]+)"', owner.get(page).text)
        assert token is not None
        for given, status, limit in (
            ("1,500", 303, 1_500_000_000),
            ("lots", 400, 1_500_000_000),
            ("", 303, None),
        ):
            form = {"csrf_token": token[1], "megabytes": given}
            answer = owner.post(f"{page}storage/", data=form)
            assert answer.status_code == status
            with sqlite_server.database.read() as connection:
                assert agents.storage_limit(connection, agent.id) == limit
            if status == 400:
                assert 'value="lots"' in answer.text
                assert "megabytes-problem" in answer.text
