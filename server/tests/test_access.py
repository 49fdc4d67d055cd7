"""Nobody sees or changes what is not theirs: every route of the application, every kind of caller."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from litestar.routes import HTTPRoute

from agentsight_server.app import create_app
from agentsight_server.contract.documentation import Doc
from agentsight_server.security.access import Access
from agentsight_server.settings import Settings
from agentsight_server.store import agents
from server.tests.access_table import PAGE, Caller, page, walk
from tests.serving import Agent, ServerProcess
from tests.waiting import until

PASSWORD = "correct horse battery"
ROLE_NAMES = ("ingest", "read", "write")


class Route(NamedTuple):
    method: str
    path: str
    access: Access | None
    takes_agent: bool = False  # as a query parameter


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("routes")))
    app.state.services.database.close()
    # Another kind (a mounted application, a socket) would need tests of its own.
    assert all(isinstance(route, HTTPRoute) for route in app.routes)
    return [
        Route(str(method), route.path, handler.opt.get("access"), _takes_agent(handler.opt.get("doc")))
        for route in app.routes
        for handler in route.route_handlers
        for method in handler.http_methods
        if str(method) != "OPTIONS"
    ]


def _takes_agent(doc: Doc | None) -> bool:
    return doc is not None and any(each.name == "agent" for each in doc.query)


class World(NamedTuple):
    """Two agents with a conversation each, and people who see one of them."""

    server: ServerProcess
    mine: Agent
    theirs: Agent
    their_conversation: int
    their_file: int
    their_key: int
    viewer: httpx.Client
    owner: httpx.Client


@contextmanager
def sign_in(server: ServerProcess, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as client:
        answer = client.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert answer.status_code in {302, 303}, answer.text
        yield client


@pytest.fixture(scope="module")
def world(sqlite_server: ServerProcess) -> Iterator[World]:
    mine, theirs = sqlite_server.agent(), sqlite_server.agent()
    with sqlite_server.database.read() as connection:
        their_key = agents.keys(connection, theirs.id)[0].id
    with theirs.client() as client:
        written = client.post(
            "/api/attachments/",
            data={"conversation_id": "secret"},
            files={"attachment_0": ("secret.txt", b"secret", "text/plain")},
        ).json()
    sqlite_server.person("viewer@example.com", PASSWORD, role="viewer", agent_ids=frozenset({mine.id}))
    sqlite_server.person("owner@example.com", PASSWORD)
    with (
        sign_in(sqlite_server, "viewer@example.com") as viewer,
        sign_in(sqlite_server, "owner@example.com") as owner,
    ):
        yield World(
            sqlite_server,
            mine,
            theirs,
            written["conversation"],
            written["attachments"][0]["id"],
            their_key,
            viewer,
            owner,
        )


def path_of(route: Route, agent_id: int, conversation: int, file: int, key: int) -> str:
    values = {"agent_id": agent_id, "number": conversation, "item": 1}
    for start, number in (("/files", file), ("/api/keys", key)):
        if route.path.startswith(start):
            values["number"] = number
    path = re.sub(r"\{(agent_id|number|item):int\}", lambda match: str(values[match[1]]), route.path)
    return re.sub(r"\{\w+:\w+\}", "x", path)


def test_every_route_says_who_may_call_it(routes: list[Route]) -> None:
    assert [route for route in routes if not isinstance(route.access, Access)] == []


def test_public_routes_are_these_and_no_others(routes: list[Route]) -> None:
    public = {route.path for route in routes if route.access is Access.PUBLIC}
    assert public <= {
        "/api/openapi.json", "/api/docs", "/sign-in", "/welcome/{token:str}", "/static/{name:path}",
        "/files/{number:int}/{name:str}", "/healthz", "/readyz", "/metrics", "/robots.txt", "/favicon.ico",
        "/away", "/sw.js",
        "/sdk", "/sdk/{name:str}",
    }  # fmt: skip


def test_nobody_gets_in_without_a_key_or_session(world: World, routes: list[Route]) -> None:
    with httpx.Client(base_url=world.server.address) as stranger:
        for route in routes:
            path = path_of(
                route, world.theirs.id, world.their_conversation, world.their_file, world.their_key
            )
            answer = stranger.request(route.method, path)
            if route.path.startswith("/files"):
                assert answer.status_code == 403, path
            elif route.access is not Access.PUBLIC:
                assert answer.status_code in {401, 302, 303}, (route, answer.status_code)
                assert b"secret" not in answer.content


@pytest.mark.parametrize(
    "key", ["", "nonsense", "ags_" + "0" * 32 + "_000000", "ags_" + "ab" * 16 + "_" + "0" * 6]
)
def test_an_unknown_key_is_401(world: World, key: str) -> None:
    for scheme in ("Api-Key", "Bearer"):
        answer = httpx.get(
            f"{world.server.address}/api/me/", headers={"Authorization": f"{scheme} {key}".strip()}
        )
        assert answer.status_code == 401
        assert "detail" in answer.json()


ROLES: dict[Access, set[str]] = {
    Access.ANY: {"ingest", "read", "write"},
    Access.INGEST: {"ingest", "write"},
    Access.RESPOND: {"ingest", "write"},
    Access.READ: {"read", "write"},
    Access.WRITE: {"write"},
    Access.MANAGE: {"write"},
    Access.PERSON: set(),
    Access.OWNER: set(),
}


@pytest.mark.parametrize("role", ["ingest", "read", "write"])
def test_a_key_does_what_its_role_says(world: World, routes: list[Route], role: str) -> None:
    with world.mine.client(role) as client:
        for route in routes:
            if route.access is Access.PUBLIC or route.access is None:
                continue
            path = path_of(route, world.mine.id, 999_999_999, 1, 999_999_999)
            answer = client.request(route.method, path)
            if role in ROLES[route.access]:
                assert answer.status_code not in {401, 403}, (route, answer.text)
            else:
                assert answer.status_code == 403, (route, answer.status_code)


def bodies() -> dict[str, Any]:
    return {
        "/api/conversations/{number:int}/mark": {"is_marked": True},
        "/api/conversations/{number:int}/rename": {"name": "stolen"},
        "/api/conversations/{number:int}/update": {"customer_id": "stolen"},
    }


def test_another_agents_rows_are_not_there_for_a_key(world: World, routes: list[Route]) -> None:
    with world.mine.client() as client:
        for route in routes:
            if "{number:int}" not in route.path or not route.path.startswith("/api/"):
                continue
            path = path_of(
                route, world.theirs.id, world.their_conversation, world.their_file, world.their_key
            )
            answer = client.request(route.method, path, json=bodies().get(route.path))
            assert answer.status_code == 404, (route, answer.status_code)
        for path, body in [
            ("/api/track/", {"content": "x", "sender": "agent"}),
            ("/api/action_logs/", {"action_name": "x"}),
            ("/api/buttons/", {"button_event": "e", "label": "l", "value": "v"}),
            ("/api/attachments/", {"attachments": [{"filename": "a", "data": "YQ=="}]}),
            ("/api/conversation-feedbacks/", {"sentiment": "positive"}),
        ]:
            for reference in (world.their_conversation, str(world.their_conversation)):
                answer = client.post(path, json={"conversation": reference, **body})
                assert answer.status_code == 404, path
        assert client.get("/api/conversations/lookup/?conversation_id=secret").status_code == 404
        assert client.get("/api/conversations/?search=secret&include_deleted=true").json()["count"] == 0
    with world.theirs.client() as client:
        found = client.get(f"/api/conversations/{world.their_conversation}/").json()
    assert (found["name"], found["is_marked"], found["is_deleted"], len(found["messages"])) == (
        None,
        False,
        False,
        1,
    )
    assert found["feedbacks"] == []


def test_another_agents_pages_are_not_there_for_a_person(world: World, routes: list[Route]) -> None:
    for route in routes:
        if "{agent_id:int}" not in route.path:
            continue
        for agent_id in (world.theirs.id, world.mine.id):
            if agent_id == world.mine.id and "{number:int}" not in route.path:
                continue
            path = path_of(route, agent_id, world.their_conversation, world.their_file, world.their_key)
            answer = world.viewer.request(route.method, path, follow_redirects=True)
            assert answer.status_code in {403, 404}, (route, answer.status_code)
            assert b"secret" not in answer.content
    assert world.viewer.get(f"/files/{world.their_file}/secret.txt").status_code == 404
    assert world.viewer.get(f"/api/conversations/{world.their_conversation}/").status_code == 404
    assert world.viewer.get("/api/conversations/?search=secret").json()["count"] == 0
    assert [each["id"] for each in world.viewer.get("/api/me/").json()["agents"]] == [world.mine.id]


def test_no_answer_about_ones_own_shows_what_is_anothers(world: World, routes: list[Route]) -> None:
    """Whatever can be read, without a word about whose it should be, or by another agent's number."""
    with world.mine.client("read") as key:
        callers = [key, world.viewer]
        for route in routes:
            if route.method != "GET" or route.access is Access.PUBLIC:
                continue
            path = path_of(route, world.mine.id, world.their_conversation, world.their_file, world.their_key)
            for client in callers:
                answer = client.get(path, follow_redirects=client is not key)
                assert b"secret" not in answer.content, route
        named = [route for route in routes if route.takes_agent and route.access is Access.READ]
        assert {route.path for route in named} >= {"/api/analytics", "/api/export", "/api/ingest/ledger"}
        for route in named:
            for client in callers:
                answer = client.get(route.path, params={"agent": world.theirs.id})
                assert answer.status_code == 404, (route, answer.status_code)
                own = client.get(route.path, params={"agent": world.mine.id})
                assert own.status_code == 200, (route, own.text)
                assert b"secret" not in own.content


