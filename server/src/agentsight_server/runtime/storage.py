"""Whether attachments may still come in: the disk keeps some space free, and an agent may have a limit."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from agentsight_server.domain.errors import RequestError
from agentsight_server.store import agents, transcripts
from agentsight_server.store.database import Database

logger = logging.getLogger(__name__)

_LOOK_AGAIN = 5.0
_COUNT_AGAIN = 300.0
_RETRY_AFTER = "300"


class Storage:
    """Room for attachments.

    Args:
        database: where agents' limits stand.
        folder: where attachments lie; None: not on a disk of ours.
        least_free: percent of the disk that must stay free.
        free: how much of it is free, in percent; for tests.

    Safe to use from several threads. Figures are some seconds old, and an agent's bytes are counted again every five
    minutes, so limits hold to about one request.
    """

    def __init__(
        self,
        database: Database,
        folder: Path | None,
        least_free: int,
        free: Callable[[Path], float] | None = None,
    ) -> None:
        self._database = database
        self._folder = folder
        self._least_free = least_free
        self._free = free or _free_percent
        self._lock = threading.Lock()
        self._seen: tuple[float, float] = (0.0, 100.0)  # until when, percent
        self._stored: dict[int, tuple[float, int]] = {}  # until when, bytes

    def check_disk(self) -> None:
        """Look whether the disk has space for attachments.

        Raises:
            RequestError: 507, too little of it is free; nothing was stored.
        """
        if self._folder is None or not self._least_free:
            return
        now = time.monotonic()
        with self._lock:
            until, percent = self._seen
            fresh = now < until
            if not fresh:
                percent = self._free(self._folder)
                self._seen = (now + _LOOK_AGAIN, percent)
        if percent < self._least_free:
            if not fresh:
                logger.warning("attachments are refused: %.1f %% of their disk is free", percent)
            raise RequestError(
                507,
                {
                    "detail": f"no attachment is taken while less than {self._least_free} % of the disk is free"
                },
                {"Retry-After": _RETRY_AFTER},
            )

    def has_room(self, agent_id: int, size: int) -> bool:
        """Whether the agent's limit leaves room for that many bytes; if so, they are counted as stored."""
        with self._database.read() as connection:
            limit = agents.storage_limit(connection, agent_id)
            if limit is None:
                return True
            now = time.monotonic()
            with self._lock:
                until, stored = self._stored.get(agent_id, (0.0, 0))
            if now >= until:
                stored, until = transcripts.stored_bytes(connection, agent_id), now + _COUNT_AGAIN
        with self._lock:
            fits = stored + size <= limit
            self._stored[agent_id] = (until, stored + size if fits else stored)
        return fits


def _free_percent(folder: Path) -> float:
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return 100.0  # writing will tell
    return 100.0 * found.free / found.total if found.total else 100.0
