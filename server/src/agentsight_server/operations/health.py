"""Is it alive, is it ready, and how busy is it: for load balancers, orchestrators and Prometheus."""

from __future__ import annotations

import asyncio
import hmac
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, get
from sqlalchemy import text

from agentsight_server._version import __version__
from agentsight_server.contract.documentation import Doc
from agentsight_server.domain.errors import RequestError
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.http.limits import BUCKETS, Traffic
from agentsight_server.http.state import Services, services_of
from agentsight_server.runtime.outages import RETRY_AFTER, first_line
from agentsight_server.security.access import Access
from agentsight_server.store.database import Database

_PUBLIC: dict[str, Any] = {"access": Access.PUBLIC}
_PATIENCE = 3.0  # seconds
_STARTED = time.time()


class Alive(msgspec.Struct):
    """The process answers."""

    status: str


class Ready(msgspec.Struct):
    """Whether the server can do its work; `checks` names each part with "ok" or what is wrong."""

    status: str
    checks: dict[str, str]


@get("/healthz", opt=_PUBLIC | {"doc": Doc("Is it alive", "Running", None, {200: Alive})})
async def healthz(request: AnyRequest) -> Response[bytes]:
    """The process answers; nothing else is looked at. When it does not, start it anew."""
    return _json(Alive("ok"))


@get("/readyz", opt=_PUBLIC | {"doc": Doc("Is it ready", "Running", None, {200: Ready, 503: Ready})})
async def readyz(request: AnyRequest) -> Response[bytes]:
    """The store can be read and takes writes. 503 with what is wrong when it does not: send nobody here."""
    services = services_of(request)
    checks = {"store": await _store(services), "writer": await _writer(services)}
    if set(checks.values()) == {"ok"}:
        return _json(Ready("ok", checks))
    return _json(Ready("not ready", checks), 503, {"Retry-After": str(RETRY_AFTER)})


async def _store(services: Services) -> str:
    try:
        await asyncio.wait_for(services.look_up(lambda c: c.execute(text("SELECT 1")).scalar()), _PATIENCE)
    except asyncio.TimeoutError:
        return "does not answer in time"
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
        await asyncio.wait_for(services.write(lambda c, _: c.execute(text(_TOUCH))), _PATIENCE)
    except Exception:
        return "the database takes no writes"
    return "ok"


# A revision without a change: SQLite does not write what stays the same.
_TOUCH = "UPDATE counters SET value = value + 1 WHERE name = 'revision'"


