"""Starting the real server in a process of its own, and talking to it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

import httpx

from agentsight_server.security import keys, sessions
from agentsight_server.store import agents
from agentsight_server.store.database import Database

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_numbers = itertools.count(1)
METRICS_TOKEN = "for the tests"


def samples(text: str) -> dict[str, float]:
    """The lines of /metrics: name with labels → value."""
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


class ServerProcess:
    """`agentsight serve` on a free port, until the block ends."""

    def __init__(
        self,
        data_dir: Path,
        *,
        database_url: str | None = None,
        arguments: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self.command = [
            sys.executable,
            "-m",
            "agentsight_server",
            "serve",
            "--port",
            "0",
            "--data-dir",
            str(data_dir),
        ]
        if database_url:
            self.command += ["--database-url", database_url]
        self.command += arguments
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}
        self.environ = (
            clean | {"PYTHONUNBUFFERED": "1", "AGENTSIGHT_METRICS_TOKEN": METRICS_TOKEN} | (environ or {})
        )
        self.output: list[str] = []
        self.address = ""
        self._process: subprocess.Popen[str] | None = None
        self._database: Database | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.output = []
        self._process = subprocess.Popen(
            self.command,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        up = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(up,), daemon=True)
        self._reader.start()
        if not up.wait(60) or not self.address:
            self.stop()
            raise AssertionError("the server did not start:\n" + "".join(self.output))

    def _read(self, up: threading.Event) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self.address = ""
        for line in self._process.stdout:
            self.output.append(line)
            found = _ADDRESS.search(line)
            if found and not self.address:
                self.address = found[0]
                up.set()
        up.set()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it at once, as a crash would."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self._database is not None:
            self._database.close()
            self._database = None
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(how)
        code = process.wait(30)
        self._reader.join(10)
        assert process.stdout is not None
        process.stdout.close()
        return code

    @property
    def pid(self) -> int:
        """The server's process number."""
        assert self._process is not None
        return self._process.pid

    @property
    def database(self) -> Database:
        """The server's store, opened beside it."""
        if self._database is None:
            url = self.database_url or f"sqlite:///{self.data_dir / 'agentsight.db'}"
            if url.startswith("postgresql://"):
                url = url.replace("postgresql://", "postgresql+psycopg://", 1)
            self._database = Database(url)
        return self._database

    def metrics(self) -> str:
        """What the server tells Prometheus."""
        answer = httpx.get(self.address + "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        assert answer.status_code == 200, answer.text
        return answer.text

    def agent(self, name: str | None = None) -> Agent:
        """A new agent with a key of each role."""
        with self.database.write() as connection:
            agent_id = agents.create(connection, name or f"Agent {next(_numbers)}")
            made = {}
            for role in keys.ROLES:
                made[role] = keys.new_key()
                agents.add_key(
                    connection,
                    agent_id=agent_id,
                    role=role,
                    hint=keys.hint(made[role]),
                    hashed=keys.hash_key(made[role]),
                )
        return Agent(self, agent_id, made)

    def person(
        self,
        email: str,
        password: str = "correct horse battery",
        *,
        role: str = "owner",
        agent_ids: frozenset[int] = frozenset(),
    ) -> int:
        """A new person who can sign in."""
        with self.database.write() as connection:
            return sessions.create_person(
                connection, email=email, name="", password=password, role=role, agent_ids=agent_ids
            )


class Agent:
    """An agent on a running server, and clients that speak for it."""

    def __init__(self, server: ServerProcess, agent_id: int, api_keys: dict[str, str]) -> None:
        self.server = server
        self.id = agent_id
        self.keys = api_keys

    def client(self, role: str = "write") -> httpx.Client:
        """An HTTP client with the agent's key of that role."""
        return httpx.Client(
            base_url=self.server.address, headers={"Authorization": f"Api-Key {self.keys[role]}"}, timeout=30
        )
