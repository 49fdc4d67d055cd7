"""Carries erasures out, whoever asked for them: rows, files, figures, and what is left of them on the disk.

What is asked for is a row of the store (store/erasing.py). The server works on the open ones in a thread of its own, in
pieces that ingest hardly notices; the command line does the same where no server runs. Killed at any point, the next
one goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.service import Analytics
from agentsight_server.attachments.blobs import FileStore
from agentsight_server.domain import times
from agentsight_server.domain.causes import first_line
from agentsight_server.store import conversations, erasing, retention, rewriting, search_index
from agentsight_server.store.database import Database
from agentsight_server.store.erasing import Job
from agentsight_server.store.search_index import SearchIndex
from agentsight_server.store.writer import Work, Writer

T = TypeVar("T")
logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# Other programs may ask for an erasure; the hour is that of retention.
UPKEEP_SECONDS = 3_600.0
FIRST_UPKEEP_SECONDS = 60.0
TROUBLE_SECONDS = 30.0
_CLEANING_SECONDS = 2.0
# A file that is written anew in so short a time is so at once ...
SHORT_SECONDS = 0.1
# ... a larger one when nothing was written for a while, or when it has waited long enough.
QUIET_SECONDS = 5.0
LONGEST_WAIT = 3_600_000_000
LONGEST_WAIT_OF_RETENTION = times.DAY


class Hands(Protocol):
    """How it is done here: by a server, or by a command."""

    def write(self, work: Work[T]) -> T:
        """Do one piece in a transaction."""

    def clean(self, revision: int) -> bool:
        """Take everything erased up to that revision out of the figures and the search index, to the last byte; False:
        not yet."""

    def may_rewrite(self, waiting: Sequence[Job]) -> bool:
        """Whether this is a good moment for the store's file to be written anew."""

    def rewrite(self) -> bool:
        """Write the store's file anew; False: not yet."""

    def rest(self) -> bool:
        """Between two pieces; False: stop."""


class Eraser:
    """Does what is asked for.

    Example:
        >>> with database.write() as connection:
        ...     erasing.begin(connection, agent_id, Criterion(customer_id="anna"), "command line")
        >>> Eraser(database, files, OwnHands(database, engine)).advance()
        True
    """

    def __init__(self, database: Database, files: FileStore, hands: Hands) -> None:
        self.database, self.files, self.hands = database, files, hands

    def advance(self) -> bool:
        """Go on with everything that is open, as far as it goes now.

        Returns:
            Whether all of it is finished.
        """
        for job in self._open():
            if job.gone_at is None and not self._take_away(job):
                return False
        waiting = [job for job in self._open() if job.gone_at is not None]
        if not waiting:
            return True
        with self.database.read() as connection:
            revision = conversations.latest_revision(connection)
        if not (self.hands.clean(revision) and self.hands.may_rewrite(waiting) and self.hands.rewrite()):
            return False
        self.hands.write(lambda connection, _: erasing.finish(connection, waiting))
        for job in waiting:
            logger.info("erasure %d is finished: nothing of it is left", job.id)
        return not self._open()

    def _open(self) -> list[Job]:
        with self.database.read() as connection:
            return erasing.open_jobs(connection)

    def _take_away(self, job: Job) -> bool:
        """Everything but the bytes that deleting leaves behind; False when it was stopped."""
        write, rest = self.hands.write, self.hands.rest
        while True:
            while write(lambda connection, _: erasing.mark(connection, job)):
                if not rest():
                    return False
            while write(lambda connection, _: erasing.remove(connection, job)):
                if not rest():
                    return False
            if not self._remove_files(job):
                return False
            if job.kind != "agent" or write(lambda connection, _: erasing.remove_agent(connection, job)):
                break
        write(lambda connection, _: erasing.gone(connection, job))
        return True

    def _remove_files(self, job: Job) -> bool:
        while True:
            with self.database.read() as connection:
                found = erasing.files_to_look_at(connection, job)
            if not found:
                return True
            removed = [sha for sha in found if self.files.remove_unless(sha, partial(self._is_named, sha))]
            self.hands.write(partial(_looked_at, job, found, removed))
            if not self.hands.rest():
                return False

    def _is_named(self, sha: str) -> bool:
        with self.database.read() as connection:
            return erasing.is_named(connection, sha)


def _looked_at(
    job: Job, found: Sequence[str], removed: Sequence[str], connection: Connection, _: int
) -> None:
    erasing.looked_at(connection, job, found, len(removed))


