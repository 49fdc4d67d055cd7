"""Links to attachments work for whoever has them, for a while."""

from __future__ import annotations

import base64
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from agentsight_server.security.signing import Signer
from tests.serving import Agent, ServerProcess

DATA = b"%PDF-1.4 for the customer's eyes"


@pytest.fixture(scope="module")
def link(sqlite_server: ServerProcess) -> str:
    agent: Agent = sqlite_server.agent()
    file = {"filename": "bill.pdf", "mime_type": "application/pdf", "data": base64.b64encode(DATA).decode()}
    with agent.client() as client:
        answer = client.post(
            "/api/attachments/", json={"conversation_id": "c", "mode": "base64", "attachments": [file]}
        )
        return str(answer.json()["attachments"][0]["file_url"])


def ask(link: str, **changed: str) -> int:
    parts = urlsplit(link)
    parameters = {name: values[0] for name, values in parse_qs(parts.query).items()} | changed
    return httpx.get(parts._replace(query="").geturl(), params=parameters).status_code


def test_a_link_runs_out(sqlite_server: ServerProcess, link: str) -> None:
    assert httpx.get(link).content == DATA
    with sqlite_server.database.write() as connection:
        signer = Signer.of_installation(connection)
    number = urlsplit(link).path.split("/")[2]

    def signed(expires: int) -> dict[str, str]:
        return {"expires": str(expires), "signature": signer.sign(f"file:{number}", expires)}

    assert ask(link, **signed(int(time.time()) + 600)) == 200
    assert ask(link, **signed(int(time.time()) - 1)) == 403
    assert ask(link, **signed(1)) == 403


def test_a_link_is_for_one_file_and_one_time(link: str) -> None:
    later = str(int(parse_qs(urlsplit(link).query)["expires"][0]) + 1)
    assert ask(link) == 200
    assert ask(link, expires=later) == 403
    assert ask(link, signature="") == 403
    assert ask(link, signature="A" * 32) == 403
    number = urlsplit(link).path.split("/")[2]
    assert ask(link.replace(f"/files/{number}/", f"/files/{int(number) + 1}/")) == 403
