"""What the SDK costs a bot: nanoseconds a call, milliseconds an import, requests and bytes a conversation.

    python -m benchmarks.sdk [--peers]

Everything is measured on this machine in one run, against an empty Python call in the same loop, a bare
interpreter, and, with --peers, agentsight 0.0.43 (the hosted service's SDK) and langfuse from PyPI, each in an
environment of its own under benchmarks/results. Prints a table and writes benchmarks/results/sdk.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
KEY = "ags_0123456789abcdef0123456789abcdef_0a1b2c"
MESSAGE = "What is the weather like today in Zagreb, and will it rain tomorrow?"
TURNS = 9  # of three items each: 27 items, the mean of the dialogues that the project is tested with


# --- a server that takes everything, in a process of its own ---------------------------------------------------


def serve() -> None:
    """Count requests and bytes; answer what each client expects; print the port, then on each line the counts."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    counts = {"requests": 0, "bytes": 0, "connections": 0}

    def talk(connection: socket.socket) -> None:
        counts["connections"] += 1
        with suppress(ConnectionError):  # some peers hang up without a word
            answer_all(connection)

    def answer_all(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(262_144)
                if not piece:
                    return
                buffer += piece
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = int(headers.get("content-length", 0))
            while len(buffer) < length:
                buffer += connection.recv(262_144)
            body, buffer = buffer[:length], buffer[length:]
            counts["requests"] += 1
            counts["bytes"] += len(head) + 4 + length
            answer = _answer(lines[0], headers, body)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                + str(len(answer)).encode()
                + b"\r\n\r\n"
                + answer
            )

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for _ in sys.stdin:
        print(json.dumps(counts), flush=True)
        counts.update(requests=0, bytes=0)


def _answer(line: str, headers: dict[str, str], body: bytes) -> bytes:
    if "/api/ingest/batch/" not in line:
        return b'{"id": 1, "successes": [], "errors": []}'
    plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
    conversations = [
        {
            "conversation_id": conversation["conversation_id"],
            "id": 1,
            "created": True,
            "success": True,
            "errors": None,
            "items": [
                {"index": index, "id": index, "uuid": item["id"], "type": item["type"], "success": True}
                for index, item in enumerate(conversation["items"])
            ],
        }
        for conversation in json.loads(plain)["conversations"]
    ]
    return json.dumps({"conversations": conversations}).encode()


class Server:
    """`serve` in a process of its own."""

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sdk", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self.process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"
        return self

    def counts(self) -> dict[str, int]:
        """Requests and bytes since the last time, and connections in all."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("counts\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def __exit__(self, *args: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


# --- what is measured ----------------------------------------------------------------------------------------


class Empty:
    """An empty call of the same shape."""

    def track(
        self,
        message: str | None = None,
        attachments: object = None,
        attachment_mode: str = "base64",
        metadata: object = None,
        conversation_id: str | None = None,
        *,
        question: str | None = None,
    ) -> None:
        pass


def per_call(
    call: Callable[[], object], after: Callable[[], object], count: int = 1000, rounds: int = 60
) -> float:
    """Median nanoseconds of a call, over rounds of many."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(count):
            call()
        times.append((time.perf_counter_ns() - began) / count)
        after()
    return statistics.median(times)


def calls() -> dict[str, float]:
    """Nanoseconds of each kind of call."""
    from agentsight import ConversationTracker

    tracker = ConversationTracker(api_key=KEY, max_pending_items=10_000_000)
    handle = tracker.get_or_create_conversation("benchmark")
    items = tracker._outbox.conversation("benchmark").items
    metadata = {"model": "gpt-4o", "temperature": 0.2, "cached": False}
    empty = Empty()
    kinds: dict[str, Callable[[], object]] = {
        "an empty call": lambda: empty.track(MESSAGE),
        "track_human_message": lambda: tracker.track_human_message(MESSAGE),
        "track_agent_message": lambda: tracker.track_agent_message(MESSAGE),
        "handle.track_agent_message": lambda: handle.track_agent_message(MESSAGE),
        "track_human_message, metadata": lambda: tracker.track_human_message(MESSAGE, metadata=metadata),
        "track_action": lambda: tracker.track_action("check_database", duration_ms=42),
        "track_action, tools and response": lambda: tracker.track_action(
            "check_database", duration_ms=42, tools_used=metadata, response="3 rows"
        ),
        "track_button": lambda: tracker.track_button("after_chat", "Yes", "yes"),
        "track_token_usage": lambda: tracker.track_token_usage(512, 64, 576, model="gpt-4o"),
    }
    return {name: per_call(call, items.clear) for name, call in kinds.items()}


def imports(python: str, statements: dict[str, str], rounds: int = 21) -> dict[str, float]:
    """Milliseconds of processor and wall time of statements in a new interpreter: medians over a bare one."""
    folder = RESULTS / "bytecode"
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    times: dict[str, list[float]] = {"pass": [], **{statement: [] for statement in statements.values()}}
    for round_ in range(rounds + 1):
        for statement, seen in times.items():  # in turns, so that a busy moment meets all of them
            began = time.perf_counter()
            subprocess.run([python, "-c", statement], env=environ, check=True, capture_output=True)
            if round_:  # the first one writes the bytecode
                seen.append((time.perf_counter() - began) * 1000)
    bare = statistics.median(times["pass"])
    return {
        "a bare interpreter": bare,
        **{name: statistics.median(times[statement]) - bare for name, statement in statements.items()},
    }


