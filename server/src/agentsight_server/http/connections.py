"""HTTP connections: how long a caller may take, and how much a request's head may hold.

What reaches into uvicorn's parser stands here and nowhere else.
"""

from __future__ import annotations

import asyncio

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 20.0  # for a request's head, from its first byte or from the connection's beginning
UNREAD_SECONDS = 30.0  # without the caller taking a byte of its answer
HEAD_BYTES = 64 * 1024
HEADERS = 100
COOKIE_BYTES = 8 * 1024


class _TooMuch(Exception):
    """A head holds more than it may."""


class SlowClientProtocol(HttpToolsProtocol):
    """HTTP, patient for a while: a connection that sends no complete head, or does not take its answer, is closed.

    A head larger than it may be is answered with 431; uvicorn's parser collects whatever comes.
    """

    _timer: asyncio.TimerHandle | None = None
    _watch: asyncio.TimerHandle | None = None
    _unread = 0
    # The head that is being read: its bytes as far as they are known, its headers, its cookies' bytes.
    _in_head = False
    _head = _headers = _cookies = 0
    _silent = 0  # bytes since the parser last told of anything
    _refused = False

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

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless a head grows beyond its bounds."""
        if self._refused:
            return
        self._silent += len(data)
        super().data_received(data)
        # The parser keeps to itself what is unfinished: a name or value, also after a body, or what stands beside the
        # length of a chunk.
        if self._silent > HEAD_BYTES and not self._refused:
            self._too_much()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header. What comes after a body is nobody's business."""
        self._headers += 1
        if len(name) == 6 and name.lower() == b"cookie":
            self._cookies += len(value)
        self._count(len(name) + len(value))
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of a body has come."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._silent = 0
        super().on_message_complete()

    def _count(self, more: int) -> None:
        self._silent = 0
        self._head += more
        if self._head > HEAD_BYTES or self._headers > HEADERS or self._cookies > COOKIE_BYTES:
            self._refused = True
            raise _TooMuch  # which the parser turns into an error of its own

    def send_400_response(self, msg: str) -> None:
        """Say why when the parser gave up because of us."""
        if self._refused:
            self._too_much()
        else:
            super().send_400_response(msg)

    def _too_much(self) -> None:
        self._refused = True
        self._stop_waiting()
        detail = (
            f"the request's head is too large: at most {HEAD_BYTES // 1024} KiB, {HEADERS} headers, "
            f"{COOKIE_BYTES // 1024} KiB of cookies"
        )
        body = msgspec.json.encode({"detail": detail})
        if self.cycle is None or self.cycle.response_complete:  # not into another answer
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        self._in_head = True
        self._head = self._headers = self._cookies = self._silent = 0
        if self._timer is None:
            self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is there."""
        self._in_head = False
        self._silent = 0
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
