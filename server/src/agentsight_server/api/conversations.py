"""Reading conversations back, and managing them."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.api import bounded
from agentsight_server.api.filters import (
    FILTER_NAMES,
    FILTER_QUERIES,
    integer,
    only,
    ordering,
    parse_filters,
)
from agentsight_server.api.queries import include_deleted, may_include_deleted, parameters
from agentsight_server.contract import response_schemas
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.contract.fields import clean
from agentsight_server.contract.links import base_url, file_links
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, not_found
from agentsight_server.domain.parameters import Unfit, flag
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access
from agentsight_server.store import conversations, transcripts
from agentsight_server.store.conversations import ORDERINGS, ConversationRow
from agentsight_server.store.schema import SENDERS

_READ: dict[str, Any] = {"access": Access.READ}
_WRITE: dict[str, Any] = {"access": Access.WRITE}
LARGEST_PAGE = 100


class Page(msgspec.Struct):
    """A page of conversations; `next` and `previous` are addresses, or null at the ends.

    `left_out` is there when the page's results are too large for one answer: so many of them come with `next`.
    """

    count: int
    next: str | None
    previous: str | None
    results: list[response_schemas.Conversation]
    left_out: int | msgspec.UnsetType = msgspec.UNSET


_DELETED_TOO = Query(
    "include_deleted",
    "Also when it is deleted: for a key with the role write, and for owners",
    {"type": "boolean", "default": False},
)
_FULL = Query("full", "false leaves messages and feedbacks out", {"type": "boolean", "default": True})
_DELETED_TOO_NAMES = frozenset({_DELETED_TOO.name})
_AFTER = Query(
    "messages_after",
    "The number of a message or feedback: what comes after it. `messages_next` of an answer names it",
    {"type": "integer", "minimum": 1},
)
_PAGING = (
    Query("page", "From 1", {"type": "integer", "minimum": 1, "default": 1}),
    Query("page_size", "At most 100", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}),
    Query(
        "ordering",
        "A column, with `-` for falling",
        {"type": "string", "enum": [f"{sign}{name}" for name in ORDERINGS for sign in ("", "-")],
         "default": "-started_at"},
    ),
    _FULL,
    Query("skip", "So many results of the page are left out: those that an answer before it held. `next` sets it",
          {"type": "integer", "minimum": 0, "maximum": 99, "default": 0}),
)  # fmt: skip


@get(
    "/api/conversations",
    opt=_READ | {"doc": Doc("List conversations", "Reading", None, {200: Page}, (*_PAGING, *FILTER_QUERIES))},
)
async def list_conversations(request: AnyRequest) -> Response[bytes]:
    """Newest first. Filters are combined; a parameter that is not known is refused.

    An answer holds up to 8 MB of conversations: where a page has more, `left_out` says how many of its results come
    with `next`. Following `next` gives every conversation once. A single conversation that is larger than that comes
    with its first messages, and `messages_next` is where the next ones are.
    """
    given = parameters(request)
    only(given, FILTER_NAMES | {each.name for each in _PAGING})
    filters = parse_filters(given)
    may_include_deleted(request, filters["include_deleted"] is True)
    order = ordering(given)
    number = integer(given, "page", 1, least=1, most=10_000_000)
    size = integer(given, "page_size", 10, least=1, most=LARGEST_PAGE)
    skip = integer(given, "skip", 0, least=0, most=LARGEST_PAGE - 1)
    here = f"{base_url(request)}/api/conversations/"
    full = _full(given)
    agents = actor_of(request).agent_ids
    links = file_links(request)

    def query(connection: Connection) -> tuple[int, int, list[msgspec.Raw]]:
        count = conversations.count(connection, agents, filters)
        rows = conversations.page(
            connection, agents, filters, ordering=order, offset=(number - 1) * size, limit=size
        )
        rows = rows[skip:]
        return count, len(rows), bounded.whole(connection, rows, links, here, full=full)

    services = services_of(request)
    ask = services.search if filters.looks_into_messages else services.read
    count, found, results = await ask(query)
    if not results and number > 1:
        raise not_found("there is no such page")

    def address(page: int, skipped: int = 0) -> str:
        wanted = {name: value for name, value in given.items() if name != "skip"} | {"page": str(page)}
        return f"{here}?{urlencode(wanted | ({'skip': str(skipped)} if skipped else {}))}"

    answer = Page(count, None, address(number - 1) if number > 1 else None, cast("Any", results))
    if len(results) < found:
        answer.next = address(number, skip + len(results))
        answer.left_out = found - len(results)
    elif number * size < count:
        answer.next = address(number + 1)
    return answer_json(answer)


@get(
    "/api/conversations/{number:int}",
    opt=_READ
    | {
        "doc": Doc(
            "One conversation, whole",
            "Reading",
            None,
            {200: response_schemas.Conversation},
            (_FULL, _DELETED_TOO, _AFTER),
        )
    },
)
async def one_conversation(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """With messages and feedbacks. A deleted one is 404 unless `include_deleted` asks for it.

    One of more than 8 MB comes with its first messages and the feedback among them; `messages_next` is the address of
    the next ones, and is not there when nothing is left. `sessions` are the parts that figures count one by one.
    """
    agents = actor_of(request).agent_ids
    links = file_links(request)
    given = parameters(request)
    only(given, _DELETED_TOO_NAMES | {_FULL.name, _AFTER.name})
    deleted, full = include_deleted(request, given), _full(given)
    after = integer(given, _AFTER.name, 0, least=0, most=2**63 - 1)
    here = f"{base_url(request)}/api/conversations/"

    def query(connection: Connection) -> tuple[ConversationRow, msgspec.Raw]:
        row = only_found(conversations.get(connection, agents, number, include_deleted=deleted))
        if not after:
            return row, bounded.whole(connection, [row], links, here, full=full)[0]
        mine = links.of_deleted() if row.is_deleted else links
        try:
            return row, bounded.further(connection, row, after, mine, here)
        except LookupError:
            raise Invalid(Problem(_AFTER.name, Code.NO_SUCH_MESSAGE)) from None

    services = services_of(request)
    row, told = await services.read(query)
    if after or row.is_deleted:
        return answer_json(told)
    cut = await services.analytics.sessions(row.id, row.revision)
    return answer_json(told if cut is None else bounded.with_sessions(told, cut))


class Found(msgspec.Struct):
    """A conversation's integer id."""

    id: int
    conversation_id: str


