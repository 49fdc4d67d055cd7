"""Bounds on all that comes in: heads, cookies, forms, compression, and nothing of a request that is kept."""

from __future__ import annotations

import functools
import gc
import gzip
import json
import random
import re
import socket
import sys
import uuid
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import litestar
import pytest

from agentsight_server.domain.errors import RequestError
from agentsight_server.http.bodies import GZIP_MEMBERS, inflate
from agentsight_server.http.body_budget import BodyMemory, Holding
from agentsight_server.http.uncached import forget_requests
from tests.serving import ServerProcess


def ask(server: ServerProcess, *pieces: bytes) -> bytes:
    """The first line of what is answered to a head that comes in these pieces, and whether it hangs up."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as caller:
        try:
            for piece in pieces:
                caller.sendall(piece)
        except OSError:
            pass  # it hung up before all of it was sent
        try:
            return caller.recv(1000).partition(b"\r\n")[0]
        except ConnectionResetError:
            return b"(reset)"


def test_a_heads_size_is_bounded(sqlite_server: ServerProcess) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    assert ask(sqlite_server, start + b"a: b\r\n" * 90 + b"\r\n") == b"HTTP/1.1 200 OK"
    refused = b"HTTP/1.1 431 Request Header Fields Too Large"
    assert ask(sqlite_server, start + b"a: b\r\n" * 110) == refused
    assert ask(sqlite_server, start + b"a: " + b"b" * 70_000 + b"\r\n\r\n") == refused
    assert ask(sqlite_server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n") == refused
    assert ask(sqlite_server, start + b"cookie: a=" + b"b" * 9_000 + b"\r\n\r\n") == refused
    assert ask(sqlite_server, start + b"cookie: a=" + b"b" * 8_000 + b"\r\n\r\n") == b"HTTP/1.1 200 OK"


def test_a_head_that_never_ends_is_refused_early(sqlite_server: ServerProcess) -> None:
    """Also when the parser tells nothing of it, because its one value has not ended: 64 MB are not taken."""
    before = memory(sqlite_server)
    answer = ask(sqlite_server, b"GET / HTTP/1.1\r\na: ", *[b"b" * 65_536] * 1_000)
    assert answer in (b"HTTP/1.1 431 Request Header Fields Too Large", b"(reset)")
    assert memory(sqlite_server) - before < 30_000_000
    assert httpx.get(sqlite_server.address + "/healthz").status_code == 200


@pytest.mark.parametrize("endless", [b"0\r\na: ", b"1;a="])
def test_what_stands_around_a_body_is_bounded_too(sqlite_server: ServerProcess, endless: bytes) -> None:
    """A header after the body, or words beside the length of a chunk, that never end."""
    before = memory(sqlite_server)
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    host, _, port = sqlite_server.address.removeprefix("http://").partition(":")
    caller = socket.create_connection((host, int(port)), timeout=20)
    with closing(caller), pytest.raises(OSError, match=r"reset|[Bb]roken"):
        caller.sendall(head + endless + b"b" * 64_000_000)
    assert memory(sqlite_server) - before < 30_000_000


def test_headers_after_a_body_are_none_of_the_request(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    body = b'{"conversation_id": "c", "content": "a", "sender": "agent"}'
    head = (
        b"POST /api/track/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n"
    )
    key = f"Authorization: Api-Key {agent.keys['ingest']}\r\n".encode()
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    assert ask(sqlite_server, head + b"\r\n" + chunk + key + b"\r\n") == b"HTTP/1.1 401 Unauthorized"
    assert ask(sqlite_server, head + key + b"\r\n" + chunk + b"a: b\r\n\r\n") == b"HTTP/1.1 201 Created"


def test_heads_of_requests_in_a_row_are_counted_one_by_one(sqlite_server: ServerProcess) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\nx: " + b"y" * 20_000 + b"\r\n\r\n"
    host, _, port = sqlite_server.address.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=20)) as caller:
        caller.sendall(one * 12)
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 12:
            piece = caller.recv(65_536)
            assert piece, received[-300:]
            received += piece


def memory(server: ServerProcess) -> int:
    """Bytes of memory in use."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


