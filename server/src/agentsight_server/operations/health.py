"""Is it alive, is it ready, and how busy is it: for load balancers, orchestrators and Prometheus."""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, get
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agentsight_server._version import __version__
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.domain.causes import first_line
from agentsight_server.domain.errors import RequestError
from agentsight_server.http.answers import PRIVATE, answer_json
from agentsight_server.http.app_state import Services, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.http.limits import Limits
from agentsight_server.runtime.outages import RETRY_AFTER
from agentsight_server.security.access import Access
from agentsight_server.store import checks

_PUBLIC: dict[str, Any] = {"access": Access.PUBLIC}
_PATIENCE = 3.0  # seconds


class Alive(msgspec.Struct):
    """The process answers."""

    status: str


class Ready(msgspec.Struct):
    """Whether the server can do its work; `checks` names each part with "ok" or what is wrong."""

    status: str
    checks: dict[str, str]


@get("/healthz", opt=_PUBLIC | {"doc": Doc("Is it alive", "Running", None, {200: Alive})})
async def healthz(request: AnyRequest) -> Response[bytes]:
    """The process answers; nothing else is looked at. When it does not, restart it."""
    return answer_json(Alive("ok"), headers=PRIVATE)


_FIGURES = Query("figures", "true: the figures have to answer, too", {"type": "boolean", "default": False})


@get(
    "/readyz",
    opt=_PUBLIC | {"doc": Doc("Is it ready", "Running", None, {200: Ready, 503: Ready}, (_FIGURES,))},
)
async def readyz(request: AnyRequest) -> Response[bytes]:
    """The store can be read and takes writes. 503 with what is wrong when it does not: send nobody here.

    A load balancer asks without `figures`: a server whose figures stand still takes in conversations all the same.
    """
    services = services_of(request)
    found = {"store": await _store(services), "writer": await _writer(services)}
    if request.query_params.get(_FIGURES.name) == "true":
        found["figures"] = await _figures(services)
    if set(found.values()) == {"ok"}:
        return answer_json(Ready("ok", found), headers=PRIVATE)
    return answer_json(Ready("not ready", found), 503, {**PRIVATE, "Retry-After": str(RETRY_AFTER)})


async def _store(services: Services) -> str:
    try:
        await asyncio.wait_for(services.look_up(checks.answers), _PATIENCE)
    except asyncio.TimeoutError:
        return "does not answer in time"
    except Exception as error:
        return f"cannot be read ({first_line(error).partition(':')[0]})"
    return "ok"


async def _figures(services: Services) -> str:
    try:
        await asyncio.wait_for(services.analytics.conversations(), _PATIENCE)
    except asyncio.TimeoutError:
        return "do not answer in time"
    except Exception as error:
        return f"cannot be read ({first_line(error).partition(':')[0]})"
    return "ok"


async def _writer(services: Services) -> str:
    writer = services.writer
    if not writer.is_running:
        return "stopped"
    if writer.failing_since is None:
        return "ok"
    try:
        # The trouble may be over, and with nobody sent here no write would find out.
        await asyncio.wait_for(
            services.write(lambda connection, _: checks.takes_a_write(connection)), _PATIENCE
        )
    except Exception:
        return "the database takes no writes"
    return "ok"


@get("/metrics", opt=_PUBLIC)
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Counts for Prometheus, for whoever has the token; without one in the settings there are none."""
    services = services_of(request)
    _check_reader(request, services.settings.metrics_token)
    limits: Limits | None = request.scope.get("agentsight.limits")  # type: ignore[assignment]
    registry = CollectorRegistry()
    registry.register(_Server(services))
    if limits is not None:
        registry.register(limits.counts)
    ProcessCollector(registry=registry)
    # Away from the event loop: it looks at files.
    text = await services.executors.lookups.run(lambda: generate_latest(registry))
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _check_reader(request: AnyRequest, token: str | None) -> None:
    if not token:
        raise RequestError(404, {"detail": "metrics are off: set AGENTSIGHT_METRICS_TOKEN to read them"})
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise RequestError(
            401, {"detail": "send the token: Authorization: Bearer …"}, {"WWW-Authenticate": "Bearer"}
        )


class _Server(Collector):
    """What the parts of the server count for themselves, read when Prometheus asks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        writer = self._services.writer
        yield _gauge("build_info", "The version.", 1, version=__version__)
        items = CounterMetricFamily(
            "agentsight_ingest_items",
            "Items sent by clients, by what became of them.",
            labels=("outcome",),
        )
        for outcome, count in self._services.ledger.totals().items():
            items.add_metric((outcome,), count)
        yield items
        yield _gauge("writer_waiting_items", "Items that wait to be written.", writer.waiting)
        yield _counter("writer_commits", "Transactions committed.", writer.commits)
        yield _counter("writer_failures", "Transactions that the database did not take.", writer.failures)
        yield _counter("writer_seconds", "Time spent writing.", writer.seconds)
        since = writer.failing_since
        yield _gauge(
            "writer_failing_seconds",
            "For how long the database has taken no writes; 0: it does.",
            0 if since is None else round(time.monotonic() - since, 1),
        )
        if (path := self._services.database.path) is not None:
            yield from _sizes(path)


def _sizes(database: Path) -> Iterator[Metric]:
    sizes = GaugeMetricFamily("agentsight_store_bytes", "Size of the database's files.", labels=("file",))
    for ending in ("", "-wal"):
        path = Path(f"{database}{ending}")
        if path.exists():
            sizes.add_metric((path.name,), path.stat().st_size)
    yield sizes
    if hasattr(os, "statvfs"):
        disk = os.statvfs(database.parent)
        yield _gauge("disk_free_bytes", "Space left where the data lies.", disk.f_bavail * disk.f_frsize)


def _gauge(name: str, about: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"agentsight_{name}", about, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"agentsight_{name}", about, value)


handlers: list[Any] = [healthz, readyz, metrics]