def _clean_search(database: Database, index: SearchIndex | None, write: Callable[[Work[None]], None]) -> bool:
    """Take what was erased out of the search index; False: not yet."""
    if index is None:
        return True
    done = index.clean(database)
    if done:
        write(lambda connection, _: search_index.forget_erased(connection, done))
    return done is not None


class OwnHands:
    """A command's, where no server runs on the data.

    Args:
        engine: opened; None where there are no figures yet.
        index: for searching; None where there is none yet.
    """

    def __init__(
        self, database: Database, engine: DuckEngine | None, index: SearchIndex | None = None
    ) -> None:
        self.database, self.engine, self.index = database, engine, index

    def write(self, work: Work[T]) -> T:
        """See Hands."""
        with self.database.write() as connection:
            return work(connection, 0)

    def clean(self, revision: int) -> bool:
        """See Hands."""
        if self.engine is not None:
            projector = Projector(self.database, self.engine)
            projector.follow()
            if not projector.scrub():
                return False
        return _clean_search(self.database, self.index, self.write)

    def may_rewrite(self, waiting: Sequence[Job]) -> bool:
        """See Hands."""
        return True

    def rewrite(self) -> bool:
        """See Hands."""
        rewriting.rewrite(self.database)
        return rewriting.empty_log(self.database)

    def rest(self) -> bool:
        """See Hands."""
        return True


class ServersHands:
    """A running server's: through its one writer, at moments when nobody minds."""

    def __init__(
        self, database: Database, writer: Writer, analytics: Analytics, index: SearchIndex | None
    ) -> None:
        self.database, self.writer, self.analytics, self.index = database, writer, analytics, index
        self.stopped = threading.Event()
        self._rewritten_at = 0

    def write(self, work: Work[T]) -> T:
        """See Hands."""
        return self.writer.do(work)

    def clean(self, revision: int) -> bool:
        """See Hands."""
        if not self.analytics.projector.clean(revision, _CLEANING_SECONDS):
            return False
        return _clean_search(self.database, self.index, self.write)

    def may_rewrite(self, waiting: Sequence[Job]) -> bool:
        """See Hands."""
        since = min(job.gone_at or 0 for job in waiting)
        if self._rewritten_at > max(job.gone_at or 0 for job in waiting):
            return True  # done already; only the log is left
        if rewriting.seconds(self.database) <= SHORT_SECONDS:
            return True
        waited = times.now() - since
        longest = LONGEST_WAIT
        if all(job.kind == "retention" for job in waiting):
            longest = LONGEST_WAIT_OF_RETENTION
            if waited < LONGEST_WAIT:
                return False
        return waited > longest or time.monotonic() - self.writer.committed_at > QUIET_SECONDS

    def rewrite(self) -> bool:
        """See Hands."""
        begun = times.now()
        with self.database.read() as connection:
            last = max((job.gone_at or 0 for job in erasing.open_jobs(connection)), default=0)
        if self._rewritten_at <= last:
            self.writer.do_alone(lambda: rewriting.rewrite(self.database))
            self._rewritten_at = begun
        return self.writer.do_alone(lambda: rewriting.empty_log(self.database))

    def rest(self) -> bool:
        """See Hands."""
        return not self.stopped.wait(0.05 if self.writer.is_pressed else 0.01)


class ErasingThread:
    """The server's thread: does what is open, and once an hour what is too old."""

    def __init__(
        self,
        database: Database,
        files: FileStore,
        writer: Writer,
        analytics: Analytics,
        index: SearchIndex | None = None,
    ) -> None:
        self._hands = ServersHands(database, writer, analytics, index)
        self.eraser = Eraser(database, files, self._hands)
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="agentsight-eraser", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the piece at hand; what is left is done after the next start."""
        self._hands.stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def notice(self) -> None:
        """An erasure was asked for: look now."""
        self._wake.set()

    def _loop(self) -> None:
        upkeep = time.monotonic() + FIRST_UPKEEP_SECONDS
        while not self._hands.stopped.is_set():
            self._wake.clear()
            try:
                if time.monotonic() >= upkeep:
                    upkeep = time.monotonic() + UPKEEP_SECONDS
                    self._hands.write(keep_up)
                self.eraser.advance()
            except Exception as error:
                if self._hands.stopped.is_set():
                    return
                logger.error("erasing does not go on, it is tried again: %s", first_line(error))
                self._hands.stopped.wait(TROUBLE_SECONDS)
            self._wake.wait(POLL_SECONDS)


def keep_up(connection: Connection, _: int) -> list[int]:
    """What is to be done once an hour; returns the erasures that retention began."""
    erasing.forget_numbers(connection)
    return retention.begin_all(connection)
