"""Keys in the dashboard: made with a label, set, given a token secret and revoked by owners alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import pytest

from agentsight_server.domain import times
from agentsight_server.store import agents
from agentsight_server.store.agents import KeyRow, KeySettings
from tests.serving import Agent, ServerProcess

PASSWORD = "correct horse battery"


@pytest.fixture
def agent(sqlite_server: ServerProcess) -> Agent:
    return sqlite_server.agent()


@pytest.fixture(scope="module")
def owner(sqlite_server: ServerProcess) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, PASSWORD)
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}, timeout=30) as client:
        assert client.post("/sign-in", data={"email": email, "password": PASSWORD}).status_code == 303
        yield client


def rows(agent: Agent) -> dict[str, KeyRow]:
    with agent.server.database.read() as connection:
        return {row.name or row.role: row for row in agents.keys(connection, agent.id)}


def post(owner: httpx.Client, path: str, **form: Any) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="([^"]+)"', owner.get(path).text)
    assert token is not None
    return owner.post(path, data={"csrf_token": token[1], **form})


def test_a_key_is_made_with_a_label_and_another_after_it(owner: httpx.Client, agent: Agent) -> None:
    for label in ("Shop <widget>", "Second"):
        answer = post(owner, f"/agents/{agent.id}/connect/", role="ingest", label=label)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "Create key" in answer.text, "another can be made at once"
        assert label in unescape(answer.text)
    assert rows(agent)["Shop <widget>"].role == "ingest"
    assert "never used" in answer.text
    refused = post(owner, f"/agents/{agent.id}/connect/", role="ingest", label="x" * 256)
    assert refused.status_code == 400
    assert "at most 255 characters" in refused.text


def test_what_is_set_is_kept_and_shown(owner: httpx.Client, agent: Agent) -> None:
    page = f"/agents/{agent.id}/keys/{rows(agent)['ingest'].id}/"
    form = {
        "label": "Widget", "allowed_origins": "https://Shop.example.com\r\nhttps://*.example.org\r\n",
        "items_per_minute": "1,000", "items_per_day": "", "megabytes_per_day": "50", "expires": "2199-12-31",
    }  # fmt: skip
    answer = post(owner, page, do="save", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/agents/{agent.id}/connect/#key")
    settings = rows(agent)["Widget"].settings
    assert settings.allowed_origins == ("https://shop.example.com", "https://*.example.org")
    assert (settings.items_per_minute, settings.items_per_day, settings.bytes_per_day) == (
        1000,
        None,
        50_000_000,
    )
    shown = owner.get(page).text
    for text in ("https://*.example.org", 'value="1000"', 'value="50"', 'value="2199-12-31"'):
        assert text in shown
    told = owner.get(f"/agents/{agent.id}/connect/").text
    for fact in ("for shop.example.com, *.example.org", "1,000 items a minute", "last day 2199-12-31"):
        assert fact in told
    assert post(owner, page, do="save").status_code == 303
    assert rows(agent)["ingest"].settings == KeySettings(), "an empty form takes it all away"


@pytest.mark.parametrize(
    ("field", "value"),
    [("allowed_origins", "shop"), ("items_per_minute", "many"), ("items_per_day", "0"), ("megabytes_per_day", "-1"),
     ("expires", "2020-01-01"), ("expires", "soon"), ("label", "x" * 256)],
)  # fmt: skip
def test_what_it_does_not_take_is_said_beside_the_field(
    owner: httpx.Client, agent: Agent, field: str, value: str
) -> None:
    page = f"/agents/{agent.id}/keys/{rows(agent)['ingest'].id}/"
    answer = post(owner, page, do="save", **({"label": "New"} | {field: value}))
    assert answer.status_code == 400
    assert f'id="{field}-problem"' in answer.text
    assert value in answer.text, "what was typed is still there"
    assert rows(agent)["ingest"].settings == KeySettings()


def test_a_key_that_has_ended_says_so_and_can_be_set_again(owner: httpx.Client, agent: Agent) -> None:
    row = rows(agent)["ingest"]
    ended = KeySettings(expires_at=times.now() - 1, bytes_per_day=1_234_567)
    with agent.server.database.write() as connection:
        agents.change_key(connection, row.id, settings=ended)
    assert "Has ended" in owner.get(f"/agents/{agent.id}/connect/").text
    page = f"/agents/{agent.id}/keys/{row.id}/"
    shown = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', owner.get(page).text))
    form = {name: shown[name] for name in ("expires", "megabytes_per_day")}
    assert post(owner, page, do="save", label="Old", **form).status_code == 303
    assert rows(agent)["Old"].settings == ended, "what was not touched stays to the byte"


def test_a_token_secret_is_shown_once(owner: httpx.Client, agent: Agent) -> None:
    page = f"/agents/{agent.id}/keys/{rows(agent)['ingest'].id}/"
    answer = post(owner, page, do="token")
    secret = re.search(r"agt_[0-9a-f]{64}", answer.text)
    assert secret is not None
    assert answer.headers["cache-control"] == "no-store"
    assert secret[0] not in owner.get(page).text
    assert "needs tokens" in owner.get(f"/agents/{agent.id}/connect/").text
    assert post(owner, page, do="no_token").status_code == 303
    assert rows(agent)["ingest"].settings.token_secrets == ()
    other = f"/agents/{agent.id}/keys/{rows(agent)['write'].id}/"
    assert "Conversation tokens" not in owner.get(other).text
    assert post(owner, other, do="token").status_code == 400


def test_revoking_takes_a_tick_and_holds_at_once(owner: httpx.Client, agent: Agent) -> None:
    page = f"/agents/{agent.id}/keys/{rows(agent)['ingest'].id}/"
    with agent.client("ingest") as widget:
        assert post(owner, page, do="revoke").status_code == 400
        assert widget.get("/api/me/").status_code == 200
        assert post(owner, page, do="revoke", sure="1").status_code == 303
        assert widget.get("/api/me/").status_code == 401
    assert owner.get(page).status_code == 404
    assert rows(agent)["ingest"].hint not in owner.get(f"/agents/{agent.id}/connect/").text


def test_a_viewer_sees_no_keys(sqlite_server: ServerProcess, agent: Agent, owner: httpx.Client) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}) as viewer:
        viewer.post("/sign-in", data={"email": email, "password": PASSWORD})
        page = viewer.get(f"/agents/{agent.id}/connect/")
        assert page.status_code == 200
        for row in rows(agent).values():
            assert row.hint not in page.text
            assert viewer.get(f"/agents/{agent.id}/keys/{row.id}/").status_code == 403
    other = sqlite_server.agent()
    wrong = f"/agents/{other.id}/keys/{rows(agent)['ingest'].id}/"
    assert owner.get(wrong).status_code == 404, "an agent's page shows its own keys"
