"""More than it can serve: some are asked to come again, the rest is served, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import socket
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from agentsight_server.domain.errors import RequestError
from agentsight_server.http import connections
from agentsight_server.http import limits as traffic
from agentsight_server.http.connections import SlowClientProtocol
from agentsight_server.http.limits import Limits
from tests.serving import METRICS_TOKEN, Agent, ServerProcess, samples
from tests.waiting import until


def body(name: str, text: str = "hello") -> dict[str, Any]:
    return {
        "conversations": [
            {"conversation_id": name, "items": [{"type": "message", "sender": "end_user", "content": text}]}
        ]
    }


def names(server: ServerProcess, agent: Agent) -> set[str]:
    with server.database.read() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT conversation_id FROM conversations WHERE agent_id = {agent.id}"
        )
        return {row[0] for row in rows}


def connect(server: ServerProcess) -> socket.socket:
    host, _, port = server.address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(agent: Agent, length: int) -> bytes:
    return (
        f"POST /api/ingest/batch/ HTTP/1.1\r\nHost: x\r\nAuthorization: Api-Key {agent.keys['ingest']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_too_many_at_once_are_asked_to_come_again(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--max-requests", "3")) as server:
        agent = server.agent()
        outcomes: dict[str, int] = {}
        waits: list[str | None] = []

        def write(worker: int) -> None:
            with agent.client("ingest") as client:
                for number in range(15):
                    answer = client.post("/api/ingest/batch/", json=body(f"{worker}-{number}"))
                    outcomes[f"{worker}-{number}"] = answer.status_code
                    if answer.status_code == 429:
                        waits.append(answer.headers.get("retry-after"))

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        counts = Counter(outcomes.values())
        assert set(counts) == {200, 429}, counts
        assert all(waits)
        assert names(server, agent) == {name for name, status in outcomes.items() if status == 200}
        assert httpx.get(server.address + "/healthz").status_code == 200
        shed = server.metrics()
        assert f'agentsight_http_shed_total{{reason="requests"}} {counts[429]}' in shed


def test_a_full_queue_answers_before_the_body_is_read(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--queue-items", "4")) as server:
        agent = server.agent()
        with closing(sqlite3.connect(tmp_path / "agentsight.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # somebody holds the database: nothing is written meanwhile
            answers: list[int] = []

            def write(number: int) -> None:
                with agent.client("ingest") as client:
                    answers.append(client.post("/api/ingest/batch/", json=body(f"c{number}")).status_code)

            threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            with closing(connect(server)) as late:

                def refused() -> bool:
                    with closing(connect(server)) as caller:
                        caller.sendall(head(agent, 30_000_000))  # and nothing of the body
                        caller.settimeout(1)
                        try:
                            return caller.recv(1000).startswith(b"HTTP/1.1 429")
                        except TimeoutError:
                            return False

                until(refused)
                late.sendall(head(agent, 30_000_000))
                answer = late.recv(4000).decode()
                assert "retry-after: 1" in answer.lower()
            other.execute("ROLLBACK")
        for thread in threads:
            thread.join(30)
        assert answers == [200, 200]
        assert names(server, agent) == {"c0", "c1"}


def test_bodies_in_memory_are_bounded_and_a_stalled_one_blocks_no_small_one(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--body-memory-bytes", "1000000")) as server:
        agent = server.agent()
        large = json.dumps(body("large", "x" * 600_000)).encode()
        with agent.client("ingest") as client:
            with closing(connect(server)) as stalled:
                stalled.sendall(head(agent, 900_000) + b"x" * 800_000)
                # Whoever comes second is turned away: let it be the other one.
                held = "agentsight_http_body_bytes 800000"
                until(lambda: held in server.metrics())

                def send(content: bytes, **headers: str) -> httpx.Response:
                    return client.post(
                        "/api/ingest/batch/",
                        content=content,
                        headers={"Content-Type": "application/json", **headers},
                    )

                def beside_it(content: bytes, **headers: str) -> httpx.Response:
                    stalled.sendall(b"x")  # one that says nothing at all would be given up in the end
                    return send(content, **headers)

                until(lambda: beside_it(large).status_code == 429)
                answer = beside_it(large)
                assert answer.headers["retry-after"] == "1"
                # Also when it is small until it is inflated.
                assert beside_it(gzip.compress(large), **{"Content-Encoding": "gzip"}).status_code == 429
                assert beside_it(json.dumps(body("small")).encode()).status_code == 200
            until(lambda: send(large).status_code == 200)
            # One that is larger than the bound is served when it is alone.
            huge = json.dumps(
                {"conversations": [body(f"h{n}", "x" * 900_000)["conversations"][0] for n in range(3)]}
            )
            until(lambda: send(huge.encode()).status_code == 200)
        assert names(server, agent) == {"small", "large", "h0", "h1", "h2"}
        text = server.metrics()
        assert "agentsight_http_body_bytes 0" in text


def test_a_large_body_holds_up_nobody_else(tmp_path: Path) -> None:
    """Others are answered while it is decoded and judged, not only before and after."""
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        # The last file is none, so nothing is stored: all the time that it takes is spent on judging it.
        files = [{"filename": "a.bin", "data": base64.b64encode(os.urandom(500_000)).decode()}] * 40
        call = {"conversation_id": "c", "attachments": [*files, {"filename": "b.bin", "data": "?"}]}
        large = json.dumps(call).encode()
        judged = threading.Event()
        answers: list[httpx.Response] = []

        def write() -> None:
            headers = {"Content-Type": "application/json"}
            with agent.client("ingest") as client:
                answers.append(client.post("/api/attachments/", content=large, headers=headers))
            judged.set()

        writing = threading.Thread(target=write)
        meanwhile = 0
        asking = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        with httpx.Client(base_url=server.address, headers=asking, timeout=30) as client:
            writing.start()
            while not judged.is_set():
                told = samples(client.get("/metrics").text)
                whole = told["agentsight_http_body_bytes"] == len(large)
                meanwhile += whole and not judged.is_set()
        writing.join(30)
        assert answers[0].json() == {"attachments.40.data": ["takes base64"]}
        assert meanwhile >= 3


def test_a_graceful_stop_finishes_what_it_took(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        acknowledged: set[str] = set()
        stop = threading.Event()

        def write(worker: int) -> None:
            with agent.client("ingest") as client:
                number = 0
                while not stop.is_set():
                    number += 1
                    try:
                        if (
                            client.post("/api/ingest/batch/", json=body(f"{worker}-{number}")).status_code
                            == 200
                        ):
                            acknowledged.add(f"{worker}-{number}")
                    except httpx.TransportError:
                        return

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 50)
        with closing(connect(server)) as half_open:
            half_open.sendall(b"POST /api/ingest/batch/ HTTP/1.1\r\nHost:")
            began = time.monotonic()
            code = server.stop()
        stop.set()
        for thread in threads:
            thread.join(30)
        assert code in (0, -15)
        assert time.monotonic() - began < 20, "whoever says nothing is not waited for"
        assert acknowledged <= names(server, agent)
        assert "Traceback" not in "".join(server.output)


def test_callers_who_hang_up_halfway_are_no_errors(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        agent = server.agent()
        for _ in range(20):
            with closing(connect(server)) as caller:
                caller.sendall(head(agent, 90_000) + b'{"conversations": [')
        until(lambda: 'route="/api/ingest/batch",status="499"} 20' in server.metrics())
        server.stop()
        log = "".join(server.output)
        assert "Traceback" not in log
        assert " 500 " not in log


# ------------------------------------------------------------------ slow ones


def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "IDLE_SECONDS", 0.05)
    outcome = asyncio.run(_receive([b"begin", None]))
    assert isinstance(outcome, RequestError)
    assert outcome.status == 408


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(traffic, "WINDOW_SECONDS", 0.05)
    outcome = asyncio.run(_receive([b"x"] * 1000, pause=0.01))
    assert isinstance(outcome, RequestError)
    assert outcome.status == 408


def test_much_at_the_beginning_buys_no_time_to_trickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(traffic, "WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(traffic, "STRANGERS_BYTES", 10**6)
    outcome = asyncio.run(_receive([b"x" * 500_000] + [b"x"] * 500, pause=0.01))
    assert isinstance(outcome, RequestError)
    assert outcome.status == 408


def test_strangers_send_little(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = asyncio.run(_receive([b"x" * 40_000] * 2))
    assert isinstance(outcome, RequestError)
    assert outcome.status == 413


def test_a_body_that_comes_steadily_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "IDLE_SECONDS", 0.5)
    assert asyncio.run(_receive([b"some", b"thing"], pause=0.01)) == b"something"


async def _receive(pieces: list[bytes | None], pause: float = 0) -> bytes | Exception:
    """What an application behind the limits gets of a body that comes in these pieces; None: no more comes."""
    waiting = list(pieces)
    outcome: list[bytes | Exception] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        piece = waiting.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts = b""
        try:
            while True:
                message = await receive()
                parts += message["body"]
                if not message["more_body"]:
                    outcome.append(parts)
                    return
        except RequestError as error:
            outcome.append(error)

    async def send(message: Any) -> None:
        return

    around = Limits(app, body_bytes=10**6, requests=10)
    scope = {"type": "http", "method": "POST", "path": "/api/x", "headers": []}
    await asyncio.wait_for(around(scope, receive, send), 10)
    assert (around.bodies.held, around.serving) == (0, 0)
    return outcome[0]


def test_a_head_that_never_ends_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)  # an answer may take longer than a head
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, http=SlowClientProtocol, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started)
        for begun in (
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHo",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
                caller.sendall(begun)
                received = b""
                while piece := caller.recv(1000):
                    received += piece
                assert received.count(b"200 OK") == begun.count(b"\r\n\r\n")
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "ok"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


# ------------------------------------------------------------------ slow readers


def connect_with_little_room(port: int) -> socket.socket:
    """A caller whose system takes little of an answer before the program does."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.settimeout(20)
    caller.connect(("127.0.0.1", port))
    return caller


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.3)
    size = 20_000_000
    lost = threading.Event()

    class Watched(SlowClientProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length = str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": bytes(size)})

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, http=Watched, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started)
        with closing(connect_with_little_room(port)) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert lost.wait(20)
        # One that is taken, however slowly, arrives whole.
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received = 0
            while piece := caller.recv(1_000_000):
                received += len(piece)
                threading.Event().wait(0.02)
            assert received > size
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def test_whoever_does_not_read_holds_up_nobody_else(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--max-requests", "3")) as server:
        agent = server.agent()
        host, _, port = server.address.removeprefix("http://").partition(":")
        assert host == "127.0.0.1"
        with agent.client() as client:
            for number in range(12):
                assert client.post("/api/ingest/batch/", json=body(f"c{number}", "x" * 1_000_000)).is_success
            asking = [
                f"GET /api/export/ HTTP/1.1\r\nHost: x\r\nAuthorization: Api-Key {agent.keys[role]}\r\n\r\n"
                for role in ("read", "read", "write", "write")
            ]
            callers = [connect_with_little_room(int(port)) for _ in asking]
            try:
                for caller, ask in zip(callers, asking, strict=True):
                    caller.sendall(ask.encode())
                    assert caller.recv(15) == b"HTTP/1.1 200 OK"
                    # Once nothing more can be sent to it, it does not count; the one that asks does.
                    until(lambda: samples(server.metrics())["agentsight_http_serving"] == 1)
                assert client.post("/api/ingest/batch/", json=body("small")).status_code == 200
                third = client.get("/api/export/")
                assert (third.status_code, third.headers["retry-after"]) == (429, "1")
            finally:
                for caller in callers:
                    caller.close()
