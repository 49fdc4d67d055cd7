"""One conversation: its transcript in pages, on paper, and what is too long to stand there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.attachments.blobs import FileMissing
from agentsight_server.dashboard import detail, filtering
from agentsight_server.dashboard.conversation_list import title_of
from agentsight_server.dashboard.names import Icon
from agentsight_server.dashboard.pages.page import render_page, signed_in_context
from agentsight_server.dashboard.texts import Texts
from agentsight_server.dashboard.transcript import Reader
from agentsight_server.domain.errors import not_found
from agentsight_server.domain.filters import Filters
from agentsight_server.http.app_state import Services, actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.reference import geo
from agentsight_server.security.access import Access
from agentsight_server.store import agents, conversations, glances, passages, transcripts
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.transcripts import FileRow

_PERSON: dict[str, Any] = {"access": Access.PERSON}
_SNIPPET_BYTES = 1_500
# Parameters of the pages around a conversation that are no filters.
_OWN = frozenset({"before", "item", "page", "part", "reading", "since"})
# Drawings that a transcript repeats.
SYMBOLS = (
    Icon("settings"),
    Icon("headset"),
    Icon("download"),
    Icon("photo"),
    Icon("movie"),
    Icon("volume"),
    Icon("file"),
    Icon("file-text"),
    Icon("file-type-pdf"),
    Icon("file-description"),
)

# Characters of one text on paper, and of a sheet's HTML: nothing can be opened there.
_LONGEST_PRINTED, _ROOM_ON_PAPER = 200_000, 12_000_000
# Characters of a text that an answer of its own holds.
_PIECE = 200_000
_PARTS = {
    "content": "Message",
    "metadata": "Metadata",
    "arguments": "Arguments",
    "response": "Response",
    "error": "Error",
}


@get("/agents/{agent_id:int}/conversations/{number:int}/print", opt=_PERSON)
async def printable(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """One conversation as a sheet of paper."""

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        row = row_of(request, connection, agent_id, number)
        texts = Texts(_LONGEST_PRINTED, _ROOM_ON_PAPER)
        context["it"] = detail_of(request, connection, row, context, texts)
        return render_page("pages/print.html", context)

    return await services_of(request).read(answer)


@get("/agents/{agent_id:int}/conversations/{number:int}/items/{item:int}", opt=_PERSON)
async def item_text(
    request: AnyRequest, agent_id: FromPath[int], number: FromPath[int], item: FromPath[int]
) -> Response[str]:
    """One text of a transcript as it was written, in pieces: `part` says which, `from` where it goes on."""
    query = request.query_params
    part = query.get("part", "content")
    start = whole_number(query.get("from"), 0)
    if part not in passages.PARTS or item >= 2**63:
        raise not_found("There is no such text.")

    def answer(connection: Connection) -> Response[str]:
        context = context_of(request, connection, agent_id)
        row = row_of(request, connection, agent_id, number)
        found = passages.piece(connection, row.id, item, part, start, _PIECE)
        if found is None or start > found.total:
            raise not_found("There is no such text.")
        here = f"{context['list_path']}{row.id}/"
        shown = {
            "title": title_of(row, titles_of(connection, [row])),
            "what": _PARTS[part],
            "text": found.text,
            "total": found.total,
            "start": start,
            "before": max(0, start - _PIECE),
            "rest_from": start + len(found.text) if start + len(found.text) < found.total else 0,
            "path": f"{here}items/{item}/?part={part}",
            "back": f"{here}?item={item}#item-{item}",
        }
        alone = bool(request.headers.get("hx-request"))
        return render_page("pages/text_rest.html" if alone else "pages/text.html", context | shown)

    return await services_of(request).read(answer)


def context_of(request: AnyRequest, connection: Connection, agent_id: int) -> dict[str, Any]:
    context = signed_in_context(request, connection, "conversations", agent_id)
    handing_over = agents.escalations(connection, [agent_id]).get(agent_id, ())
    applied = filtering.read_filters(request.query_params.multi_items(), context["tz"], handing_over, _OWN)
    cut = None
    if counts_sessions(applied.filters):
        revision = conversations.latest_revision(connection)
        cut = services_of(request).analytics.cut_in(agent_id, revision, applied.filters)
        if cut is not None:
            applied.filters = applied.filters.having(threads=(tuple(cut.listed), tuple(cut.begun)))
    return context | {
        "applied": applied,
        "cut": cut,
        "handing_over": handing_over,
        "it": None,
        "symbols": SYMBOLS,
        "list_path": f"/agents/{agent_id}/conversations/",
        "can_change": actor_of(request).role != "viewer",
        "credit": geo.ATTRIBUTION,
        "credit_url": geo.ATTRIBUTION_URL,
    }


def counts_sessions(filters: Filters) -> bool:
    """Whether a list is one of conversations as figures count them: with a session that begins in a period."""
    timed = filters["started_at_after"] is not None or filters["started_at_before"] is not None
    return timed and filters["event"] is None and filters["is_used"] is True


def titles_of(connection: Connection, found: list[ConversationRow]) -> dict[int, str]:
    untitled = [row.id for row in found if not row.name and not row.first_question]
    return glances.openings(connection, untitled) if untitled else {}


def row_of(request: AnyRequest, connection: Connection, agent_id: int, number: int) -> ConversationRow:
    """The conversation of that number; a deleted one only for owners.

    Raises:
        RequestError: 404, there is none.
    """
    row = conversations.get(connection, {agent_id}, number, include_deleted=actor_of(request).manages)
    if row is None:
        raise not_found("There is no such conversation.")
    return row


def detail_of(
    request: AnyRequest,
    connection: Connection,
    row: ConversationRow,
    context: dict[str, Any],
    texts: Texts | None = None,
) -> detail.Detail:
    """A page of the conversation, as the address says which, and what stands beside it."""
    services = services_of(request)
    whole = passages.totals(connection, row.id)
    page = _page(connection, row.id, whole, request.query_params)
    texts = texts or Texts(passages.LONGEST)
    part = passages.passage(connection, row.id, page, longest=texts.longest)
    reader = Reader(
        tz=context["tz"],
        link=_file_address,
        peek=lambda sha: _beginning(services, sha),
        handover=frozenset(context["handing_over"]),
        texts=texts,
    )
    others = conversations.of_customer(connection, {row.agent_id}, row, limit=detail.OTHERS + 1)
    return detail.detail(
        row,
        reader.read(
            part.entries,
            part.opinions,
            shown=part.numbers,
            lead=part.lead,
            ends=part.ends,
            sessions=services.analytics.sessions_now(row.id),
        ),
        whole,
        page,
        transcripts.usage_of(connection, [row.id]).get(row.id, []),
        passages.latest_opinions(connection, row.id, detail.OPINIONS + 1),
        others,
        titles_of(connection, [row, *others]),
        context["applied"],
        context["tz"],
    )


def _page(connection: Connection, number: int, whole: passages.Totals, query: Mapping[str, str]) -> int:
    """The page that is asked for by its number or by an item on it; the first one where it is not there."""
    item = whole_number(query.get("item"), 0)
    if item:
        return min(passages.page_of(connection, number, item) or 1, whole.pages)
    if query.get("page") == "last":
        return whole.pages
    return min(max(whole_number(query.get("page"), 1), 1), whole.pages)


def _file_address(file: FileRow) -> str:
    # Signed in, no signature is needed, and the address stays the same: browsers keep what they fetched.
    return f"/files/{file.id}/{quote(file.filename, safe='')}"


def _beginning(services: Services, sha: str) -> bytes:
    try:
        return b"".join(services.files.stream(sha, 0, _SNIPPET_BYTES))
    except (FileMissing, OSError):
        return b""


def whole_number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else otherwise


handlers = [printable, item_text]
