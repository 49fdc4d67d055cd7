"""Work in threads: a few for each kind, bounded, and ended in the database when nobody waits for it any more."""

from __future__ import annotations

import ast
import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import text

from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.app import create_app, open_services
from agentsight_server.domain.errors import RequestError
from agentsight_server.runtime import executors
from agentsight_server.runtime.executors import ASKING, Executor
from agentsight_server.settings import Settings
from agentsight_server.store.database import Database
from tests.serving import ServerProcess

T = TypeVar("T")
SOURCES = Path(executors.__file__).parent
# Each would never end by itself.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class Caller:
    """A request at hand, as executors see it."""

    is_read = True

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.gone = asyncio.Event()
        self.callbacks: list[Callable[[], None]] = []

    async def hung_up(self) -> None:
        await self.gone.wait()

    def at_end(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


def test_nothing_uses_the_event_loops_own_threads() -> None:
    """A route that did would wait behind, and hold up, whatever else does."""
    allowed = {
        "executors.py": {"ThreadPoolExecutor"},
        "requests.py": {"ThreadPoolExecutor", "run_in_executor"},
    }
    found = {}
    for path in sorted(SOURCES.rglob("*.py")):
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, (ast.Attribute, ast.Name))
        }
        used = names & {"to_thread", "run_in_executor", "ThreadPoolExecutor", "run_sync", "sync_to_thread"}
        if used - allowed.get(path.name, set()):
            found[path.name] = used
    assert not found


def test_every_route_is_a_coroutine(tmp_path: Path) -> None:
    """The framework runs plain functions in threads that nobody counts."""
    services = open_services(Settings(data_dir=tmp_path))
    app = create_app(Settings(data_dir=tmp_path), services)
    handlers: list[Any] = [each for route in app.routes for each in getattr(route, "route_handlers", ())]
    handlers = [each for each in handlers if isinstance(each, HTTPRouteHandler)]
    assert len(handlers) > 30
    plain = [each for each in handlers if not asyncio.iscoroutinefunction(each.fn)]
    # Litestar answers OPTIONS itself.
    assert all(each.http_methods == {"OPTIONS"} for each in plain)
    services.executors.shutdown()
    services.database.close()


# Small whatever is stored: these may be rendered while everybody waits.
SMALL_PAGES = {
    "pages/analytics_error.html", "pages/analytics_empty.html", "pages/analytics_now.html", "pages/time_zone.html",
    "pages/sign_in.html", "pages/welcome.html", "pages/away.html", "pages/api.html",
}  # fmt: skip


def test_large_pages_are_rendered_in_threads() -> None:
    """On the event loop a page of thousands of rows makes everybody wait, whoever asked for it."""

    def rendered(node: ast.AST) -> set[str]:
        names: set[str] = set()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue  # what runs elsewhere
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "html":
                first = child.args[0]
                names.add(str(first.value) if isinstance(first, ast.Constant) else "?")
            names |= rendered(child)
        return names

    found = {
        f"{path.name}: {name}"
        for path in sorted((SOURCES / "dashboard" / "pages").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.AsyncFunctionDef)
        for name in rendered(node) - SMALL_PAGES
    }
    assert not found


def refusal(outcome: object) -> tuple[int, str | None]:
    assert isinstance(outcome, RequestError), outcome
    return outcome.status, outcome.headers.get("Retry-After")


def test_what_waits_is_bounded_for_all_and_for_each() -> None:
    async def go() -> None:
        executor = Executor("searches", threads=1, waiting=3, each=2)
        release = threading.Event()

        def ask(caller: str) -> asyncio.Task[bool]:
            ASKING.set(Caller(caller))
            return asyncio.create_task(executor.run(lambda: release.wait(20)))

        taken = [ask("key 1"), ask("key 1"), ask("key 2")]
        await asyncio.sleep(0)
        third = (await asyncio.gather(ask("key 1"), return_exceptions=True))[0]
        assert refusal(third) == (429, "1")
        taken.append(ask("key 2"))
        await asyncio.sleep(0)
        another = (await asyncio.gather(ask("key 3"), return_exceptions=True))[0]
        assert refusal(another) == (503, "1")
        release.set()
        assert await asyncio.gather(*taken) == [True] * 4
        assert await ask("key 1")
        executor.shutdown()

    asyncio.run(go())


def test_a_place_is_kept_until_the_request_is_over() -> None:
    async def go() -> None:
        executor = Executor("exports", threads=1, waiting=3, each=1)
        caller = Caller("key 1")
        ASKING.set(caller)
        executor.take_place()
        assert await executor.step(lambda: 7) == 7
        with pytest.raises(RequestError):
            executor.take_place()
        caller.callbacks[0]()
        executor.take_place()
        executor.shutdown()

    asyncio.run(go())


def endless(database: Database, begun: threading.Event) -> Callable[[], object]:
    def work() -> object:
        with database.read() as connection:
            begun.set()
            return connection.execute(text(ENDLESS)).scalar()

    return work


def ends(
    executor: Executor, work: Callable[[], object], caller: Caller | None, begun: threading.Event
) -> int:
    """The status with which it ends; the thread must be free again for what comes next."""

    async def go() -> int:
        ASKING.set(caller)
        task = asyncio.create_task(executor.run(work))
        if caller is not None:
            while not begun.is_set():
                await asyncio.sleep(0.01)
            caller.gone.set()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        ASKING.set(None)
        assert await executor.run(lambda: 1) == 1
        return refusal(outcome)[0]

    return asyncio.run(asyncio.wait_for(go(), 30))


def test_a_query_that_takes_too_long_is_ended_in_the_database(store_url: str) -> None:
    database = Database(store_url.replace("postgresql://", "postgresql+psycopg://", 1))
    begun = threading.Event()
    executor = Executor("searches", threads=1, waiting=2, seconds=0.3)
    assert ends(executor, endless(database, begun), None, begun) == 503
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    executor.shutdown()
    database.close()


def test_a_query_ends_when_its_caller_hangs_up(store_url: str) -> None:
    database = Database(store_url.replace("postgresql://", "postgresql+psycopg://", 1))
    begun = threading.Event()
    executor = Executor("searches", threads=1, waiting=2, seconds=60)

    async def make() -> Caller:
        return Caller("key 1")

    caller = asyncio.run(make())
    assert ends(executor, endless(database, begun), caller, begun) == 499
    executor.shutdown()
    database.close()


def test_a_question_for_figures_is_ended_in_its_engine(tmp_path: Path) -> None:
    engine = DuckEngine(tmp_path / "analytics.duckdb", threads=1)
    engine.open("store")
    executor = Executor("questions", threads=1, waiting=2, seconds=0.3)

    def work() -> object:
        with engine.reading() as ask:
            return ask(
                "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7"
            )

    assert ends(executor, work, None, threading.Event()) == 503
    executor.shutdown()
    engine.close()


def test_guesses_at_once_are_braked_like_guesses_in_turn(sqlite_server: ServerProcess) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email, "correct horse battery")

    async def guess() -> Counter[int]:
        async with httpx.AsyncClient(base_url=sqlite_server.address, timeout=60) as client:
            form = {"email": email, "password": "wrong"}
            answers = await asyncio.gather(*(client.post("/sign-in/", data=form) for _ in range(40)))
            right = await client.post("/sign-in/", data=form | {"password": "correct horse battery"})
            assert right.status_code == 429
            return Counter(answer.status_code for answer in answers)

    counted = asyncio.run(guess())
    assert counted[400] <= 8
    assert counted[400] + counted[429] == 40
