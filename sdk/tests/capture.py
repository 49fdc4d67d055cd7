"""A real HTTP server on a free port that keeps every request and answers as an AgentSight server does."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "ags_0123456789abcdef0123456789abcdef_0a1b2c"
BATCH = "/api/ingest/batch/"


@dataclass
class Request:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    body: Any
    connection: int


@dataclass
class Scripted:
    """An answer that a test gives in advance."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] | None = None
    raw: bytes | None = None
    drop: bool = False  # close the connection without an answer
    store: bool = False  # keep the items although the answer is an error or never arrives


class CaptureServer:
    """What was received, and what to answer.

    `script` answers are used up one by one for any request; after them every request is answered as an
    AgentSight server would that takes everything, and knows which ids it has seen.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: list[Scripted] = []
        self.refuse: Callable[[dict[str, Any]], dict[str, list[str]] | None] = lambda item: None
        self.seen: dict[str, int] = {}
        self.conversations: dict[str, int] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self.items: dict[str, list[dict[str, Any]]] = {}
        self.hold: Callable[[Request], object] | None = None
        self.lock = threading.Lock()
        self._connections = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                with server.lock:
                    server._connections += 1
                    self.connection_number = server._connections

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                plain = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
                parts = urlsplit(self.path)
                request = Request(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    raw,
                    json.loads(plain) if plain else None,
                    self.connection_number,
                )
                with server.lock:
                    server.requests.append(request)
                    answer = server.script.pop(0) if server.script else None
                if server.hold is not None:
                    server.hold(request)
                if answer is None:
                    answer = Scripted(*server.answer(request))
                else:
                    if answer.before is not None:
                        answer.before()
                    if answer.store:
                        server.answer(request)
                if answer.drop:
                    self.close_connection = True
                    return
                body = answer.raw if answer.raw is not None else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = do

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def answer(self, request: Request) -> tuple[int, Any]:
        if request.path == BATCH:
            with self.lock:
                return 200, {"conversations": [self._store(each) for each in request.body["conversations"]]}
        if request.path == "/api/conversations/" and request.method == "POST":
            with self.lock:
                name = request.body["conversation_id"]
                created = name not in self.conversations
                number = self.conversations.setdefault(name, len(self.conversations) + 1)
            return (201 if created else 200), {**request.body, "id": number}
        if request.path == "/api/conversations/lookup/":
            name = request.params["conversation_id"]
            if name not in self.conversations:
                return 404, {"detail": "no such conversation"}
            return 200, {"id": self.conversations[name], "conversation_id": name}
        return 200, {"path": request.path, "params": request.params, "body": request.body}

    def _store(self, conversation: dict[str, Any]) -> dict[str, Any]:
        name = conversation["conversation_id"]
        created = name not in self.conversations
        number = self.conversations.setdefault(name, len(self.conversations) + 1)
        fields = {key: value for key, value in conversation.items() if key != "items"}
        self.fields[name] = {**fields, **self.fields.get(name, {})}
        outcomes = []
        for index, item in enumerate(conversation["items"]):
            errors = self.refuse(item)
            duplicate = item["id"] in self.seen
            if errors is None and not duplicate:
                self.seen[item["id"]] = len(self.seen) + 1
                self.items.setdefault(name, []).append(item)
            outcomes.append(
                {
                    "index": index,
                    "id": self.seen.get(item["id"]) if errors is None else None,
                    "uuid": item["id"],
                    "type": item["type"],
                    "success": errors is None,
                    "duplicate": duplicate,
                    "errors": errors,
                }
            )
        return {
            "conversation_id": name,
            "id": number,
            "created": created,
            "success": True,
            "errors": None,
            "items": outcomes,
        }

    @property
    def batches(self) -> list[dict[str, Any]]:
        """The bodies of the batches, in order of arrival."""
        return [request.body for request in self.requests if request.path == BATCH]

    def contents(self, conversation_id: str) -> list[str]:
        """The messages stored in one conversation, by time, as a transcript shows them."""
        items = sorted(self.items.get(conversation_id, ()), key=lambda item: item["timestamp"])
        return [item["content"] for item in items if item["type"] == "message"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def capture_server() -> Iterator[CaptureServer]:
    server = CaptureServer()
    try:
        yield server
    finally:
        server.close()
