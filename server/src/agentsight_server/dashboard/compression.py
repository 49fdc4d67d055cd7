"""Pages travel compressed: a long transcript is twenty times smaller."""

from __future__ import annotations

import gzip
import io
import secrets
from typing import Any, cast

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from agentsight_server.http.bodies import run_in_thread_if_large

SMALLEST = 2_000
# Level 4 makes a megabyte in some 15 ms; higher ones take longer than they save on the way.
_LEVEL = 4
_PADDING = 100


def compress(body: bytes) -> bytes:
    """Gzip with a header of random length.

    Pages hold the form token beside words that others chose. Were the length of a compressed page exact, it
    would tell, over many requests, which guesses at the token are right; a random one does not.

    Example:
        >>> gzip.decompress(compress(b"words " * 1000)) == b"words " * 1000
        True
    """
    out = io.BytesIO()
    name = "p" * (1 + secrets.randbelow(_PADDING))
    with gzip.GzipFile(filename=name, mode="wb", compresslevel=_LEVEL, fileobj=out, mtime=0) as file:
        file.write(body)
    return out.getvalue()


def compressed(app: ASGIApp) -> ASGIApp:
    """ASGI middleware for pages; each is one body, sent at once."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(cast("Any", scope).get("headers", ()))
        if scope["type"] != ScopeType.HTTP or b"gzip" not in headers.get(b"accept-encoding", b""):
            await app(scope, receive, send)
            return
        started: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            if started is None:
                await send(message)
                return
            start, started = started, None
            if message["type"] == "http.response.body" and not message.get("more_body"):
                changed = MutableScopeHeaders.from_message(start)
                body = message["body"]
                if len(body) >= SMALLEST and "content-encoding" not in changed:
                    message["body"] = await run_in_thread_if_large(len(body), lambda: compress(body))
                    changed["Content-Encoding"] = "gzip"
                    changed["Content-Length"] = str(len(message["body"]))
                    changed["Vary"] = "Accept-Encoding, " + changed.get("Vary", "")
            await send(start)
            await send(message)

        await app(scope, receive, send_compressed)

    return middleware
