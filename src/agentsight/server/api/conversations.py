"""Reading conversations back, and managing them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from sqlalchemy import Connection

from agentsight.server.api.filters import (
    FILTER_NAMES,
    FILTER_QUERIES,
    SEVERAL,
    boolean,
    integer,
    only,
    ordering,
    parse_filters,
)
from agentsight.server.contract import fields, shapes
from agentsight.server.contract.documentation import Doc, Query
from agentsight.server.contract.fields import clean, json_text
from agentsight.server.contract.links import base_url, file_links
from agentsight.server.errors import Invalid, RequestError, decode, not_found
from agentsight.server.requests import AnyRequest, json_body
from agentsight.server.security import audit
from agentsight.server.security.access import Access
from agentsight.server.services import services_of, viewer_of
from agentsight.server.store import conversations, times, transcripts
from agentsight.server.store.conversations import ORDERINGS, ConversationRow
from agentsight.server.store.schema import SENDERS

_READ: dict[str, Any] = {"access": Access.READ}
_WRITE: dict[str, Any] = {"access": Access.WRITE}
LARGEST_PAGE = 100


class Page(msgspec.Struct):
    """A page of conversations; `next` and `previous` are addresses, or null at the ends."""

    count: int
    next: str | None
    previous: str | None
    results: list[shapes.Conversation]


_DELETED_TOO = Query(
    "include_deleted",
    "Also when it is deleted: for a key with the role write, and for owners",
    {"type": "boolean", "default": False},
)
_FULL = Query("full", "false leaves messages and feedbacks out", {"type": "boolean", "default": True})
_DELETED_TOO_NAMES = frozenset({_DELETED_TOO.name})
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
)  # fmt: skip


@get(
    "/api/conversations",
    opt=_READ | {"doc": Doc("List conversations", "Reading", None, {200: Page}, (*_PAGING, *FILTER_QUERIES))},
)
async def list_conversations(request: AnyRequest) -> Response[bytes]:
    """Newest first. Filters are combined; a parameter that is not known is refused."""
    given = parameters(request)
    only(given, FILTER_NAMES | {each.name for each in _PAGING})
    filters = parse_filters(given)
    may_include_deleted(request, filters.include_deleted)
    order = ordering(given)
    number = integer(given, "page", 1, least=1, most=10_000_000)
    size = integer(given, "page_size", 10, least=1, most=LARGEST_PAGE)
    full = _full(given)
    agents = viewer_of(request).agent_ids
    links = file_links(request)

    def query(connection: Connection) -> tuple[int, list[shapes.Conversation]]:
        count = conversations.count(connection, agents, filters)
        rows = conversations.page(
            connection, agents, filters, ordering=order, offset=(number - 1) * size, limit=size
        )
        return count, whole(connection, rows, links, full=full)

    services = services_of(request)
    ask = services.search if filters.looks_into_messages else services.read
    count, results = await ask(query)
    if not results and number > 1:
        raise not_found("there is no such page")

    def address(page: int) -> str:
        return f"{base_url(request)}/api/conversations/?{urlencode(given | {'page': str(page)})}"

    answer = Page(
        count,
        address(number + 1) if number * size < count else None,
        address(number - 1) if number > 1 else None,
        results,
    )
    return answer_json(answer)


def whole(
    connection: Connection,
    rows: list[ConversationRow],
    links: shapes.FileLinks,
    *,
    full: bool = True,
) -> list[shapes.Conversation]:
    """The API's form of rows that the caller may see."""
    numbers = conversations.ids(rows)
    usage = transcripts.usage_of(connection, numbers)
    said = transcripts.load(connection, numbers) if full else {}
    return [
        shapes.conversation(
            row,
            transcripts.total_usage(usage.get(row.id, [])),
            said.get(row.id),
            links.of_deleted() if row.is_deleted else links,
        )
        for row in rows
    ]


