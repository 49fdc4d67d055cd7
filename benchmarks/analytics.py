"""Analytics: the projector's speed, and the page's figures beside the same SQL written by hand on the bare engine.

The store is filled by the way that every item takes, and followed by the real projector. Both sides of a ratio are
measured in turn, in the same run, on the same file.

    python -m benchmarks.analytics [--conversations 1000000] [--keep DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.duckdb_engine import DuckEngine
from agentsight_server.analytics.engine import TABLES
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.projector import Projector
from agentsight_server.analytics.rebuild import rebuild
from agentsight_server.analytics.scope import AppliedFilter, Scope
from agentsight_server.domain import zones
from agentsight_server.store import agents, append
from agentsight_server.store.append import NewConversation, NewItem
from agentsight_server.store.database import Database
from agentsight_server.store.schema import ACTION, AGENT, BUTTON, END_USER, FEEDBACK, MESSAGE, TOKEN_USAGE
from benchmarks import report

AGENTS, DAYS, MESSAGES = 5, 90, 10
LAST = date(2026, 8, 31)
ZONE = "Europe/Zagreb"
SECOND = 1_000_000
AT_ONCE = 200


def conversation(rng: random.Random, number: int, started_at: int, customers: int) -> NewConversation:
    """A conversation with ten messages, and some of everything else."""
    items = []
    moment = started_at
    for turn in range(MESSAGES):
        moment += rng.randrange(1, 40) * SECOND // (1 if turn % 2 == 0 else 8)
        items.append(
            NewItem(MESSAGE, moment, None, AGENT if turn % 2 else END_USER, "What time is breakfast?")
        )
    if rng.random() < 0.5:
        name = rng.choices(("search", "check_database", "open_ticket", "contact_human"), (50, 40, 2, 2))[0]
        failed = "down" if rng.random() < 0.03 else None
        detail = (name, None, None, rng.randrange(5, 4_000), None, None, failed)
        items.append(NewItem(ACTION, moment, None, AGENT, detail=detail))
    if rng.random() < 0.2:
        items.append(NewItem(BUTTON, moment, None, END_USER, detail=("after_chat", rng.choice("YN"), "v")))
    if rng.random() < 0.3:
        prompt, completion = rng.randrange(100, 3_000), rng.randrange(20, 400)
        usage = (rng.choice(("gpt-4o", "gpt-4o-mini")), prompt, completion, prompt + completion, *[0] * 6)
        items.append(NewItem(TOKEN_USAGE, moment, detail=usage))
    if rng.random() < 0.05:
        verdict = (rng.choice(("positive", "positive", "neutral", "negative")), "customer", None, None)
        items.append(NewItem(FEEDBACK, moment, detail=verdict))
    return NewConversation(
        f"conv_{number}",
        customer_id=f"customer-{rng.randrange(customers)}" if rng.random() < 0.9 else None,
        device=rng.choice(("mobile", "mobile", "desktop", "tablet", None)),
        source=rng.choice(("web", "whatsapp", "voice")),
        language=rng.choice(("en", "en-US", "hr", "de", "it")),
        country=rng.choice(("HR", "DE", "AT", "IT", "US", None)),
        metadata={"plan": rng.choice(("free", "pro"))},
        is_used=False if rng.random() < 0.3 else None,
        started_at=started_at,
        items=items,
    )


def fill(database: Database, count: int) -> list[int]:
    """Write the conversations in the order of their beginning; returns the agents' numbers."""
    rng = random.Random(1)
    with database.write() as connection:
        numbers = [agents.create(connection, f"Agent {each}") for each in range(1, AGENTS + 1)]
    start = zones.start_of_day(zones.find(ZONE), LAST - timedelta(days=DAYS - 1))
    step = DAYS * zones.DAY // count
    for first in range(0, count, AT_ONCE * AGENTS):
        group = range(first, min(first + AT_ONCE * AGENTS, count))
        with database.write() as connection:
            for place, agent in enumerate(numbers):
                batch = [
                    conversation(rng, each, start + each * step, max(10, count // 8))
                    for each in group
                    if each % AGENTS == place
                ]
                append.append(connection, 0, agent, batch)
    return numbers


def by_hand(scope: Scope) -> dict[str, list[str]]:
    """The queries that a person who knows the tables would write for each figure."""
    agent = f"agent = {scope.agents[0]} AND production"
    begun = f"FROM sessions WHERE {agent} AND started_at >= {scope.start} AND started_at < {scope.end}"
    engaged = f"{begun} AND engaged"
    happened = f"WHERE {agent} AND counted AND moment >= {scope.start} AND moment < {scope.end}"
    spread = "avg({0}), quantile_cont({0}, 0.5), quantile_cont({0}, 0.95), count({0})"

    def local(column: str) -> str:
        return f"timezone('{ZONE}', make_timestamptz({column}))"

    def along(what: str) -> list[str]:
        return [
            f"SELECT {what.format(local('moment'))} AS x, count(*) FROM messages {happened} GROUP BY ALL",
            f"SELECT {what.format(local('started_at'))} AS x, count(*) {engaged} GROUP BY ALL",
        ]

    handed = "'fallback_to_human', 'open_ticket', 'ticket', 'contact_human'"
    sums = "sum(prompt), sum(completion), sum(embedding), sum(total)"
    return {
        "conversations": [f"SELECT count(*), count(DISTINCT conversation) {engaged}"],
        "messages": [f"SELECT count(*) FROM messages {happened}"],
        "users": [f"SELECT count(DISTINCT customer), count(*) FILTER (customer IS NULL) {engaged}"],
        "response_time": [f"SELECT {spread.format('response')} FROM messages {happened}"],
        "duration": [f"SELECT {spread.format('(ended_at - started_at)')} {engaged} AND messages >= 2"],
        "messages_per_conversation": [f"SELECT sum(messages), count(*) {engaged}"],
        "over_time": along("date_trunc('day', {0})"),
        "peak_hours": along("(isodow({0}), hour({0}))"),
        **{
            name: [f"SELECT {column}, count(*) {engaged} GROUP BY ALL"]
            for name, column in (
                ("countries", "country"),
                ("devices", "device"),
                ("sources", "source"),
                ("languages", "language"),
            )
        },
        "tools": [
            f"SELECT name, count(*), count(*) FILTER (failed), {spread.format('duration_ms')} "
            f"FROM actions {happened} GROUP BY name"
        ],
        "buttons": [f"SELECT event, label, count(*) FROM clicks {happened} GROUP BY ALL"],
        "escalation_rate": [
            f"SELECT count(*) FILTER (id IN (SELECT session FROM actions WHERE {agent} AND name IN ({handed}))), "
            f"count(*) {engaged}"
        ],
        "feedback": [
            f"SELECT sentiment, count(*) FROM feedback {happened} GROUP BY ALL",
            f"SELECT count(*) FILTER (positive OR neutral OR negative), count(*) {engaged}",
        ],
        "interactions": [f"SELECT count(*), count(*) FILTER (engaged) {begun} AND offered"],
        "returning_users": [
            f"SELECT count(DISTINCT customer), count(DISTINCT customer) FILTER (customer IN (SELECT customer FROM "
            f"sessions WHERE {agent} AND engaged AND started_at < {scope.start})) {engaged}"
        ],
        "outreach": [f"SELECT count(*), count(*) FILTER (engaged) {begun} AND outreach"],
        "unanswered": [f"SELECT count(*) FILTER (last_from_user), count(*) {engaged}"],
        "tokens": [
            f"SELECT model, {sums} FROM usage {happened} GROUP BY ALL",
            f"SELECT date_trunc('day', {local('moment')}) AS x, {sums} FROM usage {happened} GROUP BY ALL",
        ],
        "cost": [f"SELECT model, moment // 86400000000 AS x, {sums} FROM usage {happened} GROUP BY ALL"],
    }


def best(work: Callable[[], Any], *, seconds: float = 0.5, times: int = 5) -> float:
    """Median milliseconds of a call."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < times or (time.perf_counter() < until and len(took) < 50):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def memory() -> tuple[int, int]:
    """Megabytes that this process has, and had at most."""
    fields = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        fields[name] = value
    now, peak = (int(fields[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """A folder that goes, or one that stays and is used again."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="agentsight-bench-") as name:
        yield Path(name)


def build(where: Path, count: int) -> dict[str, Any]:
    """The store and its columns, and how long they took."""
    database = Database(f"sqlite:///{where / 'agentsight.db'}")
    fresh = not (where / "agentsight.db").exists()
    database.migrate()
    found: dict[str, Any] = {"conversations": count}
    if fresh:
        begun = time.perf_counter()
        fill(database, count)
        found["store_seconds"] = time.perf_counter() - begun
    done = rebuild(database, where / "analytics.duckdb", "bench", lambda _, __: None)
    found |= {"rows": done.rows, "rebuild_seconds": done.seconds, "rows_per_second": done.rows / done.seconds}
    found |= {"bytes": done.size, "bytes_per_row": done.size / done.rows}
    found |= live(database, where)
    database.close()
    return found


def live(database: Database, where: Path, *, rate: int = 5_000, seconds: float = 4.0) -> dict[str, Any]:
    """How far behind the figures are while so many items a second arrive."""
    engine = DuckEngine(where / "analytics.duckdb")
    engine.open("bench")
    projector = Projector(database, engine)
    projector.follow()
    projector.start()
    rng = random.Random(2)
    with database.write() as connection:
        agent = agents.create(connection, f"Live {time.time_ns()}")
    begun, sent, worst = time.perf_counter(), 0, 0.0
    pending: list[tuple[int, float]] = []
    while (now := time.perf_counter() - begun) < seconds or (pending and now < seconds + 10):
        if sent < rate * now and now < seconds:
            made = [
                conversation(rng, time.time_ns() + each, time.time_ns() // 1000, 1_000) for each in range(20)
            ]
            with database.write() as connection:
                append.append(connection, 0, agent, made)
            projector.notice()  # as the server's writer does
            sent += sum(len(each.items) + 1 for each in made)
            pending.append((projector.latest(), time.perf_counter()))
        else:
            time.sleep(0.002)
        reached = engine.last_revision()
        while pending and pending[0][0] <= reached:
            worst = max(worst, time.perf_counter() - pending.pop(0)[1])
    projector.stop()
    engine.close()
    return {"live_items_per_second": sent / seconds, "live_behind_seconds": worst}


def measure(where: Path) -> dict[str, Any]:
    """The page's figures, each beside the bare engine."""
    found: dict[str, Any] = {}
    scope = Scope((1,), LAST - timedelta(days=29), LAST, zones.find(ZONE))
    scope = Scope(scope.agents, scope.first, scope.last, scope.zone, escalations=((1, agents.ESCALATIONS),))
    engine = DuckEngine(where / "analytics.duckdb")
    begun = time.perf_counter()
    engine.open("bench")
    found["open_ms"] = (time.perf_counter() - begun) * 1000
    begun = time.perf_counter()
    answer(engine, scope, METRICS, "previous")
    found["cold_compared_ms"] = (time.perf_counter() - begun) * 1000
    found["warm_ms"] = best(lambda: answer(engine, scope, METRICS))
    found["warm_compared_ms"] = best(lambda: answer(engine, scope, METRICS, "previous"))
    filtered = Scope(
        scope.agents, scope.first, scope.last, scope.zone, "production",
        (AppliedFilter("device", "mobile"), AppliedFilter("metadata", "pro", "plan")), scope.escalations,
    )  # fmt: skip
    found["warm_filtered_ms"] = best(lambda: answer(engine, filtered, METRICS))
    ours = {name: best(lambda name=name: answer(engine, scope, [name])) for name in METRICS}
    found["memory_mb"], found["peak_memory_mb"] = memory()
    engine.close()

    bare = duckdb.connect(str(where / "analytics.duckdb"), read_only=True)

    def run(queries: list[str]) -> None:
        for query in queries:
            bare.execute(query).fetchall()

    queries = by_hand(scope)
    theirs = {name: best(lambda name=name: run(queries[name])) for name in METRICS}
    found["bare_ms"] = best(lambda: [run(each) for each in queries.values()])
    sizes = {table: bare.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in TABLES}
    bare.close()
    found["ratio"] = found["warm_ms"] / found["bare_ms"]
    found["tables"] = sizes
    found["metrics"] = {name: {"ms": ours[name], "bare_ms": theirs[name]} for name in METRICS}
    return found


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder for the data, used again by the next run")
    given, _ = parser.parse_known_args()
    with folder(given.keep) as where:
        built = build(where, given.conversations)
        found = measure(where)
    items, behind = f"{built['live_items_per_second']:,.0f}", f"{built['live_behind_seconds']:.2f} s"
    report.table(
        f"Building {built['conversations']:,} conversations, {built['rows']:,} rows",
        ["what", "", "seen", "budget"],
        [
            ["rebuild", "rows/s", f"{built['rows_per_second']:,.0f}", "≥ 50,000"],
            ["behind, at items/s", items, behind, "≤ 1 s"],
            ["on disk", "bytes a row", f"{built['bytes_per_row']:.1f}", ""],
            ["on disk", "MB", f"{built['bytes'] / 1e6:,.0f}", ""],
        ],
    )  # fmt: skip
    report.table(
        f"All {len(METRICS)} figures, one agent of {AGENTS}, 30 of {DAYS} days",
        ["what", "", "seen", "budget"],
        [
            ["bare engine, by hand", "ms", f"{found['bare_ms']:.0f}", ""],
            ["warm", "ms", f"{found['warm_ms']:.0f}", "≤ 400"],
            ["warm / bare", "", f"{found['ratio']:.2f}", "≤ 1.25"],
            ["warm, with comparison", "ms", f"{found['warm_compared_ms']:.0f}", "≤ 700"],
            ["warm, two filters", "ms", f"{found['warm_filtered_ms']:.0f}", ""],
            ["cold, with comparison", "ms", f"{found['cold_compared_ms']:.0f}", ""],
            ["memory, at most", "MB", f"{found['memory_mb']}, {found['peak_memory_mb']}", ""],
        ],
    )
    report.table(
        "Each figure",
        ["figure", "", "ms", "bare ms", "ratio"],
        [
            [name, "", f"{each['ms']:.1f}", f"{each['bare_ms']:.1f}", f"{each['ms'] / each['bare_ms']:.2f}"]
            for name, each in found["metrics"].items()
        ],
    )
    report.write("analytics", {**built, **found})


if __name__ == "__main__":
    main()
