"""Who did what, from where: noted with the act itself, shown to owners alone, never a word of what was said."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agentsight_server.security import audit, devices
from agentsight_server.security.signing import Signer
from tests.serving import ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory):
    """A server with an owner, and a viewer of one agent."""
    with ServerProcess(tmp_path_factory.mktemp("watched")) as server:
        agent = server.agent("Watched")
        server.person("owner@example.com", PASSWORD)
        server.person("viewer@example.com", PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
        yield server


@contextmanager
def signed_in(
    server: ServerProcess, email: str = "owner@example.com", **headers: str
) -> Iterator[httpx.Client]:
    """A browser that somebody has signed in from."""
    with httpx.Client(base_url=server.address, timeout=30, headers=headers) as client:
        answer = client.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


def rows(client: httpx.Client) -> list[dict[str, str]]:
    """The log as its file, newest first."""
    answer = client.get("/security.csv")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


def token(page: str) -> str:
    """The form's token."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_what_happens_is_noted_with_who_and_from_where(watched: ServerProcess) -> None:
    wrong = httpx.post(
        watched.address + "/sign-in", data={"email": "Owner@example.com", "password": "not the one"}
    )
    assert wrong.status_code == 400
    with signed_in(watched) as owner:
        csrf = token(owner.get("/").text)
        made = owner.post("/agents/", data={"csrf_token": csrf, "name": "Second desk"})
        agent = int(re.search(r"/agents/(\d+)/", made.headers["location"])[1])  # type: ignore[index]
        key = owner.post(f"/agents/{agent}/connect/", data={"csrf_token": csrf, "role": "write"})
        assert key.headers["cache-control"] == "no-store", "the page shows a key"
        secret = re.search(r"ags_[0-9a-f]{32}_[0-9a-f]{6}", key.text)[0]  # type: ignore[index]
        owner.post(f"/agents/{agent}/settings/", data={"csrf_token": csrf, "action": "call_back"})
        with httpx.Client(
            base_url=watched.address, headers={"Authorization": f"Api-Key {secret}"}
        ) as program:
            said = {
                "conversation_id": "whatsapp-38591",
                "content": "a secret of a customer",
                "sender": "end_user",
            }
            program.post("/api/track/", json=said)
            number = program.get("/api/conversations/lookup/?conversation_id=whatsapp-38591").json()["id"]
            assert program.get("/api/export/?format=jsonl").status_code == 200
            assert program.delete(f"/api/conversations/{number}/delete/").status_code == 200
        owner.post("/sign-out", data={"csrf_token": csrf})
    with signed_in(watched) as owner:
        found = rows(owner)
        assert [row["action"] for row in reversed(found)] == [
            "sign_in_failed", "sign_in", "agent_created", "key_created", "agent_changed", "exported",
            "conversation_deleted", "sign_out", "sign_in",
        ]  # fmt: skip
        by_action = {row["action"]: row for row in found}
        assert by_action["sign_in_failed"]["who"] == "owner@example.com"
        assert by_action["sign_in_failed"]["address"] == "127.0.0.1"
        assert by_action["agent_created"]["who"] == "owner@example.com"
        assert by_action["exported"]["agent"] == str(agent)
        assert by_action["exported"]["key"]
        assert json.loads(by_action["conversation_deleted"]["details"]) == {"conversation": number}
        assert json.loads(by_action["key_created"]["details"])["role"] == "write"
        # The file that was taken is an event itself.
        assert rows(owner)[0]["action"] == "log_exported"
        page = owner.get("/security/").text
        assert "Wrong password" in page
        only = owner.get("/security/?action=sign_in_failed").text
        assert 'class="log-who">owner@example.com' in only
        assert "Made a key</td>" not in only
    lines = [json.loads(line) for line in (watched.data_dir / audit.FILE).read_text().splitlines()]
    assert {"sign_in_failed", "key_created", "conversation_deleted"} <= {line["action"] for line in lines}
    assert all(line["time"] and line["who"] for line in lines)
    written = (watched.data_dir / audit.FILE).read_text() + page + str(found)
    for word in ("a secret of a customer", "whatsapp-38591", secret, PASSWORD, "not the one"):
        assert word not in written


