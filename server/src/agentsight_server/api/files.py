"""Serving attachments: by a signed link, or to who may see the conversation."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from litestar.status_codes import HTTP_206_PARTIAL_CONTENT
from sqlalchemy import Connection

from agentsight_server.attachments.file_types import byte_range, content_disposition, shown_inline
from agentsight_server.contract import response_schemas
from agentsight_server.domain.errors import RequestError, not_found
from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access, Actor
from agentsight_server.store import conversations, transcripts
from agentsight_server.store.transcripts import FileRow

# What is uploaded comes from strangers: it may show itself, and do nothing else.
_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"


@get("/files/{number:int}/{name:str}", opt={"access": Access.PUBLIC})
async def attachment(request: AnyRequest, number: FromPath[int], name: FromPath[str]) -> Response[Any]:
    """The bytes of an attachment; the name in the address is for people."""
    services = services_of(request)
    of_deleted = _is_signed(request, response_schemas.DELETED_FILE, number)
    signed = of_deleted or _is_signed(request, response_schemas.FILE, number)
    actor: Actor | None = request.state.actor
    if not signed and actor is None:
        raise RequestError(403, {"detail": "this link has run out; ask for a new one"})
    include_deleted = of_deleted or (actor is not None and actor.manages)

    def query(connection: Connection) -> FileRow | None:
        found = transcripts.file_of(connection, number)
        if found is None:
            return None
        conversation, file = found
        agents = None if signed or actor is None else actor.agent_ids
        row = conversations.get(connection, agents, conversation, include_deleted=include_deleted)
        return file if row else None

    file = await services.read(query)
    if file is None:
        raise not_found("no such file")
    inline = shown_inline(file.mime_type) and "download" not in request.query_params
    kind = file.mime_type if shown_inline(file.mime_type) else "application/octet-stream"
    if kind.startswith("text/"):
        kind = "text/plain; charset=utf-8"
    headers = {
        "Content-Disposition": content_disposition(file.filename, inline=inline),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.sha256[:32]}"',
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(content=b"", status_code=304, headers=headers)
    try:
        part = byte_range(request.headers.get("range"), file.size_bytes)
    except ValueError as error:
        raise RequestError(
            416, {"detail": str(error)}, {"Content-Range": f"bytes */{file.size_bytes}"}
        ) from None
    if not await services.executors.files.run(lambda: services.files.exists(file.sha256)):
        raise not_found("the file's bytes are missing")
    start, end = part or (0, file.size_bytes)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    return Stream(
        services.files.stream_async(file.sha256, start, end),
        status_code=200 if part is None else HTTP_206_PARTIAL_CONTENT,
        headers=headers,
        media_type=kind,
    )


def _is_signed(request: AnyRequest, what: str, number: int) -> bool:
    expires = str(request.query_params.get("expires", ""))
    signature = str(request.query_params.get("signature", ""))
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        return False
    return services_of(request).signer.check(f"{what}:{number}", int(expires), signature)


handlers = [attachment]
