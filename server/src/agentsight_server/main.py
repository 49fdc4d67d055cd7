"""Running the server: one process, one address."""

from __future__ import annotations

import ctypes
import gc
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import uvicorn
from sqlalchemy.exc import DBAPIError

from agentsight_server.app import create_app, open_services
from agentsight_server.attachments.blobs import FilesError
from agentsight_server.domain.causes import first_line
from agentsight_server.http.app_state import Services
from agentsight_server.http.connections import SlowClientProtocol
from agentsight_server.http.headers import Headers
from agentsight_server.http.limits import Limits
from agentsight_server.ingest.cors import CrossOrigin
from agentsight_server.operations.folder_lock import FolderInUse, FolderLock
from agentsight_server.runtime import logs
from agentsight_server.security import audit, sessions
from agentsight_server.security.file_rights import close_to_others, private_by_default
from agentsight_server.settings import Settings, SettingsError
from agentsight_server.store.database import StoreError

logger = logging.getLogger("agentsight_server")

# The thread that writes gives the interpreter away with each statement and waits for it afterwards, by default up to
# 5 ms, for which the database has nothing to do.
SWITCH_SECONDS = 0.0005
_M_ARENA_MAX = -8  # as in malloc.h


class StartError(Exception):
    """The server cannot start; the text is one line that says what to do."""


@dataclass(frozen=True)
class Started:
    """What a person needs to know when the server is up."""

    address: str
    listening: str  # where a proxy finds it; the same as the address when none stands in front
    services: Services
    first_account_link: str | None


def run(settings: Settings, announce: Callable[[Started], None]) -> None:
    """Serve until a signal says stop; `announce` is called once the server answers.

    Raises:
        StartError: the port is taken, the data folder cannot be used, or the database is newer.
    """
    private_by_default()
    _share_memory()
    logs.configure(settings.log_level, settings.log_format)
    listener = _listen(settings)
    lock: FolderLock | None = None
    try:
        lock = FolderLock(settings.data_dir)
        close_to_others(settings.data_dir)
        audit.open_log(settings.data_dir)
        services = open_services(settings)
    except Exception as error:
        listener.close()
        if lock is not None:
            lock.release()
        if isinstance(error, DBAPIError):
            raise StartError(
                f"the database does not take writes ({first_line(error)}): look at the disk's space and rights"
            ) from None
        if isinstance(error, (StoreError, FilesError, SettingsError, FolderInUse)):
            raise StartError(str(error)) from None
        raise
    app = Limits(
        Headers(CrossOrigin(create_app(settings, services), services.authenticator), settings.public_url),
        body_bytes=settings.body_memory_bytes,
        requests=settings.max_requests,
    )
    _allow_many_connections()
    config = uvicorn.Config(
        app,
        http=SlowClientProtocol,
        log_config=None,
        access_log=False,
        lifespan="on",
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips=settings.trusted_proxies if settings.behind_proxy else None,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    server = _Server(config, lambda: announce(_started(settings, services, listener)))
    try:
        server.run(sockets=[listener])
    finally:
        lock.release()


def _share_memory() -> None:
    """Let threads share their heaps: glibc gives each thread one of its own, which keeps what it once needed."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # other C libraries have no such thing
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _allow_many_connections() -> None:
    """Each connection takes a file; the usual limit of 1,024 is meant for other programs."""
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _spare_collections()
            sys.setswitchinterval(SWITCH_SECONDS)
            self._ready()


def _spare_collections() -> None:
    """A request makes thousands of small objects that go without the collector's help; looking through them and all
    that was loaded at the start, again and again, took a seventh of the rate of ingest, and pauses of 50 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
            "stop what uses it, or choose another with --port"
        ) from None
    return listener


def _started(settings: Settings, services: Services, listener: socket.socket) -> Started:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    listening = f"http://{shown}:{port}"
    address = settings.public_url.rstrip("/") if settings.public_url else listening
    token = None
    try:
        with services.database.write() as connection:
            token = sessions.first_account_token(connection)
    except DBAPIError as error:
        logger.error("no first account can be made: %s", first_line(error))
    return Started(address, listening, services, f"{address}/welcome/{token}" if token else None)
