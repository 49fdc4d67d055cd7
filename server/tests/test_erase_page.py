"""Keeping and erasing in the dashboard: how much it is stands first, and the right word must be typed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest

from server.tests.test_erase_command import names, talk
from tests.serving import Agent, ServerProcess
from tests.waiting import until

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def owner(sqlite_server: ServerProcess) -> Iterator[httpx.Client]:
    sqlite_server.person("erasing@example.com", PASSWORD)
    with httpx.Client(base_url=sqlite_server.address, timeout=30) as client:
        client.post("/sign-in", data={"email": "erasing@example.com", "password": PASSWORD})
        yield client


@pytest.fixture
def agent(sqlite_server: ServerProcess) -> Agent:
    made = sqlite_server.agent()
    talk(made, "one", "ana", "marzipan")
    talk(made, "two", "ana", "marzipan")
    talk(made, "three", "bob", "nougat", days_ago=40)
    return made


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form is not None
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))


def test_a_customer_is_erased_after_the_word_was_typed(owner: httpx.Client, agent: Agent) -> None:
    address = f"/agents/{agent.id}/erasing/"
    page = owner.get(f"{address}?what=customer&customer=ana").text
    assert "2 conversations" in page
    given = fields(page, address)
    wrong = owner.post(address, data=given | {"typed": "yes"})
    assert wrong.status_code == 400
    assert "Type erase exactly" in wrong.text
    assert owner.post(address, data=given | {"typed": "erase", "csrf_token": "x"}).status_code == 403
    talk(agent, "four", "ana", "marzipan")
    late = owner.post(address, data=given | {"typed": "erase"})
    assert late.status_code == 400
    assert "another number by now" in late.text
    assert len(names(agent)) == 4, "nothing has gone so far"
    given = fields(late.text, address)
    assert owner.post(address, data=given | {"typed": "erase"}).status_code == 303
    until(lambda: names(agent) == {"three"})
    receipts = owner.get(address).text
    assert "A customer" in receipts
    assert "3 conversations" in receipts
    assert "ana" not in re.sub(r"<[^>]*>", " ", receipts[receipts.index('id="receipts"') :]).split()


def test_a_whole_agent_takes_its_name(owner: httpx.Client, agent: Agent) -> None:
    address = f"/agents/{agent.id}/erasing/"
    page = owner.get(f"{address}?what=agent").text
    name = re.search(r"Type <strong>(.*?)</strong>", page)
    assert name is not None
    given = fields(page, address)
    assert owner.post(address, data=given | {"typed": "erase"}).status_code == 400
    assert owner.post(address, data=given | {"typed": name[1]}).headers["location"] == "/"
    assert owner.get(f"/agents/{agent.id}/").status_code == 404
    with agent.client() as client:
        assert client.get("/api/me/").status_code == 401


def test_days_are_tried_before_they_are_kept(owner: httpx.Client, agent: Agent) -> None:
    address = f"/agents/{agent.id}/erasing/"
    tried = owner.get(f"{address}?production=30&development=").text
    assert "<strong>1 conversation</strong> would go" in tried
    given = fields(tried, address + "retention/")
    with agent.client() as client:
        assert client.get("/api/retention/").json()["production"]["days"] is None
        kept = owner.post(address + "retention/", data=given | {"production": "30", "development": ""})
        assert kept.status_code == 303
        assert client.get("/api/retention/").json()["production"]["days"] == 30
    assert "1 to 36,500 days" in owner.get(f"{address}?production=soon&development=").text


def test_only_owners_erase(owner: httpx.Client, sqlite_server: ServerProcess, agent: Agent) -> None:
    email = f"viewer-{agent.id}-{time.time_ns()}@example.com"
    sqlite_server.person(email, PASSWORD, role="viewer", agent_ids=frozenset({agent.id}))
    with httpx.Client(base_url=sqlite_server.address, timeout=30) as viewer:
        viewer.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert viewer.get(f"/agents/{agent.id}/erasing/").status_code == 403
        assert "/erasing/" not in viewer.get(f"/agents/{agent.id}/conversations/").text
