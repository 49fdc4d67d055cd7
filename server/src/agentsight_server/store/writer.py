"""The one thread that writes: many requests, one transaction.

Each piece of work runs in a savepoint, so that a bad one fails alone; its answer leaves after the commit.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from agentsight_server.domain.causes import first_line
from agentsight_server.store import append, ledger
from agentsight_server.store.append import Addition, Appended, NewConversation
from agentsight_server.store.database import Database
from agentsight_server.store.ledger import Ledger

T = TypeVar("T")
Work = Callable[[Connection, int], T]
# Whose key it was, and how its figures for the ledger follow from the work's result.
LedgerEntry = tuple[int, Callable[[T], ledger.Counts]]
logger = logging.getLogger(__name__)

GROUP_ITEMS = 4_000
ATTEMPTS = 5
COMPLAIN_SECONDS = 10.0


class Overloaded(Exception):
    """More is waiting to be written than the queue may hold; try again in `retry_after` seconds."""

    retry_after = 1


class Unavailable(Exception):
    """The database did not take the write (full disk, lost connection); nothing was stored."""


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    addition: Addition | None
    weight: int
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None  # None: a thread waits
    ledger_entry: LedgerEntry[Any] | None = None
    alone: Callable[[], Any] | None = None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs pieces of work one after another and commits them in groups.

    Example:
        >>> writer = Writer(database)
        >>> writer.start()
        >>> await writer.run(lambda connection, attempt: agents.create(connection, "Concierge"))
    """

    def __init__(
        self, database: Database, *, max_waiting: int = 50_000, ledger: Ledger | None = None
    ) -> None:
        self.database = database
        self.ledger = ledger or Ledger()
        self.max_waiting = max_waiting
        self.waiting = 0
        # Called in the writer's thread after each commit; must return at once and never raise.
        self.committed: list[Callable[[], None]] = []
        # Since when the database takes no writes, by the monotonic clock; None: it does.
        self.failing_since: float | None = None
        self._complained = -COMPLAIN_SECONDS
        self.commits = self.failures = 0
        self.committed_at = time.monotonic()
        self.seconds = 0.0  # spent in transactions
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="agentsight-writer", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is waiting, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            if self._thread.is_alive():
                self._thread.join()
            if self.ledger.is_pending:
                self._commit([])

    @property
    def is_running(self) -> bool:
        """Whether it takes work."""
        return not self._closed and self._thread.is_alive()

    @property
    def is_pressed(self) -> bool:
        """Whether something waits for the transaction at hand to end."""
        return not self._queue.empty()

    def check_room(self) -> None:
        """Raise Overloaded when too much waits already; cheap, so it can run before a body is read."""
        if self.waiting >= self.max_waiting:
            raise Overloaded

    async def run(self, work: Work[T], *, weight: int = 1, ledger_entry: LedgerEntry[T] | None = None) -> T:
        """Run `work(connection, attempt)` in a transaction and return its result once that is on disk.

        Work is called again with a higher attempt when a row that another writer made got in its way.
        `weight` is the number of items it writes; `ledger_entry` puts it into the ledger, in the same transaction.

        Raises:
            Overloaded: too much is waiting.
            Unavailable: the database did not take it.
        """
        result: T = await self._queued(work, None, weight, ledger_entry)
        return result

    async def append(
        self,
        agent_id: int,
        batch: Sequence[NewConversation],
        *,
        weight: int = 1,
        ledger_entry: LedgerEntry[list[Appended]] | None = None,
    ) -> list[Appended]:
        """Store what a request brought, see store/append.py, together with what other requests brought meanwhile.

        Raises:
            Overloaded: too much is waiting.
            Unavailable: the database did not take it.
        """
        result: list[Appended] = await self._queued(
            lambda connection, attempt: append.append(connection, attempt, agent_id, batch),
            (agent_id, batch),
            weight,
            ledger_entry,
        )
        return result

    def do(self, work: Work[T]) -> T:
        """run() for a thread that may wait, and takes no room in the queue.

        Raises:
            Unavailable: the database did not take it, or the server is stopping.
        """
        result: T = self._waited_for(work, None)
        return result

    def do_alone(self, work: Callable[[], T]) -> T:
        """Do `work()` between two transactions, for what the engine does only outside of one; everything else waits
        meanwhile. From a thread that may wait.

        Raises:
            Unavailable: the server is stopping.
        """
        result: T = self._waited_for(_nothing, work)
        return result

    def _waited_for(self, work: Work[Any], alone: Callable[[], Any] | None) -> Any:
        future: Future[Any] = Future()
        if self._closed:
            raise Unavailable("the server is stopping")
        self._queue.put(_Job(work, None, 0, future, None, alone=alone))
        while True:
            try:
                return future.result(timeout=1)
            except TimeoutError:
                if not self._thread.is_alive():
                    raise Unavailable("the server is stopping") from None

    def _queued(
        self,
        work: Work[Any],
        addition: Addition | None,
        weight: int,
        ledger_entry: LedgerEntry[Any] | None,
    ) -> asyncio.Future[Any]:
        if self._closed:
            raise Unavailable("the server is stopping")
        self.check_room()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self.waiting += weight
        self._queue.put(_Job(work, addition, weight, future, loop, ledger_entry))
        return future

    def _loop(self) -> None:
        stopping = False
        held: _Job | None = None
        while not stopping or held is not None:
            job = held or self._queue.get()
            held = None
            if job is None:
                return
            if job.alone is not None:
                _run_outside(job)
                self._tell([job])
                continue
            group, weight = [job], job.weight
            while weight < GROUP_ITEMS and not stopping:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stopping = True
                    break
                if following.alone is not None:
                    held = following
                    break
                group.append(following)
                weight += following.weight
            self._write(group)
            self._tell(group)

    def _tell(self, group: list[_Job]) -> None:
        for loop in {each.loop for each in group}:
            mine = [each for each in group if each.loop is loop]
            if loop is None:
                self._answer(mine)
            # A loop that has ended has nobody left to answer.
            elif not loop.is_closed():
                loop.call_soon_threadsafe(self._answer, mine)

    def _answer(self, group: list[_Job]) -> None:
        for job in group:
            if job.weight:
                self.waiting -= job.weight
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)

    def _write(self, group: list[_Job]) -> None:
        error = self._commit(group)
        if error is None:
            return
        if len(group) > 1:
            # One request may be more than the engine takes; the others must not fail with it, now and at each
            # resend. Two failures in a row are the engine's own trouble.
            failures = 0
            for job in group:
                if failures < 2:
                    error = self._commit([job]) or error
                    failures = failures + 1 if isinstance(job.error, Unavailable) else 0
                else:
                    job.result, job.error = None, _unavailable()
            group = [job for job in group if isinstance(job.error, Unavailable)]
        if not group:
            return
        now = time.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        if now - self._complained >= COMPLAIN_SECONDS:
            self._complained = now
            logger.error("the database did not take a write: %s", first_line(error))

    def _commit(self, group: list[_Job]) -> Exception | None:
        """Write the group in one transaction; what kept the engine from it, if anything did."""
        began = time.perf_counter()
        waiting = self.ledger.take()
        try:
            with self.database.writing.begin() as connection:
                alone = _append_together(connection, group)
                for job in alone:
                    _run_alone(connection, job)
                sums = self._tallied(group, waiting)
                if sums:
                    ledger.settle(connection, sums)
        except Exception as error:
            self.failures += 1
            self.ledger.put_back(waiting)
            for job in group:
                job.result, job.error = None, _unavailable()
            return error
        self.ledger.done(sums)
        self.commits += 1
        self.committed_at = time.monotonic()
        self.seconds += time.perf_counter() - began
        if self.failing_since is not None:
            logger.warning("the database takes writes again")
            self.failing_since = None
        for notice in self.committed:
            try:
                notice()
            except Exception:
                # This thread must outlive whatever listens: without it nothing is stored any more.
                logger.exception("a listener to commits failed")
        return None

    def _tallied(self, group: list[_Job], waiting: ledger.Sums) -> ledger.Sums:
        sums: ledger.Sums = {}
        for (key_id, day), counts in waiting.items():
            sums[key_id, day] = ledger.Counts()
            sums[key_id, day].add(counts)
        for job in group:
            if job.ledger_entry is not None and job.error is None:
                key_id, count = job.ledger_entry
                try:
                    self.ledger.merge(sums, key_id, count(job.result))
                except Exception:
                    logger.exception("a request could not be counted")  # it is stored all the same
        return sums


