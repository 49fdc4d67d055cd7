"""Huge uploads: how long health checks and small writes wait while others send 20 MB at a time.

The same is measured before without uploads: read the ratio, not the absolute figures.

    python -m benchmarks.uploads [--clients 8] [--seconds 8]
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections import Counter
from typing import Any

from benchmarks import report
from benchmarks.serving import serving

SMALL: dict[str, Any] = {"type": "message", "sender": "end_user", "content": "hello"}


def huge(kind: str) -> bytes:
    """A batch of some 20 MB: a few files, or very many messages."""
    if kind == "files":
        data = base64.b64encode(os.urandom(7_000_000)).decode()
        items = [SMALL | {"attachments": [{"filename": "a.bin", "data": data}]}] * 2
    else:
        items = [SMALL | {"content": "hello there " * 4}] * 180_000
    return json.dumps({"conversations": [{"conversation_id": uuid.uuid4().hex, "items": items}]}).encode()


def _post(port: int, key: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Api-Key {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/ingest/batch/", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0  # told to come again before it had sent everything
    finally:
        connection.close()


def upload(port: int, key: str, kind: str, clients: int, stop: Any, results: Any) -> None:
    """Send huge bodies until told to stop."""
    body = huge(kind)
    answers: Counter[int] = Counter()

    def send() -> None:
        while not stop.is_set():
            status = _post(port, key, body)
            answers[status] += 1
            if status != 200:
                time.sleep(0.5)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(dict(answers))


def probe(port: int, key: str, seconds: float, results: Any) -> None:
    """Look at /healthz again and again, and write a message now and then."""
    small = json.dumps({"conversations": [{"conversation_id": "small", "items": [SMALL]}]}).encode()
    taken: dict[str, list[float]] = {"health": [], "small write": []}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        taken["health"].append(time.perf_counter() - began)
        if number % 10 == 0:
            began = time.perf_counter()
            if _post(port, key, small) == 200:
                taken["small write"].append(time.perf_counter() - began)
        time.sleep(0.005)
    connection.close()
    results.put(taken)


def measure(kind: str | None, clients: int, seconds: float) -> dict[str, Any]:
    """Times in ms on a server of its own; `kind` None: without uploads."""
    context = multiprocessing.get_context("spawn")
    stop, results, answers = context.Event(), context.Queue(), context.Queue()
    with serving() as served:
        uploading = None
        if kind is not None:
            arguments = (served.port, served.key, kind, clients, stop, answers)
            uploading = context.Process(target=upload, args=arguments)
            uploading.start()
            time.sleep(2)
        probing = context.Process(target=probe, args=(served.port, served.key, seconds, results))
        probing.start()
        taken = results.get()
        probing.join()
        said = {}
        if uploading is not None:
            stop.set()
            said = answers.get()
            uploading.join()
    found: dict[str, Any] = {"uploads": said}
    for what, times in taken.items():
        ordered = sorted(times) or [0.0]
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            place = min(len(ordered) - 1, int(len(ordered) * share))
            found[f"{what} {name}"] = round(ordered[place] * 1000, 1)
    return found


def main() -> int:
    """Measure without and with uploads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    kinds = {"none": None, "files of 7 MB": "files", "180,000 messages": "messages"}
    results = {name: measure(kind, options.clients, options.seconds) for name, kind in kinds.items()}
    columns = [column for column in results["none"] if column != "uploads"]
    rows = [[name, *(f"{found[column]:,}" for column in columns)] for name, found in results.items()]
    report.table("While others upload (ms)", ["uploads", *columns], rows)
    report.write("uploads", {"clients": options.clients, "uploads": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
