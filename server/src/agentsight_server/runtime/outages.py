"""What is not the request's fault: a full disk, a database that is away. Said in one line, answered with 503."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import DatabaseError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from agentsight_server.attachments.blobs import FilesError
from agentsight_server.domain.causes import first_line
from agentsight_server.store.writer import Unavailable

logger = logging.getLogger("agentsight_server")

RETRY_AFTER = 2  # seconds
KINDS: tuple[type[Exception], ...] = (FilesError, Unavailable, DatabaseError, InterfaceError, PoolTimeout)
_EVERY = 10.0
_DATABASE = "the database does not answer; try again"
_FILES = "attachments cannot be stored or read right now; try again"


class _ThrottledLog:
    """Says the same thing once in ten seconds, with how often it happened: a full disk must not fill the log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, line: str) -> None:
        now = time.monotonic()
        with self._lock:
            last, unsaid = self._said.get(line, (-_EVERY, 0))
            if now - last < _EVERY:
                self._said[line] = (last, unsaid + 1)
                return
            if len(self._said) > 100:
                self._said.clear()
            self._said[line] = (now, 0)
        logger.error("%s%s", line, f" ({unsaid} more times since it was last said)" if unsaid else "")


_log = _ThrottledLog()


def as_unavailable(error: Exception) -> str | None:
    """What to answer with 503 when the error is an outage, after saying it in the log; None: it is none.

    Example:
        >>> as_unavailable(ValueError()) is None
        True
    """
    if isinstance(error, Unavailable):  # the writer has said why
        return str(error)
    if isinstance(error, FilesError):
        _log.say(str(error))
        return _FILES
    trouble = isinstance(error, (OperationalError, InterfaceError, InternalError, PoolTimeout))
    # SQLite tells of a damaged file with the general error.
    if trouble or type(error) is DatabaseError:
        _log.say(f"the database does not answer: {first_line(error)}")
        return _DATABASE
    return None
