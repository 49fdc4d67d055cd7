"""A real server in a process of its own, for as long as a benchmark needs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

METRICS_TOKEN = "for the benchmark"


@dataclass(frozen=True)
class Served:
    """Where the server is, and a key that may write."""

    port: int
    key: str
    pid: int
    data_dir: Path
    database_url: str | None = None  # of PostgreSQL


@contextmanager
def serving(engine: str = "sqlite", *arguments: str) -> Iterator[Served]:
    """Start `agentsight serve` on a free port and an empty store."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        environ = {key: value for key, value in os.environ.items() if not key.startswith("AGENTSIGHT_")}
        environ |= {
            "PYTHONUNBUFFERED": "1",
            "AGENTSIGHT_DATA_DIR": str(folder / "data"),
            "AGENTSIGHT_LOG_LEVEL": "WARNING",
            "AGENTSIGHT_METRICS_TOKEN": METRICS_TOKEN,
        }
        postgres = None
        if engine == "postgresql":
            os.environ.setdefault("XDG_RUNTIME_DIR", name)
            import pgserver

            postgres = pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
            environ["AGENTSIGHT_DATABASE_URL"] = postgres.get_uri()
        command = [sys.executable, "-m", "agentsight_server"]
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", *arguments], env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            port = 0
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
                if found:
                    port = int(found[1])
                    break
            key = subprocess.run(
                [*command, "keys", "create", "--agent", "Benchmark"],
                env=environ, capture_output=True, text=True, check=True,
            ).stdout.strip()  # fmt: skip
            yield Served(port, key, process.pid, folder / "data", environ.get("AGENTSIGHT_DATABASE_URL"))
        finally:
            process.terminate()
            process.wait(30)
            if postgres is not None:
                postgres.cleanup()
