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

from agentsight_server.attachments.blobs import FilesError
from agentsight_server.demo.generate import next_conversation, pace
from agentsight_server.domain.errors import RequestError
from agentsight_server.http.app_state import Services
from agentsight_server.ingest.batch import Batch
from agentsight_server.ingest.normalise import Normaliser
from agentsight_server.store.append import append
from agentsight_server.store.writer import Overloaded, Unavailable

__all__ = ["keep_adding"]

logger = logging.getLogger("agentsight_server.demo")
_FIRST_SECONDS = 15.0
_STEP_SECONDS = 20.0


async def keep_adding(services: Services, agents: Mapping[str, int], rng: random.Random) -> None:
    """Begin conversations as often as the history has them at this hour, until the server stops.

    The first comes after some seconds, so that who has just started the demo sees one arrive; more than the history's
    pace would end every chart in a spike.

    Args:
        agents: the demo's agents by name.
    """
    under_way: set[asyncio.Task[None]] = set()

    def begin(name: str | None) -> None:
        name, record = next_conversation(rng, datetime.now(timezone.utc), name)
        task = asyncio.create_task(_happen(services, agents[name], record))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    await asyncio.sleep(_FIRST_SECONDS)
    begin(None)
    while True:
        await asyncio.sleep(_STEP_SECONDS)
        for name, an_hour in pace(datetime.now(timezone.utc)).items():
            if rng.random() < an_hour * _STEP_SECONDS / 3600:
                begin(name)


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