@get(
    "/api/conversations/{number:int}",
    opt=_READ
    | {
        "doc": Doc(
            "One conversation, whole", "Reading", None, {200: shapes.Conversation}, (_FULL, _DELETED_TOO)
        )
    },
)
async def one_conversation(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """With messages and feedbacks. A deleted one is 404 unless `include_deleted` asks for it."""
    agents = viewer_of(request).agent_ids
    links = file_links(request)
    given = parameters(request)
    only(given, _DELETED_TOO_NAMES | {_FULL.name})
    deleted, full = include_deleted(request, given), _full(given)

    def query(connection: Connection) -> list[shapes.Conversation]:
        row = _found(conversations.get(connection, agents, number, include_deleted=deleted))
        return whole(connection, [row], links, full=full)

    return answer_json((await services_of(request).read(query))[0])


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
        raise Invalid({"conversation_id": ["is required"]})
    agents = viewer_of(request).agent_ids
    row = _found(
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
    attachments: list[shapes.Attachment]


class ConversationFiles(msgspec.Struct):
    """Every file of a conversation, by message; `conversation` is the integer id."""

    conversation_id: str
    conversation: int
    total_attachments: int
    messages: list[MessageFiles]


@get(
    "/api/conversations/{number:int}/attachments",
    opt=_READ
    | {"doc": Doc("A conversation's files", "Reading", None, {200: ConversationFiles}, (_DELETED_TOO,))},
)
async def files_of_conversation(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Each `file_url` is signed and works for a while, also without a key."""
    agents = viewer_of(request).agent_ids
    given = parameters(request)
    only(given, _DELETED_TOO_NAMES)
    deleted = include_deleted(request, given)

    def query(connection: Connection) -> ConversationFiles:
        row = _found(conversations.get(connection, agents, number, include_deleted=deleted))
        links = file_links(request).of_deleted() if row.is_deleted else file_links(request)
        messages = [
            MessageFiles(
                entry.id,
                SENDERS[entry.sender or 0],
                times.to_text(entry.timestamp),
                [shapes.attachment(file, links) for file in entry.files],
            )
            for entry in transcripts.load(connection, [row.id])[row.id].entries
            if entry.files
        ]
        total = sum(len(each.attachments) for each in messages)
        return ConversationFiles(row.conversation_id, row.id, total, messages)

    return answer_json(await services_of(request).read(query))


class MarkIn(msgspec.Struct, forbid_unknown_fields=True):
    """Marked or not."""

    is_marked: bool


class RenameIn(msgspec.Struct, forbid_unknown_fields=True):
    """The new name."""

    name: fields.Name


class UpdateIn(msgspec.Struct, forbid_unknown_fields=True):
    """The fields to set; those left out stay. `metadata` is set as a whole."""

    name: fields.OptionalName | msgspec.UnsetType | None = msgspec.UNSET
    is_marked: bool | msgspec.UnsetType = msgspec.UNSET
    customer_id: fields.OptionalName | msgspec.UnsetType | None = msgspec.UNSET
    device: fields.Device | msgspec.UnsetType | None = msgspec.UNSET
    language: fields.OptionalName | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


_mark = msgspec.json.Decoder(MarkIn)
_rename = msgspec.json.Decoder(RenameIn)
_update = msgspec.json.Decoder(UpdateIn)


@post(
    "/api/conversations/{number:int}/mark",
    status_code=HTTP_200_OK,
    opt=_WRITE | {"doc": Doc("Mark", "Managing", MarkIn, {200: shapes.Conversation})},
)
async def mark(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Mark a conversation, or take the mark away."""
    given = decode(await _body(request), _mark, fields.CHOICES)
    return await _change(request, number, {"is_marked": given.is_marked})


@patch(
    "/api/conversations/{number:int}/rename",
    opt=_WRITE | {"doc": Doc("Rename", "Managing", RenameIn, {200: shapes.Conversation})},
)
async def rename(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Give a conversation another name, of at most 255 characters."""
    given = decode(await _body(request), _rename, fields.CHOICES)
    return await _change(request, number, {"name": clean("name", given.name)})


@patch(
    "/api/conversations/{number:int}/update",
    opt=_WRITE | {"doc": Doc("Update", "Managing", UpdateIn, {200: shapes.Conversation})},
)
async def change(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Set the fields given and leave the others."""
    given = decode(await _body(request), _update, fields.CHOICES)
    values: dict[str, Any] = {}
    for name in UpdateIn.__struct_fields__:
        value = getattr(given, name)
        if value is msgspec.UNSET:
            continue
        if name == "metadata":
            value = json_text("metadata", value or {})
        elif isinstance(value, str):
            value = clean(name, value) if value.strip() else None
        values[name] = value
    if not values:
        raise Invalid({"detail": [f"give at least one of {', '.join(UpdateIn.__struct_fields__)}"]})
    return await _change(request, number, values)


class Deleted(msgspec.Struct):
    """The row stays, out of every list and figure."""

    id: int
    conversation_id: str
    is_deleted: bool
    deleted_at: str


@delete(
    "/api/conversations/{number:int}/delete",
    status_code=HTTP_200_OK,
    opt=_WRITE | {"doc": Doc("Delete", "Managing", None, {200: Deleted})},
)
async def remove(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Out of every list and figure, with its files, for everybody; `include_deleted=true` still finds it, and it
    can be restored until it is erased."""
    agents = viewer_of(request).agent_ids
    row = _found(
        await services_of(request).write(
            lambda c, _: conversations.delete(c, agents, number),
            event=lambda row: (
                audit.event_of(request, "conversation_deleted", conversation=number) if row else None
            ),
        )
    )
    return answer_json(Deleted(row.id, row.conversation_id, True, times.to_text(row.deleted_at or 0)))


@post(
    "/api/conversations/{number:int}/restore",
    status_code=HTTP_200_OK,
    opt=_WRITE | {"doc": Doc("Restore", "Managing", None, {200: shapes.Conversation})},
)
async def restore(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Take a deletion back. 404 when it is not deleted, or was erased for good."""
    agents = viewer_of(request).agent_ids
    links = file_links(request)

    def work(connection: Connection, _: int) -> list[shapes.Conversation]:
        row = conversations.restore(connection, agents, number)
        if row is None:
            raise not_found("no such deleted conversation")
        return whole(connection, [row], links, full=False)

    return answer_json((await services_of(request).write(work))[0])


async def _body(request: AnyRequest) -> bytes:
    return await json_body(request, services_of(request).settings.max_body_bytes)


async def _change(request: AnyRequest, number: int, values: dict[str, Any]) -> Response[bytes]:
    agents = viewer_of(request).agent_ids
    links = file_links(request)

    def work(connection: Connection, _: int) -> list[shapes.Conversation]:
        row = _found(conversations.change(connection, agents, number, values))
        return whole(connection, [row], links, full=False)

    return answer_json((await services_of(request).write(work))[0])


def _found(row: ConversationRow | None) -> ConversationRow:
    if row is None:
        raise not_found("no such conversation")
    return row


def include_deleted(request: AnyRequest, given: dict[str, str]) -> bool:
    """Whether the caller asks for what is deleted, too.

    Raises:
        Invalid: the value is neither true nor false.
        RequestError: 403, the caller is nobody to whom it is shown.
    """
    try:
        wanted = boolean(given.get("include_deleted") or "false")
    except ValueError as error:
        raise Invalid({"include_deleted": [str(error)]}) from None
    return may_include_deleted(request, wanted)


def may_include_deleted(request: AnyRequest, wanted: bool) -> bool:
    """`wanted`, where the caller may see what is deleted.

    Raises:
        RequestError: 403, the caller is nobody to whom it is shown.
    """
    if wanted and not viewer_of(request).manages:
        raise RequestError(
            403, {"detail": "include_deleted takes a key with the role write, or a signed-in owner"}
        )
    return wanted


def _full(given: dict[str, str]) -> bool:
    try:
        return boolean(given.get(_FULL.name) or "true")
    except ValueError as error:
        raise Invalid({_FULL.name: [str(error)]}) from None


def parameters(request: AnyRequest) -> dict[str, str]:
    """The query parameters; one that takes several values may be given several times.

    Raises:
        Invalid: one that takes a single value is given twice.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in given:
            given[name] = str(value)
        elif name in SEVERAL:
            given[name] += f",{value}"
        else:
            raise Invalid({name[:100]: ["is given twice, and takes one value"]})
    return given


def answer_json(answer: Any, status: int = HTTP_200_OK) -> Response[bytes]:
    """A JSON answer."""
    return Response(msgspec.json.encode(answer), status_code=status, media_type="application/json")


handlers = [
    list_conversations,
    one_conversation,
    lookup,
    files_of_conversation,
    mark,
    rename,
    change,
    remove,
    restore,
]
