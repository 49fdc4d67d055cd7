"""Whatever is sent, wherever, rightly or wrongly, the log tells that it was, and nothing of what it said."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from pathlib import Path
from typing import Any

import httpx

from agentsight_server.app import create_app
from agentsight_server.settings import Settings
from tests.serving import ServerProcess

SECRET = "Zq7731SomethingSaidInPrivate"
PASSWORD = f"{SECRET} battery"
# Fields that some address takes, each with the text in it: right for some addresses, wrong for the others.
BODY: dict[str, Any] = {
    "conversation_id": SECRET, "content": SECRET, "sender": "agent", "action_name": SECRET, "button_event": SECRET,
    "label": SECRET, "value": SECRET, "sentiment": "positive", "comment": SECRET, "name": SECRET, "is_marked": True,
    "metadata": {SECRET: SECRET}, "customer_id": SECRET, "source": SECRET, "error_msg": SECRET, "response": SECRET,
    "attachments": [{"filename": f"{SECRET}.txt", "data": "YQ=="}],
    "conversations": [
        {"conversation_id": SECRET, "metadata": {SECRET: SECRET}, "items": [
            {"type": "message", "sender": "agent", "content": SECRET, "id": "01890000-0000-7000-8000-000000000001"},
            {"type": "message", "sender": SECRET, "content": SECRET}, {"type": SECRET, SECRET: SECRET},
            {"type": "feedback", "sentiment": SECRET}, {"type": "message", "id": SECRET, "timestamp": SECRET},
        ]},
        {SECRET: SECRET}, SECRET,
    ],
}  # fmt: skip
_numbers = itertools.count(1)


def addresses(folder: Path, agent: int) -> list[tuple[str, str]]:
    """Every method and path, with the text wherever text can stand."""
    app = create_app(Settings(data_dir=folder))
    app.state.services.database.close()
    found = []
    for route in app.routes:
        path = re.sub(r"\{agent_id:int\}", str(agent), route.path)
        path = re.sub(r"\{\w+:int\}", "1", path)
        path = re.sub(r"\{\w+:\w+\}", SECRET, path)
        found += [(str(method), path) for handler in route.route_handlers for method in handler.http_methods]
    return [
        *found,
        ("GET", f"/nowhere/{SECRET}"),
        ("POST", f"/api/{SECRET}/"),
        ("DELETE", "/api/conversations/"),
    ]


def say_everything(
    client: httpx.Client, routes: list[tuple[str, str]], most: int | None = None
) -> dict[str, int]:
    """Call each address in at most so many ways; the answers' statuses by the request's id."""
    told = {}
    for method, path in routes:
        if path == "/sign-out":
            continue
        right = json.dumps(BODY).encode()
        ways: list[dict[str, Any]] = [
            {"params": dict.fromkeys(("search", "metadata", SECRET, "from"), SECRET)}
        ]
        if method not in {"GET", "OPTIONS"}:
            ways += [
                {"content": right, "headers": {"Content-Type": "application/json"}},
                {"content": gzip.compress(right), "headers": {"Content-Encoding": "gzip"}},
                {"content": right[:-9], "headers": {"Content-Type": "application/json"}},
                {"content": SECRET.encode(), "headers": {"Content-Encoding": SECRET}},
                {"content": SECRET.encode(), "headers": {"Content-Type": f"text/{SECRET}"}},
                {"data": {"email": SECRET, "password": SECRET, "name": SECRET, "role": SECRET, "csrf_token": SECRET}},
                {"data": {"conversation_id": SECRET, "metadata": SECRET},
                 "files": {"attachment_0": (f"{SECRET}.txt", SECRET.encode(), f"text/{SECRET}")}},
            ]  # fmt: skip
        for way in ways[:most]:
            identity = f"request-{next(_numbers)}"
            headers = way.pop("headers", {}) | {
                "X-Request-Id": identity,
                "User-Agent": SECRET,
                "Referer": SECRET,
            }
            answer = client.request(method, path, headers=headers, **way)
            assert answer.headers.get_list("x-request-id") == [identity], (method, path)
            told[identity] = answer.status_code
    return told


def test_no_line_of_the_log_holds_what_was_said(tmp_path: Path) -> None:
    environ = {"AGENTSIGHT_LOG_FORMAT": "json", "AGENTSIGHT_LOG_LEVEL": "DEBUG"}
    with ServerProcess(tmp_path / "data", environ=environ) as server:
        agent = server.agent()
        server.person("ana@example.com", PASSWORD)
        routes = addresses(tmp_path / "routes", agent.id)
        assert len(routes) > 60
        told = {}
        with agent.client() as key, httpx.Client(base_url=server.address, timeout=30) as person:
            assert person.post(
                "/sign-in", data={"email": "ana@example.com", "password": PASSWORD}
            ).is_redirect
            cookies = dict(person.cookies)
            page = person.get("/", follow_redirects=True).text
            token = re.search(r'"X-CSRF-Token": ?"([^"]+)"|name="csrf_token" value="([^"]+)"', page)
            assert token is not None
            person.headers["X-CSRF-Token"] = token[1] or token[2]
            told |= say_everything(key, routes)
            told |= say_everything(person, routes)
            said = {
                "conversation_id": SECRET,
                "content": SECRET,
                "sender": "end_user",
                "metadata": {SECRET: SECRET},
            }
            taken = key.post("/api/track/", json=said, headers={"X-Request-Id": "request-taken"})
            told["request-taken"] = taken.status_code
            assert {200, 201, 400, 403, 404, 415} <= set(told.values())
            # And where the engine itself objects, quoting the statement and its values.
            with server.database.write() as connection:
                connection.exec_driver_sql("ALTER TABLE items RENAME TO elsewhere")
                connection.exec_driver_sql("ALTER TABLE sessions RENAME TO elsewhere_too")
            broken = say_everything(key, routes, 2) | say_everything(person, routes, 2)
            assert any(status >= 500 for status in broken.values())
            told |= broken
        server.stop()
        whole = "".join(server.output)
        for secret in (SECRET, *agent.keys.values(), *cookies.values(), token[1] or token[2]):
            assert secret not in whole, [line[:500] for line in server.output if secret in line][:3]
        lines = [json.loads(line) for line in server.output if line.startswith("{")]
        requests = [line for line in lines if line["logger"] == "agentsight.request"]
        logged = {line["request_id"]: line["status"] for line in requests if line["request_id"] in told}
        assert logged == told, "one line for each request, under its id"
        # What went wrong stands in the log, under the id of the request that met it.
        failed = {identity for identity, status in told.items() if status == 500}
        explained = {line.get("request_id") for line in lines if line["level"] == "ERROR"}
        assert failed <= explained
