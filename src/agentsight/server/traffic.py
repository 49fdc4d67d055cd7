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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agentsight.server.errors import RequestError
from agentsight.server.executors import ASKING, CLOSED
from agentsight.server.logs import REQUEST_ID, identity_of, shown_path
from agentsight.server.requests import HOLD
from agentsight.server.store.writer import Overloaded

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

logger = logging.getLogger("agentsight.request")

HEADER_SECONDS = 20.0  # for a request's head, from its first byte or from the connection's beginning
IDLE_SECONDS = 15.0  # without a byte of a body that was announced
GRACE_SECONDS = 30.0  # after which a body has to come at ...
LEAST_RATE = 4_096  # ... bytes a second
UNREAD_SECONDS = 30.0  # without the caller taking a byte of its answer
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Latency:
    """How long answers took: counts by upper bound (seconds), and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one answer."""
        place = next((place for place, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        self.counts[place] += 1
        self.total += seconds


class Traffic:
    """The application with everything that concerns each request, whatever it is for.

    Args:
        app: the ASGI application.
        body_bytes: bytes of request bodies that may be in memory at once; beyond it 429.
        requests: requests to the API that may be served at once; beyond it 429.

    One event loop uses it; nothing is locked.
    """

    def __init__(self, app: App, *, body_bytes: int, requests: int) -> None:
        self.app = app
        self.body_bytes = body_bytes
        self.requests = requests
        self.held = 0
        self.serving = 0
        self.answers: dict[tuple[str, str, int], int] = {}
        self.latencies: dict[str, Latency] = {}
        self.shed: dict[str, int] = {"requests": 0, "bodies": 0, "slow": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["agentsight.traffic"] = self
        request = _Request(self, scope, receive, send)
        REQUEST_ID.set(request.identity)
        ASKING.set(request)
        began = time.perf_counter()
        self.serving += 1
        try:
            if self.serving > self.requests and scope["path"].startswith("/api/"):
                self.shed["requests"] += 1
                await request.shed()
            else:
                await self.app(scope, request.receive, request.send)
        finally:
            self.serving -= 1
            self.held -= request.held
            request.end()
            self._count(scope, request, time.perf_counter() - began)

    def _count(self, scope: Scope, request: _Request, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        template = str(scope.get("path_template") or ("(shed)" if request.was_shed else "(none)"))
        status = request.status or CLOSED
        key = (method, template, status)
        self.answers[key] = self.answers.get(key, 0) + 1
        room = _room(method, template)
        self.latencies.setdefault(room, Latency()).add(seconds)
        level = logging.DEBUG if template in _QUIET or template.startswith("/static") else logging.INFO
        if status >= 500:
            level = logging.WARNING
        if not logger.isEnabledFor(level):
            return
        path = shown_path(scope)
        took = round(seconds * 1000, 1)
        # Made by hand: looking for the line of the program that logs would cost more than all the rest.
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


def _room(method: str, template: str) -> str:
    if template.startswith("/api/"):
        return "read" if method in {"GET", "HEAD", "OPTIONS"} else "write"
    return "file" if template.startswith(("/files", "/static")) else "page"


def has_no_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's head announces no body."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return False
    return True


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
        "_at_end", "_began", "_body_ended", "_headers", "_receive", "_send", "caller", "held", "identity", "received",
        "sent", "status", "traffic", "was_shed",
    )  # fmt: skip

    def __init__(self, traffic: Traffic, scope: Scope, receive: Receive, send: Send) -> None:
        self.traffic = traffic
        self._receive, self._send = receive, send
        self._began = 0.0
        self._body_ended = False
        self._headers = scope["headers"]
        self._at_end: list[Callable[[], None]] = []
        self.caller = address_of(scope)
        self.held = self.received = self.sent = self.status = 0
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
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call back when the request is over."""
        self._at_end.append(callback)

    def end(self) -> None:
        """The request is over."""
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

    def hold(self, count: int) -> None:
        """Count bytes that the request keeps in memory.

        Raises:
            Overloaded: there is no room for them beside what others hold.
        """
        traffic = self.traffic
        if traffic.held + count > traffic.body_bytes and traffic.held > self.held:
            traffic.shed["bodies"] += 1
            raise Overloaded
        traffic.held += count
        self.held += count

    async def receive(self) -> Message:
        if self._body_ended:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if not self._began:
            self._began = loop.time()
        # Who uploads slowly waits for itself, and must not count against those who are served.
        self.traffic.serving -= 1
        try:
            message = await self._in_time(loop)
        finally:
            self.traffic.serving += 1
        if message["type"] == "http.request":
            self._body_ended = not message.get("more_body")
            length = len(message.get("body", b""))
            self.received += length
            self.hold(length)
        else:
            self._body_ended = True
            # Nobody is left to hear it; it ends the handler, and is counted for what it is.
            raise RequestError(CLOSED, {"detail": "the caller hung up before the body was complete"})
        return message

    async def _in_time(self, loop: asyncio.AbstractEventLoop) -> Message:
        took = loop.time() - self._began
        allowed = IDLE_SECONDS
        if took > GRACE_SECONDS and self.received < (took - GRACE_SECONDS) * LEAST_RATE:
            allowed = 0.0
        task = asyncio.current_task()
        assert task is not None
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = loop.call_later(allowed, give_up)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not late:
                raise
            if hasattr(task, "uncancel"):
                task.uncancel()
            self.traffic.shed["slow"] += 1
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
        # Who reads slowly waits for itself, too.
        self.traffic.serving -= 1
        try:
            await self._send(message)
        finally:
            self.traffic.serving += 1


class Patient(HttpToolsProtocol):
    """HTTP, patient for a while: a connection that sends no complete head, or does not take its answer, is closed."""

    _timer: asyncio.TimerHandle | None = None
    _watch: asyncio.TimerHandle | None = None
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Much of an answer has not been taken yet: see to it that it is."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """The answer is being taken."""
        self._stop_watching()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close after a while without a request; what is still to be taken must not keep it open for ever."""
        super().timeout_keep_alive_handler()
        self._watch_reader()

    def _watch_reader(self) -> None:
        self._stop_watching()
        self._unread = self.transport.get_write_buffer_size()
        if self._unread:
            self._watch = self.loop.call_later(UNREAD_SECONDS, self._is_taken)

    def _is_taken(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._watch_reader()
        else:
            self._watch = None
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        if self._timer is None:
            self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is there."""
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEADER_SECONDS, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait()  # the next request's head has begun while this one is being answered
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.close()
