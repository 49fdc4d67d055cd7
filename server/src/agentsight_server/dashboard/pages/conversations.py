"""An agent's conversations: the list, one of them beside it, and what the page asks for while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.dashboard import conversation_list as rows_of
from agentsight_server.dashboard import drilldown, filtering, formats
from agentsight_server.dashboard.conversation_list import Cursor
from agentsight_server.dashboard.filtering import Applied
from agentsight_server.dashboard.pages.page import redirect, render_page
from agentsight_server.dashboard.pages.seen_values import seen_values
from agentsight_server.dashboard.pages.transcript import (
    context_of,
    detail_of,
    row_of,
    titles_of,
    whole_number,
)
from agentsight_server.domain.errors import RequestError, not_found
from agentsight_server.domain.filters import OF_PAGE
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import conversations, glances
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.security_events import Event

_PERSON: dict[str, Any] = {"access": Access.PERSON}
# One answer of the live list; more than this in a few seconds means: load the list again.
_LIVE_ROWS = 50


@get("/agents/{agent_id:int}/conversations", opt=_PERSON)
async def conversation_list(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """The list, filtered by the address; further rows and the empty reader for htmx."""
    target = request.headers.get("hx-target", "")

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        if target == "section#reader":
            return render_page("pages/reader_none.html", context)
        cursor = rows_of.read_cursor(request.query_params.get("before"))
        context |= _list(connection, context, cursor)
        if target == "li#older":
            return render_page("pages/older.html", context)
        return render_page("pages/conversations.html", context | _frame_of_list(request, connection, context))

    return await _answered(request, answer)


@get("/agents/{agent_id:int}/conversations/count", opt=_PERSON)
async def conversation_count(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """How many match a list that is too long to be counted while its page is made."""

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        counts = _counts(connection, context, whole=True)
        return render_page("pages/list_count.html", context | {"counts": counts})

    return await _answered(request, answer)


@get("/agents/{agent_id:int}/conversations/live", opt=_PERSON)
async def live(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Rows that changed since a revision, for the page that is open."""
    query = request.query_params

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        applied: Applied = context["applied"]
        since = conversations.latest_revision(connection)
        found = conversations.after_revision(
            connection, {agent_id}, applied.filters, whole_number(query.get("since"), since), limit=_LIVE_ROWS
        )
        reading = whole_number(query.get("reading"), 0)
        open_row = conversations.get(connection, {agent_id}, reading) if reading else None
        return render_page(
            "pages/live.html",
            context
            | {
                "list": _rows(connection, found, context),
                "since": since,
                "overflow": len(found) == _LIVE_ROWS,
                "reading": open_row.revision if open_row and not open_row.is_deleted else "",
            },
        )

    return await _answered(request, answer)


