"""Faults: a server under load is killed, starved and frozen; then what it acknowledged is looked for.

Clients send batches with ids and attachments, and send again what was not acknowledged. After each fault the server
is started again or given back what it lacked, the rest is sent, and every row and file is compared with what the
clients were told. The doctor has the last word.

    python -m benchmarks.faults [--rounds 3] [--seconds 2] [--only NAME]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentsight.server.files import FileStore
from agentsight.server.settings import Settings
from agentsight.server.store.append import uuid7
from agentsight.server.store.database import Database
from benchmarks import report

COMMAND = [sys.executable, "-m", "agentsight"]
CLIENTS = 4


class Server:
    """`agentsight serve` on one folder, started as often as it has to be, always on the same port."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder, self.url = folder, url
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}
        self.environ = clean | {"AGENTSIGHT_DATA_DIR": str(folder), "AGENTSIGHT_LOG_LEVEL": "ERROR"}
        self.environ["PYTHONUNBUFFERED"] = "1"
        if url:
            self.environ["AGENTSIGHT_DATABASE_URL"] = url
        self.process: subprocess.Popen[str] | None = None
        self.log = folder.parent / "server.log"

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port)], env=self.environ, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if re.search(r"http://127\.0\.0\.1:\d+", line):
                return
        raise SystemExit("the server did not start:\n" + self.log.read_text())

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=self.environ, capture_output=True, text=True, check=False
        )


