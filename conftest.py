"""Fixtures that many suites share: real databases, real servers."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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
ENGINES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


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

        os.chmod(folder, 0o755)  # as root, PostgreSQL runs as a user of its own
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri("{}")
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def new_postgres(postgres: str):
    """Makes empty databases: call it for the address of a new one."""
    return lambda: _create(postgres)


def _create(postgres: str) -> str:
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.format(name)


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'agentsight.db'}"
    return _create(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A running server on each engine in turn, shared by the tests: make your own agent in it."""
    database_url = None
    if request.param == "postgresql":
        database_url = _create(request.getfixturevalue("postgres"))
    with ServerProcess(tmp_path_factory.mktemp("server"), database_url=database_url) as process:
        yield process


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server on SQLite, for what does not depend on the engine."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process