@get("/agents/{agent_id:int}/conversations/{number:int}", opt=_PERSON)
async def conversation(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """One conversation beside the list; alone for htmx."""
    target = request.headers.get("hx-target", "")

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        row = row_of(request, connection, agent_id, number)
        context["it"] = detail_of(request, connection, row, context)
        if target == "section#reader":
            return render_page("pages/reader.html", context)
        context |= _list(connection, context, None)
        last = context["rows_found"][-1] if context["rows_found"] else None
        if last is not None and (row.started_at, row.id) < (last.started_at, last.id):
            # Far down: the list begins where the conversation stands.
            context |= _list(connection, context, (row.started_at, row.id + 1))
        return render_page("pages/conversations.html", context | _frame_of_list(request, connection, context))

    if target == "section#reader":
        return await services_of(request).read(answer)
    return await _answered(request, answer)


@post("/agents/{agent_id:int}/conversations/{number:int}/mark", opt={"access": Access.PERSON})
async def mark(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """Mark a conversation, or take the mark off."""
    actor = actor_of(request)
    actor.require_agent(agent_id)
    if actor.role == "viewer":
        raise RequestError(403, {"detail": "Your account may look, not change."})
    form = await request.form()
    wanted = form.get("is_marked") == "true"
    return await _changed(
        request,
        agent_id,
        number,
        lambda connection: conversations.change(connection, {agent_id}, number, {"is_marked": wanted}),
    )


@post("/agents/{agent_id:int}/conversations/{number:int}/delete", opt={"access": Access.OWNER})
async def delete(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """Delete a conversation; its page then offers to take that back."""
    return await _changed(
        request,
        agent_id,
        number,
        lambda connection: conversations.delete(connection, {agent_id}, number),
        event=audit.event_of(request, "conversation_deleted", agent_id=agent_id, conversation=number),
    )


@post("/agents/{agent_id:int}/conversations/{number:int}/restore", opt={"access": Access.OWNER})
async def restore(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """Take a deletion back."""
    return await _changed(
        request,
        agent_id,
        number,
        lambda connection: conversations.restore(connection, {agent_id}, number),
        event=audit.event_of(request, "conversation_restored", agent_id=agent_id, conversation=number),
    )


async def _changed(
    request: AnyRequest,
    agent_id: int,
    number: int,
    change: Callable[[Connection], ConversationRow | None],
    event: Event | None = None,
) -> Response[str]:
    """Change a conversation and show it as it is then."""
    services = services_of(request)
    changed = await services.write(
        lambda connection, _: change(connection), event=lambda row: event if row is not None else None
    )
    if changed is None:
        raise not_found("There is no such conversation.")
    if not request.headers.get("hx-request"):
        query = request.scope.get("query_string", b"").decode("latin-1")
        return redirect(
            f"/agents/{agent_id}/conversations/{number}/" + (f"?{query}" if query else ""), request
        )

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        row = row_of(request, connection, agent_id, number)
        context["it"] = detail_of(request, connection, row, context)
        return render_page("pages/reader.html", context)

    return await services.read(answer)


async def _answered(request: AnyRequest, answer: Callable[[Connection], Response[str]]) -> Response[str]:
    """The answer of a view with a list; one that looks into messages takes its turn with other searches."""
    query = request.query_params
    services = services_of(request)
    heavy = query.get("search") or query.get("message_contains")
    return await (services.search(answer) if heavy else services.read(answer))


def _list(connection: Connection, context: dict[str, Any], cursor: Cursor | None) -> dict[str, Any]:
    """A page of the list, and the addresses of its neighbours."""
    applied: Applied = context["applied"]
    agent_id = context["agent"].id
    found = conversations.before(
        connection, {agent_id}, applied.filters, cursor=cursor, limit=rows_of.PAGE + 1
    )
    found, more = found[: rows_of.PAGE], len(found) > rows_of.PAGE
    older = None
    if more:
        last = found[-1]
        older = context["list_path"] + applied.query(before=rows_of.cursor_text((last.started_at, last.id)))
    return {
        "rows_found": found,
        "list": _rows(connection, found, context),
        "older": older,
        "newest": context["list_path"] + applied.query() if cursor is not None else None,
    }


def _rows(connection: Connection, found: list[ConversationRow], context: dict[str, Any]) -> list[rows_of.Row]:
    numbers = conversations.ids(found)
    if not numbers:
        return []
    applied: Applied = context["applied"]
    return rows_of.rows(
        found,
        glances.tools_of(connection, numbers, context["handing_over"]),
        glances.sentiments_of(connection, numbers),
        titles_of(connection, found),
        glances.first_events(connection, applied.filters, numbers),
        applied,
        context["handing_over"],
    )


def _frame_of_list(request: AnyRequest, connection: Connection, context: dict[str, Any]) -> dict[str, Any]:
    """What stands around the rows: count, chips, the filter sheet, where news come from."""
    applied: Applied = context["applied"]
    chips = filtering.chips(applied)
    return {
        "chips": chips,
        "filtered": bool(chips),
        "sheet": filtering.sheet(
            OF_PAGE,
            applied.values,
            seen_values(services_of(request).database, connection, context["agent"].id),
        ),
        "counts": _counts(connection, context),
        "live": context["list_path"] + "live/" + applied.query(),
        "since": conversations.latest_revision(connection),
    }


def _counts(connection: Connection, context: dict[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """How many match, and how many events there are for which the list was opened; in words.

    Without `whole` a long list is not counted to its end: `counting` is where the count is to be had.
    """
    applied: Applied = context["applied"]
    agent_id: int = context["agent"].id
    filters, agent = applied.filters, {agent_id}
    people = filters["event"] is None and filters["customer_id__isnull"] is False
    found: dict[str, Any] = {"count": "", "things": None, "counting": "", "wide": people or filters["event"]}
    # Counting these would mean reading every message.
    if filters.looks_into_messages:
        return found
    if not whole and conversations.page(connection, agent, filters, offset=rows_of.COUNT_UP_TO, limit=1):
        counting = f"/agents/{agent_id}/conversations/count/{applied.query()}"
        return found | {"count": f"{formats.number(rows_of.COUNT_UP_TO)}+", "counting": counting}
    number = conversations.count(connection, agent, filters)
    found |= {
        "count": formats.number(number),
        "conversations": "conversation" if number == 1 else "conversations",
    }
    if filters["event"] is not None:
        found["things"] = drilldown.counted(filters, conversations.count_events(connection, agent, filters))
    elif people:
        different = conversations.people(connection, agent, filters)
        found["things"] = formats.number(different), "person" if different == 1 else "people"
    elif (cut := context["cut"]) is not None and cut.listed:
        several = conversations.among(connection, agent, filters, cut.listed.keys())
        counted = number - len(several) + sum(cut.listed[each] for each in several)
        if counted != number:
            found["conversations"] = "thread" if number == 1 else "threads"
            found["things"] = formats.number(counted), "conversation" if counted == 1 else "conversations"
    return found


handlers = [conversation_list, conversation_count, live, conversation, mark, delete, restore]
