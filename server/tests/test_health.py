"""Health, metrics and logs: what those who run the server look at."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentsight_server.runtime.logs import error_text, identity_of, shown_path
from tests.serving import METRICS_TOKEN, ServerProcess, samples
from tests.waiting import until

HELLO = {
    "conversations": [
        {"conversation_id": "c", "items": [{"type": "message", "sender": "agent", "content": "confidential"}]}
    ]
}


def test_alive_and_ready(server: ServerProcess) -> None:
    assert httpx.get(server.address + "/healthz").json() == {"status": "ok"}
    ready = httpx.get(server.address + "/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"store": "ok", "writer": "ok"}


def test_a_container_asks_for_a_figure(sqlite_server: ServerProcess) -> None:
    answer = httpx.get(sqlite_server.address + "/readyz?figures=true")
    assert answer.json() == {"status": "ok", "checks": {"store": "ok", "writer": "ok", "figures": "ok"}}

    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}
    clean["http_proxy"] = "http://127.0.0.1:9"

    def check(port: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agentsight_server", "healthcheck", "--port", port],
            capture_output=True, text=True, timeout=60, check=False,
            env=clean,
        )  # fmt: skip

    well = check(sqlite_server.address.rpartition(":")[2])
    assert (well.returncode, well.stdout) == (0, "store: ok, writer: ok, figures: ok\n")
    nobody = check("9")
    assert nobody.returncode == 1
    assert "does not answer" in nobody.stderr


def test_not_ready_while_the_disk_is_full_and_ready_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        with ServerProcess(disk / "data") as server, server.agent().client() as client:
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass
            body = json.loads(json.dumps(HELLO).replace("confidential", "x" * 100_000))
            until(lambda: client.post("/api/ingest/batch/", json=body).status_code == 503)
            answer = client.get("/readyz")
            # A small write may still find room in the log that SQLite has; then it is ready indeed.
            if answer.status_code != 200:
                assert answer.status_code == 503
                assert answer.json()["checks"]["writer"] == "the database takes no writes"
                assert answer.headers["retry-after"]
            assert client.get("/healthz").status_code == 200
            filler.unlink()
            until(lambda: client.get("/readyz").status_code == 200)
            assert "agentsight_writer_failures_total 0" not in server.metrics()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_metrics_count_what_happened(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.agent().client() as client:
        before = samples(server.metrics())
        assert before['agentsight_ingest_items_total{outcome="accepted"}'] == 0
        client.post("/api/ingest/batch/", json=HELLO)
        client.get("/api/conversations/77/")
        client.get("/nowhere/at/all")
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        after = samples(answer.text)
        assert after['agentsight_ingest_items_total{outcome="accepted"}'] == 1
        assert (
            after['agentsight_http_requests_total{method="POST",route="/api/ingest/batch",status="200"}'] == 1
        )
        assert after['agentsight_http_requests_total{method="GET",route="(none)",status="404"}'] == 1
        missing = [name for name in after if 'status="404"' in name and "conversations" in name]
        assert len(missing) == 1
        assert "77" not in missing[0], "one line a route, not one a row"
        assert after['agentsight_http_seconds_count{route_group="write"}'] == 1
        assert after['agentsight_http_seconds_bucket{le="+Inf",route_group="write"}'] == 1
        assert after['agentsight_store_bytes{file="agentsight.db"}'] > 0
        assert after["process_resident_memory_bytes"] > 10_000_000
        # Each line is a comment, or a name with labels and a number.
        for line in answer.text.splitlines():
            assert re.fullmatch(
                r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"\n]*"(,\w+="[^"\n]*")*\})? [0-9.e+-]+', line
            ), line


def test_metrics_stay_few_whatever_is_asked(tmp_path: Path) -> None:
    """Who calls must not decide how many series there are: each one costs memory here and in Prometheus."""
    with ServerProcess(tmp_path) as server, server.agent().client() as client:

        def strange(number: int) -> None:
            client.get(f"/nowhere/{number}")
            client.get(f"/api/conversations/{number}/")
            client.get(f"/files/{number}/a{number}.txt")
            client.get(f"/static/{number}.js")
            client.get(f"/welcome/{number}")
            client.request(f"BREW{chr(65 + number)}", "/api/me/")
            client.get("/api/me/", headers={"X-Request-Id": str(number), "Host": f"host{number}.example"})

        strange(0)
        server.metrics()
        before = samples(server.metrics())
        for number in range(1, 15):
            strange(number)
        after = samples(server.metrics())
        assert set(after) == set(before)
        counts = [name for name in after if name.endswith("_total") or "_total{" in name]
        assert sum(after[name] for name in counts) > sum(before[name] for name in counts)


def test_counters_only_rise_and_begin_anew_with_the_process(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.agent().client() as client:
        seen: list[dict[str, float]] = []
        for _ in range(3):
            client.post("/api/ingest/batch/", json=HELLO)
            client.post("/api/ingest/batch/", content=b"{")
            text = server.metrics()
            seen.append(samples(text))
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        assert set(kinds.values()) == {"counter", "gauge", "histogram"}
        for name in seen[-1]:
            family = name.partition("{")[0]
            base = re.sub(r"_(bucket|sum|count)$", "", family)
            assert family in kinds or kinds.get(base) == "histogram", f"{name} is of no declared kind"
            assert (kinds.get(family) == "counter") == family.endswith("_total"), name
            if family.endswith(("_total", "_bucket", "_count")):
                values = [each.get(name, 0) for each in seen]
                assert values == sorted(values), name
        for group in {
            found for name in seen[-1] for found in re.findall(r'_bucket\{.*route_group="(\w+)"', name)
        }:
            ladder = [
                value
                for name, value in seen[-1].items()
                if "_bucket{" in name and f'route_group="{group}"' in name
            ]
            assert ladder == sorted(ladder)
            assert ladder[-1] == seen[-1][f'agentsight_http_seconds_count{{route_group="{group}"}}']
        server.stop()
        server.start()
        fresh = samples(server.metrics())
        # A counter that is lower than before has begun anew; a new start time says so, too.
        assert fresh['agentsight_ingest_items_total{outcome="accepted"}'] == 0
        assert fresh["process_start_time_seconds"] > seen[-1]["process_start_time_seconds"]


def test_metrics_are_for_who_has_the_token(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environ={"AGENTSIGHT_METRICS_TOKEN": ""}) as server:
        # Behind a proxy that says nothing of itself, everybody seems to be this machine.
        off = httpx.get(server.address + "/metrics")
        assert off.status_code == 404
        assert "AGENTSIGHT_METRICS_TOKEN" in off.json()["detail"]
    (tmp_path / "token").write_text("let me in\n")
    from_file = {"AGENTSIGHT_METRICS_TOKEN": "", "AGENTSIGHT_METRICS_TOKEN_FILE": str(tmp_path / "token")}
    for environ in ({"AGENTSIGHT_METRICS_TOKEN": "let me in"}, from_file):
        with ServerProcess(tmp_path, environ=environ) as server:
            assert httpx.get(server.address + "/metrics").status_code == 401
            wrong = {"Authorization": "Bearer no"}
            assert httpx.get(server.address + "/metrics", headers=wrong).status_code == 401
            right = {"Authorization": "Bearer let me in"}
            assert httpx.get(server.address + "/metrics", headers=right).status_code == 200


# ------------------------------------------------------------------ logs


def lines_of(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.output if line.startswith("{")]


def test_json_logs_have_a_line_for_each_request_and_no_secret(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environ={"AGENTSIGHT_LOG_FORMAT": "json"}) as server:
        agent = server.agent()
        with agent.client() as client:
            sent = client.post("/api/ingest/batch/", json=HELLO, headers={"X-Request-Id": "mine-1"})
            assert sent.headers["x-request-id"] == "mine-1"
            client.get("/api/conversations/", params={"search": "confidential"})
            client.get("/api/conversations/1/")
            client.get("/nowhere/" + agent.keys["write"])
            client.get("/welcome/a-very-secret-token-of-some-length")
            strange = client.get("/api/me/", headers={"X-Request-Id": "two words"})
            assert re.fullmatch("[0-9a-f]{16}", strange.headers["x-request-id"])
        server.stop()
        told = [line for line in lines_of(server) if line["logger"] == "agentsight.request"]
        assert [line["path"] for line in told[:3]] == [
            "/api/ingest/batch",
            "/api/conversations",
            "/api/conversations/1",
        ]
        assert (
            told[0].items()
            >= {"method": "POST", "status": 200, "request_id": "mine-1", "level": "INFO"}.items()
        )
        assert told[0]["bytes_in"] > 50
        assert told[0]["duration_ms"] > 0
        whole = "".join(server.output)
        for secret in ("confidential", agent.keys["write"], "a-very-secret-token"):
            assert secret not in whole
        # Everything but the card for people is JSON.
        assert all(line.startswith(("{", " ", "AgentSight")) for line in server.output), server.output


def test_text_logs_are_one_line_a_request(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        httpx.get(server.address + "/api/me/", headers={"X-Request-Id": "abc"})
        httpx.get(server.address + "/healthz")
        server.stop()
        told = [line for line in server.output if "agentsight.request" in line]
        assert len(told) == 1, told
        assert re.search(r"INFO agentsight.request: GET /api/me 401 in [\d.]+ ms \[abc\]$", told[0])


def test_a_warning_level_is_silent_about_ordinary_requests(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, arguments=("--log-level", "WARNING")) as server:
        httpx.get(server.address + "/api/me/")
        server.stop()
        assert not [line for line in server.output if "agentsight.request" in line]


def test_a_wrong_log_format_is_refused() -> None:
    command = [sys.executable, "-m", "agentsight_server", "serve", "--log-format", "xml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "json" in done.stderr


def test_errors_are_told_without_what_they_quote() -> None:
    said = "duplicate key\nDETAIL: Key (content)=(confidential)"
    secret = said.rpartition("(")[2]
    try:
        try:
            raise ValueError(said)
        except ValueError as error:
            raise RuntimeError("no luck") from error
    except RuntimeError as error:
        text = error_text(error)
    assert secret not in text
    assert "ValueError: duplicate key" in text
    assert "RuntimeError: no luck" in text
    assert "test_errors_are_told" in text


def test_paths_show_numbers_and_hide_what_may_be_secret() -> None:
    filled = {"path_template": "/files/{number}/{name}", "path_params": {"number": 7, "name": "private.pdf"}}
    assert shown_path(filled) == "/files/7/{name}"
    assert shown_path({"path": "/x/ags_0123456789abcdef0123456789abcdef_012345"}) == "/x/…"
    assert identity_of(b"a" * 200) != "a" * 200


def test_a_connection_that_says_nothing_does_not_keep_others_waiting(sqlite_server: ServerProcess) -> None:
    host, _, port = sqlite_server.address.removeprefix("http://").partition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(200)]
    for each in silent[:100]:
        each.sendall(b"POST /api/ingest/batch/ HTTP/1.1\r\nHost: x\r\n")
    try:
        began = time.monotonic()
        assert httpx.get(sqlite_server.address + "/healthz").status_code == 200
        assert time.monotonic() - began < 5
    finally:
        for each in silent:
            each.close()
