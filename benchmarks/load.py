"""A server that may be ended at any time, clients that remember what they were told, and the comparison of the two.

Clients write every kind of item, send again what was not acknowledged, and never send twice what cannot be told
apart. Each item carries a mark in its metadata by which it is found again.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.domain.identifiers import uuid7
from agentsight_server.settings import Settings
from agentsight_server.store.database import Database
from agentsight_server.store.messages import messages_sql
from agentsight_server.store.schema import FEEDBACK

COMMAND = [sys.executable, "-m", "agentsight_server"]
CLIENTS = 4  # that send batches; two more make single calls
KINDS = ("message", "message", "message", "action", "button", "token_usage", "feedback", "attachments")
Batch = list[dict[str, Any]]


class Server:
    """`agentsight serve` on one folder, started as often as it has to be, always on the same port.

    Args:
        folder: the data folder.
        url: of PostgreSQL; None: SQLite.
        environ: settings for this server alone.
    """

    def __init__(self, folder: Path, url: str | None, environ: Mapping[str, str] | None = None) -> None:
        self.folder, self.url = folder, url
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}
        self.environ = clean | {"AGENTSIGHT_DATA_DIR": str(folder), "AGENTSIGHT_LOG_LEVEL": "ERROR"}
        self.environ["PYTHONUNBUFFERED"] = "1"
        if url:
            self.environ["AGENTSIGHT_DATABASE_URL"] = url
        self.environ |= environ or {}
        self.process: subprocess.Popen[str] | None = None
        self.log = folder.parent / "server.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
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
        """Send the signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command on the same data."""
        return subprocess.run(
            [*COMMAND, *arguments], env=self.environ, capture_output=True, text=True, check=False
        )

    def database(self) -> Database:
        """The store, opened beside the server."""
        return Database(Settings(database_url=self.url, data_dir=self.folder).sqlalchemy_url)


@dataclass
class Load:
    """Clients that send for as long as they may; each remembers what it was told."""

    server: Server
    key: str
    acknowledged: dict[str, str] = field(default_factory=dict)  # item's mark: hash of its file, or ""
    pending: list[Batch] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)  # seconds from the end of a fault to the next item
    _over: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Let the clients send."""
        self._stop.clear()
        works = [self._batches] * CLIENTS + [self._single_calls, self._forms]
        self._threads = [threading.Thread(target=work) for work in works]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let them finish what they are at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def fault_is_over(self) -> None:
        """From now on the server could answer; how long until it does is noted."""
        self._over = time.monotonic()

    def settle(self, seconds: float = 60) -> None:
        """Send what was not acknowledged, with the same ids."""
        deadline = time.monotonic() + seconds
        while self.pending and time.monotonic() < deadline:
            if not self._send(self.pending.pop()):
                time.sleep(0.1)
        if self.pending:
            said = self.server.log.read_text()[-2000:]
            raise SystemExit(f"the server does not take what is left ({dict(self.answers)}):\n{said}")

    def _batches(self) -> None:
        rng = random.Random()
        talks: list[_Talk] = []
        while not self._stop.is_set():
            left = self._left()
            if left is None:
                talks = [talk for talk in talks if rng.random() < 0.7]
                talks = talks or [_Talk() for _ in range(rng.randint(1, 3))]
            if not self._send(left or [talk.goes_on(rng) for talk in talks]):
                time.sleep(0.1)

    def _left(self) -> Batch | None:
        """Something that was not acknowledged."""
        try:
            return self.pending.pop()
        except IndexError:
            return None

    def _send(self, batch: Batch) -> bool:
        body = json.dumps({"conversations": [_as_sent(each) for each in batch]}).encode()
        headers = {"Content-Type": "application/json"}
        if len(body) % 2:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        status, answer = self._post("/api/ingest/batch/", body, headers)
        items = [item for each in answer.get("conversations", ()) for item in each["items"]]
        if status == 200 and all(item["success"] for item in items):
            self._note({item["metadata"]["mark"]: item["_sha"] for each in batch for item in each["items"]})
            return True
        self.pending.append(batch)
        return False

    def _single_calls(self) -> None:
        """Calls that carry no id: what was not acknowledged is not sent again, since it may be there."""
        rng = random.Random()
        while not self._stop.is_set():
            name = f"s{uuid.uuid4().hex}"
            for number in range(rng.randint(1, 4)):
                mark = f"{name}/{number}"
                given: dict[str, Any] = {"conversation_id": name, "metadata": {"mark": mark}}
                path, more = rng.choice(
                    (
                        ("/api/track/", {"content": mark, "sender": "end_user"}),
                        ("/api/action_logs/", {"action_name": "look_up", "duration_ms": 7}),
                        ("/api/buttons/", {"button_event": "help", "label": "Yes", "value": "y"}),
                        (
                            "/api/conversation-feedbacks/",
                            {"sentiment": "positive", "message": _one_of_its_own()},
                        ),
                    )
                )
                body = json.dumps(given | more).encode()
                if self._post(path, body, {"Content-Type": "application/json"})[0] != 201:
                    time.sleep(0.1)
                    break
                self._note({mark: ""})

    def _forms(self) -> None:
        """Attachments as multipart forms, which carry no id either."""
        rng = random.Random()
        while not self._stop.is_set():
            mark = f"f{uuid.uuid4().hex}/0"
            data = rng.randbytes(rng.randint(1, 400_000))
            edge = uuid.uuid4().hex
            parts = {"conversation_id": mark[:-2], "metadata": json.dumps({"mark": mark})}
            text = "".join(
                f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in parts.items()
            )
            file = f'--{edge}\r\nContent-Disposition: form-data; name="attachment_0"; filename="a.bin"\r\n'
            body = f"{text}{file}Content-Type: application/octet-stream\r\n\r\n".encode() + data
            body += f"\r\n--{edge}--\r\n".encode()
            headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
            if self._post("/api/attachments/", body, headers)[0] == 201:
                self._note({mark: hashlib.sha256(data).hexdigest()})
            time.sleep(0.1)

    def _note(self, told: dict[str, str]) -> None:
        self.acknowledged.update(told)
        if self._over is not None:
            since, self._over = self._over, None
            self.recoveries.append(time.monotonic() - since)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request("POST", path, body, headers | {"Authorization": f"Api-Key {self.key}"})
            answer = connection.getresponse()
            said = answer.read()
            self.answers[str(answer.status)] += 1
            return answer.status, json.loads(said)
        except (OSError, http.client.HTTPException) as error:
            self.answers[type(error).__name__] += 1
            return 0, {}
        finally:
            connection.close()