_CONVERSATIONS = """
import json, statistics, sys, time
endpoint, count, turns, message = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
{setup}
times = []
for number in range(count + 5):
    name = "conv_%d" % number
    {begin}
    for turn in range(turns):
        {human}
        {action}
        {agent}
    began = time.perf_counter()
    {send}
    if number >= 5:
        times.append((time.perf_counter() - began) * 1000)
print(json.dumps(times))
"""

OURS = {
    "setup": f"from agentsight import ConversationTracker\n"
    f"tracker = ConversationTracker(api_key={KEY!r}, endpoint=endpoint)",
    "begin": 'tracker.get_or_create_conversation(name, customer_id="cust-1", device="mobile", language="en")',
    "human": 'tracker.track_human_message("%s %d" % (message, turn))',
    "action": 'tracker.track_action("FindRestaurants", duration_ms=40 + turn, tools_used={"city": "Zagreb"})',
    "agent": 'tracker.track_agent_message("There are %d tables at Benissimo Restaurant & Bar." % turn)',
    "send": "tracker.send_tracked_data()",
}


def conversations(server: Server, python: str, parts: dict[str, str], count: int = 100) -> dict[str, float]:
    """Requests, bytes and milliseconds (median and 95th percentile) of sending a conversation of 27 items."""
    server.counts()
    done = subprocess.run(
        [python, "-c", _CONVERSATIONS.format(**parts), server.endpoint, str(count), str(TURNS), MESSAGE],
        check=True,
        capture_output=True,
        text=True,
        cwd=RESULTS,  # away from the checkout, whose package a peer must not find
        env={
            **os.environ,
            "AGENTSIGHT_API_KEY": KEY,
            "AGENTSIGHT_API_ENDPOINT": server.endpoint,
            "AGENTSIGHT_LOG_LEVEL": "CRITICAL",
        },
        timeout=300,
    )
    times = sorted(json.loads(done.stdout.splitlines()[-1]))
    counts = server.counts()
    sent = count + 5
    return {
        "requests": counts["requests"] / sent,
        "bytes": counts["bytes"] / sent,
        "ms": statistics.median(times),
        "ms_p95": times[int(len(times) * 0.95)],
    }


# --- how long a call is held up ---------------------------------------------------------------------------------


def held_up(calls: int = 6) -> dict[str, dict[str, float]]:
    """Seconds of `send_tracked_data` against servers that misbehave: the first call, and the longest after it."""
    from agentsight import ConversationTracker
    from sdk.tests.capture import capture_server
    from sdk.tests.unruly import unruly_server

    logging.getLogger("agentsight").setLevel(logging.CRITICAL)
    found = {}
    for manner in ("refuse", "silent", "head", "body", "half", "busy"):
        with capture_server() as behind, unruly_server(behind) as server:
            server.behave(manner)
            tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
            tracker.get_or_create_conversation("benchmark")
            times = []
            for turn in range(calls):
                tracker.track_human_message(f"{MESSAGE} {turn}")
                began = time.perf_counter()
                tracker.send_tracked_data()
                times.append(time.perf_counter() - began)
            server.behave("well")
            arrived = tracker.flush(timeout=30)["unsent"] == 0 and len(behind.contents("benchmark")) == calls
            assert arrived, "everything arrives, once"
            found[manner] = {"first": times[0], "longest later": max(times[1:])}
    return found


# --- the report ----------------------------------------------------------------------------------------------


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print rows, the first of them the heading, in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  " + "  ".join(cells))
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peers", action="store_true", help="measure other SDKs from PyPI in the same run")
    chosen = parser.parse_args()
    if chosen.serve:
        serve()
        return
    RESULTS.mkdir(exist_ok=True)
    result: dict[str, Any] = {"python": platform.python_version(), "machine": platform.platform()}

    result["ns_per_call"] = found = calls()
    floor = found["an empty call"]
    table(
        "One call",
        [
            ("", "ns", "× empty"),
            *((name, f"{value:,.0f}", f"{value / floor:.1f}") for name, value in found.items()),
        ],
    )

    statements = {
        "import agentsight": "import agentsight",
        "from agentsight import conversation_tracker": "from agentsight import conversation_tracker",
    }
    result["import_ms"] = imports(sys.executable, statements)
    table(
        "Import, over a bare interpreter",
        [("", "ms"), *((name, f"{value:.1f}") for name, value in result["import_ms"].items())],
    )

    result["held_up_s"] = held = held_up()
    table(
        "A call against a server that misbehaves (timeout 5 s, then half a second)",
        [
            ("", "first, s", "longest later, s"),
            *((manner, f"{row['first']:.2f}", f"{row['longest later']:.2f}") for manner, row in held.items()),
        ],
    )

    with Server() as server:
        result["conversation_of_27_items"] = rows = {
            "agentsight": conversations(server, sys.executable, OURS)
        }
        if chosen.peers:
            from benchmarks import sdk_peers

            result["peers"] = peers = sdk_peers.measure(server)
            rows.update(peers["conversations"])
            table(
                "Peers",
                [
                    ("", "ns a call", "import ms"),
                    *(
                        (
                            name,
                            f"{value:,.0f}",
                            f"{peers['import_ms'][name]:.0f}" if name in peers["import_ms"] else "",
                        )
                        for name, value in peers["ns_per_call"].items()
                    ),
                ],
            )
    table(
        "A conversation of 27 items, sent to a server on this machine",
        [
            ("", "requests", "bytes", "ms", "ms p95"),
            *(
                (
                    name,
                    f"{row['requests']:.1f}",
                    f"{row['bytes']:,.0f}",
                    f"{row['ms']:.2f}",
                    f"{row['ms_p95']:.2f}",
                )
                for name, row in rows.items()
            ),
        ],
    )
    target = RESULTS / "sdk.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")


if __name__ == "__main__":
    main()
