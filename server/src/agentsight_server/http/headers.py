"""The headers that every answer has, in one place, and the hosts that are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from agentsight_server.domain import locales
from agentsight_server.security.origin import is_our_host

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_YEAR = 31_536_000
# Load balancers and orchestrators ask for these under whatever name they have for us.
_FOR_EVERYBODY = frozenset({"/healthz", "/readyz"})


class Headers:
    """The application, each of whose answers carries what browsers need to be careful with it.

    Args:
        app: the ASGI application.
        public_url: the server's address, if it is known; then no other host's requests are answered, and with https
            browsers are told never to come without it.
    """

    def __init__(self, app: App, public_url: str | None) -> None:
        self.app = app
        self.public_url = public_url
        secure = bool(public_url and public_url.startswith("https://"))
        self._always = (
            *_ALWAYS,
            *([(b"strict-transport-security", f"max-age={_YEAR}".encode())] if secure else []),
        )

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        wanted = b",".join(value for name, value in scope["headers"] if name == b"accept-language")
        locales.CURRENT.set(locales.preferred(wanted[:512].decode("latin-1")))
        fresh = path.startswith("/api/") or scope["method"] not in {"GET", "HEAD"}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(list(message.get("headers", ())), path, fresh)
            await send(message)

        problem = self._wrong_host(scope, path)
        if problem is not None:
            await _refuse(with_headers, *problem)
            return
        await self.app(scope, receive, with_headers)

    def _complete(
        self, headers: list[tuple[bytes, bytes]], path: str, fresh: bool
    ) -> list[tuple[bytes, bytes]]:
        there = {name.lower() for name, _ in headers}
        headers += [pair for pair in self._always if pair[0] not in there]
        if b"cross-origin-resource-policy" not in there:
            # A signed link is made to be shown elsewhere, in a help desk, say; nothing else is.
            policy = b"cross-origin" if path.startswith("/files/") else b"same-origin"
            headers.append((b"cross-origin-resource-policy", policy))
        if fresh and b"etag" not in there:
            # Answers of the API, and of forms (one shows a new key), must not be cached.
            headers = [pair for pair in headers if pair[0].lower() != b"cache-control"]
            headers.append((b"cache-control", b"no-store"))
        return headers

    def _wrong_host(self, scope: Any, path: str) -> tuple[int, bytes] | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) > 1 or (not hosts and scope.get("http_version") != "1.0"):
            return 400, b'{"detail":"the Host header takes one host"}'
        if self.public_url is None or not hosts or path in _FOR_EVERYBODY:
            return None
        if is_our_host(hosts[0].decode("latin-1").lower(), self.public_url):
            return None
        return 421, b'{"detail":"this server answers under another host: see its public address"}'


async def _refuse(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
