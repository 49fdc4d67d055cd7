"""Managing conversations: marks, names, fields, deletion."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, delete, patch, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from sqlalchemy import Connection

from agentsight_server.api.conversations import only_found
from agentsight_server.contract import fields, response_schemas
from agentsight_server.contract.decoding import decode
from agentsight_server.contract.documentation import Doc
from agentsight_server.contract.fields import clean, json_text
from agentsight_server.contract.links import file_links
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, not_found
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest, json_body
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import conversations, transcripts
from agentsight_server.store.conversations import ConversationRow

_WRITE: dict[str, Any] = {"access": Access.WRITE}


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
    opt=_WRITE | {"doc": Doc("Mark", "Managing", MarkIn, {200: response_schemas.Conversation})},
)
async def mark(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Mark a conversation, or take the mark away."""
    given = decode(await _body(request), _mark)
    return await _change(request, number, {"is_marked": given.is_marked})


@patch(
    "/api/conversations/{number:int}/rename",
    opt=_WRITE | {"doc": Doc("Rename", "Managing", RenameIn, {200: response_schemas.Conversation})},
)
async def rename(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Give a conversation another name, of at most 255 characters."""
    given = decode(await _body(request), _rename)
    return await _change(request, number, {"name": clean("name", given.name)})


@patch(
    "/api/conversations/{number:int}/update",
    opt=_WRITE | {"doc": Doc("Update", "Managing", UpdateIn, {200: response_schemas.Conversation})},
)
async def change(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Set the fields given and leave the others."""
    given = decode(await _body(request), _update)
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
        raise Invalid(Problem("", Code.NOTHING_GIVEN, ", ".join(UpdateIn.__struct_fields__)))
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
    agents = actor_of(request).agent_ids
    row = only_found(
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
    opt=_WRITE | {"doc": Doc("Restore", "Managing", None, {200: response_schemas.Conversation})},
)
async def restore(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Take a deletion back. 404 when it is not deleted, or was erased for good."""
    agents = actor_of(request).agent_ids
    links = file_links(request)

    def work(connection: Connection, _: int) -> response_schemas.Conversation:
        row = conversations.restore(connection, agents, number)
        if row is None:
            raise not_found("no such deleted conversation")
        return brief(connection, row, links)

    event = audit.event_of(request, "conversation_restored", conversation=number)
    return answer_json(await services_of(request).write(work, event=event))


async def _body(request: AnyRequest) -> bytes:
    return await json_body(request, services_of(request).settings.max_body_bytes)


async def _change(request: AnyRequest, number: int, values: dict[str, Any]) -> Response[bytes]:
    agents = actor_of(request).agent_ids
    links = file_links(request)

    def work(connection: Connection, _: int) -> response_schemas.Conversation:
        row = only_found(conversations.change(connection, agents, number, values))
        return brief(connection, row, links)

    return answer_json(await services_of(request).write(work))


def brief(
    connection: Connection, row: ConversationRow, links: response_schemas.FileLinks
) -> response_schemas.Conversation:
    """The API's form of a row that the caller may see, without what was said."""
    usage = transcripts.usage_of(connection, [row.id]).get(row.id, [])
    mine = links.of_deleted() if row.is_deleted else links
    return response_schemas.conversation(row, transcripts.total_usage(usage), None, mine)


handlers = [mark, rename, change, remove, restore]
