"""Programs that use the SDK, each in processes of its own, and what the server has of them in the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from tests.serving import Agent
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).parent / "apps"
EXIT = 2.0  # seconds that the SDK may hold up the end of a process
SLACK = 3.0  # seconds that a busy machine may take for the rest of it


def environ_of(agent: Agent | None, **settings: str) -> dict[str, str]:
    """The environment of a program that tracks for this agent."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AGENTSIGHT_") and not name.lower().endswith("_proxy")
    }
    if agent is not None:
        kept |= {
            "AGENTSIGHT_API_KEY": agent.keys["ingest"],
            "AGENTSIGHT_API_ENDPOINT": agent.server.address,
        }
    path = os.pathsep.join(
        map(str, (ROOT, ROOT / "sdk" / "src", ROOT / "server" / "src"))
    )  # of this checkout, whatever is installed
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | settings


class Program:
    """A program in a process of its own, until the block ends. What it prints is in `output`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        agent: Agent | None,
        cwd: Path,
        *,
        pass_fds: Sequence[int] = (),
        **settings: str,
    ) -> None:
        self._file = cwd / f"output-{time.monotonic_ns()}.txt"
        with self._file.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env=environ_of(agent, **settings),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if error is not None:
            print(self.output)  # noqa: T201 - pytest shows it beside the failure

    @property
    def output(self) -> str:
        return self._file.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Wait until it prints this, and return the first group of the pattern."""
        found: re.Match[str] | None = None

        def said() -> bool:
            nonlocal found
            found = re.search(pattern, self.output)
            return found is not None or self.process.poll() is not None

        until(said, seconds, lambda: self.output)
        assert found is not None, self.output
        return found[1] if found.re.groups else found[0]

    def end(self, how: signal.Signals | None = None, seconds: float = 30) -> tuple[int, float]:
        """Wait for its end, asking for it if `how` is given. Returns the exit code and the seconds it took."""
        began = time.monotonic()
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(seconds)
        return code, time.monotonic() - began


def python(script: str, *arguments: str) -> list[str | Path]:
    """The command that runs one of the small programs of this folder."""
    return [sys.executable, APPS / script, *arguments]


def stored(agent: Agent) -> dict[str, list[str]]:
    """What the server has: the texts of each conversation, in order."""
    found: dict[str, list[str]] = {}
    with agent.client("read") as client:
        page: str | None = "/api/conversations/?page_size=100"
        while page is not None:
            answer = client.get(page).raise_for_status().json()
            for conversation in answer["results"]:
                found[conversation["conversation_id"]] = [
                    each["content"] for each in conversation["messages"]
                ]
            page = answer["next"]
    return found


def wait_stored(agent: Agent, expected: dict[str, list[str]], why: Callable[[], object] = str) -> None:
    """Wait until all of this has arrived, and see that it is this and nothing else."""
    count = sum(map(len, expected.values()))
    until(lambda: sum(map(len, stored(agent).values())) >= count, why=lambda: f"{stored(agent)}\n{why()}")
    assert stored(agent) == expected
