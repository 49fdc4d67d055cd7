"""Soak: hours of mixed use at a steady rate, and whether memory, files, threads and answers stay what they were.

The real SDK and bare REST write, a signed-in person opens pages, programs ask for figures, lists and exports.

    python -m benchmarks.soak [--minutes 60] [--rate 150] [--filled 400000] [--engine sqlite] [--warm-up MINUTES]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import random
import re
import statistics
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from agentsight import ConversationTracker
from agentsight_server.security import sessions
from agentsight_server.settings import Settings
from agentsight_server.store.database import Database
from benchmarks import report
from benchmarks.ingest import body, conversation
from benchmarks.serving import METRICS_TOKEN, Served, serving

MB = 1024 * 1024
# What memory may have grown by, between the end of the warm-up and the end of the run, and still be called flat:
# the larger of so many megabytes and of this share. Caches of the databases follow the data up to their bounds.
TOLERANCE_MB = 16.0
TOLERANCE_SHARE = 0.05
WRITE, PAGE, FIGURES, LIST, EXPORT = "write", "page", "figures", "list", "export"
ITEMS = 12  # of a conversation


@dataclass
class Use:
    """What is done to the server, and how long it took to answer."""

    served: Served
    agent: int
    cookie: str
    rate: float
    stop: threading.Event = field(default_factory=threading.Event)
    items: int = 0  # acknowledged
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    taken: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.served.port}"

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers=headers, timeout=60, follow_redirects=False)

    def timed(self, kind: str, work: Callable[[], httpx.Response]) -> httpx.Response | None:
        began = time.monotonic()
        try:
            answer = work()
        except httpx.HTTPError as error:
            self.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        self.taken[kind].append((began, time.monotonic() - began))
        if answer.status_code >= 300:
            self.errors[f"{kind}: {answer.status_code}"] += 1
            return None
        return answer

    def paced(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it every so many seconds until the end."""
        while True:
            due = time.monotonic() + seconds
            try:
                work()
            except Exception as error:  # the run goes on, and says so at its end
                self.errors[f"{type(error).__name__}: {error}"[:100]] += 1
            if self.stop.wait(max(0.0, due - time.monotonic())):
                return

    # Writing: half by the SDK, half by REST

    def by_sdk(self) -> None:
        tracker = ConversationTracker(api_key=self.served.key, endpoint=self.address, log_level="ERROR")
        picture = base64.b64encode(random.randbytes(3_000)).decode()

        def talk() -> None:
            with tracker.get_or_create_conversation(
                uuid.uuid4().hex, customer_id=f"customer-{random.randint(1, 5000)}", device="mobile", source="web",
                environment="production",
            ):  # fmt: skip
                for number in range((ITEMS - 2) // 2):
                    tracker.track_human_message(f"Where is order {number}, please? {uuid.uuid4()}")
                    tracker.track_agent_message(f"It left this morning. {uuid.uuid4()}")
                tracker.track_action("look_up", duration_ms=random.randint(20, 900), response={"rows": 3})
                tracker.track_token_usage(900, 60, model="gpt-4o-mini")
                if random.random() < 0.1:
                    file = {"filename": "a.bin", "mime_type": "application/octet-stream", "data": picture}
                    tracker.track_attachments([file])
                began = time.monotonic()
                answer = tracker.send_tracked_data()
                self.taken[WRITE].append((began, time.monotonic() - began))
            self.items += sum(item["success"] and item["type"] != "conversation" for item in answer["items"])
            if answer["summary"]["errors"]:
                self.errors["sdk"] += answer["summary"]["errors"]

        self.paced(2 * ITEMS / self.rate, talk)
        tracker.close()

    def by_rest(self) -> None:
        rng = random.Random()
        begun: list[str] = []
        with self.client(Authorization=f"Api-Key {self.served.key}") as client:

            def write() -> None:
                made = conversation(rng, ITEMS)
                made["environment"] = "production"
                if begun and rng.random() < 0.3:
                    made["conversation_id"] = rng.choice(begun)  # one that goes on
                else:
                    begun.append(made["conversation_id"])
                    del begun[:-200]
                body = {"conversations": [made]}
                for _ in range(2 if rng.random() < 0.05 else 1):  # now and then sent twice
                    answer = self.timed(WRITE, lambda: client.post("/api/ingest/batch/", json=body))
                    if answer is not None:
                        items = answer.json()["conversations"][0]["items"]
                        self.items += sum(item["success"] and not item["duplicate"] for item in items)
                if rng.random() < 0.1:
                    name = {"conversation_id": made["conversation_id"]}
                    single: list[tuple[str, dict[str, Any]]] = [
                        ("/api/buttons/", {"button_event": "help", "label": "Yes", "value": "yes"}),
                        ("/api/conversation-feedbacks/", {"sentiment": "positive", "comment": "thanks"}),
                        ("/api/track/", {"content": "One more thing", "sender": "end_user"}),
                    ]
                    for path, more in single:
                        wanted = (path, name | more)
                        answer = self.timed(WRITE, lambda w=wanted: client.post(w[0], json=w[1]))  # type: ignore[misc]
                        self.items += answer is not None
                    files = {"attachment_0": ("b.bin", random.randbytes(2_000))}
                    answer = self.timed(
                        WRITE, lambda: client.post("/api/attachments/", data=name, files=files)
                    )
                    self.items += answer is not None

            self.paced(2 * ITEMS / self.rate, write)

    # Reading

    def pages(self) -> None:
        here = f"/agents/{self.agent}"
        with self.client(Accept="text/html") as client:
            client.cookies.set(sessions.COOKIE, self.cookie)

            def look() -> None:
                for path in (
                    "/",
                    here,
                    f"{here}/now",
                    f"{here}?period=7d&compare=previous",
                    f"{here}/connect",
                ):
                    self.timed(PAGE, lambda p=path: client.get(p))  # type: ignore[misc]
                listed = self.timed(PAGE, lambda: client.get(f"{here}/conversations"))
                self.timed(
                    PAGE, lambda: client.get(f"{here}/conversations?search=order+{random.randint(0, 9)}")
                )
                found = re.findall(rf"{here}/conversations/(\d+)", listed.text if listed else "")
                for number in found[:3]:
                    self.timed(PAGE, lambda n=number: client.get(f"{here}/conversations/{n}"))  # type: ignore[misc]

            self.paced(10, look)

    def figures(self) -> None:
        with self.client(Authorization=f"Api-Key {self.served.key}") as client:

            def ask() -> None:
                self.timed(FIGURES, lambda: client.get("/api/analytics/"))
                self.timed(FIGURES, lambda: client.get("/api/analytics/", params={"compare": "previous"}))
                self.timed(LIST, lambda: client.get("/api/conversations/", params={"page_size": 20}))

            self.paced(8, ask)

    def exports(self) -> None:
        with self.client(Authorization=f"Api-Key {self.served.key}") as client:

            def export() -> None:
                for kind, what in (("csv", "messages"), ("jsonl", "conversations")):
                    began = time.monotonic()
                    asked = {"format": kind, "what": what, "search": f"order {random.randint(0, 9)}"}
                    with client.stream("GET", "/api/export/", params=asked) as answer:
                        if answer.status_code != 200:
                            self.errors[f"export: {answer.status_code}"] += 1
                        for _ in answer.iter_raw():
                            if self.stop.is_set():
                                return
                    self.taken[EXPORT].append((began, time.monotonic() - began))

            self.paced(60, export)


@dataclass(frozen=True)
class Sample:
    """The server at one moment. `moment`: seconds since the start; sizes in MB."""

    moment: float
    rss: float
    files: int
    threads: int
    waiting: int
    wal: float
    store: float


def sample(use: Use, began: float) -> Sample:
    """Look at the process, at its own figures and at its files."""
    asking = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    told = httpx.get(use.address + "/metrics", headers=asking, timeout=30).text

    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", told, re.MULTILINE)
        return float(found[1]) if found else 0.0

    status = Path(f"/proc/{use.served.pid}/status").read_text()
    threads = re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)
    assert threads is not None
    return Sample(
        time.monotonic() - began,
        value("process_resident_memory_bytes") / MB,
        int(value("process_open_fds")),
        int(threads[1]),
        int(value("agentsight_writer_waiting_items")),
        value('agentsight_store_bytes{file="agentsight.db-wal"}') / MB,
        value('agentsight_store_bytes{file="agentsight.db"}') / MB,
    )


