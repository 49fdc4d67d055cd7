"""Exporting over HTTP: a file that streams, however long it is."""

from __future__ import annotations

import functools
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from litestar import get
from litestar.response import Stream

from agentsight_server.api.filters import FILTER_NAMES, FILTER_QUERIES, integer, only, parse_filters
from agentsight_server.api.queries import may_include_deleted, parameters
from agentsight_server.attachments.file_types import content_disposition
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.domain import zones
from agentsight_server.domain.errors import Invalid, not_found
from agentsight_server.domain.filters import Filters
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.records import tabular
from agentsight_server.records.export import Export
from agentsight_server.runtime.executors import Executor
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import agents

logger = logging.getLogger(__name__)

_FORMATS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
# A Parquet file is written whole before it is sent, its last step in one go.
_PARQUET_SECONDS = 120.0
_PIECE = 256 * 1024
_WHAT: tuple[tabular.What, ...] = ("conversations", "messages")
_QUERIES = (
    Query("format", "", {"type": "string", "enum": list(_FORMATS), "default": "jsonl"}),
    Query("what", "The rows", {"type": "string", "enum": list(_WHAT), "default": "conversations"}),
    Query("agent", "The agent's number; needed by a signed-in person", {"type": "integer", "minimum": 1}),
)


@get(
    "/api/export",
    opt={
        "access": Access.READ,
        "doc": Doc(
            "Export",
            "Reading",
            None,
            {200: None},
            (*_QUERIES, *FILTER_QUERIES),
            files=("application/x-ndjson", "text/csv", "application/vnd.apache.parquet"),
        ),
    },
)
async def export(request: AnyRequest) -> Stream:
    """The agent's conversations as a file, oldest first, with the filters of the list.

    `jsonl` with `conversations` is whole, attachments included: one import record a line. `csv`, and `messages`,
    are flat tables; in CSV a text that a spreadsheet would run as a formula begins with an apostrophe. `parquet` is
    the same table with types. With `event_after` and `event_before`, `messages` are those of that time.
    """
    given = parameters(request)
    only(given, FILTER_NAMES | {each.name for each in _QUERIES})
    kind = _one_of(given, "format", tuple(_FORMATS))
    what: tabular.What = "messages" if _one_of(given, "what", _WHAT) == "messages" else "conversations"
    filters = parse_filters(given)
    may_include_deleted(request, filters["include_deleted"] is True)
    actor = actor_of(request)
    agent_id = integer(given, "agent", actor.agent_id or 0, least=1, most=2**63 - 1)
    if not agent_id:
        raise Invalid(Problem("agent", Code.REQUIRED, "the agent's number"))
    actor.require_agent(agent_id)
    services = services_of(request)
    names = [row.name for row in await services.read(lambda c: agents.listing(c, frozenset({agent_id})))]
    if not names:
        raise not_found("no such agent")
    executor = services.executors.exports
    executor.take_place()
    await services.note(audit.event_of(request, "exported", agent_id=agent_id, format=kind, what=what))
    run = Export(services.database, services.files, agent_id, filters)
    if kind == "parquet":
        folder = services.settings.data_dir
        file = await _parquet(executor, run, what, folder)
        pieces = iter(functools.partial(file.read, _PIECE), b"")
    else:
        pieces = tabular.in_chunks(tabular.lines(run, kind, what))
    name = "_".join([_slug(names[0]), what, *_days(filters, given.get("tz") or "UTC")])
    return Stream(
        _in_threads(executor, pieces, run),
        media_type=_FORMATS[kind],
        headers={
            "Content-Disposition": content_disposition(f"{name}.{kind}", inline=False),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


def _slug(name: str) -> str:
    return re.sub(r"[^\w]+", "-", name).strip("-").lower() or "agent"


def _days(filters: Filters, tz: str) -> list[str]:
    """The first and the last day that is asked for, as far as they are said."""
    after, before = filters["event_after"], filters["event_before"]
    if after is None and before is None:
        after, before = filters["started_at_after"], filters["started_at_before"]
    zone = zones.find(tz)
    try:
        return [str(zones.today(zone, end)) for end in (after, before) if end is not None]
    except OverflowError:  # at the end of the calendar
        return []


async def _parquet(executor: Executor, run: Export, what: tabular.What, folder: Path) -> IO[bytes]:
    """Write the file and open it; it is gone from the folder then, and from the disk when it is closed."""
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as place:
        target = Path(place) / "table.parquet"
        steps = tabular.parquet_steps(run, what, target)
        try:
            while await executor.step(lambda: next(steps, None), seconds=_PARQUET_SECONDS) is not None:
                pass
        finally:
            with suppress(ValueError):  # the step that was given up may still be ending
                steps.close()
        return target.open("rb")


def _one_of(given: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = given.get(name) or allowed[0]
    if text not in allowed:
        raise Invalid(Problem(name, Code.CHOICE, either(allowed), repr(text)))
    return text


async def _in_threads(executor: Executor, pieces: Iterator[bytes], run: Export) -> AsyncIterator[bytes]:
    """Take each piece in a thread: reading the next page must not hold up other requests."""
    while (piece := await executor.step(lambda: next(pieces, None))) is not None:
        yield piece
    if run.missing:
        logger.warning("an export left out %d attachments whose bytes are missing", len(run.missing))


handlers: list[Any] = [export]
