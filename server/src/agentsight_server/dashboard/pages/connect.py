"""Connecting an agent: a key, a few lines of code, and a light that turns green."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.contract.handout import install_line
from agentsight_server.contract.links import base_url
from agentsight_server.dashboard import strays
from agentsight_server.dashboard.ingest_log import ingest_log
from agentsight_server.dashboard.pages.keys import listed
from agentsight_server.dashboard.pages.page import render_page, signed_in_context
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.filters import Filters
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit, key_ring, key_settings, keys
from agentsight_server.security.access import Access
from agentsight_server.store import conversations

_PERSON: dict[str, Any] = {"access": Access.PERSON}
_YOUR_KEY = "ags_…your key…"


@get("/agents/{agent_id:int}/connect", opt=_PERSON)
async def connect(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """The three steps."""
    return await _page(request, agent_id, None)


@post("/agents/{agent_id:int}/connect", opt={"access": Access.OWNER})
async def new_key(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Make a key and show it, this once."""
    actor_of(request).require_agent(agent_id)
    form = await request.form()
    role = str(form.get("role", "write"))
    if role not in keys.ROLES:
        raise RequestError(400, {"detail": f"a key's role is {', '.join(keys.ROLES)}"})
    try:
        label = key_settings.label(str(form.get("label", "")))
    except Invalid as error:
        return await _page(request, agent_id, None, f"The label {error.errors['label'][0]}.")
    key = keys.new_key()

    def work(connection: Connection, _: int) -> None:
        signed_in_context(request, connection, "connect", agent_id)  # a 404 where there is no such agent
        key_ring.keep(connection, key, agent_id, role, label)

    event = audit.event_of(request, "key_created", agent_id=agent_id, role=role, key=keys.hint(key))
    await services_of(request).write(work, event=event)
    return await _page(request, agent_id, key)


@get("/agents/{agent_id:int}/connect/status", opt=_PERSON)
async def status(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Whether conversations arrive, for the page that waits for the first."""

    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "connect", agent_id)
        return render_page("pages/connect_status.html", context | _first_of(connection, agent_id))

    return await services_of(request).read(answer)


async def _page(
    request: AnyRequest, agent_id: int, key: str | None, problem: str | None = None
) -> Response[str]:
    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "connect", agent_id)
        context |= {
            "new_key": key,
            "keys": listed(connection, agent_id),
            "key_problem": problem,
            "install": install_line(base_url(request)),
            "snippets": snippets(base_url(request), key or _YOUR_KEY),
            "log": ingest_log(connection, agent_id),
            "strays": strays.found(connection, agent_id),
            "today": datetime.now(timezone.utc).date(),
        }
        return render_page(
            "pages/connect.html", context | _first_of(connection, agent_id), 400 if problem else 200
        )

    return await services_of(request).read(answer)


def _first_of(connection: Connection, agent_id: int) -> dict[str, Any]:
    """The latest conversation, and how many there are (counted up to a hundred)."""
    found = conversations.page(connection, {agent_id}, Filters(), limit=1)
    total = conversations.count(connection, {agent_id}, Filters()) if found else 0
    return {"first": found[0] if found else None, "total": total}


def snippets(address: str, key: str) -> dict[str, str]:
    """The lines to put into a bot, by language; they run as they stand."""
    return {
        "python": f'''\
from agentsight import conversation_tracker as tracker

tracker.configure(
    api_key="{key}",
    endpoint="{address}",
    environment="production",
)

tracker.get_or_create_conversation("conv_1", customer_id="ana", source="web")
tracker.track_human_message("Do you deliver on Sundays?")
tracker.track_agent_message("Yes, from 9 to 17.")
tracker.send_tracked_data()''',
        "curl": f"""\
curl {address}/api/track/ \\
  -H "Authorization: Api-Key {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"conversation_id": "conv_1",
       "question": "Do you deliver on Sundays?",
       "answer": "Yes, from 9 to 17."}}\'""",
        "javascript": f'''\
await fetch("{address}/api/track/", {{
  method: "POST",
  headers: {{
    "Authorization": "Api-Key {key}",
    "Content-Type": "application/json",
  }},
  body: JSON.stringify({{
    conversation_id: "conv_1",
    question: "Do you deliver on Sundays?",
    answer: "Yes, from 9 to 17.",
  }}),
}});''',
    }


handlers = [connect, new_key, status]