# ------------------------------------------------------------------ forms


@pytest.mark.parametrize("path", ["/sign-in/", "/welcome/x/"])
def test_a_form_is_refused_before_it_is_read(sqlite_server: ServerProcess, path: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 30000000\r\n\r\n"
    )
    assert ask(sqlite_server, head.encode()).startswith(b"HTTP/1.1 413")


def test_a_forms_fields_are_bounded(sqlite_server: ServerProcess) -> None:
    many = "&".join(f"f{number}=" for number in range(300))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(sqlite_server.address + "/sign-in/", content=many, headers=headers)
    assert answer.status_code == 400
    assert "at most 200 fields" in answer.text
    parts = {f"f{number}": "" for number in range(120)}
    answer = httpx.post(sqlite_server.address + "/sign-in/", data=parts, files={"a": b""})
    assert answer.status_code == 400


def test_a_large_body_without_a_key_is_refused_before_it_is_read(sqlite_server: ServerProcess) -> None:
    for key in ("", "Authorization: Api-Key ags_nonsense\r\n"):
        head = (
            f"POST /api/ingest/batch/ HTTP/1.1\r\nHost: x\r\n{key}Content-Type: application/json\r\n"
            "Content-Length: 30000000\r\n\r\n"
        )
        assert ask(sqlite_server, head.encode()).startswith(b"HTTP/1.1 401")


# ------------------------------------------------------------------ nothing is kept


def test_the_framework_keeps_no_part_of_a_request() -> None:
    """Fails when a new version of it does: then uncached.py has to learn it."""

    def kept() -> set[str]:
        kind = type(functools.lru_cache(lambda: None))
        found = [each for each in gc.get_objects() if isinstance(each, kind)]
        return {each.__qualname__ for each in found if str(each.__module__).startswith("litestar")}

    # Keyed by what the program itself says: the handlers' own headers and parameters.
    ours = {"normalize_headers", "create_query_default_dict"}

    def is_cache(value: Any) -> bool:
        return hasattr(value, "cache_info") and str(value.__module__).startswith("litestar")

    app = litestar.Litestar(route_handlers=[], openapi_config=None)
    forget_requests(app)
    before = {
        "parse_url_encoded_form_data", "parse_query_string", "parse_cookie_string", "parse_path_params", "URL._new",
        "URL.from_components", "ASGIRouter._handle_routing",
    }  # fmt: skip
    assert kept() <= before | ours
    for name, module in list(sys.modules.items()):
        if name.startswith("litestar"):
            caches = [key for key, value in vars(module).items() if is_cache(value)]
            assert not set(caches) - ours, name
    assert not [
        key for key, value in vars(litestar.datastructures.URL).items() if hasattr(value, "cache_info")
    ]
    assert not hasattr(app.asgi_router.handle_routing, "cache_info")


def test_large_cookies_leave_memory_where_it_was(sqlite_server: ServerProcess) -> None:
    def send(count: int) -> None:
        with httpx.Client(base_url=sqlite_server.address) as client:
            for _ in range(count):
                filler = "".join(random.choices("abcdefgh", k=8_000))
                assert client.get("/healthz", headers={"Cookie": f"a={filler}"}).status_code == 200

    send(100)
    before = memory(sqlite_server)
    send(1_500)
    assert memory(sqlite_server) - before < 6_000_000


