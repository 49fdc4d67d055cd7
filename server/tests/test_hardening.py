"""What an attacker on the network or on the machine tries, and what every answer says to browsers."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest

from agentsight_server.attachments.file_types import is_media_type, shown_inline
from agentsight_server.operations.doctor import examine
from agentsight_server.security import passwords
from agentsight_server.settings import Settings, SettingsError
from tests.serving import ServerProcess

PUBLIC = "https://stats.example.com"


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory):
    """A server that knows its public address and stands behind a proxy on this machine."""
    arguments = ("--public-url", PUBLIC, "--behind-proxy")
    with ServerProcess(tmp_path_factory.mktemp("public"), arguments=arguments) as server:
        yield server


def modes(folder: Path) -> dict[str, int]:
    """What others may do with each thing in a folder."""
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o077
        for path in folder.rglob("*")
        if not path.name.startswith(".")
    }


@pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")
def test_nobody_else_on_the_machine_reads_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    old = os.umask(0o022)
    try:
        with ServerProcess(folder) as server, server.agent().client() as client:
            stored = client.post(
                "/api/attachments/",
                json={
                    "conversation_id": "c",
                    "attachments": [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}],
                },
            )
            assert stored.status_code == 201
        assert not any(modes(folder).values()), modes(folder)
        # As an older version, or a copy by an administrator, left it.
        for name in ("agentsight.db", "files"):
            (folder / name).chmod(0o755)
        found = [each for each in examine(Settings(data_dir=folder)) if each.about == "rights"]
        assert found[0].level == "note"
        assert "agentsight.db" in found[0].text
        with ServerProcess(folder):
            pass
        assert not any(modes(folder).values()), modes(folder)
        assert not [each for each in examine(Settings(data_dir=folder)) if each.about == "rights"]
    finally:
        os.umask(old)


def test_every_answer_tells_browsers_to_be_careful(public: ServerProcess) -> None:
    agent = public.agent()
    with agent.client() as client:
        listed = client.get("/api/conversations/")
        refused = client.get("/api/conversations/1/", headers={"Authorization": "Api-Key no"})
        missing = client.get("/nowhere")
        page = client.get("/sign-in", headers={"Authorization": ""})
        asset = client.get("/robots.txt")
    for answer in (listed, refused, missing, page, asset):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert answer.headers["referrer-policy"] == "same-origin"
    for answer in (listed, refused):
        assert answer.headers.get_list("cache-control") == ["no-store"]


def test_without_a_public_address_browsers_are_not_bound_to_https(sqlite_server: ServerProcess) -> None:
    assert "strict-transport-security" not in httpx.get(sqlite_server.address + "/sign-in").headers


@pytest.mark.parametrize(
    "host", ["evil.example", "stats.example.com.evil.example", "[", "localhost.evil.example"]
)
def test_other_hosts_are_not_answered(public: ServerProcess, host: str) -> None:
    assert httpx.get(public.address + "/sign-in", headers={"Host": host}).status_code in {400, 421}
    # Load balancers have names of their own for us.
    assert httpx.get(public.address + "/healthz", headers={"Host": "node-3"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["stats.example.com", "STATS.example.com:443", "127.0.0.1:8000", "[::1]:8000"]
)
def test_the_known_host_and_addresses_are_answered(public: ServerProcess, host: str) -> None:
    assert httpx.get(public.address + "/sign-in", headers={"Host": host}).status_code == 200


def test_two_hosts_are_none(sqlite_server: ServerProcess) -> None:
    port = int(sqlite_server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET /sign-in HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://stats.example.com.evil.example"])
def test_a_form_from_another_site_is_refused_without_fetch_metadata(
    public: ServerProcess, origin: str
) -> None:
    public.person(f"login-{abs(hash(origin))}@example.com")
    fields = {"email": f"login-{abs(hash(origin))}@example.com", "password": "correct horse battery"}
    foreign = httpx.post(public.address + "/sign-in", data=fields, headers={"Origin": origin})
    assert foreign.status_code == 403
    assert "set-cookie" not in foreign.headers
    own = httpx.post(public.address + "/sign-in", data=fields, headers={"Origin": PUBLIC})
    assert own.status_code == 303


def test_a_caller_cannot_choose_its_address(public: ServerProcess) -> None:
    """The proxy adds the address that it sees at the end; what stands before it is the caller's invention."""
    statuses = []
    for number in range(70):
        answer = httpx.post(
            public.address + "/sign-in",
            data={"email": f"spray-{number}@example.com", "password": "not the password"},
            headers={"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.7"},
        )
        statuses.append(answer.status_code)
    assert statuses[-1] == 429
    other = httpx.post(
        public.address + "/sign-in",
        data={"email": "spray-1@example.com", "password": "not the password"},
        headers={"X-Forwarded-For": "203.0.113.8"},
    )
    assert other.status_code == 400


