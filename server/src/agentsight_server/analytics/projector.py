"""From store to columns: a thread that follows the store's revisions.

It reads what changed, turns it into columns, and hands them to the engine together with the revision that they
reach; the engine keeps both or neither. So it may be killed at any point, and goes on where the engine stands.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from agentsight_server.analytics import facts
from agentsight_server.analytics.engine import AnalyticsError, Broken, Engine, Execute, pauses_kept
from agentsight_server.analytics.recutting import Progress, Recutting
from agentsight_server.domain.causes import reason
from agentsight_server.store import agents, changes, conversations, erasing
from agentsight_server.store.database import Database

logger = logging.getLogger(__name__)

# Other processes write too, and tell nobody.
POLL_SECONDS = 0.5
# Between two batches, so that a conversation that grows by the second is not taken up for each item ...
REST_SECONDS = 0.1
# ... and following takes a third of one core from ingest, unless a reader is waiting or a batch takes very long.
REST_SHARE = 2.0
LONGEST_REST = 0.5
# ... and a seventh when more is sent than can be written at once: figures may come later, events may not.
REST_SHARE_MAKING_WAY = 6.0
LONGEST_REST_MAKING_WAY = 3.0
LONGEST_TROUBLE = 30.0
BATCH = 2_000
# Rows that came in any order before they are put in the order of reading.
COMPACT_ROWS = 1_000_000
# Whoever erases asks for the bytes to go; where nobody does, they go after so long.
UNCLEAN_SECONDS = 60.0


_Pauses = dict[int, dict[str, int]]


class Projector:
    """Keeps an engine up to date with the store.

    Example:
        >>> projector = Projector(database, engine)
        >>> projector.follow()          # all there is, in this thread
        >>> projector.start()           # from now on, in a thread of its own
        >>> projector.wait_for(projector.latest(), timeout=2)
        True
    """

    def __init__(self, database: Database, engine: Engine, *, batch: int = BATCH) -> None:
        self.database = database
        self.engine = engine
        self.batch = batch
        # Whether ingest has more to do than it can do at once; asked in the projector's thread.
        self.make_way: Callable[[], bool] = lambda: False
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._reached = threading.Condition()
        self._revision = -1
        self._waiting = 0
        self._broken: Broken | None = None
        self._uncompacted = 0
        # Since when something that was erased may have left bytes behind, and whether somebody waits for them to go.
        self._uncleaned: float | None = None
        self._cleaning = threading.Event()
        self._thread: threading.Thread | None = None
        # Pauses that agents have chosen and by which their sessions are not cut yet.
        self._wanted: dict[int, dict[str, int]] = {}
        self._recutting: Recutting | None = None

    # Following

    def step(self) -> tuple[int, bool]:
        """Take the next batch.

        Returns:
            How many conversations it had, and whether there is more.

        Raises:
            AnalyticsError: the engine did not take it.
        """
        with self.engine.reading() as execute:
            reached = int(execute("SELECT revision FROM state", ())[0][0])
            with self.database.read() as connection:
                found = changes.since(connection, reached, limit=self.batch)
                cut_by, chosen = self._pauses(execute, agents.pauses(connection), reached)
                batch = facts.collect(
                    connection, execute, found.rows, cut_by | chosen, reached, found.upto, found.gone
                )
                batch.pauses = chosen
                forgotten = erasing.forgotten(connection)
        if found.upto < reached or 0 < reached < forgotten:
            older = "the store is older than" if found.upto < reached else "something was erased that is in"
            logger.warning("%s the figures: they are built anew", older)
            self._recutting = None
            self.engine.reset()
            self._announce(0)
            return 0, True
        if found.gone:
            self._uncleaned = time.monotonic()
        if found.rows or found.gone or chosen:
            self.engine.apply(batch)
            self._uncompacted += batch.rows
        # A transaction that changed no conversation has a revision as well.
        self._announce(found.upto)
        return len(found.rows), found.more

    def _pauses(self, execute: Execute, wanted: _Pauses, reached: int) -> tuple[_Pauses, _Pauses]:
        """By which pauses sessions are cut, and those that are new: an agent with nothing to cut anew has its own at
        once; for the others see recut()."""
        cut_by = pauses_kept(execute)
        changed = [each for each in sorted({*wanted, *cut_by}) if wanted.get(each) != cut_by.get(each)]
        if changed and reached:
            listed = ", ".join(map(str, changed))
            rows = execute(f"SELECT DISTINCT agent FROM conversations WHERE agent IN ({listed})", ())  # noqa: S608
            having = {agent for (agent,) in rows}
        else:
            having = set()
        self._wanted = {each: wanted.get(each, {}) for each in changed if each in having}
        return cut_by, {each: wanted.get(each, {}) for each in changed if each not in having}

    def recut(self) -> bool:
        """Cut sessions anew whose pauses have changed, a batch of one agent's; False when there is nothing to do."""
        job = self._recutting
        if job is not None and self._wanted.get(job.agent) != job.pauses:
            self._give_up_recutting()
            job = None
        if job is None:
            if not self._wanted:
                return False
            agent = min(self._wanted)
            logger.info("the sessions of agent %s are cut anew", agent)
            job = self._recutting = Recutting(
                self.database, self.engine, agent, self._wanted[agent], self.batch
            )
            self.engine.unstage()
        if job.advance():
            self._recutting = None
            self._uncompacted += job.rows
            self._wanted.pop(job.agent)
        return True

    @property
    def recutting(self) -> Progress | None:
        """How far it is with cutting sessions anew; None: it is not at it."""
        job = self._recutting
        return None if job is None else job.progress

    def recutting_of(self, agent: int) -> Progress | None:
        """The same of one agent, also while it waits for its turn; None: its sessions are cut as it wants them."""
        job = self._recutting
        if job is not None and job.agent == agent:
            return job.progress
        return Progress(agent, 0, 0) if agent in self._wanted else None

    def _give_up_recutting(self) -> None:
        if self._recutting is not None:
            self._recutting = None
            self.engine.unstage()

    def scrub(self) -> bool:
        """Write the engine's file anew, if bytes of what was erased may be in it; False when it could not be done."""
        self._give_up_recutting()
        if self.engine.is_unclean() and not self.engine.scrub():
            return False
        with self._reached:
            self._uncleaned = None
            self._cleaning.clear()
            self._reached.notify_all()
        return True

    def follow(self, progress: Callable[[int], None] | None = None) -> None:
        """Take everything that there is; `progress` is called with the number of conversations of each batch."""
        more = True
        while more and not self._stopped.is_set():
            done, more = self.step()
            if progress is not None:
                progress(done)
            more = more or self.recut()

    def latest(self) -> int:
        """The store's newest revision."""
        with self.database.read() as connection:
            return conversations.latest_revision(connection)

    def wait_for(self, revision: int, timeout: float) -> bool:
        """Wait until the engine has everything up to that revision of the store.

        Args:
            timeout: seconds; also when the time is over the engine answers, with what it has.

        Returns:
            Whether it has.
        """
        if self._revision >= revision:
            return True
        with self._reached:
            self._waiting += 1
            self._wake.set()
            try:
                return self._reached.wait_for(
                    lambda: self._revision >= revision or self._stopped.is_set(), timeout
                )
            finally:
                self._waiting -= 1

    def clean(self, revision: int, timeout: float) -> bool:
        """Have everything erased up to that revision gone from the engine, to the last byte.

        Returns:
            Whether it is; false when the time is over: call again.
        """
        if not self.wait_for(revision, timeout):
            return False
        with self._reached:
            self._cleaning.set()
            self._wake.set()
            return self._reached.wait_for(lambda: self._uncleaned is None or self._stopped.is_set(), timeout)

    def notice(self) -> None:
        """Something was written: look soon. Returns at once."""
        self._wake.set()

    def broken(self, error: Broken) -> None:
        """A reader found the engine damaged: begin anew, in the projector's thread."""
        self._broken = error
        self._announce(-1)
        self._wake.set()

    def _announce(self, revision: int) -> None:
        with self._reached:
            self._revision = revision
            self._reached.notify_all()

    # The thread

    def start(self) -> None:
        """Follow in a thread, until stop()."""
        self._thread = threading.Thread(target=self._loop, name="agentsight-projector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch at hand."""
        self._stopped.set()
        self._wake.set()
        with self._reached:
            self._reached.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        trouble = 0.0
        with suppress(AnalyticsError):  # the first step says what is wrong
            if self.engine.is_unclean():
                self._uncleaned = time.monotonic()
        while not self._stopped.is_set():
            begun = time.monotonic()
            self._wake.clear()
            try:
                if self._broken is not None:
                    error_found, self._broken = self._broken, None
                    raise error_found
                if self.engine.take_over():
                    self._recutting = None
                done, more = self.step()
                if not more:
                    self._tidy()
                    if self.recut():
                        done, more = 1, True
                trouble = 0.0
            except Broken as error:
                if not self._recover(error):
                    trouble = self._report(error, trouble)
                continue
            except Exception as error:
                trouble = self._report(error, trouble)
                continue
            if done:
                self._rest(rest_after(time.monotonic() - begun, more, self.make_way()))
            if not more:
                self._wake.wait(POLL_SECONDS)

    def _tidy(self) -> None:
        if self._uncleaned is not None and (
            self._cleaning.is_set() or time.monotonic() - self._uncleaned > UNCLEAN_SECONDS
        ):
            self.scrub()
        if self._uncompacted >= COMPACT_ROWS:
            self._uncompacted = 0
            self.engine.compact()

    def _rest(self, seconds: float) -> None:
        """Pause; a reader who waits for the newest figures ends it."""
        end = time.monotonic() + seconds
        while not self._waiting and (left := end - time.monotonic()) > 0:
            if self._stopped.wait(min(left, 0.02)):
                return

    def _report(self, error: Exception, trouble: float) -> float:
        """Say what is wrong once, not every second, and pause: longer each time."""
        if not trouble:
            logger.error("the figures do not follow: %s", reason(error))
        trouble = min(max(1.0, trouble * 2), LONGEST_TROUBLE)
        self._stopped.wait(trouble)
        return trouble

    def _recover(self, error: Broken) -> bool:
        self._recutting = None
        try:
            self.engine.recover(str(error))
        except AnalyticsError:
            return False
        return True


def rest_after(took: float, more: bool, make_way: bool) -> float:
    """Seconds to pause after a batch that took so many; `more`: there is more to follow at once."""
    if make_way:
        return max(REST_SECONDS, min(took * REST_SHARE_MAKING_WAY, LONGEST_REST_MAKING_WAY))
    return 0.0 if more else min(max(REST_SECONDS, took * REST_SHARE), LONGEST_REST)