def test_a_form_with_a_password_is_not_kept_in_memory(tmp_path: Path) -> None:
    """What is freed stands there until something else of its size takes its place; what is kept stands for ever.

    A cache of the last thousand forms would keep it over all of the traffic here. The hash function's own copy of the
    bare password, freed in a thread of its own, is beyond our reach.
    """
    form = f"email={uuid.uuid4().hex}%40example.com&password=secret-{uuid.uuid4().hex}"
    email, password = form.removeprefix("email=").replace("%40", "@").split("&password=")
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    with ServerProcess(tmp_path) as server:
        server.person(email, password)
        with httpx.Client(base_url=server.address) as client:
            assert client.post("/sign-in/", content=form, headers=sent).status_code == 303
            for _ in range(30):
                for _ in range(15):
                    other = {
                        "email": f"{uuid.uuid4().hex}@example.com",
                        "password": f"secret-{uuid.uuid4().hex}",
                    }
                    assert client.post("/sign-in/", data=other).status_code in (400, 429)
                    assert client.get("/").status_code == 200
                if not found_in_memory(server.pid, f"&password={password}".encode()):
                    break
            else:
                raise AssertionError("the form is still there")


def found_in_memory(pid: int, needle: bytes) -> bool:
    regions = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if line.split()[1].startswith("rw")
    ]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for start, end in regions:
            try:
                file.seek(start)
                content = file.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue
            if needle in content:
                return True
    return False


# ------------------------------------------------------------------ compression


def test_gzip_in_several_members_is_one_body() -> None:
    text = json.dumps({"conversations": []}).encode()
    packed = b"".join(gzip.compress(text[place : place + 7]) for place in range(0, len(text), 7))
    assert inflate(packed, 1_000) == text
    large = random.Random(1).randbytes(1_000_000)
    assert inflate(gzip.compress(large[:600_000]) + gzip.compress(large[600_000:]), 2_000_000) == large


def refused(body: bytes, limit: int = 32 * 1024 * 1024) -> int:
    with pytest.raises(RequestError) as error:
        inflate(body, limit)
    return error.value.status


def test_gzip_has_bounds() -> None:
    member = gzip.compress(b" ")
    assert inflate(member * GZIP_MEMBERS, 100) == b" " * GZIP_MEMBERS
    assert refused(member * (GZIP_MEMBERS + 1)) == 400
    assert refused(member * 200_000) == 400  # four megabytes, and looked at no further than that
    assert refused(gzip.compress(bytes(20_000_000))) == 413
    assert refused(gzip.compress(bytes(20_000_000)), limit=1_000_000) == 413
    assert inflate(gzip.compress(bytes(1_000_000)), 2_000_000) == bytes(1_000_000)
    assert refused(member[:-4]) == 400
    assert refused(member + b"nonsense") == 400
    assert refused(zlib.compress(b"not gzip")) == 400


# ------------------------------------------------------------------ memory for bodies


def test_no_caller_takes_all_the_memory_for_bodies() -> None:
    memory = BodyMemory(64_000_000)
    sleepy = Holding("192.0.2.1", 32_000_000, "key 1")
    assert memory.take(sleepy, 31_000_000)
    assert not memory.take(Holding("192.0.2.1", 32_000_000, "key 1"), 1_000_000), "its share is taken"
    assert not memory.take(Holding("192.0.2.9", 32_000_000, "key 1"), 1_000_000), "from elsewhere, too"
    assert memory.take(Holding("192.0.2.2", 0, "key 2"), 5_000_000), "others have theirs"
    for _ in range(1_000):
        memory.take(Holding("192.0.2.3"), 64_000)
    for _ in range(1_000):
        memory.take(Holding("192.0.2.1", 0, "key 1"), 200_000)
    small = Holding("192.0.2.4", 0, "key 3")
    assert memory.take(small, 50_000), "what is small passes by strangers and large ones"
    assert memory.held < 64_000_000
    memory.give_back(small)
    memory.give_back(sleepy)
    again = Holding("192.0.2.1", 32_000_000, "key 1")
    assert memory.take(again, 31_000_000)


def test_a_body_that_grows_counts_where_it_belongs() -> None:
    memory = BodyMemory(64_000_000)
    packed = Holding("192.0.2.1", 10_000, "key 1")
    assert memory.take(packed, 10_000)
    assert memory.take(packed, 20_000_000)  # inflated
    assert (memory.held, packed.pool) == (20_010_000, "large")
    memory.give_back(packed)
    assert memory.held == 0
