"""Connections that keep one deadline for a whole exchange: name, connection, request and answer.

urllib3's timeouts begin anew with every address that is tried, every piece that is sent and every byte that arrives;
a server that drips one byte a second never meets them. Here each wait is cut to what is left. Imported with the
first request, because urllib3 is.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["new_pool", "until"]


# A context variable, because each thread, task and greenlet has its own, also where gevent patches the process late.
_limit: ContextVar[float | None] = ContextVar("agentsight_deadline", default=None)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """In this block, nothing on a connection of `new_pool` lasts longer than until `time.monotonic()` is that."""
    token = _limit.set(deadline)
    try:
        yield
    finally:
        _limit.reset(token)


class _Reader(io.RawIOBase):
    """The file of a socket, each of whose reads takes at most what is left."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._file = sock.makefile(
            "rb", buffering=0
        )  # counted by the socket, which stays open as long as it is

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _cut(self._sock)
        count: int | None = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Timed:
    """A connected socket, of which http.client uses `makefile` and `sendall`, and urllib3 some of the rest."""

    def __init__(self, sock: Any) -> None:
        self.plain = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self.plain))

    def sendall(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            _cut(self.plain)
            rest = rest[self.plain.send(rest) :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


def _cut(sock: Any) -> None:
    """Let the next wait of a socket last as long as is left.

    Raises:
        TimeoutError: there is nothing left.
    """
    deadline = _limit.get()
    if deadline is None:
        return
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time was up")
    sock.settimeout(seconds)


class _Deadlined(HTTPConnection):
    """What both kinds of connection have in common."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that answers; each gets its share of the time."""
        name, patience = self._dns_host, self.timeout
        began = time.monotonic()
        wait = float(patience) if patience is not None else 60.0
        problem: Exception | None = None
        try:
            addresses = _addresses(self, name, self.port, wait)
            for number, address in enumerate(addresses):
                left = wait - (time.monotonic() - began)
                if left <= 0:
                    break
                self._dns_host, self.timeout = address, left / (len(addresses) - number)
                try:
                    return super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    problem = error
        finally:
            self._dns_host, self.timeout = name, patience
        raise problem or ConnectTimeoutError(self, f"connecting to {name} took too long")

    def _tunnel(self) -> None:
        plain: Any = self.sock
        timed: Any = _Timed(plain)
        self.sock = timed
        try:
            super()._tunnel()
        finally:
            if self.sock is timed:
                self.sock = plain

    def connect(self) -> None:
        super().connect()
        timed: Any = _Timed(self.sock)
        self.sock = timed


class _Plain(_Deadlined):
    pass


class _Secure(_Deadlined, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:
            self.ssl_context = _patched_context()
        super().connect()


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls: Any = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls: Any = _Secure


def new_pool(proxy: str | None, most: int) -> urllib3.PoolManager:
    """A pool whose connections keep to `until`.

    Args:
        proxy: address of the proxy to go through, or None.
        most: connections that are kept open.
    """
    pool = (
        urllib3.ProxyManager(proxy, num_pools=2, maxsize=most)
        if proxy
        else urllib3.PoolManager(num_pools=2, maxsize=most)
    )
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool


def _patched_context() -> Any:
    """A context of gevent's, where it patched the process after urllib3 was imported; otherwise None.

    gunicorn's `--preload` with gevent's workers is such a process. The class that urllib3 knows would then call
    itself until the stack is full.
    """
    import ssl

    from urllib3.util import ssl_

    known: Any = ssl_
    return None if known.SSLContext is ssl.SSLContext else ssl.create_default_context()


def _addresses(connection: HTTPConnection, name: str, port: int | None, wait: float) -> list[str]:
    """The addresses of a host.

    Nothing can interrupt the system's resolver, which may take half a minute when its servers are silent. So it
    works in a thread of its own, and is left behind there when the time is up.

    Raises:
        NameResolutionError: there is no such host.
        ConnectTimeoutError: the resolver has not answered within `wait` seconds.
    """
    bare = name.strip("[]")
    if ":" in bare or bare.replace(".", "").isdigit():
        return [name]  # is an address itself
    found: list[str] = []
    problems: list[OSError] = []
    done = threading.Event()

    def look() -> None:
        try:
            for entry in socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM):
                address = str(entry[4][0])
                if address not in found:
                    found.append(address)
        except (OSError, UnicodeError) as problem:
            problems.append(problem if isinstance(problem, OSError) else OSError(str(problem)))
        finally:
            done.set()

    try:
        threading.Thread(target=look, name="agentsight-resolver", daemon=True).start()
    except RuntimeError:  # the interpreter is ending, and starts no more threads
        look()
    if not done.wait(wait):
        raise ConnectTimeoutError(connection, f"nobody has told the address of {name} in time")
    if problems:
        problem = problems[0]
        if isinstance(problem, socket.gaierror):
            raise NameResolutionError(bare, connection, problem) from problem
        raise NewConnectionError(connection, str(problem)) from problem
    return found
