"""The security log, for owners: who did what, from where."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from sqlalchemy import Connection

from agentsight_server.analytics.csv import to_csv
from agentsight_server.dashboard.pages.page import render_page, signed_in_context
from agentsight_server.domain import times
from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import agents, security_events
from agentsight_server.store.security_events import EventRow

_OWNER: dict[str, Any] = {"access": Access.OWNER}
PAGE = 50
LONGEST_FILE = 100_000  # events
_ALARMING = frozenset({"sign_in_failed", "sign_in_braked"})


class Line(msgspec.Struct):
    """An event as the page shows it."""

    at: int
    what: str
    who: str
    agent: str
    address: str
    details: str
    is_alarming: bool


@get("/security", opt=_OWNER)
async def security_log(request: AnyRequest) -> Response[str]:
    """The newest events, a page at a time."""
    action = request.query_params.get("action")
    action = action if action in audit.ACTIONS else None
    given = str(request.query_params.get("before", ""))
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None

    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "security")
        names = {each.id: each.name for each in agents.listing(connection, None)}
        rows = security_events.listing(connection, before=before, action=action, limit=PAGE + 1)
        older = None
        if len(rows) > PAGE:
            chosen = {"before": str(rows[PAGE - 1].id)} | ({"action": action} if action else {})
            older = "/security/?" + urlencode(chosen)
        shown = {
            "lines": [_line(each, names) for each in rows[:PAGE]],
            "older": older,
            "is_first": before is None,
            "actions": audit.ACTIONS,
            "action": action,
        }
        return render_page("pages/security_log.html", context | shown)

    return await services_of(request).read(answer)


def _line(row: EventRow, names: dict[int, str]) -> Line:
    return Line(
        at=row.at,
        what=audit.ACTIONS.get(row.action, row.action),
        who=row.who or "–",
        agent=names.get(row.agent_id, f"agent {row.agent_id}") if row.agent_id is not None else "",
        address=row.address or ("this machine" if row.who.startswith("command line") else "–"),
        details=", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in row.details.items()),
        is_alarming=row.action in _ALARMING,
    )


@get("/security.csv", opt=_OWNER)
async def security_file(request: AnyRequest) -> Response[bytes]:
    """The log as a table: the newest 100,000 events."""
    services = services_of(request)
    columns = ["time", "action", "who", "person", "key", "agent", "address", "details"]

    def table(connection: Connection) -> bytes:
        rows = security_events.listing(connection, limit=LONGEST_FILE)
        return to_csv(
            columns,
            [
                [
                    times.to_text(each.at), each.action, each.who, each.person_id, each.key_id,
                    each.agent_id, each.address, msgspec.json.encode(each.details).decode(),
                ]
                for each in rows
            ],
        ).encode()  # fmt: skip

    content = await services.search(table)
    await services.note(audit.event_of(request, "log_exported"))
    return Response(
        content,
        media_type="text/csv",
        headers={
            "Content-Disposition": 'attachment; filename="security-log.csv"',
            "Cache-Control": "no-store",
        },
    )


handlers = [security_log, security_file]