def test_only_owners_read_it(watched: ServerProcess) -> None:
    with signed_in(watched, "viewer@example.com") as viewer:
        assert viewer.get("/security/").status_code == 403
        assert viewer.get("/security.csv").status_code == 403
        assert "Security log" not in viewer.get("/").text
    assert httpx.get(watched.address + "/security.csv").status_code in {302, 303, 401}


def test_many_events_come_in_pages(watched: ServerProcess) -> None:
    with watched.database.write() as connection:
        for number in range(120):
            audit.record(connection, audit.event_of_command("backed_up", number=number))
    with signed_in(watched) as owner:
        seen: list[str] = []
        address: str | None = "/security/?action=backed_up"
        while address:
            page = owner.get(address).text
            seen += re.findall(r"number: (\d+)", page)
            more = re.search(r'href="([^"]+)">Older', page)
            address = more[1].replace("&amp;", "&") if more else None
        assert seen == [str(number) for number in range(119, -1, -1)]


def test_guessing_from_everywhere_does_not_lock_out_the_owners_browser(tmp_path: Path) -> None:
    arguments = ("--behind-proxy",)
    with ServerProcess(tmp_path, arguments=arguments) as server:
        server.person("owner@example.com", PASSWORD)
        with signed_in(server, **{"X-Forwarded-For": "192.0.2.1"}) as owner:
            for number in range(60):  # the throttle of an account over all addresses
                httpx.post(
                    server.address + "/sign-in",
                    data={"email": "owner@example.com", "password": "not the one"},
                    headers={"X-Forwarded-For": f"198.51.100.{number}"},
                )
            right = {"email": "owner@example.com", "password": PASSWORD}
            elsewhere = httpx.post(
                server.address + "/sign-in", data=right, headers={"X-Forwarded-For": "203.0.113.1"}
            )
            assert elsewhere.status_code == 429
            owner.cookies.delete("agentsight_session")
            assert owner.post("/sign-in", data=right).status_code == 303
            # The remembered browser is no way around the throttle for whoever sits at it.
            statuses = [
                owner.post("/sign-in", data={**right, "password": f"guess {number}"}).status_code
                for number in range(10)
            ]
            assert statuses[-1] == 429
            assert [row["action"] for row in rows(owner)].count("sign_in_braked") >= 1


def test_a_device_is_of_one_account_and_cannot_be_made_up() -> None:
    signer = Signer(b"secret")
    value = devices.remember(signer, "Ana@example.com")
    assert devices.known(signer, value, "ana@example.com")
    assert devices.known(signer, value, "bob@example.com") is None
    assert devices.known(Signer(b"other"), value, "ana@example.com") is None
    identity, expires, signature = value.split(".")
    assert devices.known(signer, f"{identity}.{int(expires) + 1}.{signature}", "ana@example.com") is None
    for broken in ("", "a.b.c", value + "x", value.replace(".", "..")):
        assert devices.known(signer, broken, "ana@example.com") is None


def test_commands_are_noted_too(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}

    def agentsight(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "agentsight_server", *arguments, "--data-dir", str(tmp_path / "data")],
            env=clean, input=stdin, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout

    agentsight("keys", "create", "--agent", "A")
    agentsight("keys", "revoke", "1")
    agentsight("people", "create", "owner@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    agentsight("export", "--agent", "A", "-o", str(tmp_path / "a.jsonl"))
    agentsight("backup", str(tmp_path / "all.tar"))
    with ServerProcess(tmp_path / "data") as server, signed_in(server) as owner:
        found = rows(owner)
    assert [row["action"] for row in reversed(found)] == [
        "key_created", "key_revoked", "person_created", "exported", "backed_up", "sign_in",
    ]  # fmt: skip
    assert found[-1]["who"].startswith("command line")
