"""Pages over HTTP: who gets in, what they see, and what a browser is told."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.serving import Agent, ServerProcess

HTML = {"Accept": "text/html"}
PASSWORD = "correct horse battery"


def iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def write(agent: Agent, conversation_id: str, text: str, *, ago: float = 0, **fields: object) -> int:
    at = time.time() - ago
    item = {
        "id": str(uuid.uuid4()),
        "type": "message",
        "sender": "end_user",
        "content": text,
        "timestamp": iso(at),
    }
    record = {"conversation_id": conversation_id, "timestamp": iso(at), "items": [item], **fields}
    with agent.client() as client:
        answer = client.post("/api/ingest/batch/", json={"conversations": [record]}).json()
    return int(answer["conversations"][0]["id"])


@contextmanager
def enter(server: ServerProcess, email: str) -> Iterator[httpx.Client]:
    """A browser's worth of HTTP: cookies, and no redirect followed unseen."""
    with httpx.Client(base_url=server.address, headers=HTML, timeout=30) as client:
        answer = client.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


def token(client: httpx.Client) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


@pytest.fixture
def owner(sqlite_server: ServerProcess) -> Iterator[httpx.Client]:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, PASSWORD)
    with enter(sqlite_server, email) as client:
        yield client


def rows(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="conversation-(\d+)"', html)]


class TestTheDoor:
    def test_pages_send_strangers_to_the_sign_in_page_and_back(self, sqlite_server: ServerProcess) -> None:
        with httpx.Client(base_url=sqlite_server.address, headers=HTML) as stranger:
            answer = stranger.get("/agents/1/conversations/?device=mobile")
            assert answer.status_code == 303
            assert (
                answer.headers["location"]
                == "/sign-in?next=%2Fagents%2F1%2Fconversations%2F%3Fdevice%3Dmobile"
            )

    @pytest.mark.parametrize(
        "goal", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
    )
    def test_signing_in_leads_nowhere_else(self, sqlite_server: ServerProcess, goal: str) -> None:
        email = f"{uuid.uuid4().hex}@example.com"
        sqlite_server.person(email, PASSWORD)
        with httpx.Client(base_url=sqlite_server.address, headers=HTML) as client:
            answer = client.post("/sign-in", data={"email": email, "password": PASSWORD, "next": goal})
            assert answer.headers["location"] == "/"
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()

    def test_guessing_is_slowed_down_and_says_when_to_come_back(self, sqlite_server: ServerProcess) -> None:
        email = f"{uuid.uuid4().hex}@example.com"
        with httpx.Client(base_url=sqlite_server.address, headers=HTML) as client:
            codes = [
                client.post("/sign-in", data={"email": email, "password": "no"}).status_code for _ in range(9)
            ]
            assert codes[0] == 400
            assert codes[-1] == 429

    def test_a_form_needs_its_token(self, owner: httpx.Client) -> None:
        answer = owner.post("/agents/", data={"name": "Forged"})
        assert answer.status_code == 403
        assert "reload the page" in answer.text
        assert "Forged" not in owner.get("/").text

    def test_signing_out_ends_the_session(self, sqlite_server: ServerProcess, owner: httpx.Client) -> None:
        stolen = dict(owner.cookies)
        owner.post("/sign-out", data={"csrf_token": token(owner)})
        with httpx.Client(base_url=sqlite_server.address, headers=HTML, cookies=stolen) as thief:
            assert thief.get("/").status_code == 303


class TestWhoSeesWhat:
    @pytest.fixture
    def mine_and_theirs(self, sqlite_server: ServerProcess) -> tuple[Agent, Agent]:
        return sqlite_server.agent(), sqlite_server.agent()

    def test_a_viewer_sees_only_their_agents_and_changes_nothing(
        self, sqlite_server: ServerProcess, mine_and_theirs: tuple[Agent, Agent]
    ) -> None:
        mine, theirs = mine_and_theirs
        email = f"{uuid.uuid4().hex}@example.com"
        sqlite_server.person(email, PASSWORD, role="viewer", agent_ids=frozenset({mine.id}))
        own, foreign = write(mine, "own", "Mine"), write(theirs, "foreign", "Theirs")
        with enter(sqlite_server, email) as viewer:
            assert f"/agents/{theirs.id}/" not in viewer.get("/").text
            assert viewer.get(f"/agents/{mine.id}/conversations/{own}/").status_code == 200
            paths = [
                f"/agents/{theirs.id}/conversations/",
                f"/agents/{theirs.id}/conversations/{foreign}/",
                # Through one's own agent, too.
                f"/agents/{mine.id}/conversations/{foreign}/",
                f"/agents/{mine.id}/conversations/{foreign}/print/",
                f"/agents/{theirs.id}/conversations/live/?since=0",
                f"/agents/{theirs.id}/connect/",
            ]
            for path in paths:
                answer = viewer.get(path)
                assert answer.status_code == 404, path
                assert "Theirs" not in answer.text
            form = {"csrf_token": token(viewer)}
            mark = viewer.post(
                f"/agents/{mine.id}/conversations/{own}/mark/", data=form | {"is_marked": "true"}
            )
            assert mark.status_code == 403
            assert viewer.post("/agents/", data=form | {"name": "New"}).status_code == 403
            assert viewer.post(f"/agents/{mine.id}/connect/", data=form).status_code == 403

    def test_an_api_key_opens_no_page(self, sqlite_server: ServerProcess) -> None:
        agent = sqlite_server.agent()
        with agent.client() as client:
            assert client.get(f"/agents/{agent.id}/conversations/").status_code == 403

    def test_a_deleted_conversation_is_gone(self, sqlite_server: ServerProcess, owner: httpx.Client) -> None:
        agent = sqlite_server.agent()
        number = write(agent, "gone", "Secret words")
        with agent.client() as client:
            client.delete(f"/api/conversations/{number}/delete/")
        page = f"/agents/{agent.id}/conversations/{number}/"
        email = f"looks-{agent.id}@example.com"
        sqlite_server.person(email, role="viewer", agent_ids=frozenset({agent.id}))
        with enter(sqlite_server, email) as viewer:
            assert viewer.get(page).status_code == 404
            assert viewer.get(page + "print/").status_code == 404
        assert "Deleted" in owner.get(page).text  # and how to take that back
        assert rows(owner.get(f"/agents/{agent.id}/conversations/").text) == []


class TestTheList:
    def test_filters_of_the_address(self, sqlite_server: ServerProcess, owner: httpx.Client) -> None:
        agent = sqlite_server.agent()
        first = write(agent, "a", "About boats", device="mobile", source="whatsapp", metadata={"tier": "pro"})
        second = write(agent, "b", "About cars", device="desktop", customer_id="ana", language="en-US")
        unused = {"conversation_id": "c", "is_used": False}
        with agent.client() as client:
            third = client.post("/api/conversations/", json=unused).json()["id"]
        path = f"/agents/{agent.id}/conversations/"
        today = time.strftime("%Y-%m-%d", time.gmtime())
        wanted = {
            "": {first, second},
            "?device=mobile": {first},
            "?language=en": {second},
            "?metadata=tier:pro": {first},
            "?search=CARS": {second},
            "?customer_id=ana&device=mobile": set(),
            f"?from={today}&to={today}": {first, second},
            "?to=2020-01-01": set(),
            "?is_used=any": {first, second, third},
            "?is_used=false": {third},
            # What cannot be understood is named and left out.
            "?device=toaster": {first, second},
            "?from=0001-01-01&to=9999-12-31": {first, second},
        }
        for query, numbers in wanted.items():
            answer = owner.get(path + query)
            assert answer.status_code == 200
            assert set(rows(answer.text)) == numbers, query

    def test_pages_of_the_list_neither_skip_nor_repeat_while_new_ones_arrive(
        self, sqlite_server: ServerProcess, owner: httpx.Client
    ) -> None:
        agent = sqlite_server.agent()
        # Many begin in the same second: the place in the list is the time and the number.
        numbers = {write(agent, f"c{each}", "Hello", ago=each // 10) for each in range(120)}
        seen: list[int] = []
        address: str | None = f"/agents/{agent.id}/conversations/"
        while address:
            html = owner.get(address).text
            seen += rows(html)
            found = re.search(r'hx-get="([^"]+)"', html.partition('id="older"')[2])
            address = found[1].replace("&amp;", "&") if found else None
            write(agent, uuid.uuid4().hex, "New")
        assert len(seen) == len(set(seen))
        assert set(seen) == numbers

    @pytest.mark.parametrize("cursor", ["x", "-", "99999999999999999999999-1", "1-", "1--1", "%00"])
    def test_a_broken_place_is_the_beginning(
        self, owner: httpx.Client, sqlite_server: ServerProcess, cursor: str
    ) -> None:
        agent = sqlite_server.agent()
        number = write(agent, "one", "Hello")
        answer = owner.get(f"/agents/{agent.id}/conversations/?before={cursor}")
        assert answer.status_code == 200
        assert rows(answer.text) == [number]

    def test_live_tells_what_changed_since(self, sqlite_server: ServerProcess, owner: httpx.Client) -> None:
        agent = sqlite_server.agent()
        old = write(agent, "old", "Old")
        page = owner.get(f"/agents/{agent.id}/conversations/").text
        since = re.search(r'data-since="(\d+)"', page)
        assert since
        path = f"/agents/{agent.id}/conversations/live/?since={since[1]}&reading={old}"
        quiet = owner.get(path).text
        assert rows(quiet) == []
        new = write(agent, "new", "New", device="mobile")
        write(agent, "old", "Again")
        assert set(rows(owner.get(path).text)) == {old, new}
        assert rows(owner.get(path + "&device=mobile").text) == [new]
        before, after = (re.search(r'data-reading="(\d+)"', each) for each in (quiet, owner.get(path).text))
        assert before
        assert after
        assert int(after[1]) > int(before[1])


class TestAnswers:
    def test_nothing_on_a_page_may_run_that_is_not_ours(
        self, owner: httpx.Client, sqlite_server: ServerProcess
    ) -> None:
        agent = sqlite_server.agent()
        number = write(agent, "x", "Hello")
        own = f"/agents/{agent.id}"
        for path in ("/", f"{own}/conversations/{number}/", f"{own}/connect/", "/api/docs/"):
            answer = owner.get(path)
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            # A policy would block these silently: they must not be written in the first place.
            assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text)
            assert not re.search(r"<script(?![^>]+src=)", answer.text)
            assert not re.search(r'(?:src|href)="https?://(?!127|db-ip|…)', answer.text)

    def test_programs_get_json_and_people_get_pages(self, sqlite_server: ServerProcess) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            for path in ("/nothing", "/agents/x/", "/static/../app.py"):
                assert client.get(path).headers["content-type"] == "application/json"
                page = client.get(path, headers=HTML)
                assert page.status_code == 404
                assert "There is nothing here" in page.text
            assert client.get("/api/nothing/", headers=HTML).headers["content-type"] == "application/json"

    def test_built_files_are_kept_for_ever_and_others_are_not_served(
        self, sqlite_server: ServerProcess
    ) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            script = re.search(r'src="(/static/app-\w+\.js)"', client.get("/sign-in").text)
            assert script
            answer = client.get(script[1])
            assert answer.headers["content-encoding"] == "gzip"
            assert "immutable" in answer.headers["cache-control"]
            for name in ("manifest.json", "icons.json", "app.js", "%2e%2e/__init__.py"):
                assert client.get(f"/static/{name}").status_code == 404

    def test_a_page_stays_below_its_weight(self, sqlite_server: ServerProcess) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            page = client.get("/sign-in").text
            for pattern, limit in (
                (r'"(/static/[\w-]+\.js)"', 350_000),
                (r'"(/static/[\w-]+\.css)"', 100_000),
            ):
                total = 0
                for path in re.findall(pattern, page):
                    with client.stream("GET", path) as answer:
                        total += sum(map(len, answer.iter_raw()))
                assert 0 < total < limit

    def test_the_api_reference_is_the_same_for_whoever_asks_by_whatever_name(
        self, sqlite_server: ServerProcess
    ) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            for path, said in (("/api/openapi.json", '"url":"'), ("/api/docs/", "<code>")):
                first = client.get(path, headers=HTML)
                again = client.get(path, headers=HTML | {"If-None-Match": first.headers["etag"]})
                assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
                assert said + sqlite_server.address in first.text
                elsewhere = client.get(path, headers=HTML | {"Host": "evil.example"})
                assert elsewhere.status_code == 200
                assert "evil.example" not in elsewhere.text
                dark = client.get(path, headers=HTML | {"Cookie": "theme=dark"})
                assert ("dark" in dark.text.partition("<head>")[0]) == (path == "/api/docs/")

    def test_the_api_reference_names_every_call(self, sqlite_server: ServerProcess) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            document = client.get("/api/openapi.json").json()
            page = client.get("/api/docs/", headers=HTML).text
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert f'id="{operation["operationId"]}"' in page, path
                assert path in page
