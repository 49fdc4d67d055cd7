"""Walks every route with every kind of caller, and writes what each is answered as the table in docs/access.md."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import httpx

from agentsight_server.security import key_ring, keys
from tests.serving import Agent

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
BEGIN = "<!-- access: made by server/tests/test_access.py, AGENTSIGHT_UPDATE_DOCS=1 writes it -->\n"
END = "<!-- /access -->\n"
# What stands for the parts of an address that are no numbers.
NAMES = {"figures": "page.json"}
# A body that is right, where a wrong one would be refused before it is looked whose the row is.
BODIES = {
    "/api/conversations/{number:int}/mark": {"is_marked": True},
    "/api/conversations/{number:int}/rename": {"name": "x"},
    "/api/conversations/{number:int}/update": {"name": "x"},
}
ENDINGS = ("/delete", "/restore", "/revoke", "/token-secret")  # calls after which the row is another
WITHOUT = {"/static/{name:path}", "/welcome/{token:str}"}  # built files; a link that works once


class Caller(NamedTuple):
    """Who calls: the column's heading, a client, and whether the rows of the walk are another agent's."""

    name: str
    client: httpx.Client
    is_other: bool = False


class Rows(NamedTuple):
    """What the addresses of the walk name; all of one agent, made anew for each call that may change it."""

    agent: Agent
    conversation: int
    message: int
    file: int
    key: int

    @classmethod
    def make(cls, agent: Agent, *, deleted: bool = False) -> Rows:
        """A conversation with a file, and a key."""
        with agent.client() as client:
            written = client.post(
                "/api/attachments/",
                data={"conversation_id": uuid.uuid4().hex, "message": "A text " * 5_000},
                files={"attachment_0": ("a.txt", b"bytes", "text/plain")},
            ).json()
            if deleted:
                client.delete(f"/api/conversations/{written['conversation']}/delete/")
        with agent.server.database.write() as connection:
            key = key_ring.keep(connection, keys.new_key(), agent.id, "ingest")
        return cls(
            agent, written["conversation"], written["message_id"], written["attachments"][0]["id"], key
        )


def address(path: str, rows: Rows) -> str:
    """A route's path with the numbers filled in."""
    number = rows.conversation
    if path.startswith("/files"):
        number = rows.file
    elif "/keys/" in path:
        number = rows.key
    values = {"agent_id": rows.agent.id, "number": number, "item": rows.message}
    path = re.sub(r"\{(agent_id|number|item):int\}", lambda match: str(values[match[1]]), path)
    return re.sub(r"(\w+)/\{\w+:\w+\}", lambda match: f"{match[1]}/{NAMES.get(match[1], 'x')}", path)


def cell(answer: httpx.Response, *, is_own: bool, is_guarded: bool = True) -> str:
    """What an answer stands for: let in, or how it is refused. A body that is no good comes after being let in."""
    if answer.status_code in {401, 403, 404}:
        return str(answer.status_code)
    if (
        is_guarded
        and answer.status_code in {302, 303}
        and answer.headers.get("location", "").startswith("/sign-in")
    ):
        return "sign in"
    assert answer.status_code < 500, answer.text
    return "own" if is_own else "yes"


def walk(routes: Iterable[tuple[str, str, bool, bool]], callers: list[Caller], agent: Agent) -> list[str]:
    """The table's lines. Routes are (method, path, do they take an agent as a parameter, are they public)."""
    heads = [caller.name for caller in callers]
    lines = [f"| call | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    still = Rows.make(agent)
    for method, path, takes_agent, is_public in sorted(set(routes), key=lambda each: (each[1], each[0])):
        if path in WITHOUT:
            continue
        cells = []
        names_rows = takes_agent or "{" in path
        for caller in callers:
            changes = method != "GET" and path.endswith(ENDINGS)
            rows = Rows.make(agent, deleted=path.endswith("/restore")) if changes else still
            query = {"agent": str(agent.id)} if takes_agent else {}
            told = address(path, rows)
            answer = caller.client.request(method, told, params=query, json=BODIES.get(path))
            is_person = "cookie" in answer.request.headers
            is_own = caller.is_other and not names_rows and not is_public
            cells.append(cell(answer, is_own=is_own, is_guarded=not (is_person and path == "/sign-out")))
        shown = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
        lines.append(f"| `{method} {shown}` | {' | '.join(cells)} |")
    return lines


def page(lines: list[str]) -> str:
    """docs/access.md with these lines."""
    head = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    return head + BEGIN + "\n".join(lines) + "\n" + END
