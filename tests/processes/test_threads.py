"""Many threads at once, also where no global lock keeps them apart (free-threaded Python)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import urllib3

from tests.processes.running import APPS, ROOT, Program, stored
from tests.serving import Agent

THREADS = 8
TURNS = 150

# Free-threaded interpreters come from nowhere that a test may reach: those on the PATH are used.
FREE = [name for minor in range(13, 20) if shutil.which(name := f"python3.{minor}t")]


@pytest.mark.parametrize("interpreter", [sys.executable, *FREE])
@pytest.mark.parametrize("auto_send", ["0", "1"])
def test_threads_lose_and_double_nothing(agent: Agent, tmp_path: Path, interpreter: str, auto_send: str):
    packages = tmp_path / "packages"  # what any interpreter can import: the SDK and its one dependency
    packages.mkdir()
    (packages / "agentsight").symlink_to(ROOT / "src" / "agentsight")
    (packages / "urllib3").symlink_to(Path(urllib3.__file__).parent)
    settings = {"AGENTSIGHT_AUTO_SEND": auto_send, "PYTHONPATH": str(packages)}
    command = [interpreter, APPS / "threads.py", str(THREADS), str(TURNS)]
    with Program(command, agent, tmp_path, **settings) as program:
        code, _ = program.end(seconds=120)
        assert code == 0
        assert program.wait_for("GIL: (.*)") == str(interpreter == sys.executable)
        assert "'unsent': 0, 'lost': 0} pending: 0" in program.output
        assert "Traceback" not in program.output
    found = stored(agent)
    both = sorted(f"shared {thread} {turn}" for thread in range(THREADS) for turn in range(TURNS))
    assert sorted(found.pop("shared")) == both
    assert found.pop("tokens") == []
    with agent.client("read") as client:
        listed = client.get("/api/conversations/", params={"conversation_id": "tokens"}).json()
    assert listed["results"][0]["token_usage"]["total_tokens"] == THREADS * TURNS * 3
    for thread in range(THREADS):
        name = f"thread {thread}"
        assert found.pop(name) == [
            text for turn in range(TURNS) for text in (f"{name} {turn}", f"Action action {turn} performed")
        ]
    assert found == {}
