"""Faults: a server under load is killed, starved, cut off and lied to; then what it acknowledged is looked for.

Clients send every kind of item, and send again what was not acknowledged. After each fault the server is started
again or given back what it lacked, the rest is sent, and every row, file and figure is compared with what the clients
were told. The doctor has the last word.

    python -m benchmarks.faults [--rounds 3] [--seconds 2] [--only NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.load import Load, Server, Verdict, examine

Do = Callable[[Server, Load, float], None]


@dataclass(frozen=True)
class Fault:
    """What is done, to which engines, and with which settings of the server."""

    do: Do
    engines: tuple[str, ...] = ("sqlite",)
    environ: tuple[tuple[str, str], ...] = ()


def killed(server: Server, load: Load, seconds: float) -> None:
    """SIGKILL at a random moment."""
    time.sleep(random.uniform(0.2, seconds))
    server.end(signal.SIGKILL)
    time.sleep(0.2)
    load.fault_is_over()
    server.start()
    time.sleep(seconds / 4)


def stopped(server: Server, load: Load, seconds: float) -> None:
    """SIGTERM under load."""
    time.sleep(random.uniform(0.2, seconds))
    server.end(signal.SIGTERM)
    load.fault_is_over()
    server.start()
    time.sleep(seconds / 4)


def frozen(server: Server, load: Load, seconds: float) -> None:
    """SIGSTOP for longer than the clients wait, then SIGCONT."""
    assert server.process is not None
    time.sleep(random.uniform(0.2, seconds))
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(11)
    server.process.send_signal(signal.SIGCONT)
    load.fault_is_over()
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
    load.fault_is_over()
    time.sleep(seconds / 2)


def locked(server: Server, load: Load, seconds: float) -> None:
    """Another program holds the database for a while."""
    other = server.database()
    time.sleep(seconds / 2)
    with contextlib.suppress(Exception), other.write():
        time.sleep(seconds)
    load.fault_is_over()
    other.close()


def set_back(server: Server, load: Load, seconds: float) -> None:
    """The clock goes back by an hour, leaps ahead by two, and is put right."""
    for hours in (-1, 1, 0):
        time.sleep(seconds / 3)
        _clock(server).write_text(str(hours * 3600.0))
    load.fault_is_over()
    time.sleep(seconds / 3)


def second(server: Server, load: Load, seconds: float) -> None:
    """A second server is started on the same folder."""
    time.sleep(seconds / 4)
    if server.run("serve", "--port", "0").returncode != 2:
        raise SystemExit("a second server was not refused")
    load.fault_is_over()
    time.sleep(seconds / 4)


def _head(load: Load, length: int) -> bytes:
    return (
        f"POST /api/ingest/batch/ HTTP/1.1\r\nHost: x\r\nAuthorization: Api-Key {load.key}\r\n"
        f'Content-Length: {length}\r\n\r\n{{"conversations": [{{"conver'
    ).encode()


def cut(server: Server, load: Load, seconds: float) -> None:
    """Hundreds of callers hang up in the middle of their bodies."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5) as caller:
            caller.sendall(_head(load, 90_000))
        time.sleep(0.005)
    load.fault_is_over()


def slow(server: Server, load: Load, seconds: float) -> None:
    """A thousand callers send their bodies byte by byte, or begin a head and say no more."""
    with contextlib.ExitStack() as stack:
        callers = []
        for number in range(1_000):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            caller.sendall(_head(load, 90_000) if number % 2 else b"POST /api/track/ HTTP/1.1\r\nHost:")
            callers.append(caller)
        load.fault_is_over()  # with all of them there the others have to be served
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for caller in callers[1::2]:
                caller.sendall(b"s")
            time.sleep(0.2)


def crowded(server: Server, load: Load, seconds: float) -> None:
    """More requests than are served at once; those beyond it are asked to come again."""
    crowd = [Load(server, load.key, load.acknowledged, load.pending, load.answers) for _ in range(4)]
    for each in crowd:
        each.begin()
    time.sleep(seconds)
    for each in crowd:
        each.end()
    load.fault_is_over()
    time.sleep(seconds / 2)
    if not load.answers["429"]:
        raise SystemExit("nobody was asked to come again")


