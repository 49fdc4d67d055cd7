"""Threads for work that waits for a disk, a database or a processor: a few for each kind of work.

Each kind has a bound on what may wait and says so to whom it refuses: one slow thing never stops another. Nothing
uses the event loop's own threads; `tests/server/test_executors.py` sees to it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from agentsight_server.domain.errors import RequestError
from agentsight_server.store.cutoff import CURRENT, CutOff, Cutoff

T = TypeVar("T")

CLOSED = 499  # the caller went away before the answer began
SECONDS = 10.0
"""How long one piece of work may take."""
QUEUE_SECONDS = 20.0
"""How long it may wait for its turn."""
_SOON = 0.05  # most work is done by then, and nobody needs to look whether the caller is still there
_AGAIN = 0.5  # an interrupt that came between two statements is repeated
_STUCK = 2.0  # after so long the caller is answered, whatever the thread does


class Asking(Protocol):
    """The request at hand, as far as executors need to know it."""

    caller: str
    """Who it is: `key 5`, `person 3`, or the address of a stranger."""

    def identify(self, caller: str) -> None:
        """Who it is has turned out."""

    async def hung_up(self) -> None:
        """Return when the caller has gone; only to be called once its body was read."""

    @property
    def is_read(self) -> bool:
        """Whether nothing of a body is still to come."""

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call back when the request has been answered, or given up."""


ASKING: contextvars.ContextVar[Asking | None] = contextvars.ContextVar("asking", default=None)


class Executor:
    """Threads for one kind of work.

    Args:
        name: of the work, in the plural, as the refusal says it.
        threads: how many pieces are done at once.
        waiting: how many more may wait for their turn.
        each: how many of all these one caller may have; None: any number.
        seconds: how long one may take.
        status: of the refusal: 503 where the server is busy, 429 where somebody asks too much.

    Example:
        >>> searches = Executor("searches", threads=2, waiting=16, each=2)
        >>> rows = await searches.run(lambda: find(connection, "refund"))
    """

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        waiting: int,
        each: int | None = None,
        seconds: float = SECONDS,
        status: int = 503,
    ) -> None:
        self.name, self.each, self.seconds, self.status = name, each, seconds, status
        self.room = threads + waiting
        self.refused = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"agentsight-{name.replace(' ', '-')}")
        self._lock = threading.Lock()
        self._inside = 0
        self._of: dict[str, int] = {}

    @property
    def inside(self) -> int:
        """How many pieces are being done or wait."""
        return self._inside

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread, in the context of the caller.

        Raises:
            RequestError: 503 or 429 when too much waits already or it takes too long; 499, nobody is left to hear.
        """
        asking = ASKING.get()
        caller = asking.caller if asking is not None else ""
        self._enter(caller)
        try:
            return await self._done(work, asking, caller, self.seconds)
        except CutOff:
            raise _too_long(self.seconds) from None

    def take_place(self) -> None:
        """Take room for work of many pieces, until the request has been answered; each piece is done by step().

        Raises:
            RequestError: 503 or 429, there is none.
        """
        asking = ASKING.get()
        if asking is not None:
            caller = asking.caller
            self._enter(caller)
            asking.at_end(lambda: self._leave(caller))

    async def step(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """Do one piece of the work that has its place already, within `seconds` if the executor's are too few.

        Raises:
            RequestError: as run() does.
        """
        seconds = seconds or self.seconds
        try:
            return await self._done(work, ASKING.get(), None, seconds)
        except CutOff:
            raise _too_long(seconds) from None

    def shutdown(self) -> None:
        """End the threads; what waits is not done."""
        self._pool.shutdown(cancel_futures=True)

    async def _done(
        self, work: Callable[[], T], asking: Asking | None, caller: str | None, seconds: float
    ) -> T:
        cutoff = Cutoff(seconds)
        context = contextvars.copy_context()
        context.run(CURRENT.set, cutoff)

        def begun() -> T:
            cutoff.begin()
            return work()

        try:
            job: Future[T] = self._pool.submit(context.run, begun)
        except BaseException:
            if caller is not None:
                self._leave(caller)
            raise
        if caller is not None:
            job.add_done_callback(lambda _: self._leave(caller))
        future = asyncio.wrap_future(job)
        try:
            await asyncio.wait({future}, timeout=_SOON)
            if not future.done():
                await self._watch(future, cutoff, asking)
            return future.result()
        finally:
            if not future.done():
                cutoff.stop()
                future.cancel()  # when its turn has not come it never does

    async def _watch(self, future: asyncio.Future[T], cutoff: Cutoff, asking: Asking | None) -> None:
        """Wait for the work; cut it off when it takes too long, or the caller hangs up."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        gone = asyncio.ensure_future(asking.hung_up()) if asking is not None and asking.is_read else None
        awaited: set[asyncio.Future[object]] = {future} if gone is None else {future, gone}  # type: ignore[arg-type]
        try:
            while not future.done():
                left = cutoff.left
                await asyncio.wait(
                    awaited, timeout=min(1.0, max(left, _AGAIN)), return_when=asyncio.FIRST_COMPLETED
                )
                if future.done():
                    return
                if gone is not None and gone.done():
                    raise RequestError(CLOSED, {"detail": "the caller hung up"})
                if cutoff.is_over:
                    cutoff.stop()
                    if cutoff.left < -_STUCK:
                        raise _too_long(cutoff.seconds)
                elif left > cutoff.seconds and loop.time() - began > QUEUE_SECONDS:
                    raise self._busy(2)
        finally:
            if gone is not None:
                gone.cancel()

    def _enter(self, caller: str) -> None:
        with self._lock:
            mine = self._of.get(caller, 0)
            if self.each is not None and caller and mine >= self.each:
                self.refused += 1
                raise RequestError(
                    429,
                    {"detail": f"you have {mine} {self.name} under way; try again when one is done"},
                    {"Retry-After": "1"},
                )
            if self._inside >= self.room:
                self.refused += 1
                raise self._busy(1)
            self._inside += 1
            self._of[caller] = mine + 1

    def _leave(self, caller: str) -> None:
        with self._lock:
            self._inside -= 1
            left = self._of[caller] - 1
            if left:
                self._of[caller] = left
            else:
                del self._of[caller]

    def _busy(self, wait: int) -> RequestError:
        return RequestError(
            self.status,
            {"detail": f"too many {self.name} at once; try again in {wait} s"},
            {"Retry-After": str(wait)},
        )


def _too_long(seconds: float) -> RequestError:
    return RequestError(
        503,
        {"detail": f"this took longer than {seconds:g} s and was cut off; ask for less at once"},
        {"Retry-After": "5"},
    )


class Executors:
    """The threads of a running server, by what they do.

    Pages, lists, searches and exports are apart from what bots need: key look-ups and files that come in. What takes
    a processor for long (checking a password) has one thread.

    Args:
        seconds: how long a query for a page, a search, a piece of an export may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.lookups = Executor("look-ups", threads=2, waiting=500, each=250)
        self.incoming = Executor("uploads", threads=2, waiting=64, seconds=60)
        self.passwords = Executor("sign-ins", threads=1, waiting=16, each=8, status=429)
        self.pages = Executor("pages", threads=3, waiting=64, seconds=seconds)
        self.searches = Executor("searches", threads=2, waiting=16, each=2, seconds=seconds)
        self.exports = Executor("exports", threads=2, waiting=14, each=2, seconds=seconds)
        self.files = Executor("downloads", threads=2, waiting=64)

    def shutdown(self) -> None:
        """End all threads."""
        for each in vars(self).values():
            each.shutdown()
