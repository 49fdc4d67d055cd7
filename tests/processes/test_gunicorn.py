"""gunicorn with --preload: the master has used the tracker before it forks its workers."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.processes.running import APPS, EXIT, SLACK, Program, wait_stored
from tests.serving import Agent
from tests.waiting import until

WORKERS = 3
REQUESTS = 24


def ask(address: str, name: str) -> str:
    answer = httpx.get(f"{address}/{name}", headers={"Connection": "close"}, timeout=30)
    return answer.raise_for_status().text


@pytest.mark.parametrize(("kind", "auto_send"), [("sync", False), ("gthread", True), ("gevent", True)])
def test_before_the_fork_and_after_it(agent: Agent, tmp_path: Path, kind: str, auto_send: bool):
    command = [sys.executable, "-m", "gunicorn", "--preload", "--bind", "127.0.0.1:0", "--chdir", APPS]
    command += ["--workers", str(WORKERS), "--worker-class", kind, "--no-control-socket", "preloaded:app"]
    settings = {"AGENTSIGHT_AUTO_SEND": "1"} if auto_send else {}
    expected: dict[str, list[str]] = {"boot": ["Action load_model performed"]}

    with Program(command, agent, tmp_path, **settings) as gunicorn:
        address = gunicorn.wait_for(r"Listening at: (http://\S+)")
        answered = set[str]()

        def all_workers_answered() -> bool:
            names = [f"{kind} {len(expected) + number}" for number in range(REQUESTS)]
            with ThreadPoolExecutor(9) as pool:
                answered.update(pool.map(lambda name: ask(address, name), names))
            expected.update({name: [f"{name} question", f"{name} answer"] for name in names})
            return len(answered) == WORKERS

        until(all_workers_answered, why=lambda: answered)
        code, seconds = gunicorn.end(signal.SIGTERM)  # at once: what was tracked last has not been sent yet
        assert code == 0
        assert seconds < EXIT + SLACK
        assert "unsent" not in gunicorn.output
        assert "Traceback" not in gunicorn.output
    wait_stored(agent, expected)
