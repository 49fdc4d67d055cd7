"""The thread that brings what was written into the search index, a moment later and without anybody waiting for it."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from agentsight_server.store.database import Database
from agentsight_server.store.search_index import SearchIndex

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
REST_SHARE = 1.0
"""Rests as long as it works: ingest has the processor for the other half, ..."""
REST_SHARE_MAKING_WAY = 6.0
"""... and for six sevenths while more is sent than can be written at once."""
LONGEST_REST = 2.0
TROUBLE_SECONDS = 30.0


class SearchFollower:
    """Keeps the index up to date with the store, until stop().

    Args:
        make_way: whether ingest has more to do than it can do at once.
    """

    def __init__(self, database: Database, index: SearchIndex, make_way: Callable[[], bool]) -> None:
        self.database, self.index, self.make_way = database, index, make_way
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="agentsight-search", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step at hand, and close the index."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.index.close()

    def notice(self) -> None:
        """Something was written: look soon. Returns at once."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            begun = time.monotonic()
            try:
                more = self.index.step(self.database)
            except (sqlite3.Error, DBAPIError, OSError) as error:
                if self._stopped.is_set():
                    return
                self._report(error)
                continue
            took = time.monotonic() - begun
            share = REST_SHARE_MAKING_WAY if self.make_way() else REST_SHARE
            self._stopped.wait(min(took * share, LONGEST_REST))
            if not more:
                self._wake.wait(POLL_SECONDS)

    def _report(self, error: Exception) -> None:
        cause = getattr(error, "orig", None) or error
        log.error("the search index does not follow, messages are searched one by one: %s", cause)
        if isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError):
            self.index.remove()  # damaged: it is made anew from the store
        self._stopped.wait(TROUBLE_SECONDS)
