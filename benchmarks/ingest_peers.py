"""Another server doing the same: arize-phoenix from PyPI, in an environment of its own, fed with OTLP over HTTP.

A conversation of 27 items is a trace of 27 spans there. What it answers and what it has stored in the end are
counted apart, and once more after SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.sdk_peers import environment

REQUIREMENT = "arize-phoenix"
ITEMS = 27
CLIENTS = 4
SETTLE_SECONDS = 30.0
# Runs in the peer's environment, which has the classes of the protocol.
_LOAD = """
import http.client, json, os, sys, threading, time
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
port, clients, items, seconds, limit = int(sys.argv[1]), *map(float, sys.argv[2:6])
def body():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    trace, root = os.urandom(16), os.urandom(8)
    now = time.time_ns()
    for number in range(int(items)):
        span = spans.add(trace_id=trace, span_id=root if not number else os.urandom(8), name="message",
                         start_time_unix_nano=now + number, end_time_unix_nano=now + number + 1000)
        if number:
            span.parent_span_id = root
        for key, value in (("openinference.span.kind", "CHAIN"), ("session.id", trace.hex()),
                           ("input.value", "could you please tell me when the late checkout is tomorrow morning")):
            attribute = span.attributes.add(key=key)
            attribute.value.string_value = value
    return request.SerializeToString()
prepared = [[body() for _ in range(int(limit / clients))] for _ in range(int(clients))]
accepted, refused, latencies = [], [], []
def client(bodies):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for each in bodies:
        if time.perf_counter() - began > seconds:
            break
        sent = time.perf_counter()
        connection.request("POST", "/v1/traces", each, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        latencies.append(time.perf_counter() - sent)
        (accepted if answer.status == 200 else refused).append(answer.status)
began = time.perf_counter()
threads = [threading.Thread(target=client, args=(bodies,)) for bodies in prepared]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.perf_counter() - began
latencies.sort()
print(json.dumps({"accepted": len(accepted) * int(items), "refused": len(refused), "seconds": took,
                  "requests": len(latencies), "p50_ms": latencies[len(latencies) // 2] * 1000,
                  "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000}))
"""


class _Phoenix:
    """The server on a folder, started as often as it has to be."""

    def __init__(self, folder: Path) -> None:
        self.python = environment(REQUIREMENT)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0
        with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as grpc:
            self.port, self.grpc = web.getsockname()[1], grpc.getsockname()[1]

    def start(self) -> None:
        """Start it and wait until it answers."""
        environ = os.environ | {
            "PHOENIX_WORKING_DIR": str(self.folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(self.grpc), "PHOENIX_TELEMETRY_ENABLED": "false",
        }  # fmt: skip
        began = time.perf_counter()
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, "-m", "phoenix.server.main", "serve"], env=environ, stdout=log, stderr=log
            )
        _until(self._answers, 180, "phoenix did not start")
        self.start_seconds = time.perf_counter() - began

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, kindly or not."""
        assert self.process is not None
        self.process.send_signal(how)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory(self) -> float:
        """Megabytes resident."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def stored(self) -> int:
        """Spans in its database."""
        path = self.folder / "phoenix.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])

    def load(self, seconds: float, limit: int) -> dict[str, Any]:
        """What clients saw who sent at most `limit` conversations for at most so many seconds."""
        done = subprocess.run(
            [self.python, "-c", _LOAD, *map(str, (self.port, CLIENTS, ITEMS, seconds, limit))],
            capture_output=True, text=True, check=True, timeout=seconds + 120,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def _until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(otherwise)
        time.sleep(0.2)


def measure(seconds: float) -> dict[str, Any]:
    """Acknowledged and stored items a second, refusals, memory, start, and what SIGKILL loses."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        phoenix = _Phoenix(Path(name))
        phoenix.start()
        try:
            found: dict[str, Any] = {"start_seconds": phoenix.start_seconds, "idle_mb": phoenix.memory()}
            seen = phoenix.load(seconds, 2_000)
            found |= seen | {"accepted_per_second": seen["accepted"] / seen["seconds"]}
            # It stores after it has answered: give it time, and count that time.
            began, last, changed = time.monotonic(), -1, time.monotonic()
            while time.monotonic() - changed < 5 and time.monotonic() - began < SETTLE_SECONDS:
                count = phoenix.stored()
                if count != last:
                    last, changed = count, time.monotonic()
                time.sleep(0.5)
            found |= {
                "stored": last,
                "stored_per_second": last / (seen["seconds"] + max(0.0, changed - began)),
            }
        finally:
            phoenix.end()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        phoenix = _Phoenix(Path(name))
        phoenix.start()
        try:
            killed = phoenix.load(seconds, 74)
            phoenix.end(signal.SIGKILL)
            phoenix.start()
            found |= {"killed_after": killed["accepted"], "lost": killed["accepted"] - phoenix.stored()}
        finally:
            phoenix.end()
    return found
