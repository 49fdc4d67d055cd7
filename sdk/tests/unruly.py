"""A TCP server between the SDK and a capture server, that can be told to misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sdk.tests.capture import CaptureServer

BUSY = b'HTTP/1.1 503 Busy\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{"detail":"busy"}'
DRIP = 0.05  # seconds between two bytes, so that each comes in time and all of them together do not


class Unruly:
    """Passes requests on and answers back while `manner` is "well"; otherwise each connection is treated badly:

    - "refuse": nobody listens.
    - "full": the connection is never accepted.
    - "silent": accepted, read, never answered.
    - "deaf": accepted, and not even read.
    - "head": the head of the answer drips, without an end.
    - "body": the head comes at once, the body drips.
    - "half": the request is passed on and done; of its answer only the first half comes.
    - "cut": the same with an answer that does not say how long it is.
    - "hang up": read, then closed without a word.
    - "busy": 503.
    - "late": as "well", but each answer waits for 0.8 seconds.
    """

    def __init__(self, behind: CaptureServer) -> None:
        parts = urlsplit(behind.endpoint)
        self._behind = (parts.hostname, parts.port)
        self.manner = "well"
        self._stop = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def behave(self, manner: str) -> None:
        """From now on; "refuse" and "full" only before anything else."""
        self.manner = manner
        if manner == "refuse" or (self._threads and manner != "full"):
            return
        self._listener.listen(0 if manner == "full" else 64)
        if manner == "full":
            for _ in range(3):  # who comes now finds no place
                waiting = socket.socket()
                waiting.setblocking(False)
                waiting.connect_ex(self._listener.getsockname())
                self._open.append(waiting)
            return
        self._start(self._accept)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while not self._stop.is_set():
                manner = self.manner
                if manner == "deaf":
                    self._stop.wait(30)
                    return
                request = _read(connection)
                if not request or manner == "hang up":
                    return
                if manner == "silent":
                    self._stop.wait(30)
                    return
                if manner == "busy":
                    connection.sendall(BUSY)
                    return
                if manner in ("head", "body"):
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
                    connection.sendall(head + (b"\r\n{" if manner == "body" else b"X-Padding: "))
                    while not self._stop.wait(DRIP):
                        connection.sendall(b" ")
                    return
                answer = self._pass_on(request)
                if manner == "late":
                    self._stop.wait(0.8)
                if manner in ("half", "cut"):
                    head, _, body = answer.partition(b"\r\n\r\n")
                    if manner == "cut":
                        head = b"HTTP/1.1 200 OK\r\nConnection: close"
                    connection.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
                    return
                connection.sendall(answer)

    def _pass_on(self, request: bytes) -> bytes:
        with socket.create_connection(self._behind) as behind:
            behind.sendall(request)
            return _read(behind)

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)


def _read(connection: socket.socket) -> bytes:
    """One HTTP message with a Content-Length, or nothing at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


@contextmanager
def unruly_server(behind: CaptureServer) -> Iterator[Unruly]:
    server = Unruly(behind)
    try:
        yield server
    finally:
        server.close()