def _nothing(connection: Connection, attempt: int) -> None:
    """What is done alone has no part in a transaction."""


def _run_outside(job: _Job) -> None:
    assert job.alone is not None
    try:
        job.result = job.alone()
    except Exception as error:
        job.error = error


def _unavailable() -> Unavailable:
    return Unavailable("the database did not take the write; try again")


def _append_together(connection: Connection, group: list[_Job]) -> list[_Job]:
    """Do all additions of the group as one. Returns what is left to be done alone: with one of them in the way
    of the others, all of them."""
    together = [(job, job.addition) for job in group if job.addition is not None]
    if len(together) < 2:
        return group
    try:
        with _savepoint(connection):
            results = append.append_all(connection, 0, [addition for _, addition in together])
    except Exception as error:
        if _is_engines(error, connection.dialect.loaded_dbapi):
            raise
        return group
    for (job, _), result in zip(together, results, strict=True):
        job.result, job.error = result, None
    return [job for job in group if job.addition is None]


def _run_alone(connection: Connection, job: _Job) -> None:
    drivers = connection.dialect.loaded_dbapi  # the hot path speaks to the driver directly
    for attempt in range(ATTEMPTS):
        try:
            with _savepoint(connection):
                job.result = job.work(connection, attempt)
            job.error = None
            return
        except (IntegrityError, drivers.IntegrityError) as error:
            job.error = error
        except Exception as error:
            if _is_engines(error, drivers):
                raise  # concerns the whole group
            job.error = error
            return


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """What fails in the block is undone alone. By the driver: SQLAlchemy's own takes a tenth of a millisecond."""
    driver = connection.connection.cursor()
    try:
        driver.execute("SAVEPOINT request")
        try:
            yield
        except Exception:
            driver.execute("ROLLBACK TO SAVEPOINT request")
            driver.execute("RELEASE SAVEPOINT request")
            raise
        driver.execute("RELEASE SAVEPOINT request")
    finally:
        driver.close()


def _is_engines(error: Exception, drivers: Any) -> bool:
    """Whether the engine itself is in trouble: full disk, lost connection, read-only, damaged file."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, (drivers.OperationalError, drivers.InterfaceError, drivers.InternalError)):
        return True
    return type(cause) is drivers.DatabaseError  # SQLite's word for a damaged file