_BOT = """
import sys
from agentsight import ConversationTracker
tracker = ConversationTracker(auto_send=True, log_level="ERROR")
talk = tracker.get_or_create_conversation(sys.argv[1], environment="production")
for number in range(int(sys.argv[2])):
    mark = f"{sys.argv[1]}/{number}"
    talk.track_human_message(mark, metadata={"mark": mark})
    print(mark, flush=True)
print(tracker.close(timeout=60)["unsent"], flush=True)
"""


def bot_killed(server: Server, load: Load, seconds: float) -> None:
    """A bot with a spool is killed with SIGKILL; the next one sends what it left."""
    environ = server.environ | {
        "AGENTSIGHT_API_KEY": load.key,
        "AGENTSIGHT_API_ENDPOINT": f"http://127.0.0.1:{server.port}",
        "AGENTSIGHT_SPOOL_DIR": str(server.folder.parent / "spool"),
    }

    def bot(count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _BOT, f"b{uuid.uuid4().hex}", str(count)]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)

    first = bot(10**9)
    assert first.stdout is not None
    killing = threading.Timer(random.uniform(0.5, 0.5 + seconds), first.kill)
    killing.start()
    # A call that has returned is what a bot may rely on. The last line may be cut off.
    load.acknowledged.update(
        {line.strip(): "" for line in first.stdout if line.endswith("\n") and "/" in line}
    )
    first.wait(30)
    load.fault_is_over()
    said, _ = bot(1).communicate(timeout=90)
    if said.split()[-1] != "0":
        raise SystemExit(f"the next bot could not send what was left: {said}")


def _as_admin(url: str, statement: str) -> None:
    import psycopg

    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as admin:
        admin.execute(statement.replace("{name}", str(name)).encode())


_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


def severed(server: Server, load: Load, seconds: float) -> None:
    """Every connection to PostgreSQL is terminated, again and again."""
    assert server.url is not None
    for _ in range(5):
        time.sleep(seconds / 5)
        _as_admin(server.url, _TERMINATE)
    load.fault_is_over()
    time.sleep(seconds / 2)


def read_only(server: Server, load: Load, seconds: float) -> None:
    """The database takes no writes for a while: PostgreSQL as after a failover to a replica, SQLite's files made
    immutable (which needs root)."""
    if server.url is None:
        # Not the -shm: it is mapped into memory, and the system kills who writes to a mapping that became immutable.
        files = [str(server.folder / name) for name in ("agentsight.db", "agentsight.db-wal")]
        for sign in "+-":
            time.sleep(seconds / 2)
            subprocess.run(["chattr", f"{sign}i", *files], check=True)
        load.fault_is_over()
        time.sleep(seconds / 2)
        return
    for state in ("on", "off"):
        time.sleep(seconds / 2)
        _as_admin(server.url, f"ALTER DATABASE {{name}} SET default_transaction_read_only = {state}")
        _as_admin(server.url, _TERMINATE)
    load.fault_is_over()
    time.sleep(seconds / 2)


def restarted(server: Server, load: Load, seconds: float) -> None:
    """PostgreSQL is stopped without a farewell and started again: it recovers from its log."""
    import pgserver

    time.sleep(random.uniform(0.2, seconds))
    folder = Path(os.environ["FAULTS_POSTGRESQL"])
    cluster = pgserver.get_server(folder, cleanup_mode=None)
    pgserver.pg_ctl(
        ["restart", "-m", "immediate", "-w", "-l", str(cluster.log)],
        pgdata=folder, user=cluster.system_user, timeout=60,
    )  # fmt: skip
    load.fault_is_over()
    time.sleep(seconds)


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
    if found.bad:
        raise SystemExit(f"the backup lacks what was acknowledged: {found}")


BOTH, POSTGRESQL = ("sqlite", "postgresql"), ("postgresql",)
FAULTS = {
    "server killed (SIGKILL)": Fault(killed, BOTH),
    "server stopped (SIGTERM)": Fault(stopped, BOTH),
    "server frozen for 11 s": Fault(frozen),
    "disk takes no more": Fault(full),
    "database held by another": Fault(locked, BOTH),
    "database read-only": Fault(read_only, BOTH),
    "connections terminated": Fault(severed, POSTGRESQL),
    "PostgreSQL restarted": Fault(restarted, POSTGRESQL),
    "clock back and ahead": Fault(set_back, BOTH),
    "second server on the folder": Fault(second),
    "callers hang up halfway": Fault(cut),
    "1,000 slow or silent callers": Fault(slow),
    "too many requests (429)": Fault(crowded, environ=(("AGENTSIGHT_MAX_REQUESTS", "3"),)),
    "bot with a spool killed": Fault(bot_killed),
    "backup and restore": Fault(copied, BOTH),
}

