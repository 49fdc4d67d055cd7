"""All agents at a glance, and a new one."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from agentsight.server.dashboard import formats
from agentsight.server.dashboard.pages.page import go_to, html, inside
from agentsight.server.errors import Invalid
from agentsight.server.requests import AnyRequest
from agentsight.server.security.access import Access
from agentsight.server.services import services_of
from agentsight.server.store import agents, overview, times

RECENT = 30 * formats.DAY
LONGEST_NAME = 255


class AgentLine(msgspec.Struct):
    """An agent's line."""

    id: int
    name: str
    recent: int
    last_at: int | None
    question: str | None


@get("/", opt={"access": Access.PERSON})
async def agents_page(request: AnyRequest) -> Response[str]:
    """The agents that the viewer sees."""
    return await _page(request, "", None)


@post("/agents", opt={"access": Access.OWNER})
async def new_agent(request: AnyRequest) -> Response[str]:
    """Add an agent, and go on to connecting it."""
    form = await request.form()
    name = " ".join(str(form.get("name", "")).split())

    def work(connection: Connection, _: int) -> int:
        if not name:
            raise Invalid({"name": ["An agent needs a name."]})
        if len(name) > LONGEST_NAME or "\x00" in name:
            raise Invalid({"name": [f"A name has at most {LONGEST_NAME} characters."]})
        try:
            with connection.begin_nested():
                return agents.create(connection, name)
        except IntegrityError:
            raise Invalid({"name": ["There is an agent of that name."]}) from None

    try:
        number = await services_of(request).write(work)
    except Invalid as error:
        return await _page(request, name, error.errors["name"][0], 400)
    return go_to(f"/agents/{number}/connect/", request)


async def _page(request: AnyRequest, name: str, problem: str | None, status: int = 200) -> Response[str]:
    def answer(connection: Connection) -> dict[str, Any]:
        context = inside(request, connection, "overview")
        since = times.now() - RECENT
        lines = []
        for each in context["agents"]:
            seen = overview.activity(connection, each.id, since)
            question = " ".join((seen.first_question or "").split())[:200]
            lines.append(AgentLine(each.id, each.name, seen.recent, seen.last_at, question or None))
        return context | {"rows": lines, "agent_name": name, "problem": problem}

    return html("pages/overview.html", await services_of(request).read(answer), status)


handlers = [agents_page, new_agent]
