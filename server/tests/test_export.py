"""Exporting: what goes out comes back the same, whatever was said; tables that spreadsheets cannot run."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import string
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsight_server.api.bounded import whole
from agentsight_server.attachments.blobs import FileStore
from agentsight_server.contract.response_schemas import FileLinks
from agentsight_server.domain.filters import Filters
from agentsight_server.records import tabular
from agentsight_server.records.export import Export
from agentsight_server.records.importer import import_lines
from agentsight_server.reference.geo import Places
from agentsight_server.security.signing import Signer
from agentsight_server.store import agents, conversations, transcripts
from agentsight_server.store.append import NewConversation, NewFile, NewItem, append, uuid7
from agentsight_server.store.database import Database
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    TOKEN_USAGE,
)
from agentsight_server.store.votes import About
from tests.serving import ServerProcess


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def agent(database: Database, name: str) -> int:
    with database.write() as connection:
        return agents.find(connection, name) or agents.create(connection, name)


def add(database: Database, owner: int, *batch: NewConversation) -> list[int]:
    with database.write() as connection:
        return [each.id or 0 for each in append(connection, 1, owner, batch)]


def answers(database: Database, owner: int) -> list[dict[str, Any]]:
    """What the API says of an agent's conversations, without this database's own numbers."""
    links = FileLinks(Signer(b"s"), "http://x", 60)
    with database.read() as connection:
        rows = conversations.page(connection, {owner}, Filters(include_deleted=True), limit=1000)
        told = msgspec.json.decode(msgspec.json.encode(whole(connection, rows, links, "http://x")))
        offered = {row.conversation_id: (row.is_offered, row.messages) for row in rows}
    for each in told:
        each["offered"] = offered[each["conversation_id"]]
    _without_numbers(told)
    return sorted(told, key=lambda each: each["conversation_id"])


def _without_numbers(value: Any) -> None:
    if isinstance(value, list):
        for each in value:
            _without_numbers(each)
    elif isinstance(value, dict):
        for name in ("id", "conversation", "file_url"):
            value.pop(name, None)
        for each in value.values():
            _without_numbers(each)


def round_trip(database: Database, files: FileStore, owner: int, other: int) -> list[bytes]:
    lines = b"".join(Export(database, files, owner).records()).splitlines(keepends=True)
    report = import_lines(database, files, Places(), other, lines)
    assert report.problems == []
    again = import_lines(database, files, Places(), other, lines)
    assert (again.items, again.new_conversations) == (0, 0)
    return lines


# ------------------------------------------------------------------ whatever was said

_letters = st.characters(codec="utf-8", exclude_characters="\0")
_text = st.text(_letters, min_size=1, max_size=40).filter(str.strip)
_maybe = st.none() | _text
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_document = st.none() | st.dictionaries(_text, _json, max_size=3).map(
    lambda each: msgspec.json.encode(each).decode()
)
_value = _json.map(lambda each: None if each is None else msgspec.json.encode(each).decode())
_whole = st.integers(0, 2**53 - 1)
# Few distinct moments: equal times and every order are what the transcript must keep apart.
_moment = st.integers(0, 6).map(lambda n: 1_790_000_000_000_000 + n * 1_000_001)
_data = st.binary(min_size=1, max_size=40)


@st.composite
def _item(draw: st.DrawFn, files: FileStore) -> NewItem:
    kind = draw(st.sampled_from([MESSAGE, ACTION, BUTTON, ATTACHMENTS, TOKEN_USAGE, FEEDBACK]))
    item = NewItem(kind, draw(_moment), metadata=draw(_document))
    if kind in (MESSAGE, ATTACHMENTS):
        item.sender = draw(st.integers(0, 2))
        item.content = draw(_text if kind == MESSAGE else _maybe)
        stored = []
        for data in draw(st.lists(_data, min_size=int(kind == ATTACHMENTS), max_size=2)):
            name = draw(st.text(string.ascii_letters, min_size=1, max_size=9))
            stored.append(
                NewFile(
                    files.put(data), name + ".bin", draw(st.sampled_from(["image/png", "a/b"])), len(data)
                )
            )
        item.files = tuple(stored)
    elif kind == ACTION:
        item.sender = AGENT
        began, took = draw(st.none() | _moment), draw(st.none() | st.integers(0, 10**9))
        item.detail = (
            draw(_text),
            began,
            began and began + 5,
            took if began is None else 0,
            draw(_value),
            draw(_value),
            draw(_maybe),
        )
    elif kind == BUTTON:
        item.sender = END_USER
        item.detail = (draw(_text), draw(_text), draw(_text))
    elif kind == TOKEN_USAGE:
        prompt, completion, total, embedding = (draw(st.integers(0, 10**9)) for _ in range(4))
        cached, writing, audio, reasoning, spoken = (
            draw(st.integers(0, each)) for each in (prompt // 2, prompt // 2, prompt, completion, completion)
        )
        item.detail = (
            draw(_maybe),
            prompt,
            completion,
            total,
            embedding,
            cached,
            writing,
            audio,
            reasoning,
            spoken,
        )
    else:
        sentiment = draw(st.sampled_from(["positive", "neutral", "negative"]))
        item.detail = (sentiment, draw(st.sampled_from(["customer", "platform"])), draw(_maybe), None)
    return item


@st.composite
def _conversation(draw: st.DrawFn, files: FileStore) -> NewConversation:
    located = draw(st.booleans())
    return NewConversation(
        conversation_id=draw(_text),
        name=draw(_maybe),
        customer_id=draw(_maybe),
        customer_ip_address=draw(st.sampled_from([None, "8.8.8.8", "nowhere"])),
        device=draw(st.sampled_from([None, "mobile", "desktop", "tablet"])),
        source=draw(_maybe),
        language=draw(st.sampled_from([None, "en-US", "hr"])),
        environment=draw(st.sampled_from([None, "development", "production"])),
        metadata=draw(st.none() | st.dictionaries(_text, _json, max_size=3)),
        country="HR" if located else None,
        city=draw(_maybe) if located else None,
        timezone_name="Europe/Zagreb" if located else None,
        is_used=draw(st.sampled_from([None, True, False])),
        is_marked=draw(st.booleans()),
        deleted_at=draw(st.none() | _moment),
        started_at=draw(st.none() | _moment),
        items=draw(st.lists(_item(files), max_size=5)),
    )  # fmt: skip


def test_whatever_was_said_comes_back_the_same(store: Database, files: FileStore) -> None:
    count = 0

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal count
        count += 1
        owner, other = agent(store, f"from {count}"), agent(store, f"to {count}")
        batches = data.draw(
            st.lists(st.lists(_conversation(files), min_size=1, max_size=3), min_size=1, max_size=3)
        )
        for batch in batches:
            add(store, owner, *batch)
        round_trip(store, files, owner, other)
        assert answers(store, other) == answers(store, owner)

    check()


def test_marks_names_deletions_and_offers_survive(store: Database, files: FileStore) -> None:
    owner, other = agent(store, "from"), agent(store, "to")
    add(store, owner, NewConversation("offered", is_used=False))
    add(store, owner, NewConversation("offered", items=[NewItem(MESSAGE, 5, None, END_USER, "hello")]))
    add(store, owner, NewConversation("never used", is_used=False))
    number = add(store, owner, NewConversation("gone", items=[NewItem(MESSAGE, 1, None, END_USER, "=1+1")]))[
        0
    ]
    with store.write() as connection:
        conversations.change(connection, {owner}, number, {"name": "A name", "is_marked": True})
        conversations.delete(connection, {owner}, number)
    lines = round_trip(store, files, owner, other)
    assert answers(store, other) == answers(store, owner)
    with store.read() as connection:
        rows = conversations.page(connection, {other}, Filters(include_deleted=True))
    found = {row.conversation_id: row for row in rows}
    assert (found["offered"].is_offered, found["offered"].is_used) == (True, True)
    assert (found["never used"].is_offered, found["never used"].is_used) == (True, False)
    assert (found["gone"].name, found["gone"].is_marked, found["gone"].is_deleted) == ("A name", True, True)
    assert not found["gone"].is_offered
    # The id makes it the same item anywhere.
    with store.read() as connection:
        uuids = connection.exec_driver_sql("SELECT hex(uuid), count(*) FROM items GROUP BY 1").all()
    assert {count for _, count in uuids} == {2}
    assert len(lines) == 3


def test_what_a_newer_version_wrote_is_taken_but_for_what_is_not_known(
    store: Database, files: FileStore
) -> None:
    owner = agent(store, "a")
    record = {
        "conversation_id": "c",
        "mood": "blue",
        "items": [{"type": "message", "sender": "agent", "content": "x", "tone": 5}, {"type": "gesture"}],
        "feedbacks": [{"sentiment": "positive", "stars": 5}],
    }
    report = import_lines(store, files, Places(), owner, [json.dumps(record).encode()])
    assert (report.conversations, report.items, report.broken_lines) == (1, 2, 0)
    told = [what for _, what in report.problems]
    assert told[0] == "not known here, and left out: feedbacks.stars, items.tone, mood"
    assert told[1].startswith("item 1: type")


def test_votes_come_back_each_at_its_message(store: Database, files: FileStore) -> None:
    owner, other = agent(store, "from"), agent(store, "to")
    said = [NewItem(MESSAGE, moment, uuid7(), AGENT, str(moment)) for moment in (1, 2)]

    def vote(moment: int, message: bytes | None) -> NewItem:
        detail = ("positive", "customer", None, None)
        return NewItem(FEEDBACK, moment, detail=detail, about=About(message))

    # Twice on one message and twice on the whole: stored so before one vote was what counts, and history now.
    items = [*said, vote(3, said[1].uuid), vote(4, said[1].uuid), vote(5, None), vote(6, None)]
    add(store, owner, NewConversation("c", items=items))
    round_trip(store, files, owner, other)
    with store.read() as connection:
        [row] = conversations.page(connection, {other}, Filters())
        transcript = transcripts.load(connection, [row.id])[row.id]
    message = next(entry.id for entry in transcript.entries if entry.content == "2")
    assert [each.message for each in transcript.feedbacks] == [message, message, None, None]


def test_what_comes_during_an_export_does_not_prolong_it(store: Database, files: FileStore) -> None:
    owner = agent(store, "a")
    add(store, owner, *(NewConversation(f"c{n:03}", started_at=n) for n in range(150)))
    run = Export(store, files, owner)
    names = []
    for page in run.pages():
        names += [row.conversation_id for row, _ in page]
        add(store, owner, NewConversation(f"late {len(names)}", started_at=10**6))
    assert names == [f"c{n:03}" for n in range(150)]


def test_large_attachments_pass_through_without_being_held(store: Database, files: FileStore) -> None:
    owner = agent(store, "a")
    sizes = [3_000_001, 3_000_002, 3_000_000]
    stored = [NewFile(files.put(os.urandom(size)), f"{size}.bin", "a/b", size) for size in sizes]
    add(
        store,
        owner,
        NewConversation("c", items=[NewItem(ATTACHMENTS, 1, None, END_USER, files=tuple(stored))]),
    )
    run = Export(store, files, owner)
    tracemalloc.start()
    length = sum(len(piece) for piece in run.records())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length > sum(sizes) * 4 / 3
    assert peak < 2_500_000
    record = json.loads(b"".join(Export(store, files, owner).records()))
    read = [base64.b64decode(file["data"]) for file in record["items"][0]["attachments"]]
    assert read == [files.get(file.sha256) for file in stored]


def test_missing_bytes_are_named_and_the_rest_goes_out(store: Database, files: FileStore) -> None:
    owner, other = agent(store, "a"), agent(store, "b")
    lost, kept = files.put(b"lost"), files.put(b"kept")
    both = (NewFile(lost, "lost.txt", "text/plain", 4), NewFile(kept, "kept.txt", "text/plain", 4))
    items = [
        NewItem(MESSAGE, 1, None, END_USER, "see both", files=both),
        NewItem(ATTACHMENTS, 2, None, END_USER, "a caption", files=both[:1]),
        NewItem(ATTACHMENTS, 3, None, END_USER, None, files=both[:1]),
    ]
    add(store, owner, NewConversation("c", items=items))
    files.delete(lost)
    run = Export(store, files, owner)
    lines = b"".join(run.records()).splitlines()
    assert run.missing == [("c", "lost.txt")] * 3
    assert import_lines(store, files, Places(), other, lines).problems == []
    messages = answers(store, other)[0]["messages"]
    assert [each["content"] for each in messages] == ["see both", "a caption"]
    assert [file["filename"] for file in messages[0]["attachments"]] == ["kept.txt"]


# ------------------------------------------------------------------ tables


@pytest.fixture
def talk(store: Database, files: FileStore) -> int:
    """An agent with one of everything."""
    owner = agent(store, "Hotel Adria")
    file = NewFile(files.put(b"x"), "a.txt", "text/plain", 1)
    items = [
        NewItem(MESSAGE, 1_000_000, None, END_USER, '=HYPERLINK("http://evil")\nž, "quoted"'),
        NewItem(MESSAGE, 2_000_000, None, AGENT, "+1 is safe", '{"model":"m"}', None, (file, file)),
        NewItem(
            ACTION, 3_000_000, None, AGENT, None, None, ("look", None, None, 5, '{"a":1}', "[1]", "@broken")
        ),
        NewItem(BUTTON, 4_000_000, None, END_USER, None, None, ("choice", "-yes", "y")),
        NewItem(TOKEN_USAGE, 5_000_000, None, None, None, None, ("gpt", 1, 2, 3, 4, 1, 0, 0, 2, 0)),
        NewItem(FEEDBACK, 6_000_000, None, None, None, None, ("positive", "customer", None, None)),
    ]
    add(
        store,
        owner,
        NewConversation("c", name="\t=cmd|' /C calc'!A0", metadata={"k": "v"}, started_at=0, items=items),
    )
    return owner


def read_csv(data: bytes) -> list[dict[str, str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_csv_says_what_happened_and_runs_nothing(store: Database, files: FileStore, talk: int) -> None:
    row = read_csv(b"".join(tabular.csv_lines(Export(store, files, talk), "conversations")))[0]
    assert row["name"] == "'\t=cmd|' /C calc'!A0"
    assert (row["started_at"], row["ended_at"]) == (
        "1970-01-01T00:00:00.000000Z",
        "1970-01-01T00:00:05.000000Z",
    )
    assert (row["messages"], row["total_tokens"], row["positive_feedback"], row["is_used"]) == (
        "2",
        "3",
        "1",
        "true",
    )
    assert json.loads(row["metadata"]) == {"k": "v"}
    rows = read_csv(b"".join(tabular.csv_lines(Export(store, files, talk), "messages")))
    assert [row["type"] for row in rows] == ["message", "message", "action", "button"]
    assert rows[0]["content"] == '\'=HYPERLINK("http://evil")\nž, "quoted"'
    assert (rows[1]["content"], rows[1]["attachments"]) == ("'+1 is safe", "a.txt; a.txt")
    assert (rows[2]["action_name"], rows[2]["error_message"], rows[2]["duration_ms"]) == (
        "look",
        "'@broken",
        "5",
    )
    assert (rows[3]["content"], rows[3]["button_value"]) == ("'-yes", "y")


@pytest.mark.parametrize("what", ["conversations", "messages"])
def test_parquet_has_the_same_rows_with_types(
    store: Database, files: FileStore, talk: int, tmp_path: Path, what: tabular.What
) -> None:
    target = tmp_path / "it's.parquet"
    tabular.write_parquet(Export(store, files, talk), what, target)
    connection = duckdb.connect()
    read = connection.read_parquet(str(target))
    kinds = dict(zip(read.columns, map(str, read.types), strict=True))
    assert list(kinds) == list(tabular.COLUMNS[what])
    assert kinds["id"] == "BIGINT"
    moment = "timestamp" if what == "messages" else "ended_at"
    assert kinds[moment] == "TIMESTAMP WITH TIME ZONE"
    found = [dict(zip(kinds, row, strict=True)) for row in _plain(connection, target)]
    expected = [dict(zip(kinds, row, strict=True)) for row in tabular.rows(Export(store, files, talk), what)]
    assert found == expected
    connection.close()


def _plain(connection: duckdb.DuckDBPyConnection, target: Path) -> list[Any]:
    columns = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(target)]).fetchall()
    listed = ", ".join(f"epoch_us({name})" if "TIME ZONE" in kind else name for name, kind, *_ in columns)
    return connection.execute(f"SELECT {listed} FROM read_parquet(?)", [str(target)]).fetchall()


# ------------------------------------------------------------------ as a command

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}

    def call(*arguments: str, data_dir: Path = tmp_path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "agentsight_server", *arguments, "--data-dir", str(data_dir)]
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, timeout=60, check=False)

    return call


def test_export_and_import_move_an_agent_to_another_server(
    store: Database, files: FileStore, talk: int, run: Run, tmp_path: Path
) -> None:
    done = run("export", "--agent", "Hotel Adria", "-o", "out.jsonl.gz")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert b"1 conversations, 6 items" in done.stderr
    exported = tmp_path / "out.jsonl.gz"
    assert exported.stat().st_mode & 0o077 == 0
    assert gzip.decompress(exported.read_bytes()) == b"".join(Export(store, files, talk).records())
    fresh = tmp_path / "fresh"
    moved = run("import", str(exported), "--agent", "Hotel Adria", data_dir=fresh)
    assert moved.returncode == 0, moved.stderr
    other = Database(f"sqlite:///{fresh / 'agentsight.db'}")
    assert answers(other, agent(other, "Hotel Adria")) == answers(store, talk)
    other.close()


def test_the_file_name_gives_the_format_and_a_dash_is_standard_output(
    run: Run, talk: int, tmp_path: Path
) -> None:
    printed = run("export", "--agent", "Hotel Adria", "-o", "-", "--format", "csv", "--what", "messages")
    assert len(read_csv(printed.stdout)) == 4
    assert run("export", "--agent", "Hotel Adria", "-o", "m.csv", "--what", "messages").returncode == 0
    assert (tmp_path / "m.csv").read_bytes() == printed.stdout
    assert run("export", "--agent", "Hotel Adria", "-o", "c.parquet").returncode == 0
    assert _plain(duckdb.connect(), tmp_path / "c.parquet")[0][1] == "c"
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--agent", "Nobody", "-o", "x.jsonl"), b"no agent 'Nobody'"),
        (("--agent", "Hotel Adria", "-o", "no/such/folder/x.jsonl"), b"was not written"),
        (("--agent", "Hotel Adria", "-o", "-", "--format", "parquet"), b"-o"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    run: Run, talk: int, tmp_path: Path, arguments: tuple[str, ...], said: bytes
) -> None:
    done = run("export", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "x.jsonl").exists()


def test_a_reader_that_has_enough_is_no_error(
    run: Run, store: Database, files: FileStore, tmp_path: Path
) -> None:
    owner = agent(store, "Hotel Adria")
    add(store, owner, *(NewConversation(f"c{n}", metadata={"long": "x" * 5000}) for n in range(300)))
    command = (
        f"{sys.executable} -m agentsight_server export --agent 'Hotel Adria' --data-dir . -o - | head -c 10"
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.stdout == b'{"conversa'
    assert b"Traceback" not in done.stderr


# ------------------------------------------------------------------ over HTTP


def filled(server: ServerProcess) -> Any:
    owner = server.agent()
    items = [{"type": "message", "sender": "end_user", "content": "=1"}]
    given = [
        {"conversation_id": f"c{n}", "device": "mobile" if n % 2 else "desktop", "items": items}
        for n in range(5)
    ]
    with owner.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": given}).status_code == 200
    return owner


def test_over_http_with_the_filters_of_the_list(server: ServerProcess) -> None:
    owner = filled(server)
    filled(server)  # somebody else's
    with owner.client("read") as client:
        answer = client.get("/api/export/", params={"device": "mobile"})
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        assert 'filename="' in answer.headers["content-disposition"]
        records = [json.loads(line) for line in answer.text.splitlines()]
        assert [each["conversation_id"] for each in records] == ["c1", "c3"]
        answer = client.get("/api/export/", params={"format": "csv", "what": "messages"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = read_csv(answer.content)
        assert [row["content"] for row in rows] == ["'=1"] * 5
        lines = client.get("/api/export/", params={"what": "messages"}).text.splitlines()
        assert [json.loads(line)["content"] for line in lines] == ["=1"] * 5


def test_over_http_the_same_rights_as_everywhere(server: ServerProcess) -> None:
    owner, other = filled(server), server.agent()
    with owner.client("ingest") as client:
        assert client.get("/api/export/").status_code == 403
    with other.client("read") as client:
        assert client.get("/api/export/").text == ""
        assert client.get("/api/export/", params={"agent": owner.id}).status_code == 404
    with owner.client("read") as client:
        assert client.get("/api/export/", params={"agent": owner.id}).status_code == 200
        for wrong in (
            {"format": "xml"},
            {"what": "all"},
            {"page": "1"},
            {"device": "fridge"},
            {"agent": "x"},
        ):
            refused = client.get("/api/export/", params=wrong)
            assert refused.status_code == 400
            assert list(refused.json()) == list(wrong)
    assert httpx.get(server.address + "/api/export/").status_code == 401