# Python runs this before anything else. What the file says is by how much the clock is wrong.
_CLOCK = """
import time

def shift(now=time.time, now_ns=time.time_ns):
    def seconds():
        with open({file!r}) as file:
            return float(file.read() or 0)
    time.time = lambda: now() + seconds()
    time.time_ns = lambda: now_ns() + int(seconds() * 1e9)

shift()
"""


def _clock(server: Server) -> Path:
    return server.folder.parent / "clock" / "shift"


def _give_clock(server: Server) -> None:
    file = _clock(server)
    file.parent.mkdir()
    file.write_text("0")
    (file.parent / "sitecustomize.py").write_text(_CLOCK.format(file=str(file)))
    paths = [str(file.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    server.environ["PYTHONPATH"] = os.pathsep.join(paths)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL of this run."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    os.environ["FAULTS_POSTGRESQL"] = str(folder / "postgresql")
    import pgserver

    cluster = pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield cluster.get_uri("{}")
    finally:
        cluster.cleanup()


@contextlib.contextmanager
def loaded(fault: Fault, url: str | None) -> Iterator[Load]:
    """A server on an empty store, and clients that have yet to begin."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder) / "data", url, dict(fault.environ))
        if fault.do is set_back:
            _give_clock(server)
        server.start()
        try:
            yield Load(server, server.run("keys", "create", "--agent", "Faults").stdout.strip())
        finally:
            server.end()


def suffer(load: Load, fault: Fault, rounds: int, seconds: float) -> Verdict:
    """Do a fault so many times to one installation under load, and look at what is left."""
    for _ in range(rounds):
        load.begin()
        try:
            fault.do(load.server, load, seconds)
        finally:
            load.end()
        load.settle()
    return examine(load.server, load)


def run(
    name: str, engine: str, cluster: str | None, rounds: int, seconds: float
) -> tuple[Verdict, list[float]]:
    """One line of the table: the verdict, and how long it took each time until an item was taken again."""
    url = None
    if engine == "postgresql":
        import psycopg

        assert cluster is not None
        database = f"faults_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(cluster.format("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {database}".encode())
        url = cluster.format(database)
    with loaded(FAULTS[name], url) as load:
        verdict = suffer(load, FAULTS[name], rounds, seconds)
        print(f"{name} ({engine}): {dict(load.answers)}", file=sys.stderr)
        return verdict, load.recoveries


def main() -> int:
    """Run them all; the exit code says whether anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="", help="part of a fault's name")
    options = parser.parse_args()
    rows: list[list[str]] = []
    results: list[dict[str, Any]] = []
    bad = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with postgres(Path(name)) as cluster:
            for fault, each in FAULTS.items():
                for engine in each.engines if options.only in fault else ():
                    found, recoveries = run(fault, engine, cluster, options.rounds, options.seconds)
                    bad += found.bad
                    again = round(statistics.median(recoveries), 2) if recoveries else None
                    counts = (
                        found.acknowledged,
                        found.lost + found.files_lost,
                        found.doubled,
                        found.misplaced,
                    )
                    rows.append(
                        [
                            fault, engine, str(options.rounds), *(f"{count:,}" for count in counts),
                            "no" if found.unwell else "yes", "" if again is None else f"{again:.1f}",
                        ]
                    )  # fmt: skip
                    told = {name: value for name, value in vars(found).items() if name != "why"}
                    results.append(
                        {
                            "fault": fault,
                            "engine": engine,
                            "times": options.rounds,
                            **told,
                            "recovered_s": again,
                        }
                    )
    columns = [
        "fault",
        "engine",
        "times",
        "items taken",
        "lost",
        "doubled",
        "misplaced",
        "well",
        "again after s",
    ]
    report.table("Faults under load", columns, rows)
    report.write("faults", {"faults": results})
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