@get("/metrics", opt=_PUBLIC)
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Counts for Prometheus, for who has the token; without one in the settings there are none."""
    services = services_of(request)
    _check_reader(request, services.settings.metrics_token)
    traffic: Traffic | None = request.scope.get("agentsight.traffic")  # type: ignore[assignment]
    lines = [*_own(services), *(_traffic(traffic) if traffic is not None else ())]
    lines += await services.executors.lookups.run(lambda: [*_process(), *_sizes(services.database)])
    return Response("\n".join(lines).encode() + b"\n", media_type="text/plain; version=0.0.4")


def _check_reader(request: AnyRequest, token: str | None) -> None:
    if not token:
        raise RequestError(404, {"detail": "metrics are off: set AGENTSIGHT_METRICS_TOKEN to read them"})
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise RequestError(
            401, {"detail": "send the token: Authorization: Bearer …"}, {"WWW-Authenticate": "Bearer"}
        )


def _family(name: str, kind: str, about: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP agentsight_{name} {about}"
    yield f"# TYPE agentsight_{name} {kind}"
    for labels, value in samples.items():
        # In full: a counter that is rounded stands still, then jumps.
        yield f"agentsight_{name}{labels} {int(value) if value == int(value) else repr(value)}"


def _own(services: Services) -> Iterator[str]:
    writer = services.writer
    yield from _family("build_info", "gauge", "The version.", {f'{{version="{__version__}"}}': 1})
    items = {f'{{outcome="{name}"}}': float(count) for name, count in services.ledger.totals().items()}
    yield from _family(
        "ingest_items_total", "counter", "Items sent by clients, by what became of them.", items
    )
    yield from _family(
        "writer_waiting_items", "gauge", "Items that wait to be written.", {"": writer.waiting}
    )
    yield from _family("writer_commits_total", "counter", "Transactions committed.", {"": writer.commits})
    yield from _family(
        "writer_failures_total",
        "counter",
        "Transactions that the database did not take.",
        {"": writer.failures},
    )
    yield from _family(
        "writer_seconds_total", "counter", "Time spent writing.", {"": round(writer.seconds, 6)}
    )
    failing = 0.0 if writer.failing_since is None else time.monotonic() - writer.failing_since
    yield from _family(
        "writer_failing_seconds",
        "gauge",
        "For how long the database has taken no writes; 0: it does.",
        {"": round(failing, 1)},
    )


def _traffic(traffic: Traffic) -> Iterator[str]:
    counted = {
        f'{{method="{method}",route="{_escape(route)}",status="{status}"}}': float(count)
        for (method, route, status), count in sorted(traffic.answers.items())
    }
    yield from _family("http_requests_total", "counter", "Requests answered.", counted)
    shed = {f'{{reason="{reason}"}}': float(count) for reason, count in traffic.shed.items()}
    yield from _family("http_shed_total", "counter", "Requests refused to protect the others.", shed)
    yield from _family("http_serving", "gauge", "Requests being served.", {"": traffic.serving})
    yield from _family(
        "http_body_bytes", "gauge", "Bytes of request bodies in memory.", {"": traffic.bodies.held}
    )
    yield "# HELP agentsight_http_seconds Time to answer."
    yield "# TYPE agentsight_http_seconds histogram"
    for room, latency in sorted(traffic.latencies.items()):
        running = 0
        for bound, count in zip((*BUCKETS, "+Inf"), latency.counts, strict=True):
            running += count
            yield f'agentsight_http_seconds_bucket{{room="{room}",le="{bound}"}} {running}'
        yield f'agentsight_http_seconds_sum{{room="{room}"}} {latency.total:.6f}'
        yield f'agentsight_http_seconds_count{{room="{room}"}} {running}'


def _sizes(database: Database) -> Iterator[str]:
    if database.path is None:
        return
    sizes = {}
    for ending in ("", "-wal"):
        path = Path(f"{database.path}{ending}")
        if path.exists():
            sizes[f'{{file="{path.name}"}}'] = float(path.stat().st_size)
    yield from _family("store_bytes", "gauge", "Size of the database's files.", sizes)
    disk = os.statvfs(database.path.parent) if hasattr(os, "statvfs") else None
    if disk is not None:
        free = float(disk.f_bavail * disk.f_frsize)
        yield from _family("disk_free_bytes", "gauge", "Space left where the data lies.", {"": free})


def _process() -> Iterator[str]:
    """The names under which every Prometheus client reports its process."""
    used = time.process_time()
    yield "# HELP process_cpu_seconds_total Processor time used, in seconds."
    yield "# TYPE process_cpu_seconds_total counter"
    yield f"process_cpu_seconds_total {used:.2f}"
    yield "# HELP process_start_time_seconds When the process began, in seconds since 1970."
    yield "# TYPE process_start_time_seconds gauge"
    yield f"process_start_time_seconds {_STARTED:.2f}"
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        yield "# HELP process_resident_memory_bytes Memory in use."
        yield "# TYPE process_resident_memory_bytes gauge"
        yield f"process_resident_memory_bytes {pages * os.sysconf('SC_PAGE_SIZE')}"
        yield "# HELP process_open_fds Open files and connections."
        yield "# TYPE process_open_fds gauge"
        yield f"process_open_fds {sum(1 for _ in Path('/proc/self/fd').iterdir())}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    return Response(
        msgspec.json.encode(answer),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


handlers: list[Any] = [healthz, readyz, metrics]
