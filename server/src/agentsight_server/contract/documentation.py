"""The OpenAPI 3.1 document, made from the routes and the structs that they take and give."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from agentsight_server._version import __version__
from agentsight_server.security.access import Access


class Detail(msgspec.Struct):
    """Why a request was not carried out."""

    detail: str


FieldErrors = dict[str, list[str]]

_ERRORS: dict[int, tuple[str, Any]] = {
    400: ("The named fields hold what they cannot take", FieldErrors),
    401: ("No key, or one that is not known or was revoked", Detail),
    403: ("The key's role does not allow it, or not the named fields", Detail),
    404: ("Not there, or another agent's", Detail),
    408: ("The body did not arrive in time", Detail),
    409: ("The conversation was deleted; it takes nothing until it is restored", Detail),
    413: ("The body is too large", Detail),
    415: ("Not JSON, or an encoding that is not supported", Detail),
    429: ("Too much is waiting; try again after Retry-After seconds", Detail),
    507: ("Attachments are not taken while the disk is nearly full", Detail),
    503: ("The database did not take it; try again", Detail),
}


@dataclass(frozen=True)
class Query:
    """A query parameter. `schema` is its JSON schema; an array is written with commas."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Doc:
    """What a route is for; put into its `opt` as "doc". The description is the handler's docstring.

    `public` is what an ingest key is answered instead.
    `files` are media types in which a 200 may also come, or comes when it has no struct.
    """

    summary: str
    tag: str
    request: Any = None
    responses: dict[int, Any] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    multipart: bool = False
    files: tuple[str, ...] = ()
    public: Any = None


# How generated clients call an operation, where the handler's own name does not say it.
OPERATIONS = {
    "analytics": "get_analytics",
    "change": "update_conversation",
    "change_key": "update_key",
    "drop_token_secret": "delete_token_secret",
    "export": "export_conversations",
    "files_of_conversation": "list_conversation_attachments",
    "healthz": "get_health",
    "lookup": "find_conversation",
    "make_key": "create_key",
    "make_token_secret": "create_token_secret",
    "mark": "mark_conversation",
    "me": "get_me",
    "one_conversation": "get_conversation",
    "read_ledger": "get_ledger",
    "readyz": "get_readiness",
    "remove": "delete_conversation",
    "rename": "rename_conversation",
    "restore": "restore_conversation",
    "track": "write_message",
    "erase": "erase_conversations",
    "one_erasure": "get_erasure",
    "read_retention": "get_retention",
    "write_retention": "set_retention",
}


def document(handlers: Iterable[HTTPRouteHandler], server_url: str) -> dict[str, Any]:
    """The OpenAPI document of the handlers that carry a Doc."""
    documented = [(each, each.opt["doc"]) for each in handlers if isinstance(each.opt.get("doc"), Doc)]
    kinds: list[Any] = [Detail, FieldErrors]
    for _, doc in documented:
        kinds += [kind for kind in (doc.request, doc.public, *doc.responses.values()) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for handler, doc in documented:
        for path in sorted(handler.paths):
            shown = re.sub(r"\{(\w+):\w+\}", lambda found: f"{{{_shown(found[1])}}}", path).rstrip("/") + "/"
            if path.endswith(".json"):
                shown = path
            for method in sorted(handler.http_methods):
                operation = _operation(handler, doc, path, by_kind)
                paths.setdefault(shown, {})[str(method).lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AgentSight",
            "version": __version__,
            "description": "Conversations of AI agents: write them, read them back, manage them.\n\n"
            "Send a key with each request: `Authorization: Api-Key ags_…`. A key belongs to one agent and "
            "has a role: `ingest` writes, `read` reads, `write` does both and manages.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server_url}],
        "security": [{"ApiKey": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "ApiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Api-Key ags_…`",
                }
            },
        },
    }


def _operation(handler: HTTPRouteHandler, doc: Doc, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    function = inspect.unwrap(handler.fn)
    operation: dict[str, Any] = {
        "operationId": OPERATIONS.get(handler.handler_name, handler.handler_name),
        "summary": doc.summary,
        "description": inspect.cleandoc(function.__doc__ or ""),
        "tags": [doc.tag],
        "parameters": _parameters(path, doc),
        "responses": {
            str(status): _answer(_OUTCOMES.get(status, "Done"), _schema(kind, doc.public, schemas))
            for status, kind in doc.responses.items()
        },
    }
    for kind in doc.files:
        operation["responses"]["200"].setdefault("content", {})[kind] = {"schema": {"type": "string"}}
    access = handler.opt.get("access")
    if access is Access.PUBLIC:
        operation["security"] = []
    if doc.request is not None:
        content: dict[str, Any] = {"application/json": {"schema": schemas[repr(doc.request)]}}
        if doc.multipart:
            content["multipart/form-data"] = {"schema": _MULTIPART}
        operation["requestBody"] = {"required": True, "content": content}
    for status, (meaning, kind) in _ERRORS.items() if path.startswith("/api/") else ():
        if status in {401, 403} and access is Access.PUBLIC:
            continue
        if status in {408, 413, 415} and doc.request is None:
            continue
        if status in {409, 507} and doc.tag != "Writing":
            continue
        schema = schemas[repr(kind)]
        if status in {400, 413} or (
            status == 403 and doc.request is not None
        ):  # msgspec knows no union of two objects
            schema = {"anyOf": [schemas[repr(Detail)], schemas[repr(FieldErrors)]]}
        operation["responses"].setdefault(str(status), _answer(meaning, schema))
    return operation


_OUTCOMES = {
    200: "Done",
    201: "Stored",
    202: "Begun",
    204: "Done, nothing to say",
    409: "It is not what `expect` says",
}
_MULTIPART = {
    "type": "object",
    "properties": {
        "conversation": {"type": "string", "description": "The integer id"},
        "conversation_id": {"type": "string", "description": "The text id"},
        "sender": {"type": "string", "enum": ["end_user", "agent", "system"], "default": "end_user"},
        "mode": {"type": "string", "enum": ["base64", "form_data"]},
        "message": {
            "type": "string",
            "description": "The integer id of the message that the files belong to, else a text beside them",
        },
        "metadata": {"type": "string", "description": "A JSON object as text"},
        "timestamp": {"type": "string", "format": "date-time"},
        "attachment_0": {"type": "string", "format": "binary"},
    },
    "required": ["attachment_0"],
}


def _schema(kind: Any, public: Any, schemas: dict[str, Any]) -> Any:
    schema = schemas.get(repr(kind))
    return schema if public is None else {"anyOf": [schema, schemas[repr(public)]]}


def _answer(meaning: str, schema: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": meaning}
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    return answer


def _shown(name: str) -> str:
    """How a path's parameter is called in the document."""
    return "id" if name == "number" else name


def _parameters(path: str, doc: Doc) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": _shown(name), "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
        for name in re.findall(r"\{(\w+):int\}", path)
    ]
    for each in doc.query:
        parameter = {
            "name": each.name,
            "in": "query",
            "description": each.description,
            "required": each.required,
            "schema": each.schema,
        }
        if each.schema.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        found.append(parameter)
    return found
