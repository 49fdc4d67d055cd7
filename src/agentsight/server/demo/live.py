"""Keeps a demo alive: now and then somebody writes to one of its agents."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

import msgspec

from agentsight.server.demo.generate import next_conversation
from agentsight.server.errors import RequestError
from agentsight.server.files import FilesError
from agentsight.server.ingest.batch import Batch
from agentsight.server.ingest.normalise import Normaliser
from agentsight.server.services import Services
from agentsight.server.store.append import append
from agentsight.server.store.writer import Overloaded, Unavailable

__all__ = ["keep_adding"]

logger = logging.getLogger("agentsight.server.demo")
_AT_ONCE = 6  # conversations under way


async def keep_adding(
    services: Services, agents: Mapping[str, int], rng: random.Random, every: float = 25.0
) -> None:
    """Begin a conversation every so often, its items arriving as they happen, until the server stops.

    Args:
        agents: the demo's agents by name.
        every: seconds from one beginning to the next, on average.
    """
    under_way: set[asyncio.Task[None]] = set()
    while True:
        if len(under_way) < _AT_ONCE:
            name, record = next_conversation(rng, datetime.now(timezone.utc))
            task = asyncio.create_task(_happen(services, agents[name], record))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(min(rng.expovariate(1 / every), 4 * every))


async def _happen(services: Services, agent_id: int, record: dict[str, Any]) -> None:
    """Write a conversation piece by piece, each when its time has come."""
    waiting = record["items"] + [
        {
            "type": "feedback",
            "timestamp": each["created_at"],
            "sentiment": each["sentiment"],
            "comment": each["comment"],
        }
        for each in record["feedbacks"]
        if each["source"] == "customer"
    ]
    fields = {name: value for name, value in record.items() if name not in ("items", "feedbacks")}
    try:
        while waiting:
            due = datetime.fromisoformat(waiting[0]["timestamp"].replace("Z", "+00:00"))
            await asyncio.sleep((due - datetime.now(timezone.utc)).total_seconds())
            now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
            ready = [each for each in waiting if each["timestamp"] <= now] or waiting[:1]
            waiting = waiting[len(ready) :]
            await _write(services, agent_id, {**fields, "items": ready})
    except (Unavailable, Overloaded, FilesError, RequestError) as error:
        logger.debug("a sample conversation was cut short: %s", error)


async def _write(services: Services, agent_id: int, record: dict[str, Any]) -> None:
    batch = Batch(Normaliser(services.places.lookup), msgspec.json.encode({"conversations": [record]}))
    for file in batch.normaliser.files.values():
        await services.executors.incoming.run(partial(services.files.put, file.data))
    await services.write(
        lambda connection, attempt: append(connection, attempt, agent_id, batch.accepted), weight=batch.weight
    )
