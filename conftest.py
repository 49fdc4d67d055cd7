"""Fixtures that many suites share: real databases, real servers."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentsight_server.settings import Settings
from agentsight_server.store.database import Database
from tests import drawing
from tests.serving import ServerProcess

# Before anything imports it: what it asserts is told in full, too.
pytest.register_assert_rewrite("tests.processes.running")

drawing.settle()

# What `make check` leaves out: most of the time of the whole is spent here.
SLOW = (
    "tests/processes/", "tests/test_packaging.py", "sdk/tests/test_deadlines.py", "sdk/tests/test_interleavings.py",
    "sdk/tests/test_background.py", "sdk/tests/test_lenient.py", "sdk/tests/test_spool.py", "sdk/tests/test_types.py",
    "server/tests/analytics/test_dense.py", "server/tests/analytics/test_oracle.py",
    "server/tests/analytics/test_projector.py", "server/tests/test_access.py",
    "server/tests/test_api_document.py", "server/tests/test_backup.py", "server/tests/test_cli_running.py",
    "server/tests/test_demo.py", "server/tests/test_doctor.py", "server/tests/test_erasing.py",
    "server/tests/test_hosted_client.py", "server/tests/test_killed.py", "server/tests/test_large_answers.py",
    "server/tests/test_logs.py", "server/tests/test_long_transcripts.py", "server/tests/test_many_names.py",
    "server/tests/test_model.py", "server/tests/test_outages.py", "server/tests/test_overload.py",
    "server/tests/test_sdk_end_to_end.py", "server/tests/test_security_log.py",
)  # fmt: skip
# Files that take longest, the longest first: side by side they begin, and short ones fill the end.
LONGEST = (
    "tests/browser/test_analytics.py", "server/tests/test_backup.py", "server/tests/analytics/test_dense.py",
    "tests/browser/test_conversation_list.py", "tests/browser/test_transcript.py", "tests/browser/test_drilldown.py",
    "tests/browser/test_accessibility.py", "tests/browser/test_states.py", "server/tests/test_cli_running.py",
    "server/tests/test_doctor.py", "tests/processes/test_attribution.py", "server/tests/test_outages.py",
    "server/tests/test_access.py", "server/tests/test_overload.py", "server/tests/test_api_document.py",
    "tests/processes/test_recipes.py", "server/tests/test_model.py", "server/tests/test_sdk_end_to_end.py",
    "tests/test_packaging.py", "server/tests/analytics/", "tests/browser/", "tests/processes/",
    "server/tests/test_killed.py", "server/tests/test_writing.py", "sdk/tests/test_interleavings.py",
    "sdk/tests/test_types.py",
)  # fmt: skip
ENGINES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


def pytest_collection_finish() -> None:
    """Workers share out the files as they are free: what has run before is another in each run."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        drawing.load_everything()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    changing = _changing_names()
    for item in items:
        if changing.search(item.nodeid):
            raise pytest.UsageError(
                f"the name of a test holds a clock, an address in memory or a random id, so that workers cannot "
                f"agree on it: give the parameter an id of its own\n{item.nodeid}"
            )
        if item.path.relative_to(root).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LongestFirst())


class LongestFirst:
    """Puts the longest files first, after everything else has had its say about the order."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        root = Path(__file__).parent

        def place(item: pytest.Item) -> int:
            name = item.path.relative_to(root).as_posix()
            return next((at for at, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))

        items.sort(key=place)


def _changing_names() -> re.Pattern[str]:
    """What differs from one worker's collection to the next: each then names other tests, and none of them runs."""
    now = time.time()
    return re.compile(
        rf"at 0x[0-9a-f]{{6}}|(?<!\d){int(now) // 10_000}\d{{4}}|{time.strftime('%Y-%m-%dT%H', time.gmtime(now))}"
        r"|[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL cluster of this test run, without a database's name."""
    with tempfile.TemporaryDirectory(prefix="agentsight-pg-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # where the package keeps its lock
        import pgserver
        import psycopg

        os.chmod(folder, 0o755)  # as root, PostgreSQL runs as a user of its own
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        address = server.get_uri("{}")
        with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
            # No test cuts the power: hundreds of databases on disk would cost the end of the run minutes.
            for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        try:
            yield address
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def new_postgres(postgres: str):
    """Makes empty databases: call it for the address of a new one."""
    return lambda: _create(postgres)


def _create(postgres: str, template: str = "template1") -> str:
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgres.format(name)


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'agentsight.db'}"
    return _create(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def _migrated(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], str]:
    """The address of a store of an engine that was brought up to date once, to be copied."""
    made: dict[str, str] = {}

    def of(engine: str) -> str:
        if engine not in made:
            if engine == "sqlite":
                url = f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'agentsight.db'}"
            else:
                url = Settings(database_url=_create(request.getfixturevalue("postgres"))).sqlalchemy_url
            database = Database(url)
            database.migrate()
            database.close()
            made[engine] = url
        return made[engine]

    return of


@pytest.fixture(params=ENGINES)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path, _migrated: Callable[[str], str]) -> str:
    """The address of a store without rows, brought up to date, on each engine in turn."""
    source = _migrated(request.param)
    if request.param == "sqlite":
        shutil.copyfile(source.removeprefix("sqlite:///"), tmp_path / "agentsight.db")
        return f"sqlite:///{tmp_path / 'agentsight.db'}"
    template = source.partition("?")[0].rpartition("/")[2]
    return Settings(database_url=_create(request.getfixturevalue("postgres"), template)).sqlalchemy_url


@pytest.fixture(scope="session")
def _servers(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], ServerProcess]]:
    """Running servers by their engine, each started once: a parameter alone would stop one for the other."""
    with contextlib.ExitStack() as running:
        started: dict[str, ServerProcess] = {}

        def on(engine: str) -> ServerProcess:
            if engine not in started:
                url = None if engine == "sqlite" else _create(request.getfixturevalue("postgres"))
                process = ServerProcess(tmp_path_factory.mktemp("server"), database_url=url)
                started[engine] = running.enter_context(process)
            return started[engine]

        yield on


@pytest.fixture(scope="session", params=ENGINES)
def server(request: pytest.FixtureRequest, _servers: Callable[[str], ServerProcess]) -> ServerProcess:
    """A running server on each engine in turn, shared by the tests: make your own agent in it."""
    return _servers(request.param)


@pytest.fixture(scope="session")
def sqlite_server(_servers: Callable[[str], ServerProcess]) -> ServerProcess:
    """A running server on SQLite, for what does not depend on the engine."""
    return _servers("sqlite")
