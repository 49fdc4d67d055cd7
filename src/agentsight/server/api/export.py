"""Exporting over HTTP: a file that streams, however long it is."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from litestar import get
from litestar.response import Stream

from agentsight.server.api.conversations import parameters
from agentsight.server.api.filters import FILTER_NAMES, FILTER_QUERIES, integer, only, parse_filters
from agentsight.server.contract.documentation import Doc, Query
from agentsight.server.errors import Invalid, not_found
from agentsight.server.filetypes import content_disposition
from agentsight.server.ingest import tables
from agentsight.server.ingest.export import Export
from agentsight.server.requests import AnyRequest
from agentsight.server.security.access import Access
from agentsight.server.services import services_of, viewer_of
from agentsight.server.store import agents

logger = logging.getLogger(__name__)

_FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_WHAT: tuple[tables.What, ...] = ("conversations", "messages")
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
            files=("application/x-ndjson", "text/csv"),
        ),
    },
)
async def export(request: AnyRequest) -> Stream:
    """The agent's conversations as a file, oldest first, with the filters of the list.

    `jsonl` with `conversations` is whole, attachments included: one import record a line. `csv`, and `messages`,
    are flat tables; in CSV a text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    given = parameters(request)
    only(given, FILTER_NAMES | {each.name for each in _QUERIES})
    kind = _one_of(given, "format", tuple(_FORMATS))
    what: tables.What = "messages" if _one_of(given, "what", _WHAT) == "messages" else "conversations"
    filters = parse_filters(given)
    viewer = viewer_of(request)
    agent_id = integer(given, "agent", viewer.agent_id or 0, least=1, most=2**63 - 1)
    if not agent_id:
        raise Invalid({"agent": ["is required: the agent's number"]})
    viewer.require_agent(agent_id)
    services = services_of(request)
    names = [row.name for row in await services.read(lambda c: agents.listing(c, frozenset({agent_id})))]
    if not names:
        raise not_found("no such agent")
    run = Export(services.database, services.files, agent_id, filters)
    slug = re.sub(r"[^\w]+", "-", names[0]).strip("-").lower() or "agent"
    return Stream(
        _in_threads(tables.in_chunks(tables.lines(run, kind, what)), run),
        media_type=_FORMATS[kind],
        headers={
            "Content-Disposition": content_disposition(f"{slug}-{what}.{kind}", inline=False),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


def _one_of(given: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = given.get(name) or allowed[0]
    if text not in allowed:
        raise Invalid({name: [f"takes {' or '.join(allowed)}"]})
    return text


async def _in_threads(pieces: Iterator[bytes], run: Export) -> AsyncIterator[bytes]:
    """Take each piece in a thread: reading the next page must not hold up other requests."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
    if run.missing:
        logger.warning("an export left out %d attachments whose bytes are missing", len(run.missing))


handlers: list[Any] = [export]