def slope(samples: list[Sample], what: Callable[[Sample], float]) -> float:
    """Growth a second: the median over all pairs, which no single peak can bend."""
    steps = [
        (what(b) - what(a)) / (b.moment - a.moment)
        for a, b in itertools.combinations(samples, 2)
        if b.moment > a.moment
    ]
    return statistics.median(steps) if steps else 0.0


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies; 0 for none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def fill(served: Served, items: int) -> None:
    """Give the store a past: caches of the databases fill up with what there is, which is no leak."""
    rng = random.Random(1)
    headers = {"Authorization": f"Api-Key {served.key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", headers=headers, timeout=60) as client:
        for _ in range(items // 1000):
            client.post("/api/ingest/batch/", content=body(rng, 1000)).raise_for_status()


def prepare(served: Served, engine_url: str | None) -> tuple[int, str]:
    """The agent's number, and the cookie of an owner who is signed in."""
    database = Database(Settings(data_dir=served.data_dir, database_url=engine_url).sqlalchemy_url)
    try:
        with database.write() as connection:
            agent = connection.execute(text("SELECT min(id) FROM agents")).scalar_one()
            person = sessions.create_person(
                connection, email="soak@example.com", name="Soak", password=uuid.uuid4().hex
            )
            return int(agent), sessions.open_session(connection, person, 1)
    finally:
        database.close()


def stored(served: Served) -> int:
    """Items that the server says it has taken for this key."""
    answer = httpx.get(
        f"http://127.0.0.1:{served.port}/api/ingest/ledger/",
        headers={"Authorization": f"Api-Key {served.key}"},
        timeout=30,
    )
    return int(answer.json()["totals"]["accepted"])


def show(samples: list[Sample], use: Use, began: float) -> None:
    """A dozen lines over the whole time."""
    size = max(1, len(samples) // 12)
    rows = []
    for start in range(0, len(samples), size):
        some = samples[start : start + size]
        since, until = some[0].moment + began, some[-1].moment + began
        late = [
            percentile([took for at, took in use.taken[kind] if since <= at <= until], 0.95) * 1000
            for kind in (WRITE, PAGE, FIGURES)
        ]
        rows.append(
            [
                f"{some[-1].moment / 60:.1f}",
                f"{statistics.median(each.rss for each in some):.0f}",
                str(max(each.files for each in some)),
                str(max(each.threads for each in some)),
                str(max(each.waiting for each in some)),
                f"{max(each.wal for each in some):.1f}",
                f"{some[-1].store:.0f}",
                *(f"{each:.0f}" for each in late),
            ]
        )
    columns = ["minute", "RSS MB", "files", "threads", "waiting", "WAL MB", "store MB", "write p95 ms"]
    report.table("Soak", [*columns, "page p95 ms", "figures p95 ms"], rows)


def run(served: Served, url: str | None, options: argparse.Namespace) -> dict[str, Any]:
    """Use the server for so long and judge it."""
    agent, cookie = prepare(served, url)
    fill(served, options.filled)
    before = stored(served)
    use = Use(served, agent, cookie, options.rate)
    parts = (use.by_sdk, use.by_rest, use.pages, use.figures, use.exports)
    threads = [threading.Thread(target=part) for part in parts]
    began = time.monotonic()
    seconds = options.minutes * 60
    samples: list[Sample] = []
    for thread in threads:
        thread.start()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            while (left := began + seconds - time.monotonic()) > 0:
                time.sleep(min(left, seconds / 120))
                samples.append(sample(use, began))
    finally:
        use.stop.set()
        for thread in threads:
            thread.join(120)
    show(samples, use, began)
    warm = options.warm_up * 60 if options.warm_up is not None else seconds / 3
    kept = [each for each in samples if each.moment >= warm]
    level = statistics.median(each.rss for each in kept[: max(1, len(kept) // 8)])
    grown = slope(kept, lambda each: each.rss) * (kept[-1].moment - kept[0].moment)
    allowed = max(TOLERANCE_MB, level * TOLERANCE_SHARE)
    flat = grown <= allowed
    accepted = stored(served) - before
    print(
        f"Memory is {'flat' if flat else 'NOT flat'}: {level:.0f} MB after a warm-up of {warm / 60:.0f} minutes, "
        f"{grown:+.1f} MB in the {(kept[-1].moment - kept[0].moment) / 60:.0f} minutes after it "
        f"(tolerance {allowed:.0f} MB)."
    )
    print(
        f"{use.items:,} items acknowledged, {accepted:,} in the ledger; errors: {dict(use.errors) or 'none'}."
    )
    return {
        "minutes": options.minutes,
        "rate": options.rate,
        "filled": before,
        "engine": options.engine,
        "flat": flat,
        "level_mb": round(level, 1),
        "grown_mb": round(grown, 1),
        "tolerance_mb": round(allowed, 1),
        "acknowledged": use.items,
        "ledger": accepted,
        "errors": dict(use.errors),
        "files": [max(each.files for each in kept[:5]), max(each.files for each in kept[-5:])],
        "threads": [max(each.threads for each in kept[:5]), max(each.threads for each in kept[-5:])],
        "wal_mb": round(max(each.wal for each in kept), 1),
        "p95_ms": {
            kind: round(percentile([took for _, took in taken], 0.95) * 1000, 1)
            for kind, taken in use.taken.items()
        },
        "rss_mb": [round(each.rss, 1) for each in samples],
    }


def main() -> int:
    """Run it; the exit code says whether memory was flat and nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=150.0, help="items a second")
    parser.add_argument("--filled", type=int, default=400_000, help="items that are there before")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--warm-up", type=float, help="minutes; a third of the time when left out")
    options = parser.parse_args()
    with serving(options.engine) as served:
        result = run(served, served.database_url, options)
    report.write("soak", result)
    # An answer may get lost; then the ledger has more.
    well = result["flat"] and not result["errors"] and result["acknowledged"] <= result["ledger"]
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
