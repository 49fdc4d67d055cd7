"""HTTP: one request with retries, `Retry-After` and a deadline."""

from __future__ import annotations

import os
import threading
import time
import weakref

from agentsight._version import __version__
from agentsight.delivery.responses import Response, raise_for
from agentsight.exceptions import ConfigurationException, ConversationNetworkException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import urllib3

    from agentsight.config import Config

__all__ = ["Transport", "shown"]

ATTEMPTS = 3
BACKOFF = 0.2  # seconds before the second attempt, doubled for each further one, and jittered
CONNECT_SECONDS = 3.05  # just over TCP's first resend of a lost packet
QUICK_SECONDS = 0.5  # that a call takes at most, from a failure until the server has answered again
PROBE_PAUSE = 10.0  # seconds between two looks whether a slow server is back, doubled for each further one
LONGEST_PROBE_PAUSE = 600.0
MOST_CONNECTIONS = 100  # that are kept open; urllib3 warns of every further one
GZIP_FROM = 1024  # bytes
LARGEST_ANSWER = 256 * 1024 * 1024  # bytes
RETRIED = frozenset({408, 429, 500, 502, 503, 504})

_every: weakref.WeakSet[Transport] = weakref.WeakSet()


class Transport:
    """Sends requests to the configured server, over connections that are kept open.

    Safe to use from many threads; in a forked child it opens connections of its own.

    Args:
        patient: a failure does not make the calls after it quick: whoever asks wants the answer.
    """

    def __init__(self, config: Config, *, patient: bool = False) -> None:
        self.config = config
        self.patient = patient
        self._pool: urllib3.PoolManager | None = None
        self._pool_key: tuple[str, ...] | None = None
        self._lock = threading.Lock()
        self.away = False  # the last attempt failed, and the server has not answered since
        self._probe_at = 0.0
        self._probe_pause = PROBE_PAUSE
        self.gzip = True
        _every.add(self)

    def deadline(self, timeout: float | None = None) -> float:
        """`time.monotonic()` by which a call that begins now is over.

        Args:
            timeout: seconds; default: the option.
        """
        seconds = self.config.timeout if timeout is None else timeout
        if self.away and not self.patient:
            seconds = min(seconds, QUICK_SECONDS)
        return time.monotonic() + seconds

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        *,
        again: bool = True,
        deadline: float | None = None,
        pause: Callable[[float], object] = time.sleep,
        patient: bool = False,
    ) -> Response:
        """One request, tried again while that makes sense and the deadline allows it.

        Args:
            path: path below the endpoint, with a leading slash.
            body: JSON text as bytes; compressed here when that is worth it.
            params: query parameters.
            again: whether the request may arrive twice without harm; if not, it is tried again only when it
                cannot have arrived.
            deadline: `time.monotonic()` by which to give up; default: `deadline()`.
            pause: sleeps between attempts; the background sender can be woken from its pauses.
            patient: use all of the time, also while the server is away.

        Raises:
            NoApiKeyException: there is no key.
            ConversationNetworkException: the server could not be reached.
        """
        key = self.config.require_api_key()
        endpoint = self.config.endpoint
        url = endpoint + path
        if params:
            from urllib.parse import urlencode

            url += "?" + urlencode(params)
        if deadline is None:
            deadline = self.deadline()
        headers = {
            "Authorization": f"Api-Key {key}",
            "User-Agent": f"agentsight-python/{__version__}",
            "Accept": "application/json",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self.gzip and len(body) > GZIP_FROM:
                body = _compress(body)
                headers["Content-Encoding"] = "gzip"
        quick = self.away and not patient and not self.patient
        attempts = 1 if quick else ATTEMPTS
        problem: Exception | None = None
        answer: Response | None = None
        for attempt in range(1, attempts + 1):
            problem = answer = None
            wait = BACKOFF * 2 ** (attempt - 1) * (0.5 + os.urandom(1)[0] / 255)
            try:
                answer = self._once(method, url, body, headers, deadline)
                if answer.status not in RETRIED:
                    self._answered()
                    return answer
                wait = max(wait, _retry_after(answer.headers.get("retry-after")))
                again_now = again
            except _Unreachable as unreachable:
                problem = unreachable.cause
                again_now = again or not unreachable.sent
            if not again_now or attempt == attempts or time.monotonic() + wait >= deadline:
                break
            pause(wait)
        self.away = True
        if answer is not None:
            return answer
        if quick and time.monotonic() >= deadline:
            self._probe(endpoint, headers)
        raise ConversationNetworkException(
            f"{shown(endpoint)} cannot be reached: {_plain(problem)}"
        ) from problem

    def _answered(self) -> None:
        self.away = False
        self._probe_pause = PROBE_PAUSE

    def _probe(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Ask the server in a thread of its own whether it is back, with more time than a quick call has.

        Far away or over a slow line, no server answers in half a second; without this, one failure would be the
        end of sending to it.
        """
        now = time.monotonic()
        with self._lock:
            if now < self._probe_at:
                return
            self._probe_at = now + self._probe_pause
            self._probe_pause = min(2 * self._probe_pause, LONGEST_PROBE_PAUSE)
        deadline = now + self.config.timeout

        def look() -> None:
            try:
                answer = self._once("GET", f"{endpoint}/api/me/", None, headers, deadline)
            except _Unreachable:
                return
            if answer.status not in RETRIED:
                self.away = False

        headers = {name: headers[name] for name in ("Authorization", "User-Agent", "Accept")}
        try:  # noqa: SIM105 - contextlib would cost time at import
            threading.Thread(target=look, name="agentsight-probe", daemon=True).start()
        except RuntimeError:
            pass  # the interpreter is ending

    def _once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> Response:
        """One attempt, which is over by the deadline whatever the server does.

        Raises:
            _Unreachable: there was no answer, or not a whole one.
        """
        import urllib3

        from agentsight.delivery.deadline import until

        left = deadline - time.monotonic()
        if left <= 0:
            raise _Unreachable(TimeoutError("the time was up"), sent=False)
        try:
            with until(deadline):
                response = self._connections(url).request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                try:
                    chunks, size = [], 0
                    while chunk := response.read1(65_536):
                        chunks.append(chunk)
                        size += len(chunk)
                        if size > LARGEST_ANSWER:
                            raise OSError("the answer is too large")
                    response.release_conn()
                finally:
                    if not response.closed:
                        response.close()
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise _Unreachable(error, sent=False) from error
        except Exception as error:  # HTTPError and OSError; in a process that is patched, anything
            raise _Unreachable(error, sent=True) from error
        return Response(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            b"".join(chunks),
        )

    def _connections(self, url: str) -> urllib3.PoolManager:
        key = tuple(url.split("/", 3)[:3])
        pool = self._pool
        if pool is None or self._pool_key != key:
            with self._lock:
                if self._pool is None or self._pool_key != key:
                    self._pool, self._pool_key = _new_pool(url), key
                pool = self._pool
        return pool

    def load(self) -> None:
        """Import what a request needs, which otherwise the first one does."""
        "".encode("idna")  # as names of hosts are
        try:  # noqa: SIM105 - contextlib would cost time at import
            self._connections(self.config.endpoint)
        except ConfigurationException:
            pass  # told when something is sent

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.clear()

    def reset_after_fork(self) -> None:
        """After a fork, in the child: the connections are the parent's."""
        self._lock = threading.Lock()
        self._pool = None
        self.away = False
        self._probe_at, self._probe_pause = 0.0, PROBE_PAUSE

    def call(
        self,
        method: str,
        path: str,
        payload: object = None,
        params: Mapping[str, str] | None = None,
        *,
        again: bool = True,
        deadline: float | None = None,
    ) -> Any:
        """A request whose answer is JSON; arguments as in `exchange`, `payload` as what becomes JSON.

        Raises:
            ConversationNetworkException: the server could not be reached.
            UnauthorizedException, ForbiddenException, NotFoundException: 401, 403, 404.
            ConversationApiException: any other error.
        """
        body = None
        if payload is not None:
            from agentsight.items.encoding import encode_json

            body = encode_json(payload).encode()
        answer = self.exchange(method, path, body, params, again=again, deadline=deadline)
        if not 200 <= answer.status < 300:
            raise_for(answer)
        return answer.json()


class _Unreachable(Exception):
    def __init__(self, cause: Exception, *, sent: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.sent = sent  # the request may have arrived


def _compress(body: bytes) -> bytes:
    import zlib

    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _retry_after(value: str | None) -> float:
    """Seconds that `Retry-After` asks for: a number or a date; 0 where it makes no sense."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _new_pool(url: str) -> urllib3.PoolManager:
    from agentsight.delivery.deadline import new_pool

    return new_pool(_proxy_for(url), MOST_CONNECTIONS)


def _proxy_for(url: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for an address."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    proxies = getproxies_environment()
    if proxy_bypass_environment(host, proxies):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def shown(endpoint: str) -> str:
    """An address as messages and the log may show it: without the password that may stand in it."""
    scheme, separator, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path


def _plain(problem: BaseException | None) -> str:
    """The cause without the library's wrapping."""
    while problem is not None and (problem.__cause__ or getattr(problem, "reason", None)):
        inner = problem.__cause__ or getattr(problem, "reason", None)
        if not isinstance(inner, BaseException):
            break
        problem = inner
    return f"{problem}" or type(problem).__name__


def _after_fork() -> None:
    for transport in list(_every):
        transport.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
