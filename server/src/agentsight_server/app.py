"""Assembly: settings in, a running application out. Nothing is decided here."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from agentsight_server import dashboard
from agentsight_server.analytics.service import Analytics, open_analytics
from agentsight_server.api import (
    analytics,
    conversations,
    erasures,
    export,
    files,
    keys,
    ledger,
    managing,
    me,
)
from agentsight_server.attachments.blobs import FileStore
from agentsight_server.contract.documentation import Doc
from agentsight_server.contract.published import Shelf
from agentsight_server.domain.errors import RequestError
from agentsight_server.erasure.eraser import ErasingThread
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import Services
from agentsight_server.http.bodies import FORM_PARTS, AnyRequest, BoundedRequest
from agentsight_server.http.uncached import forget_requests
from agentsight_server.ingest import ingest_stats, routes
from agentsight_server.operations import health
from agentsight_server.reference.geo import Places
from agentsight_server.runtime import outages
from agentsight_server.runtime.executors import Executors
from agentsight_server.runtime.logs import shown_path
from agentsight_server.runtime.storage import Storage
from agentsight_server.security.access import Authenticator
from agentsight_server.security.sessions import LoginThrottle
from agentsight_server.security.signing import Signer
from agentsight_server.settings import Settings
from agentsight_server.store import search_index, trigrams
from agentsight_server.store.database import Database
from agentsight_server.store.search_follower import SearchFollower
from agentsight_server.store.search_index import SearchIndex
from agentsight_server.store.writer import Overloaded, Writer

logger = logging.getLogger("agentsight_server")


def open_services(settings: Settings) -> Services:
    """Open the store and everything beside it; the writer is not started yet.

    Raises:
        StoreError, FilesError: the data folder or database cannot be used.
    """
    database = Database(settings.sqlalchemy_url)
    if settings.migrate:
        database.migrate()
    else:
        database.check_current()
    with database.write() as connection:
        signer = Signer.of_installation(connection)
        figures = open_analytics(settings, database, connection)
    executors = Executors(settings.query_seconds)
    writer = Writer(database, max_waiting=settings.queue_items)
    writer.committed.append(figures.projector.notice)
    figures.projector.make_way = lambda: writer.is_pressed
    store = FileStore(settings.files_url or settings.data_dir / "files")
    search = _open_search(settings, database, writer, figures)
    return Services(
        settings=settings,
        database=database,
        writer=writer,
        files=store,
        storage=Storage(database, store.folder, settings.least_free_percent),
        places=Places(settings.geo_database),
        authenticator=Authenticator(database, executors.lookups),
        signer=signer,
        login_throttle=LoginThrottle(),
        analytics=figures,
        executors=executors,
        search_follower=search,
        eraser=ErasingThread(database, store, writer, figures, search.index if search else None),
    )


def _open_search(
    settings: Settings, database: Database, writer: Writer, figures: Analytics
) -> SearchFollower | None:
    if database.path is None:  # PostgreSQL has an index of its own
        return None
    index = SearchIndex(settings.data_dir / search_index.FILE, figures.store)
    database.index = index
    follower = SearchFollower(database, index, lambda: writer.is_pressed)
    writer.committed.append(follower.notice)
    return follower


def create_app(settings: Settings, services: Services | None = None) -> Litestar:
    """The ASGI application.

    Example:
        >>> app = create_app(Settings.load())
    """
    services = services or open_services(settings)

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        services.writer.start()
        services.analytics.start()
        services.eraser.start()
        if services.search_follower is not None:
            services.search_follower.start()
        else:
            threading.Thread(target=trigrams.ensure, args=(services.database,), daemon=True).start()
        settling = asyncio.create_task(services.settle())
        try:
            yield
        finally:
            settling.cancel()
            services.eraser.stop()
            if services.search_follower is not None:
                services.search_follower.stop()
            services.writer.stop()
            services.analytics.stop()
            services.executors.shutdown()
            services.database.close()

    rooms: list[Any] = [
        *routes.handlers,
        *conversations.handlers,
        *managing.handlers,
        *me.handlers,
        *files.handlers,
        *erasures.handlers,
        *analytics.handlers,
        *export.handlers,
        *ledger.handlers,
        *keys.handlers,
        *health.handlers,
        *dashboard.handlers,
    ]
    documented = [
        each for each in rooms if isinstance(each, HTTPRouteHandler) and isinstance(each.opt.get("doc"), Doc)
    ]
    app = Litestar(
        route_handlers=rooms,
        guards=[services.authenticator.guard],
        lifespan=[running],
        state=State({"services": services, "documented": documented, "shelf": Shelf()}),
        openapi_config=None,
        logging_config=None,
        request_class=BoundedRequest,
        request_max_body_size=settings.max_body_bytes,
        multipart_form_part_limit=FORM_PARTS,
        exception_handlers={
            RequestError: dashboard.html_or_json(_refused),
            Overloaded: dashboard.html_or_json(_overloaded),
            **dict.fromkeys(outages.KINDS, dashboard.html_or_json(_outage)),
            HTTPException: dashboard.html_or_json(_http),
            Exception: dashboard.html_or_json(_failed),
        },
    )
    forget_requests(app)
    return app


def _refused(request: AnyRequest, error: RequestError) -> Response[bytes]:
    ingest_stats.note_refusal(request, error)
    return answer_json(error.body, error.status, error.headers)


def _overloaded(_: AnyRequest, error: Overloaded) -> Response[bytes]:
    wait = str(error.retry_after)
    return answer_json({"detail": f"too much is waiting; try again in {wait} s"}, 429, {"Retry-After": wait})


def _outage(request: AnyRequest, error: Exception) -> Response[bytes]:
    detail = outages.as_unavailable(error)
    if detail is None:
        return _failed(request, error)
    return answer_json({"detail": detail}, 503, {"Retry-After": str(outages.RETRY_AFTER)})


def _http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    details = {
        404: "there is nothing at this address",
        405: "this address takes another method",
        413: "the body is too large",
    }
    detail = details.get(error.status_code) or error.detail or "the request was refused"
    ingest_stats.note_refusal(request, RequestError(error.status_code, {"detail": detail}))
    return answer_json({"detail": detail}, error.status_code, dict(error.headers or {}))


def _failed(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.error("%s %s failed", request.method, shown_path(request.scope), exc_info=error)
    return answer_json({"detail": "something went wrong here; the log says more"}, 500)
