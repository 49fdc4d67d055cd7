"""Around the whole application: an id for each request, a line in the log, counts, and limits for the greedy.

It stands outside of the framework, so that nothing reaches a handler, or fails in the framework itself, uncounted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from agentsight_server.domain.errors import RequestError, refused
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.bodies import HOLD
from agentsight_server.http.body_budget import BodyMemory, Holding
from agentsight_server.http.counts import Counts
from agentsight_server.runtime.executors import ASKING, CLOSED
from agentsight_server.runtime.logs import REQUEST_ID, identity_of, shown_path
from agentsight_server.store.writer import Overloaded

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

logger = logging.getLogger("agentsight.request")

IDLE_SECONDS = 15.0  # without a byte of a body that was announced
GRACE_SECONDS = 30.0  # after which a body has to come, in every ...
WINDOW_SECONDS = 15.0  # ... at ...
LEAST_RATE = 4_096  # ... bytes a second, and faster where it is so large that it would not be there after ...
LONGEST_SECONDS = 300.0
STRANGERS_BYTES = 64 * 1024
"""The largest body of a caller whom neither a key nor a session names."""
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Limits:
    """The application with everything that concerns each request, whatever it is for.

    Args:
        app: the ASGI application.
        body_bytes: bytes of request bodies that may be in memory at once; beyond it 429.
        requests: requests to the API that may be served at once; beyond it 429.

    One event loop uses it; nothing is locked.
    """

    def __init__(self, app: App, *, body_bytes: int, requests: int) -> None:
        self.app = app
        self.bodies = BodyMemory(body_bytes)
        self.requests = requests
        self.serving = 0
        self.counts = Counts(lambda: self.serving, lambda: self.bodies.held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["agentsight.limits"] = self
        request = _Request(self, scope, receive, send)
        REQUEST_ID.set(request.identity)
        ASKING.set(request)
        began = time.perf_counter()
        self.serving += 1
        try:
            if self.serving > self.requests and scope["path"].startswith("/api/"):
                self.counts.shed("requests")
                await request.shed()
            else:
                await self.app(scope, request.receive, request.send)
        finally:
            self.serving -= 1
            request.end()
            self._count(scope, request, time.perf_counter() - began)
            # It refers to itself: the heads of many requests would stay until the garbage collector comes round.
            scope.clear()

    def _count(self, scope: Scope, request: _Request, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        template = str(scope.get("path_template") or ("(shed)" if request.was_shed else "(none)"))
        status = request.status or CLOSED
        self.counts.answered(method, template, status, _route_group(method, template), seconds)
        level = logging.DEBUG if template in _QUIET or template.startswith("/static") else logging.INFO
        if status >= 500:
            level = logging.WARNING
        if not logger.isEnabledFor(level):
            return
        path = shown_path(scope)
        took = round(seconds * 1000, 1)
        # Made by hand: finding out which line of the program logs would cost more than all the rest.
        line = logging.LogRecord(
            logger.name, level, "", 0, "%s %s %d in %s ms", (method, path, status, took), None
        )
        line.fields = {
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": took,
            "bytes_in": request.received,
            "bytes_out": request.sent,
        }
        logger.handle(line)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route_group(method: str, template: str) -> str:
    if template.startswith("/api/"):
        return "read" if method in {"GET", "HEAD", "OPTIONS"} else "write"
    return "file" if template.startswith(("/files", "/static")) else "page"


def has_no_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's head announces no body."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return False
    return True


def announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The length that a request's head announces; 0 where it says none."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) < 19:
            return int(value)
    return 0


def address_of(scope: Scope) -> str:
    """Where a request comes from, for counting: an IPv6 caller has a whole /64 to itself."""
    host = str((scope.get("client") or ("",))[0])
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


class _Request:
    """One request on its way through; see executors.Asking."""

    __slots__ = (
        "_at_end",
        "_began",
        "_body_ended",
        "_headers",
        "_judged",
        "_receive",
        "_send",
        "_then",
        "caller",
        "holding",
        "identity",
        "limits",
        "received",
        "sent",
        "status",
        "was_shed",
    )  # fmt: skip

    def __init__(self, limits: Limits, scope: Scope, receive: Receive, send: Send) -> None:
        self.limits = limits
        self._receive, self._send = receive, send
        self._began = 0.0
        self._body_ended = False
        self._headers = scope["headers"]
        self._at_end: list[Callable[[], None]] = []
        self.caller = address_of(scope)
        self.holding = Holding(self.caller, announced(scope["headers"]))
        self._judged, self._then = 0.0, 0  # when the rate was last looked at, and what had come by then
        self.received = self.sent = self.status = 0
        self.was_shed = False
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        self.identity = identity_of(given)
        scope[HOLD] = self.hold

    @property
    def is_read(self) -> bool:
        """Whether nothing of a body is still to come."""
        return self._body_ended or has_no_body(self._headers)

    async def hung_up(self) -> None:
        """Return when the caller has gone."""
        self._body_ended = True  # whoever asks after this waits for the same
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call back when the request is over."""
        self._at_end.append(callback)

    def end(self) -> None:
        """The request is over."""
        self.limits.bodies.give_back(self.holding)
        for callback in self._at_end:
            callback()

    async def shed(self) -> None:
        self.was_shed = True
        body = msgspec.json.encode({"detail": "too many requests at once; try again in 1 s"})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", b"1"),
        ]
        await self.send({"type": "http.response.start", "status": 429, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def identify(self, caller: str) -> None:
        """Who it is: what the request takes counts for them from now on."""
        self.caller = caller
        self.holding.key = caller

    def hold(self, count: int) -> None:
        """Count bytes that the request keeps in memory.

        Raises:
            Overloaded: there is no room for them beside what others hold.
        """
        if not self.limits.bodies.take(self.holding, count):
            self.limits.counts.shed("bodies")
            raise Overloaded

    async def receive(self) -> Message:
        if self._body_ended:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if not self._began:
            self._began = loop.time()
            self._check_size(self.holding.announced)
        # A slow upload keeps only its caller waiting, and must not count against those who are served.
        self.limits.serving -= 1
        try:
            message = await self._in_time(loop)
        finally:
            self.limits.serving += 1
        if message["type"] == "http.request":
            self._body_ended = not message.get("more_body")
            length = len(message.get("body", b""))
            self.received += length
            self._check_size(self.received)
            self.hold(length)
        else:
            self._body_ended = True
            # Nobody is left to hear it; it ends the handler, and is counted for what it is.
            raise RequestError(CLOSED, {"detail": "the caller hung up before the body was complete"})
        return message

    def _check_size(self, size: int) -> None:
        if size > STRANGERS_BYTES and self.holding.key is None:
            self._body_ended = True
            most = f"without a key or a session a body may have at most {STRANGERS_BYTES:,} bytes"
            raise refused(413, Problem("", Code.TOO_LARGE, most), {"Connection": "close"})

    def _is_too_slow(self, now: float) -> bool:
        """Whether what came in the last seconds is less than it has to be. Not since the start: who has sent much
        at once could then be silent for hours, and keep it in memory."""
        if now - self._began < GRACE_SECONDS:
            self._judged, self._then = now, self.received
            return False
        passed = now - self._judged
        if passed < WINDOW_SECONDS:
            return False
        least = max(LEAST_RATE, max(self.holding.announced, self.received) / LONGEST_SECONDS)
        too_slow = self.received - self._then < passed * least
        self._judged, self._then = now, self.received
        return too_slow

    async def _in_time(self, loop: asyncio.AbstractEventLoop) -> Message:
        task = asyncio.current_task()
        assert task is not None
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = loop.call_later(0.0 if self._is_too_slow(loop.time()) else IDLE_SECONDS, give_up)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not late:
                raise
            if hasattr(task, "uncancel"):
                task.uncancel()
            self.limits.counts.shed("slow")
            self._body_ended = True
            raise RequestError(
                408, {"detail": "the body did not arrive in time"}, {"Connection": "close"}
            ) from None
        finally:
            timer.cancel()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.identity.encode())]
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        # Likewise a caller that is slow to take its answer.
        self.limits.serving -= 1
        try:
            await self._send(message)
        finally:
            self.limits.serving += 1
