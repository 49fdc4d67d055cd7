"""Rewriting a store's file, so that no byte is left of what was deleted.

SQLite overwrites what it lets go (`secure_delete`), but pages that were split keep copies in the space between; only a
new file is sure to have none.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress

from agentsight_server.store.database import Database

SECONDS_PER_BYTE = 5e-9
"""How long it takes, about: five seconds for a gigabyte."""


class NoRoom(Exception):
    """The disk has too little space for a second copy."""


def seconds(database: Database) -> float:
    """How long rewrite() would take, about; writers wait for so long."""
    if database.path is None:
        return 0.0
    try:
        return database.path.stat().st_size * SECONDS_PER_BYTE
    except OSError:
        return 0.0


def rewrite(database: Database) -> None:
    """Rewrite the file. On PostgreSQL nothing is done: its own VACUUM frees the rows.

    Not inside of a transaction, and by whoever else writes to the store: in its thread.

    Raises:
        NoRoom: the disk has too little space.
        sqlite3.Error: another process writes.
    """
    path = database.path
    if path is None:
        return
    size = path.stat().st_size
    if shutil.disk_usage(path.parent).free < 2 * size + 64 * 1024 * 1024:
        raise NoRoom(f"writing {path.name} anew takes {2 * size / 1e6:,.0f} MB of free space")
    with closing(database.writing.raw_connection()) as pooled:
        raw = pooled.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        quoted = str(path.parent.absolute()).replace("'", "''")
        with suppress(sqlite3.Error):  # the copy belongs beside the file, not into a folder of everybody
            raw.execute(f"PRAGMA temp_store_directory = '{quoted}'")
        raw.execute("PRAGMA temp_store = FILE")
        try:
            raw.execute("VACUUM")
        finally:
            raw.execute("PRAGMA temp_store = MEMORY")


def empty_log(database: Database) -> bool:
    """Bring everything from the write-ahead log into the file and cut the log; False while readers are in the way."""
    if database.path is None:
        return True
    with closing(database.writing.raw_connection()) as pooled:
        raw = pooled.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA busy_timeout = 200")
        try:
            busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            raw.execute("PRAGMA busy_timeout = 15000")
        return not busy