def token_of(person: httpx.Client) -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]+)"|"X-CSRF-Token": ?"([^"]+)"', person.get("/").text)
    assert found is not None
    return {"X-CSRF-Token": found[1] or found[2]}


def test_a_person_changes_nothing_of_anothers(world: World, routes: list[Route]) -> None:
    """With the token of an own form, so that nothing but the tenant stands in the way."""
    headers = token_of(world.viewer)
    tried = 0
    for route in routes:
        if route.method == "GET" or not ("{agent_id:int}" in route.path or "{number:int}" in route.path):
            continue
        tried += 1
        path = path_of(route, world.theirs.id, world.their_conversation, world.their_file, world.their_key)
        body = {"is_marked": "1", "name": "stolen", "role": "write", "escalation_actions": "stolen"}
        answer = world.viewer.request(route.method, path, headers=headers, data=body)
        assert answer.status_code in {403, 404}, (route, answer.status_code)
    assert tried >= 6
    feedback = {"conversation": world.their_conversation, "sentiment": "negative"}
    answer = world.viewer.post("/api/conversation-feedbacks/", headers=headers, json=feedback)
    assert answer.status_code == 403
    headers = token_of(world.owner)
    feedback["conversation"] = 999_999_999
    answer = world.owner.post("/api/conversation-feedbacks/", headers=headers, json=feedback)
    assert answer.status_code == 404
    with world.theirs.client() as client:
        found = client.get(f"/api/conversations/{world.their_conversation}/").json()
    assert (found["name"], found["is_marked"], found["is_deleted"], found["feedbacks"]) == (
        None,
        False,
        False,
        [],
    )


def test_an_owner_sees_every_agent(world: World) -> None:
    assert (
        world.owner.get(f"/agents/{world.theirs.id}/conversations/{world.their_conversation}/").status_code
        == 200
    )
    assert world.owner.get(f"/api/conversations/{world.their_conversation}/").status_code == 200
    assert world.owner.get(f"/files/{world.their_file}/secret.txt").content == b"secret"


def test_no_form_is_taken_without_its_token(world: World, routes: list[Route]) -> None:
    """Another site cannot make a signed-in person's browser change something."""
    for route in routes:
        if route.method == "GET" or route.access is Access.PUBLIC:
            continue
        path = path_of(route, world.theirs.id, world.their_conversation, world.their_file, world.their_key)
        for headers in ({}, {"X-CSRF-Token": "guess"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = world.owner.request(route.method, path, headers=headers, data={"csrf_token": "guess"})
            assert answer.status_code == 403, (route, answer.status_code)
    with world.theirs.client() as client:
        assert not client.get(f"/api/conversations/{world.their_conversation}/").json()["is_deleted"]


def test_a_viewer_looks_and_does_not_manage(world: World, routes: list[Route]) -> None:
    headers = token_of(world.viewer)
    for route in routes:
        if (
            route.access in {Access.OWNER, Access.MANAGE, Access.WRITE, Access.RESPOND}
            and route.method != "GET"
        ):
            path = path_of(route, world.mine.id, 999_999_999, 1, 999_999_999)
            answer = world.viewer.request(route.method, path, headers=headers)
            assert answer.status_code == 403, (route, answer.status_code)


def test_a_revoked_key_is_out_at_once(server: ServerProcess) -> None:
    agent = server.agent()
    with agent.client() as client:
        assert client.get("/api/me/").status_code == 200
        with server.database.write() as connection:
            for key in agents.keys(connection, agent.id):
                agents.revoke_key(connection, key.id)
        # The server may remember a key for a second; the command line waits that long before it says "revoked".
        until(lambda: client.get("/api/me/").status_code != 200)
        assert client.get("/api/me/").status_code == 401


def test_sign_in_is_slowed_down_after_failures(sqlite_server: ServerProcess) -> None:
    sqlite_server.person("slow@example.com", PASSWORD)
    with httpx.Client(base_url=sqlite_server.address, headers={"X-Forwarded-For": "9.9.9.9"}) as client:
        codes = [
            client.post(
                "/sign-in", data={"email": "slow@example.com", "password": f"guess number {n}"}
            ).status_code
            for n in range(10)
        ]
        assert codes[0] == 400
        assert codes[-1] == 429
        right = client.post("/sign-in", data={"email": "slow@example.com", "password": PASSWORD})
        assert right.status_code == 429


def test_the_table_of_who_may_do_what_is_current(world: World, routes: list[Route]) -> None:
    server, target = world.server, world.server.agent()
    number = uuid.uuid4().hex[:8]
    server.person(f"in-{number}@example.com", PASSWORD, role="viewer", agent_ids=frozenset({target.id}))
    with ExitStack() as stack:
        enter = stack.enter_context

        def caller(name: str, authorization: str | None, *, is_other: bool = False) -> Caller:
            headers = {"Authorization": authorization} if authorization else {}
            client = enter(httpx.Client(base_url=server.address, headers=headers, timeout=30))
            return Caller(name, client, is_other)

        def person(name: str, email: str, *, is_other: bool = False) -> Caller:
            client = enter(sign_in(server, email))
            client.headers.update(token_of(client))
            return Caller(name, client, is_other)

        callers = [caller("nobody", None), caller("wrong key", "Api-Key ags_" + "0" * 32 + "_000000")]
        callers += [caller(f"`{role}` key", f"Api-Key {target.keys[role]}") for role in ROLE_NAMES]
        callers += [
            caller(f"another's `{role}`", f"Api-Key {world.theirs.keys[role]}", is_other=True)
            for role in ROLE_NAMES
        ]
        callers += [
            person("viewer", f"in-{number}@example.com"),
            person("another's viewer", "viewer@example.com", is_other=True),
            person("owner", "owner@example.com"),
        ]
        # Signing out ends the session that the rest of the walk needs: it comes last.
        walked = [
            (route.method, route.path, route.takes_agent, route.access is Access.PUBLIC) for route in routes
        ]
        last = [each for each in walked if each[1] == "/sign-out"]
        lines = walk([each for each in walked if each not in last], callers, target)
        lines += walk(last, callers, target)[2:]
    assert len(lines) > 60
    if os.environ.get("AGENTSIGHT_UPDATE_DOCS"):
        PAGE.write_text(page(lines), encoding="utf-8")
    there = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [line for line in lines if line not in there]
    assert not missing, "docs/access.md is behind; AGENTSIGHT_UPDATE_DOCS=1 writes it:\n" + "\n".join(missing)
    assert PAGE.read_text(encoding="utf-8") == page(lines), "docs/access.md has lines of routes that are gone"