def _as_sent(conversation: dict[str, Any]) -> dict[str, Any]:
    """Without what is only noted here."""
    items = [
        {name: value for name, value in item.items() if name != "_sha"} for item in conversation["items"]
    ]
    return {**conversation, "items": items}


def _one_of_its_own() -> str:
    """A message for a vote, so that it takes the place of no other: each thing sent is to be found again."""
    return str(uuid.uuid4())


class _Talk:
    """A conversation that goes on for several requests."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.began = time.time() - 60
        self.length = 0

    def goes_on(self, rng: random.Random) -> dict[str, Any]:
        items = [self._item(rng, self.length + number) for number in range(rng.randint(1, 9))]
        self.length += len(items)
        return {"conversation_id": self.name, "environment": "production", "items": items}

    def _item(self, rng: random.Random, number: int) -> dict[str, Any]:
        mark = f"{self.name}/{number}"
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.began + number)) + ".500Z"
        kind = rng.choice(KINDS)
        item: dict[str, Any] = {
            "id": str(uuid.UUID(bytes=uuid7())), "type": kind, "timestamp": moment, "metadata": {"mark": mark},
            "_sha": "",
        }  # fmt: skip
        if kind == "message":
            item |= {"sender": rng.choice(("end_user", "agent")), "content": mark}
        elif kind == "action":
            item |= {
                "action_name": rng.choice(("look_up", "book")),
                "duration_ms": 7,
                "response": {"rows": 3},
            }
        elif kind == "button":
            item |= {"button_event": "help", "label": "Yes", "value": "y"}
        elif kind == "token_usage":
            item |= {"model": "gpt-4o-mini", "prompt_tokens": 9, "completion_tokens": 6}
        elif kind == "feedback":
            item |= {"sentiment": "positive", "comment": mark, "message": _one_of_its_own()}
        if kind == "attachments" or (kind == "message" and rng.random() < 0.1):
            data = rng.randbytes(rng.randint(1, 20_000))
            item["attachments"] = [{"filename": "a.bin", "data": base64.b64encode(data).decode()}]
            item["_sha"] = hashlib.sha256(data).hexdigest()
        return item


@dataclass
class Verdict:
    """What was found when the dust had settled; all but `acknowledged` and `files` should be 0.

    `misplaced`: in the wrong conversation or order; `unwell`: the doctor, the ledger or the figures disagree.
    """

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    files: int = 0
    files_lost: int = 0
    unwell: int = 0
    why: str = ""

    @property
    def bad(self) -> int:
        """How many things are wrong."""
        return self.lost + self.doubled + self.misplaced + self.files_lost + self.unwell


def examine(server: Server, load: Load) -> Verdict:
    """Compare everything that is stored with everything that was acknowledged.

    The figures are compared when the server runs and the load has a key.
    """
    database = server.database()
    try:
        with database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT i.metadata, c.conversation_id, i.kind FROM items i JOIN conversations c "
                "ON c.id = i.conversation ORDER BY c.id, i.timestamp, i.id"
            ).all()
            placed = [(json.loads(metadata)["mark"], name, kind) for metadata, name, kind in rows]
            files = connection.exec_driver_sql(
                "SELECT i.metadata, a.sha256 FROM attachments a JOIN items i ON i.id = a.item"
            ).all()
            attached = {json.loads(metadata)["mark"]: sha for metadata, sha in files}
            counted = _counted(connection)
    finally:
        database.close()
    seen = Counter(mark for mark, _, _ in placed)
    verdict = Verdict(acknowledged=len(load.acknowledged))
    verdict.lost = sum(mark not in seen for mark in load.acknowledged)
    verdict.doubled = sum(count - 1 for count in seen.values())
    last: dict[str, int] = {}
    for mark, name, kind in placed:
        owner, _, number = mark.partition("/")
        verdict.misplaced += owner != name
        if kind != FEEDBACK:  # which is no line of the transcript
            verdict.misplaced += int(number) <= last.get(name, -1)
            last[name] = int(number)
    store = FileStore(server.folder / "files")
    wanted = {mark: sha for mark, sha in load.acknowledged.items() if sha}
    verdict.files = len(wanted)
    for mark, sha in wanted.items():
        whole = store.exists(sha) and hashlib.sha256(store.get(sha)).hexdigest() == sha
        verdict.files_lost += not (whole and attached.get(mark) == sha)
    _look(server, load, counted, verdict)
    if verdict.why:
        print(verdict.why, file=sys.stderr)
    return verdict


def _look(server: Server, load: Load, counted: dict[str, Any], verdict: Verdict) -> None:
    looked = server.run("doctor", "--thorough")
    if looked.returncode:
        verdict.unwell += 1
        verdict.why += looked.stdout + looked.stderr
    if counted["ledger"] != counted["items"] or counted["details"] != counted["kinds"]:
        verdict.unwell += 1
        verdict.why += f"ledger, items, rows of each kind and items of each kind: {counted}\n"
    if load.key and server.process is not None and server.process.poll() is None:
        told = _figures(server.port, load.key)
        if told != counted["figures"]:
            verdict.unwell += 1
            verdict.why += f"the figures say {told}, the store {counted['figures']}\n"


def _counted(connection: Connection) -> dict[str, Any]:
    def number(query: str) -> int:
        return int(connection.exec_driver_sql(query).scalar() or 0)

    tables = {1: "actions", 2: "buttons", 4: "token_usage", 5: "feedbacks"}
    tools = connection.exec_driver_sql("SELECT action_name, count(*) FROM actions GROUP BY action_name").all()
    return {
        "items": number("SELECT count(*) FROM items"),
        "ledger": number("SELECT sum(accepted) FROM ingest_ledger"),
        "details": {kind: number(f"SELECT count(*) FROM {table}") for kind, table in tables.items()},
        "kinds": {kind: number(f"SELECT count(*) FROM items WHERE kind = {kind}") for kind in tables},
        "figures": {
            "conversations": number("SELECT count(*) FROM conversations WHERE is_used"),  # not: judged alone
            "messages": number(f"SELECT count(*) FROM items WHERE {messages_sql('items')}"),
            "tools": dict(tools),
        },
    }


def _figures(port: int, key: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        for _ in range(50):  # `behind`: they are being built, or could not follow in time
            connection.request(
                "GET", "/api/analytics/?metrics=conversations,messages,tools",
                headers={"Authorization": f"Api-Key {key}"},
            )  # fmt: skip
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 200 and not said.get("behind"):
                break
            time.sleep(0.2)
    found = said["metrics"]
    return {
        "conversations": found["conversations"]["value"],
        "messages": found["messages"]["value"],
        "tools": {each["action_name"]: each["runs"] for each in found["tools"]["rows"]},
    }
