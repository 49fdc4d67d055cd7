"""Building the columns anew from the store, also while a server runs on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb

from agentsight_server.analytics.duckdb_engine import DuckEngine, remove
from agentsight_server.analytics.engine import TABLES
from agentsight_server.analytics.projector import Projector
from agentsight_server.store import changes
from agentsight_server.store.database import Database

BATCH = 5_000
# A running server looks every second.
PATIENCE = 15.0


class Rebuilt(NamedTuple):
    """What a rebuild did. `in_use` is false while another program holds the old file: it changes over later."""

    conversations: int
    rows: int
    seconds: float
    size: int
    in_use: bool


def rebuild(database: Database, file: Path, store: str, progress: Callable[[int, int], None]) -> Rebuilt:
    """Build a new file beside the old one, then put it in its place.

    A server that runs goes on with the old one, changes over within a second or two, and follows from there.

    Args:
        file: the analytics file.
        store: the store's identity (service.identity).
        progress: called with (conversations done, conversations in all).

    Raises:
        AnalyticsError: the folder cannot be written.
    """
    begun = time.monotonic()
    with database.read() as connection:
        total = changes.total(connection)
    building = file.with_name(f"{file.name}.building-{os.getpid()}")
    remove(building)
    engine = DuckEngine(building)
    finished = building.with_suffix(building.suffix + "-ordered")
    done = 0

    def count(conversations: int) -> None:
        nonlocal done
        done += conversations
        progress(min(done, total), total)

    try:
        engine.open(store)
        Projector(database, engine, batch=BATCH).follow(count)
        with engine.reading() as execute:
            rows = sum(execute(f"SELECT count(*) FROM {table}", ())[0][0] for table in TABLES)  # noqa: S608
        engine.export(finished)
        engine.close()
        target = DuckEngine(file)
        finished.replace(target.next_path)
    finally:
        engine.close()
        remove(building)
        remove(finished)
    in_use = _changed_over(target)
    return Rebuilt(done, rows, time.monotonic() - begun, file.stat().st_size if in_use else 0, in_use)


def _changed_over(target: DuckEngine) -> bool:
    """Put the new file in place, or see a running server do it."""
    deadline = time.monotonic() + PATIENCE
    while target.next_path.exists():
        try:
            target.adopt_next()
        except duckdb.Error:  # somebody has the old one open
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
    return True