def test_proxies_are_addresses() -> None:
    assert Settings(trusted_proxies="10.0.0.0/8, ::1").trusted_proxies
    with pytest.raises(SettingsError, match="trusted_proxies"):
        Settings(trusted_proxies="*")


@pytest.mark.parametrize(
    "kind", ["image/png, text/html", "image/png\n", "image/ščž", "png", "image/png;x", ""]
)
def test_what_is_no_media_type_is_refused(sqlite_server: ServerProcess, kind: str) -> None:
    assert not is_media_type(kind)
    if not kind:
        return  # left out: worked out from name and bytes
    with sqlite_server.agent().client("ingest") as client:
        file = {"filename": "a.png", "mime_type": kind, "data": "aGVsbG8="}
        answer = client.post("/api/attachments/", json={"conversation_id": "c", "attachments": [file]})
    if kind.strip() == "image/png":
        assert answer.status_code == 201  # white space around it says nothing
        return
    assert answer.status_code == 400
    assert answer.json() == {"attachments.0.mime_type": ["takes a media type such as image/png"]}


def test_only_known_kinds_open_in_the_browser() -> None:
    assert shown_inline("image/png")
    assert shown_inline("Text/Plain; charset=utf-8")
    for kind in ("image/png, text/html", "image/svg+xml", "image/x-anything", "text/html", "audio/x", None):
        assert not shown_inline(kind)


@pytest.mark.parametrize(
    "password",
    ["password123", "Passw0rd!2026", "1234567890", "qwertyuiop", "welcome2026!!", "ana@example.com1"],
)
def test_passwords_that_everybody_tries_are_refused(password: str) -> None:
    assert "anybody tries" in (passwords.problem(password, "ana@example.com") or "")


def test_ordinary_passwords_are_taken() -> None:
    for password in ("correct horse battery", "blue tractor 9", "tr0ub4dor&3xyz", "žuti traktor vozi"):
        assert passwords.problem(password, "ana@example.com") is None


def agentsight(
    folder: Path, *arguments: str, stdin: bytes = b"", **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSIGHT_")}
    return subprocess.run(
        [sys.executable, "-m", "agentsight_server", *arguments],
        cwd=folder, env=clean | environ, input=stdin, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_password_has_no_place_on_a_command_line(tmp_path: Path) -> None:
    secret = "postgresql://app:s3cret@127.0.0.1:1/agentsight"
    refused = agentsight(tmp_path, "keys", "list", "--database-url", secret)
    assert refused.returncode == 2
    assert b"AGENTSIGHT_DATABASE_URL_FILE" in refused.stderr
    assert b"s3cret" not in refused.stderr
    (tmp_path / "address").write_text(secret + "\n")
    from_file = Settings.load({"AGENTSIGHT_DATABASE_URL_FILE": str(tmp_path / "address")})
    assert from_file.database_url == secret
    with pytest.raises(SettingsError, match="AGENTSIGHT_DATABASE_URL_FILE"):
        Settings.load({"AGENTSIGHT_DATABASE_URL_FILE": str(tmp_path / "nowhere")})


def test_the_text_log_does_not_steer_a_terminal(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        httpx.get(server.address + "/n/%1b[31mRED%07")
    assert not [line for line in server.output if "\x1b[31m" in line or "\x07" in line]
    assert any("RED" in line for line in server.output)


def test_an_endless_line_of_an_import_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentsight_server.cli import importing

    monkeypatch.setattr(importing, "LONGEST_LINE", 1000)
    record = json.dumps({"conversation_id": "c1", "items": []}).encode()
    long = json.dumps({"conversation_id": "long", "name": "x" * 5000, "items": []}).encode()
    last = json.dumps({"conversation_id": "c2", "items": []}).encode()
    problems: list[str] = []
    lines = list(importing._lines(io.BytesIO(b"\n".join((record, long, last))), [], problems))
    assert [line.strip() for line in lines] == [record, b"", last], "each keeps its number"
    assert len(problems) == 1


def test_a_restore_holds_no_endless_manifest(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = 17 * 1024 * 1024
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    refused = agentsight(tmp_path, "restore", str(path), "--data-dir", "data")
    assert refused.returncode == 2
    assert b"manifest is larger" in refused.stderr
