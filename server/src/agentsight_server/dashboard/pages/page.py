"""What every page has, and how it is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from litestar import Response
from litestar.exceptions import HTTPException
from sqlalchemy import Connection

from agentsight_server.dashboard import formats
from agentsight_server.dashboard.rendering import render
from agentsight_server.domain import times
from agentsight_server.domain.errors import RequestError, not_found
from agentsight_server.http.app_state import actor_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.runtime import outages
from agentsight_server.runtime.logs import shown_path
from agentsight_server.security.access import Actor
from agentsight_server.store import agents
from agentsight_server.store.agents import AgentRow
from agentsight_server.store.writer import Overloaded

logger = logging.getLogger(__name__)

THEME_COOKIE = "theme"
# The browser's time zone, and the one that the viewer chose instead.
ZONE_COOKIE = "tz"
OWN_ZONE_COOKIE = "tz_own"

# Nothing comes from elsewhere, and nothing written into a page by its content can run or style it.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Pages hold what only they may see, and change with every event.
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Language, Cookie, HX-Request, HX-Target",
}


@dataclass(frozen=True)
class SignedIn:
    """The signed-in person, as templates see them."""

    name: str
    email: str
    is_owner: bool
    can_change: bool

    @classmethod
    def of(cls, actor: Actor) -> SignedIn:
        """Take what templates need from who is asking."""
        person = actor.person
        return cls(
            name=person.name if person else "",
            email=person.email if person else "",
            is_owner=actor.is_owner,
            can_change=actor.role != "viewer",
        )


def public_context(request: AnyRequest) -> dict[str, Any]:
    """What every page reads, also without a sign-in: theme, time zone, the present, where one is."""
    theme = request.cookies.get(THEME_COOKIE)
    query = request.scope.get("query_string", b"").decode("latin-1")
    # The raw path keeps the slash at its end, which the framework takes off.
    path = (request.scope.get("raw_path") or b"/").decode("latin-1")
    return {
        "theme": theme if theme in {"light", "dark"} else None,
        "tz": formats.zone(request.cookies.get(OWN_ZONE_COOKIE) or request.cookies.get(ZONE_COOKIE)),
        "now": times.now(),
        "here": quote(path, safe="/-._~%") + ("?" + query if query else ""),
        "csrf": None,
        "signed_in": None,
    }


def signed_in_context(
    request: AnyRequest, connection: Connection, section: str, agent_id: int | None = None
) -> dict[str, Any]:
    """What pages in the frame read, with the agents of the sidebar.

    Raises:
        RequestError: 404 when they see no agent of that number.
    """
    actor = actor_of(request)
    listed = agents.listing(connection, actor.agent_ids)
    agent: AgentRow | None = None
    if agent_id is not None:
        agent = next((each for each in listed if each.id == agent_id), None)
        if agent is None:
            raise not_found("There is no such agent, or it is not yours to see.")
    return {
        **public_context(request),
        "csrf": actor.csrf_token,
        "signed_in": SignedIn.of(actor),
        "agents": listed,
        "agent": agent,
        "section": section,
    }


def render_page(template: str, context: dict[str, Any], status: int = 200) -> Response[str]:
    """Answer with a template."""
    return Response(render(template, **context), status_code=status, media_type="text/html", headers=HEADERS)


def redirect(address: str, request: AnyRequest) -> Response[str]:
    """Send the browser to another page of ours; for htmx as a header, which it follows with the whole page."""
    if request.headers.get("hx-request"):
        return Response(
            "",
            status_code=200,
            media_type="text/plain",
            headers={"HX-Redirect": address, "Cache-Control": "no-store"},
        )
    return Response(
        "",
        status_code=303,
        media_type="text/plain",
        headers={"Location": address, "Cache-Control": "no-store"},
    )


def safe_address(address: str | None, otherwise: str = "/") -> str:
    """The address if it is a path of this server; anything that leads elsewhere becomes `otherwise`.

    Example:
        >>> safe_address("//evil.example"), safe_address("/agents/1/")
        ('/', '/agents/1/')
    """
    if not address or not address.startswith("/") or address[1:2] in {"/", "\\"}:
        return otherwise
    if any(ord(character) < 33 or ord(character) == 127 for character in address):
        return otherwise
    return quote(address, safe="/?&=%#:;,+@!$'()*~-._[]")


def _page_of(request: AnyRequest) -> str:
    """The page that the person has before them: a piece of it, or a form on it, is no place to come back to."""
    if request.headers.get("hx-request"):
        shown = request.headers.get("hx-current-url", "")
    elif request.method != "GET":
        shown = request.headers.get("referer", "")
    else:
        return str(public_context(request)["here"])
    try:
        parts = urlsplit(shown)
    except ValueError:
        return "/"
    # Only where it leads is taken from it, and only within this server.
    return safe_address(parts.path + (f"?{parts.query}" if parts.query else ""))


_TROUBLES = {
    400: ("That did not work", "Something in the address or the form cannot be understood."),
    403: (
        "This is not yours to see",
        "Your account does not allow it. An owner of this server can change that.",
    ),
    404: ("There is nothing here", "The page was removed, or the address has a mistake in it."),
    405: ("That did not work", "This address does not take that."),
    413: ("That is too large", "The form holds more than the server takes."),
    429: ("A moment, please", "Too much at once. Try again shortly."),
    500: ("Something went wrong here", "It is not your fault. The server's log says more."),
    503: ("Not right now", "The database did not answer. Your data is safe; try again in a moment."),
}


def error_page(request: AnyRequest, error: Exception) -> Response[str]:
    """The page that says what went wrong, and what one can do."""
    status, detail = 500, ""
    if isinstance(error, RequestError):
        status, detail = error.status, str(error.body.get("detail", ""))
    elif isinstance(error, HTTPException):
        status = error.status_code
    elif isinstance(error, Overloaded) or outages.as_unavailable(error) is not None:
        status = 503
    if status == 401:
        here = _page_of(request)
        return redirect("/sign-in" if here == "/" else "/sign-in?" + urlencode({"next": here}), request)
    if status >= 500 and status != 503:
        logger.error("%s %s failed", request.method, shown_path(request.scope), exc_info=error)
    heading, note = _TROUBLES.get(status, _TROUBLES[500] if status >= 500 else _TROUBLES[400])
    if detail and status < 500:
        note = detail[:1].upper() + detail[1:] + ("" if detail.endswith((".", "!", "?")) else ".")
    context = public_context(request) | {
        "status": status,
        "heading": heading,
        "note": note,
        "retry": status >= 500 and request.method == "GET",
    }
    actor: Actor | None = getattr(request.state, "actor", None)
    if actor is None or actor.person is None:
        return _again_after(error, render_page("pages/error_public.html", context, status))
    # The frame without the agents: their list may be what failed.
    context |= {
        "csrf": actor.csrf_token,
        "signed_in": SignedIn.of(actor),
        "agents": None,
        "agent": None,
        "section": "",
    }
    return _again_after(error, render_page("pages/error.html", context, status))


def _again_after(error: Exception, page: Response[str]) -> Response[str]:
    """Say when to come again, as the error does."""
    if isinstance(error, RequestError) and "Retry-After" in error.headers:
        page.headers["Retry-After"] = error.headers["Retry-After"]
    return page


def html_or_json(
    answer: Callable[[AnyRequest, Any], Response[bytes]],
) -> Callable[[AnyRequest, Any], Response[Any]]:
    """An exception handler that shows a page to a person, and gives a program the JSON that `answer` makes."""

    def handler(request: AnyRequest, error: Exception) -> Response[Any]:
        for_a_person = "text/html" in request.headers.get("accept", "")
        if for_a_person and not request.scope["path"].startswith("/api/"):
            return error_page(request, error)
        return answer(request, error)

    return handler