@get(
    "/api/conversations/lookup",
    opt=_READ
    | {
        "doc": Doc(
            "Find by text id",
            "Reading",
            None,
            {200: Found},
            (
                Query("conversation_id", "The text id", {"type": "string", "minLength": 1}, required=True),
                _DELETED_TOO,
            ),
        )
    },
)
async def lookup(request: AnyRequest) -> Response[bytes]:
    """The integer id of a conversation whose text id is known."""
    given = parameters(request)
    only(given, _DELETED_TOO_NAMES | {"conversation_id"})
    deleted = include_deleted(request, given)
    name = clean("conversation_id", given.get("conversation_id", ""))
    if not name:
        raise Invalid(Problem("conversation_id", Code.REQUIRED))
    agents = actor_of(request).agent_ids
    row = only_found(
        await services_of(request).read(
            lambda c: conversations.lookup(c, agents, name, include_deleted=deleted)
        )
    )
    return answer_json(Found(row.id, row.conversation_id))


class MessageFiles(msgspec.Struct):
    """The files of one message."""

    message_id: int
    sender: str
    timestamp: str
    attachments: list[response_schemas.Attachment]


class ConversationFiles(msgspec.Struct):
    """Every file of a conversation, by message; `conversation` is the integer id.

    `attachments_next` is there when there are more than one answer takes: the address of the next ones.
    """

    conversation_id: str
    conversation: int
    total_attachments: int
    messages: list[MessageFiles]
    attachments_next: str | msgspec.UnsetType = msgspec.UNSET


_FILES_AT_ONCE = 5_000
_FILES_AFTER = Query(
    "attachments_after",
    "The number of an attachment: what was added after it. `attachments_next` of an answer names it",
    {"type": "integer", "minimum": 1},
)


@get(
    "/api/conversations/{number:int}/attachments",
    opt=_READ
    | {
        "doc": Doc(
            "A conversation's files", "Reading", None, {200: ConversationFiles}, (_DELETED_TOO, _FILES_AFTER)
        )
    },
)
async def files_of_conversation(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Each `file_url` is signed and works for a while, also without a key. 5,000 files are in one answer at most."""
    agents = actor_of(request).agent_ids
    given = parameters(request)
    only(given, _DELETED_TOO_NAMES | {_FILES_AFTER.name})
    deleted = include_deleted(request, given)
    after = integer(given, _FILES_AFTER.name, 0, least=0, most=2**63 - 1)
    here = f"{base_url(request)}/api/conversations/{number}/attachments/"

    def query(connection: Connection) -> ConversationFiles:
        row = only_found(conversations.get(connection, agents, number, include_deleted=deleted))
        links = file_links(request).of_deleted() if row.is_deleted else file_links(request)
        found, last = transcripts.files_of_conversation(connection, row.id, after, _FILES_AT_ONCE)
        answer = ConversationFiles(
            row.conversation_id,
            row.id,
            transcripts.number_of_files(connection, row.id),
            [
                MessageFiles(
                    each.id,
                    SENDERS[each.sender or 0],
                    times.to_text(each.timestamp),
                    [response_schemas.attachment(file, links) for file in each.files],
                )
                for each in found
            ],
        )
        if last is not None:
            more = "&include_deleted=true" if row.is_deleted else ""
            answer.attachments_next = f"{here}?{_FILES_AFTER.name}={last}{more}"
        return answer

    return answer_json(await services_of(request).read(query))


def only_found(row: ConversationRow | None) -> ConversationRow:
    if row is None:
        raise not_found("no such conversation")
    return row


def _full(given: dict[str, str]) -> bool:
    try:
        return flag(given.get(_FULL.name) or "true")
    except Unfit as unfit:
        raise Invalid(unfit.of(_FULL.name)) from None


handlers = [
    list_conversations,
    one_conversation,
    lookup,
    files_of_conversation,
]