@dataclass
class Load:
    """Clients that send for as long as they may; each remembers what it was told."""

    server: Server
    key: str
    acknowledged: dict[str, str] = field(default_factory=dict)  # item's text: hash of its file, or ""
    pending: list[list[dict[str, Any]]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        self._stop.clear()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def settle(self, seconds: float = 60) -> None:
        """Send what was not acknowledged, with the same ids."""
        deadline = time.monotonic() + seconds
        while self.pending and time.monotonic() < deadline:
            batch = self.pending.pop()
            if not self._send(batch):
                time.sleep(0.1)
        if self.pending:
            raise SystemExit(
                f"the server does not take what is left ({dict(self.answers)}):\n{self.server.log.read_text()[-2000:]}"
            )

    def _client(self) -> None:
        rng = random.Random()
        while not self._stop.is_set():
            if not self._send(_batch(rng)):
                time.sleep(0.02)

    def _send(self, batch: list[dict[str, Any]]) -> bool:
        body = json.dumps({"conversations": batch}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Api-Key {self.key}"}
            connection.request("POST", "/api/ingest/batch/", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            self.answers[str(answer.status)] += 1
            if answer.status == 200 and all(
                item["success"] for each in json.loads(said)["conversations"] for item in each["items"]
            ):
                for each in batch:
                    self.acknowledged.update({item["_text"]: item["_sha"] for item in each["items"]})
                return True
        except (OSError, http.client.HTTPException) as error:
            self.answers[type(error).__name__] += 1
        finally:
            connection.close()
        self.pending.append(batch)
        return False


def _batch(rng: random.Random) -> list[dict[str, Any]]:
    made = []
    for _ in range(rng.randint(1, 3)):
        name = uuid.uuid4().hex
        began = time.time()
        items: list[dict[str, Any]] = []
        for number in range(rng.randint(1, 9)):
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began + number)) + ".500Z"
            text = f"{name}/{number}"
            item = {"id": str(uuid.UUID(bytes=uuid7())), "type": "message", "sender": "end_user", "timestamp": moment,
                    "content": text, "_text": text, "_sha": ""}  # fmt: skip
            if rng.random() < 0.1:
                data = rng.randbytes(rng.randint(1, 20_000))
                item["attachments"] = [{"filename": "a.bin", "data": base64.b64encode(data).decode()}]
                item["_sha"] = hashlib.sha256(data).hexdigest()
            items.append(item)
        made.append({"conversation_id": name, "items": items})
    return made


@dataclass
class Verdict:
    """What was found when the dust had settled."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    files: int = 0
    files_lost: int = 0
    unwell: int = 0


def examine(server: Server, load: Load) -> Verdict:
    """Compare everything that is stored with everything that was acknowledged."""
    url = Settings(database_url=server.url, data_dir=server.folder).sqlalchemy_url
    database = Database(url)
    with database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT i.content, c.conversation_id, i.timestamp FROM items i JOIN conversations c "
            "ON c.id = i.conversation ORDER BY c.id, i.timestamp, i.id"
        ).all()
        attached = dict(
            connection.exec_driver_sql(
                "SELECT i.content, a.sha256 FROM attachments a JOIN items i ON i.id = a.item"
            ).all()  # type: ignore[arg-type]
        )
        counted = connection.exec_driver_sql("SELECT sum(accepted) FROM ingest_ledger").scalar()
    database.close()
    seen = Counter(row[0] for row in rows)
    verdict = Verdict(acknowledged=len(load.acknowledged))
    verdict.lost = sum(text not in seen for text in load.acknowledged)
    verdict.doubled = sum(count - 1 for count in seen.values())
    last: dict[str, int] = {}
    for text, name, _ in rows:
        owner, _, number = text.partition("/")
        verdict.misplaced += owner != name or int(number) <= last.get(name, -1)
        last[name] = int(number)
    store = FileStore(server.folder / "files")
    wanted = {text: sha for text, sha in load.acknowledged.items() if sha}
    verdict.files = len(wanted)
    for text, sha in wanted.items():
        whole = store.exists(sha) and hashlib.sha256(store.get(sha)).hexdigest() == sha
        verdict.files_lost += not (whole and attached.get(text) == sha)
    looked = server.run("doctor", "--thorough")
    verdict.unwell = int(looked.returncode != 0) + int(int(counted or 0) != len(rows))
    if verdict.unwell:
        print(looked.stdout, looked.stderr, f"ledger: {counted}, rows: {len(rows)}", file=sys.stderr)
    return verdict


Fault = Callable[[Server, Load, float], None]


def killed(server: Server, load: Load, seconds: float) -> None:
    """SIGKILL at a random moment."""
    time.sleep(random.uniform(0.2, seconds))
    server.end(signal.SIGKILL)
    time.sleep(0.2)
    server.start()
    time.sleep(seconds / 4)


def stopped(server: Server, load: Load, seconds: float) -> None:
    """SIGTERM under load."""
    time.sleep(random.uniform(0.2, seconds))
    server.end(signal.SIGTERM)
    server.start()
    time.sleep(seconds / 4)


def frozen(server: Server, load: Load, seconds: float) -> None:
    """SIGSTOP for longer than the clients wait, then SIGCONT."""
    assert server.process is not None
    time.sleep(random.uniform(0.2, seconds))
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(11)
    server.process.send_signal(signal.SIGCONT)
    time.sleep(seconds / 2)


def full(server: Server, load: Load, seconds: float) -> None:
    """The system takes no more bytes into any file, as on a full disk; then it does again."""
    assert server.process is not None
    time.sleep(seconds / 2)
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in server.folder.glob("agentsight.db*"))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (max(4096, largest // 2), before[1]))
    time.sleep(seconds / 2)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
    time.sleep(seconds / 4)


def locked(server: Server, load: Load, seconds: float) -> None:
    """Another program holds the database for a while."""
    other = Database(Settings(database_url=server.url, data_dir=server.folder).sqlalchemy_url)
    time.sleep(seconds / 2)
    with contextlib.suppress(Exception), other.write():
        time.sleep(seconds)
    other.close()


def cut(server: Server, load: Load, seconds: float) -> None:
    """Hundreds of callers hang up in the middle of their bodies."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5) as caller:
            caller.sendall(
                f"POST /api/ingest/batch/ HTTP/1.1\r\nHost: x\r\nAuthorization: Api-Key {load.key}\r\n"
                'Content-Length: 90000\r\n\r\n{"conversations": [{"conver'.encode()
            )
        time.sleep(0.005)


def severed(server: Server, load: Load, seconds: float) -> None:
    """Every connection to PostgreSQL is terminated, again and again."""
    import psycopg

    assert server.url is not None
    for _ in range(5):
        time.sleep(seconds / 5)
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def copied(server: Server, load: Load, seconds: float) -> None:
    """A backup under load; what was acknowledged before it began must be in it."""
    time.sleep(seconds / 2)
    told = dict(load.acknowledged)
    file = server.folder.parent / "backup.tar"
    made = server.run("backup", str(file))
    with tempfile.TemporaryDirectory(dir=server.folder.parent) as name:
        fresh = Server(Path(name), None)
        restored = fresh.run("restore", str(file))
        if made.returncode or restored.returncode:
            raise SystemExit(made.stderr + restored.stderr)
        found = examine(fresh, Load(fresh, "", told))
    if found.lost or found.files_lost or found.doubled or found.unwell:
        raise SystemExit(f"the backup lacks what was acknowledged: {found}")


FAULTS: dict[str, tuple[str, Fault]] = {
    "SIGKILL under load": ("both", killed),
    "SIGTERM under load": ("both", stopped),
    "frozen for 11 s": ("sqlite", frozen),
    "disk takes no more": ("sqlite", full),
    "database held by another": ("both", locked),
    "callers hang up halfway": ("sqlite", cut),
    "connections terminated": ("postgresql", severed),
    "backup and restore": ("both", copied),
}


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL of this run."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pgserver

    cluster = pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield cluster.get_uri("{}")
    finally:
        cluster.cleanup()


def run(name: str, fault: Fault, engine: str, cluster: str | None, rounds: int, seconds: float) -> Verdict:
    """Do a fault so many times to one installation."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        url = None
        if engine == "postgresql":
            import psycopg

            assert cluster is not None
            database = f"faults_{uuid.uuid4().hex[:8]}"
            with psycopg.connect(cluster.format("postgres"), autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE {database}")
            url = cluster.format(database)
        server = Server(Path(folder) / "data", url)
        server.start()
        try:
            key = server.run("keys", "create", "--agent", "Faults").stdout.strip()
            load = Load(server, key)
            for _ in range(rounds):
                load.begin()
                try:
                    fault(server, load, seconds)
                finally:
                    load.end()
                load.settle()
        finally:
            server.end()
        print(f"{name} ({engine}): {dict(load.answers)}", file=sys.stderr)
        return examine(server, load)


def main() -> int:
    """Run them all; the exit code says whether anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="", help="part of a fault's name")
    options = parser.parse_args()
    rows, results, bad = [], [], 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with postgres(Path(name)) as cluster:
            for fault, (engines, do) in FAULTS.items():
                if options.only not in fault:
                    continue
                for engine in ("sqlite", "postgresql") if engines == "both" else (engines,):
                    found = run(fault, do, engine, cluster, options.rounds, options.seconds)
                    bad += found.lost + found.doubled + found.misplaced + found.files_lost + found.unwell
                    figures = (
                        found.acknowledged,
                        found.lost,
                        found.doubled,
                        found.misplaced,
                        found.files,
                        found.files_lost,
                    )
                    well = "no" if found.unwell else "yes"
                    rows.append(
                        [fault, engine, str(options.rounds), *(f"{each:,}" for each in figures), well]
                    )
                    results.append({"fault": fault, "engine": engine, "times": options.rounds, **vars(found)})
    columns = [
        "fault",
        "engine",
        "times",
        "items acknowledged",
        "lost",
        "doubled",
        "misplaced",
        "files",
        "files lost",
        "well",
    ]
    report.table("Faults under load", columns, rows)
    report.write("faults", {"faults": results})
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
