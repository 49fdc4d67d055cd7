"""Which pages of other sites may write: by the settings of the key that they send, and on the writing routes alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from agentsight_server.ingest import routes
from agentsight_server.security.access import Authenticator, Origins

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

_PATHS = frozenset(path.rstrip("/") for handler in routes.handlers for path in handler.paths)
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-encoding, content-type, x-conversation-token, x-request-id",
    ),
    (b"access-control-max-age", b"7200"),
]
_EXPOSED = (b"access-control-expose-headers", b"Retry-After, X-Request-Id")


class CrossOrigin:
    """The application, with what tells browsers who may write (CORS). Cookies never go along.

    A browser asks before it sends the key; then every origin is told yes that any key allows. The request itself is
    judged by its own key, and refused before its body is read.
    """

    def __init__(self, app: App, authenticator: Authenticator) -> None:
        self.app = app
        self.authenticator = authenticator

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI)."""
        if scope["type"] != "http" or scope["path"].rstrip("/") not in _PATHS:
            await self.app(scope, receive, send)
            return
        origin = _header(scope, b"origin")
        wanted = _header(scope, b"access-control-request-method")
        if scope["method"] == "OPTIONS" and origin is not None and wanted is not None:
            allowed = _allowed(await self.authenticator.origins(), origin)
            headers = [*allowed, *(_PREFLIGHT if len(allowed) > 1 else ())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                origins: Origins | None = scope.get(Origins.IN_SCOPE)
                if origins is None and origin is not None:  # refused before its key was looked at
                    origins = await self.authenticator.origins()
                added = _allowed(origins, origin)
                if len(added) > 1:
                    added.append(_EXPOSED)
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self.app(scope, receive, sending)


def _allowed(origins: Origins | None, origin: bytes | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"vary", b"Origin")]
    if origins is not None and origin is not None:
        if origins.every:
            headers.append((b"access-control-allow-origin", b"*"))
        elif origins.allow(origin.decode("latin-1")):
            headers.append((b"access-control-allow-origin", origin))
    return headers


def _header(scope: MutableMapping[str, Any], name: bytes) -> bytes | None:
    return next((value for each, value in scope["headers"] if each == name), None)
