"""Acknowledged means on disk: the server is killed while clients of every kind write to it."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.load import Load, Server, examine
from tests.waiting import until

ROUNDS = 2


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_was_acknowledged_is_there_once(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None
    if engine == "postgresql":
        new: Callable[[], str] = request.getfixturevalue("new_postgres")
        url = new()
    server = Server(tmp_path / "data", url)
    server.start()
    load = Load(server, "")
    try:
        load.key = server.run("keys", "create", "--agent", "A").stdout.strip()
        load.begin()
        for _ in range(ROUNDS):
            # How many more is left to chance: the end comes anywhere between two commits, or within one.
            wanted = len(load.acknowledged) + random.randrange(40, 80)
            until(lambda wanted=wanted: len(load.acknowledged) >= wanted, why=lambda: load.answers)
            server.end(signal.SIGKILL)
            server.start()
        load.end()
        load.settle()
        verdict = examine(server, load)
    finally:
        load.end()
        server.end()
    assert verdict.acknowledged >= 40 * ROUNDS
    assert verdict.files > 0
    assert verdict.bad == 0, verdict
