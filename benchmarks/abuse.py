"""What strangers, and holders of a public key, can do to everybody else: each attack against a server of its own.

    python -m benchmarks.abuse [--only NAME …] [--seconds 8] [--tree CHECKOUT]

While an attack runs, an honest bot sends batches of 100 items, a load balancer asks /healthz, and an owner looks at
the list of conversations; how long each waits is measured, and how much memory the server takes. Attacks are bounded
in time and size and go to this machine alone. `--tree` serves another checkout, to compare.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import abuse_attacks, report

HERE = Path(__file__).parent.parent
PASSWORD = "a long password for nobody"
EMAIL = "owner@example.com"
# Run with the served checkout's own code.
_SETUP = """
import sys
from agentsight_server.security import keys, sessions
from agentsight_server.store import agents
from agentsight_server.store.database import Database
database = Database("sqlite:///" + sys.argv[1])
with database.write() as connection:
    agent = agents.create(connection, "Attacked")
    for role in ("write", "read", "ingest"):
        key = keys.new_key()
        agents.add_key(connection, agent_id=agent, role=role, hint=keys.hint(key), hashed=keys.hash_key(key))
        print(role, key)
    sessions.create_person(connection, email=sys.argv[2], name="", password=sys.argv[3])
"""


@contextmanager
def attacked(tree: Path) -> Iterator[abuse_attacks.Target]:
    """A server on an empty store, with a key of each role and an owner."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        environ = {key: value for key, value in os.environ.items() if not key.startswith("AGENTSIGHT_")}
        environ |= {
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(tree / "src"),
            "AGENTSIGHT_LOG_LEVEL": "ERROR",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "agentsight_server", "serve", "--port", "0", "--data-dir", str(data)],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            port = 0
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
                if found:
                    port = int(found[1])
                    break
            made = subprocess.run(
                [sys.executable, "-c", _SETUP, str(data / "agentsight.db"), EMAIL, PASSWORD],
                env=environ, capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            keys = dict(line.split() for line in made.splitlines())
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                client.post("/sign-in/", data={"email": EMAIL, "password": PASSWORD})
                cookie = client.cookies["agentsight_session"]
            yield abuse_attacks.Target(port, keys, cookie, process.pid, data)
        finally:
            process.kill()
            process.wait(30)


@dataclass
class Seen:
    """How long one kind of honest caller waited, in seconds, and how often it was turned away."""

    waits: list[float] = field(default_factory=list)
    refused: int = 0

    def p99(self) -> float:
        """All but a hundredth waited no longer."""
        if len(self.waits) < 2:
            return max(self.waits, default=float("nan"))
        return statistics.quantiles(self.waits, n=100, method="inclusive")[98]


class Honest:
    """The callers whom the attack must not disturb."""

    def __init__(self, target: abuse_attacks.Target) -> None:
        self.target = target
        self.over = threading.Event()
        self.batch, self.health, self.page = Seen(), Seen(), Seen()
        self.peak = self.start = abuse_attacks.memory(target.pid)
        self._threads = [
            threading.Thread(target=each, daemon=True)
            for each in (self._write, self._look_after, self._look, self._weigh)
        ]

    def __enter__(self) -> Honest:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(120)

    def _repeat(self, seen: Seen, pause: float, call: Callable[[httpx.Client], httpx.Response]) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.target.port}", timeout=90) as client:
            while not self.over.is_set():
                began = time.perf_counter()
                # One that is turned away comes again: how long until it was served is what counts.
                while True:
                    status = 0
                    with suppress(httpx.HTTPError):
                        status = call(client).status_code
                    if status == 200 or self.over.is_set():
                        break
                    seen.refused += 1
                    self.over.wait(0.1)
                seen.waits.append(time.perf_counter() - began)
                self.over.wait(pause)

    def _write(self) -> None:
        def call(client: httpx.Client) -> httpx.Response:
            said = {"type": "message", "sender": "end_user", "content": "Where is my order? " * 3}
            items = [said | {"id": str(uuid.uuid4())} for _ in range(100)]
            body = {"conversations": [{"conversation_id": f"honest-{uuid.uuid4()}", "items": items}]}
            return client.post(
                "/api/ingest/batch/", content=gzip.compress(json.dumps(body).encode(), 1), headers=headers
            )

        headers = {
            "Authorization": f"Api-Key {self.target.keys['write']}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        self._repeat(self.batch, 0.05, call)

    def _look_after(self) -> None:
        self._repeat(self.health, 0.05, lambda client: client.get("/healthz"))

    def _look(self) -> None:
        cookie = {"Cookie": f"agentsight_session={self.target.cookie}"}
        self._repeat(self.page, 0.2, lambda client: client.get("/agents/1/conversations/", headers=cookie))

    def _weigh(self) -> None:
        while not self.over.wait(0.02):
            self.peak = max(self.peak, abuse_attacks.memory(self.target.pid))


def run(name: str, seconds: float, tree: Path) -> dict[str, Any]:
    """One attack, and what it did to the others."""
    with attacked(tree) as target:
        prepared = abuse_attacks.prepare(name, target)
        with Honest(target) as honest:
            time.sleep(1)
            # In a process of its own: what it costs the attacker must not slow down those who measure.
            attack = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.abuse_attacks", name, str(seconds), target.told()],
                cwd=HERE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                sent = int(attack.communicate(timeout=seconds + 60)[0].strip() or 0)
            except subprocess.TimeoutExpired:
                attack.kill()
                sent = -1
            time.sleep(1)
        stored = sum(each.stat().st_size for each in target.data.rglob("*") if each.is_file())
    return {
        "attack": name,
        "what": abuse_attacks.ATTACKS[name].__doc__,
        "bytes_sent": sent + prepared,
        "stored_bytes": stored,
        "memory_before": honest.start,
        "memory_peak": honest.peak,
        **{
            f"{who}_{figure}": value
            for who, seen in (("batch", honest.batch), ("health", honest.health), ("page", honest.page))
            for figure, value in (
                ("p99", seen.p99()), ("worst", max(seen.waits, default=0.0)), ("served", len(seen.waits)),
                ("refused", seen.refused),
            )
        },
    }  # fmt: skip


def _shown(found: dict[str, Any], who: str) -> str:
    refused = found[f"{who}_refused"]
    return f"{found[f'{who}_p99'] * 1000:,.0f}" + (f" ({refused})" if refused else "")


def main() -> None:
    """Run the attacks and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="*", choices=list(abuse_attacks.ATTACKS), default=list(abuse_attacks.ATTACKS)
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--tree", type=Path, default=HERE)
    parser.add_argument("--name", default="abuse", help="of the file with the results")
    given = parser.parse_args()
    socket.setdefaulttimeout(90)
    rows, results = [], []
    for name in given.only:
        found = run(name, given.seconds, given.tree.resolve())
        results.append(found)
        rows.append(
            [
                name,
                f"{found['bytes_sent'] / 1e6:.1f}",
                f"{found['memory_peak'] / 1e6:.0f}",
                *(_shown(found, who) for who in ("batch", "health", "page")),
            ]
        )
        print(*rows[-1], sep="\t", flush=True)
    report.table(
        "Under attack: waits in ms, p99 (how often turned away)",
        ["attack", "MB sent", "peak MB", "batch", "/healthz", "page"],
        rows,
    )
    report.write(given.name, {"seconds": given.seconds, "attacks": results})


if __name__ == "__main__":
    main()
